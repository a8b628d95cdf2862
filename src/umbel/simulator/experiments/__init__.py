"""The paper's figures: a name goes in, a CSV and a PNG come out.

request (light: all that the command line needs) > command. tasks > optimum, simulation > work (one
task, wherever it runs) > pools (here, in processes, on Ray) ; results (what is kept) ;
pareto, breakdown, steady, crowd, assumptions (which tasks a figure needs, its rows, its drawing)
> table > main.
"""
