"""Planning on request: an operator's network and demand in, a plan and its reasons out.

The planner is a library of values; here a request becomes its Problem, a process of its own solves
it, and rows keep what came of it. Neighbours: `umbel plan` and the portal above, planner below.

model > networks, demands > requests > answer, drawing > work (in a process) < child > store >
service
"""
