"""Live video over an operator's own edge.

Read the packages in this order: kit, the domains (catalogue, compute, network, media),
delivery, portal, bootstrap, cli. ARCHITECTURE.md holds the shelf and the loop on one page.
"""

__version__ = "0.1.0"
