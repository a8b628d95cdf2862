"""Functions move between nodes while they serve: each migration is a row that one loop carries out.

In: requests to move a function. Out: the function runs on the other node, or where it was, with the
reason. `live` and `replacement` are the
two ways to move one.
"""
