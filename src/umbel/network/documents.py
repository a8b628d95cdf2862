"""Network files: read and checked. Public like `service`, without a database behind it.

In: an operator's YAML file, or one that ships with Umbel. Out: the topology, what slices promise,
and the operator's switches. The emulated network and the processes that plan need no more.
"""

from umbel.network.slices.admission import TERMS, Grade, Terms
from umbel.network.slices.admission import inspect as inspect_terms
from umbel.network.topology.added_sites import NO_SITE, AddedSite, LinkEnd
from umbel.network.topology.document import BadNetwork, link_entry
from umbel.network.topology.document import inspect as inspect_topology
from umbel.network.topology.document import parse as parse_topology
from umbel.network.topology.files import builtin as builtin_document
from umbel.network.topology.files import read as read_document
from umbel.network.topology.sites import (
    LOCAL_PORT,
    Site,
    TunnelKind,
    cable_bridge,
    crossing_cable,
)
from umbel.network.topology.sites_document import (
    FIRST_DATAPATH,
    LinkEndEntry,
    Sites,
    SwitchEntry,
)
from umbel.network.topology.sites_document import parse as parse_sites
from umbel.network.topology.sites_document import part as describe_sites
from umbel.network.topology.wiring import TunnelSettings

__all__ = [
    "FIRST_DATAPATH",
    "LOCAL_PORT",
    "NO_SITE",
    "TERMS",
    "AddedSite",
    "BadNetwork",
    "Grade",
    "LinkEnd",
    "LinkEndEntry",
    "Site",
    "Sites",
    "SwitchEntry",
    "Terms",
    "TunnelKind",
    "TunnelSettings",
    "builtin_document",
    "cable_bridge",
    "crossing_cable",
    "describe_sites",
    "inspect_terms",
    "inspect_topology",
    "link_entry",
    "parse_sites",
    "parse_topology",
    "read_document",
]
