"""A small network and demand as an operator writes them."""

from dataclasses import fields
from typing import Any

from umbel.planner.problem import Network

NETWORK = """
planner:
  pop: pop
  vcpus_per_server: 12
nodes:
  - {name: pop, planner: {access: transit}}
  - {name: agg, planner: {access: transit, servers: 4}}
  - {name: home, planner: {access: fixed, servers: 4}}
  - {name: cell-1, planner: {access: mobile, servers: 4}}
  - {name: cell-2, planner: {access: mobile, servers: 4}}
links:
  - {a: pop, b: agg}
  - {a: agg, b: home}
  - {a: agg, b: cell-1, planner: {lightpaths: 2}}
  - {a: agg, b: cell-2}
"""

DEMAND = """end,content,resolution,parallel,watch_s,kind,size_gb,mean_gb
home,a,1080p,3,600,movie,20,1
cell-1,a,720p,3,600,movie,20,1
cell-2,b,360p,5,600,sport,20,1
"""


def rows() -> list[dict[str, Any]]:
    """The demand as a request's rows."""
    return [
        {"end": "home", "content": "a", "resolution": "1080p", "parallel": 3, "watch_s": 600},
        {"end": "cell-1", "content": "a", "resolution": "720p", "parallel": 3, "watch_s": 600},
        {"end": "cell-2", "content": "b", "resolution": "360p", "parallel": 5, "watch_s": 600},
    ]


def document_of(network: Network) -> dict[str, object]:
    """A network as a document; planning it gives the network again."""
    top = {
        "pop": network.pop,
        "vcpus_per_server": network.vcpus_per_server,
        "lightpath_mbps": network.lightpath_mbps,
        "bypass_lightpaths": network.bypass_lightpaths,
        "cpri_lightpaths": network.cpri_lightpaths,
    }
    return {
        "planner": top,
        "nodes": [
            {
                "name": node.name,
                "planner": {
                    field.name: getattr(node, field.name)
                    for field in fields(node)
                    if field.name not in {"name", "access"}
                }
                | {"access": node.access.value},
            }
            for node in network.nodes
        ],
        "links": [
            {"a": link.a, "b": link.b, "planner": {"lightpaths": link.lightpaths}}
            for link in network.links
        ],
    }
