"""Functions as servers in projects of the operator's OpenStack clouds. What speaks to their
services is loaded when the first cloud is reached."""
