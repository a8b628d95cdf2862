"""What every placement policy answers. View in, decision out; nothing is touched."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

from umbel.delivery.model import Tree
from umbel.delivery.trees.grafting import Relaying
from umbel.delivery.trees.view import View


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """Who serves the viewer, and the tree that must then be there (the same one if unchanged)."""

    function: str
    node: str
    tree: Tree


class Policy(Protocol):
    """Decides where a viewer is served."""

    name: ClassVar[str]
    relaying: ClassVar[Relaying]

    def assign(self, view: View, stream: str, access_node: str) -> Assignment:
        """An edge for a viewer of `stream` at `access_node`. Raises NoCapacity, NoSuchNode."""
