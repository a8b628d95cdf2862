"""What switches hold in addition to streams' rules, by the name of who wants it."""

from collections.abc import Collection, Mapping

from umbel.network.model import Pair
from umbel.network.ports import CompileRules
from umbel.network.switching import diff as changing
from umbel.network.switching.port_map import PortMap
from umbel.network.switching.program import Program


class ExtraRules:
    """Rules that are compiled of the port maps, the links that are to have tunnels for them, and
    the guests whose ports are to have numbers in advance."""

    def __init__(self) -> None:
        self._wanted: dict[str, tuple[CompileRules, frozenset[Pair], dict[str, str]]] = {}

    def set(
        self,
        name: str,
        compile_rules: CompileRules | None,
        links: Collection[Pair],
        guests: Mapping[str, str],
    ) -> None:
        """From now on the name wants this; None: nothing."""
        self._wanted.pop(name, None)
        if compile_rules is not None:
            self._wanted[name] = (compile_rules, frozenset(links), dict(guests))

    @property
    def is_empty(self) -> bool:
        """Whether nobody wants any."""
        return not self._wanted

    @property
    def links(self) -> frozenset[Pair]:
        """The links that are to have tunnels."""
        return frozenset(link for _, links, _ in self._wanted.values() for link in links)

    @property
    def guests(self) -> Mapping[str, str]:
        """The nodes where guests are expected, by the guests' addresses."""
        return {at: node for _, _, guests in self._wanted.values() for at, node in guests.items()}

    def merge(self, node: str, program: Program, port_maps: Mapping[str, PortMap]) -> Program:
        """The node's program with them. What the program has already comes first."""
        for compile_rules, _, _ in self._wanted.values():
            extra = compile_rules(port_maps).get(node, Program())
            program = changing.merge(program, changing.entries(extra))
        return program
