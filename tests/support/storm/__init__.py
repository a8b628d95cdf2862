"""The storm: processes of a real platform are killed every few seconds while real viewers watch.

plan.py draws the deaths, victims.py kills and sees who comes back, encoder.py sends and counts,
viewer.py watches as the web player does, report.py says what it cost. `make storm` runs it.
"""
