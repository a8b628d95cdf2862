"""Switches that operators add with a node at run time, and both ends of its links. Pure.

In: the sites there are, what a request or a row gives with a node, and which links the node has.
Out: the sites with it, or all that is wrong with it. Neighbours: sites_document.py reads the
fields; delivery keeps them in rows.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Interface
from itertools import count

from umbel.kit.errors import Conflict, Unprocessable
from umbel.network.topology.sites import Site, crossing_cable

_FIRST_DATAPATH = 0x756D62010000
"""Datapath ids of added switches count from here, where the operator gives none: those of a network
file (sites_document.FIRST_DATAPATH) are below."""

Sites = Mapping[str, Site]


class NoSwitch(Conflict):
    """Switches carry the streams, and neither the network file nor the request describes a switch
    for this node: give the node its `site`."""

    code = "umbel.no_switch"


class InvalidSite(Unprocessable):
    """The node's switch, or an end of one of its links, cannot be as given; `details.problems`
    lists all that is wrong."""

    code = "umbel.invalid_site"


@dataclass(frozen=True, kw_only=True)
class LinkEnd:
    """What a switch has of one link: see the fields of `Site`."""

    underlay: str = ""
    cable: str = ""
    queue: str = ""
    crossing: str = ""


@dataclass(frozen=True, kw_only=True)
class AddedSite:
    """What came with a node: its switch without ends of links, if the network file does not
    describe it, and by neighbour the ends of its links at this node, `local`, and there,
    `remote`."""

    site: Site | None = None
    local: Mapping[str, LinkEnd] = field(default_factory=dict)
    remote: Mapping[str, LinkEnd] = field(default_factory=dict)

    @property
    def switch(self) -> Site | None:
        """The switch that came, with its ends of the links."""
        return None if self.site is None else _with_ends(self.site, self.local)

    def joined(self, sites: Sites, node: str, linked: Collection[str]) -> dict[str, Site]:
        """The sites with that of the node, and with the ends of its links to `linked`."""
        found = dict(sites)
        if self.site is not None:
            found.setdefault(node, self.site)
        if node in found:
            local = {near: end for near, end in self.local.items() if near in linked}
            found[node] = _with_ends(found[node], local)
        for near, end in self.remote.items():
            if near in linked and near in found:
                found[near] = _with_ends(found[near], {node: end})
        return found

    def numbered(self, sites: Sites) -> "AddedSite":
        """With the first datapath id that is free, if the operator gave none."""
        if self.site is None or self.site.datapath_id:
            return self
        used = {site.datapath_id for site in sites.values()}
        free = next(number for number in count(_FIRST_DATAPATH) if number not in used)
        return replace(self, site=replace(self.site, datapath_id=free))

    def check_switch(self, sites: Sites, node: str) -> None:
        """Raise NoSwitch if the node has none, InvalidSite if it cannot have this one."""
        _refuse(node, _switch_problems(sites, node, self.site))

    def check(
        self, sites: Sites, node: str, linked: Collection[str], *, in_namespaces: bool
    ) -> None:
        """Raise NoSwitch or InvalidSite if the node cannot come with these ends of its links. Links
        cross into other domains only where nodes are namespaces of this machine."""
        problems = list(_switch_problems(sites, node, self.site))
        after = self.joined(sites, node, linked)
        for near in sorted(linked):
            problems += _link_problems(after, node, near)
        for name in sorted({node, *linked} & after.keys()):
            problems += _device_problems(after[name])
        ends = (*self.local.values(), *self.remote.values())
        if not in_namespaces and any(end.crossing for end in ends):
            problems.append("crossing: they are made for namespaces of this machine only")
        problems += _underlay_problems(sites, after)
        _refuse(node, problems)

    def check_unswitched(self, node: str) -> None:
        """Raise InvalidSite if anything is given: no switches carry the streams."""
        if self != NO_SITE:
            _refuse(node, ["no switches carry the streams: leave out `site`, `local` and `remote`"])


NO_SITE = AddedSite()
"""What comes with a node where switches do not carry the streams, or the network file has it."""


def _refuse(node: str, problems: Collection[str]) -> None:
    """Raise InvalidSite if there are problems."""
    found = list(problems)
    if found:
        many = "a problem" if len(found) == 1 else f"{len(found)} problems"
        raise InvalidSite(f"The switch of {node} has {many}", node=node, problems=found)


def _switch_problems(sites: Sites, node: str, site: Site | None) -> list[str]:
    """Raises NoSwitch."""
    if site is None:
        if node not in sites:
            message = f"Neither the network file nor the request describes a switch for {node}"
            raise NoSwitch(message, node=node)
        return []
    if node in sites:
        return [f"site: the network file describes the switch of {node}: leave it out"]
    problems = []
    network = IPv4Interface(site.gateway).network
    for other in sites.values():
        if site.ovsdb == other.ovsdb:
            problems.append(f"ovsdb: {other.node} has {site.ovsdb}")
        if site.datapath_id == other.datapath_id:
            problems.append(f"datapath_id: {other.node} has {site.datapath_id:#x}")
        if network.overlaps(IPv4Interface(other.gateway).network):
            problems.append(f"gateway: {network} overlaps the access network of {other.node}")
    return problems


def _link_problems(after: Sites, node: str, near: str) -> Iterator[str]:
    if node not in after or near not in after:
        yield f"link to {near}: it has no switch"
        return
    here, there = after[node], after[near]
    for word, site, other in (("local", here, near), ("remote", there, node)):
        if other not in site.underlay:
            yield f"link to {near}: {word}.underlay: {site.node} needs an address there"
    if (near in here.crossings) != (node in there.crossings):
        yield f"link to {near}: crossing: both ends have one, or neither"


def _device_problems(site: Site) -> list[str]:
    names = (site.nic, *site.hosts, *site.cables.values())
    return [
        f"node {site.node}: device {name} is named {times} times"
        for name, times in Counter(filter(None, names)).items()
        if times > 1
    ]


def _underlay_problems(before: Sites, after: Sites) -> list[str]:
    """The underlay addresses that are new and at several ends."""
    had, now = _addresses(before), _addresses(after)
    return [
        f"underlay: {address} is at {times} ends of links"
        for address, times in sorted(now.items())
        if times > 1 and times > had[address]
    ]


def _addresses(sites: Sites) -> Counter[str]:
    return Counter(address for site in sites.values() for address in site.underlay.values())


def _with_ends(site: Site, ends: Mapping[str, LinkEnd]) -> Site:
    """The site with these ends of links, by neighbour."""

    def put(had: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
        return {**had, **{near: value for near, value in given.items() if value}}

    cables = {
        near: crossing_cable(near) if end.crossing else end.cable for near, end in ends.items()
    }
    return replace(
        site,
        underlay=put(site.underlay, {near: end.underlay for near, end in ends.items()}),
        cables=put(site.cables, cables),
        queues=put(site.queues, {near: end.queue for near, end in ends.items()}),
        crossings=put(site.crossings, {near: end.crossing for near, end in ends.items()}),
    )
