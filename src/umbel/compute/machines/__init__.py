"""The operator's own machines, reached over SSH: what they are, and whether they are fit.

inspection.py looks a machine over; the driver ssh/ reaches it.
"""
