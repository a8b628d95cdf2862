"""Where to host, cache, transcode and route for the best quality at the least power (ViRCA).

A library of values: a Problem goes in, a Result comes out. Nothing here reads a clock, a file or
another domain; `delivery`, `simulator` and `cli` call it.

problem > checks > paths > instance > formulation (literal) | fast (compact) > solve, rca, columns
"""
