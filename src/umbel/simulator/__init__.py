"""Days of viewers in seconds: a Config goes in, a Run comes out, on virtual time.

config > world (the network by numbers) > requests > workload, trace (where requests come from) >
ports > reference, compiled (two engines, equal event for event) > controllers > collectors > run.
Admission is `planner.admission`, the very code of the live platform; nothing here reads a clock.
"""
