"""The only place that picks drivers and wires services together.

Settings in, a System out: `assemble` for the real thing; the scenarios pass fake drivers. Low to
high: secrets.py, drivers.py (which technologies), services.py (each service, of what it stands on),
system.py (all of them).
"""

from umbel.bootstrap.drivers import Drivers, network_document, read_network
from umbel.bootstrap.system import System, assemble, opened

__all__ = ["Drivers", "System", "assemble", "network_document", "opened", "read_network"]
