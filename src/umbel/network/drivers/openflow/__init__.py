"""OpenFlow 1.3 and 1.4: a controller that puts programs into real switches.

frames.py trusts nothing a switch sends, codec.py translates with os-ken, controller.py has the
sockets. The only folder that knows os-ken.
"""
