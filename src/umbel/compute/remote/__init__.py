"""What runs at the other end of an SSH session: a VIM behind JSON lines.

messages.py says what is said, server.py answers calls, confinement.py says how a function is shut
in, `python -m umbel.compute.remote` is the program. It lives as long as the session; functions and
their records stay.
"""
