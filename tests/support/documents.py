"""Documents of networks for property tests: values written as documents, and documents damaged."""

import copy
from dataclasses import asdict
from typing import Any

from hypothesis import strategies as st

from umbel.compute.inventory import node_entry
from umbel.compute.model import Inventory
from umbel.network.documents import link_entry
from umbel.network.model import Topology

WORDS = [
    *("a", "b", "pe1", "c1", "name", "nodes", "links", "hosts", "address", "prefixes", "pool"),
    *("mbps", "default_access", "pools", "sites", "management", "underlay", "cables", "crossings"),
    *("10.0.0.1", "10.0.0.0/8", "::1", "tcp:10.0.0.1:6640", "process", "core", "planner"),
]
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 10**20),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(WORDS),
)
JUNK = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(WORDS) | st.integers() | st.none(), inner, max_size=4)
    ),
    max_leaves=12,
)
"""What a YAML or JSON text can hold, of words that documents use."""

MOST_TOLD = 300
"""Characters of problems for each character of a document: reports stay in proportion."""


@st.composite
def damaged(draw: st.DrawFn, document: object, junk: st.SearchStrategy[Any] = JUNK) -> Any:
    """A good document with up to three places replaced, taken away, doubled or added."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        place: Any = document
        while (keys := list(place) if isinstance(place, dict) else list(range(len(place)))) and (
            inner := [key for key in keys if isinstance(place[key], dict | list)]
        ):
            if draw(st.integers(0, 3)) == 0:
                break
            place = place[draw(st.sampled_from(inner))]
        how = draw(st.sampled_from(["replace", "replace", "remove", "add"])) if keys else "add"
        if how == "replace":
            place[draw(st.sampled_from(keys))] = draw(junk)
        elif how == "remove":
            del place[draw(st.sampled_from(keys))]
        elif isinstance(place, dict):
            place[draw(st.sampled_from(WORDS))] = draw(junk)
        else:
            place.append(draw(st.sampled_from(place)) if place and draw(st.booleans()) else 7)
    return document


@st.composite
def damaged_text(draw: st.DrawFn, text: str) -> str:
    """A text with a few characters replaced at one place."""
    at = draw(st.integers(0, len(text) - 1))
    new = draw(st.text(max_size=4) | st.text(alphabet="{}[]:,-&*!?'\" \n\t0a", max_size=4))
    return text[:at] + new + text[at + draw(st.integers(0, 4)) :]


def entries_of(document: Any, part: str) -> list[Any]:
    """A part's entries; none when it is not there."""
    found: list[Any] = document.get(part) or []
    return found


def of_topology(found: Topology) -> dict[str, object]:
    """The document that a topology is read from."""
    return {
        "nodes": [{"name": name} for name in found.nodes],
        "links": [link_entry(link) for link in found.links],
        "hosts": [asdict(host) for host in found.hosts],
    }


def of_inventory(found: Inventory) -> dict[str, object]:
    """The document that an inventory is read from."""
    return {
        "nodes": [node_entry(node) for node in found.nodes],
        "default_access": found.default_access,
        "pools": {name: kind.value for name, kind in found.pools.items()},
    }
