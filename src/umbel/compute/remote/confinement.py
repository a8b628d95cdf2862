"""How a function is shut in on its machine: words before its command that end in the command.

Each word's program replaces itself by the next (execve), so the process that is started is the
function from its first moment: pid, environment and session stay. systemd-run(1) --scope makes it
a transient unit with limits, setpriv(1) takes its rights, systemd-cat(1) gives its output to the
journal.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from umbel.compute.model import Function, HostUsage, Node, Reservation
from umbel.compute.ports import MeasuresHosts, Vim


@dataclass(frozen=True, kw_only=True)
class Confinement:
    """As whom functions run, and whether systemd keeps them. `user` and `group` are numbers; None:
    as the user that signed in. `home` is where they may keep files."""

    user: int | None = None
    group: int | None = None
    has_systemd: bool = False
    home: str = "/nonexistent"


def confined(function: Function, node: Node, how: Confinement) -> Function:
    """The function, shut in like this. One without a command is left as it is."""
    described = function.description
    if not described.command:
        return function
    words = (*_scope(function, node, how), *_rights(how), *_journal(function, how))
    environment = dict(function.environment)
    if how.user is not None:
        environment |= {"HOME": how.home, "XDG_CACHE_HOME": how.home}
    description = replace(described, command=(*words, *described.command))
    return replace(function, description=description, environment=environment)


def _scope(function: Function, node: Node, how: Confinement) -> tuple[str, ...]:
    if not how.has_systemd:
        return ()
    # What is promised until it is measured is an estimate: such a function may use the node's.
    described = function.description
    is_promise = described.reservation is Reservation.ALWAYS
    cores = (is_promise and described.resources.cores) or node.cores
    memory_mb = (is_promise and described.resources.memory_mb) or node.memory_mb
    return (
        *("systemd-run", "--scope", "--quiet", "--collect", f"--unit=umbel-{function.id}"),
        f"--description=umbel function {function.id} of {node.name}",
        f"--property=CPUQuota={cores:.2%}",
        f"--property=MemoryMax={round(memory_mb)}M",
        "--",
    )


def _rights(how: Confinement) -> tuple[str, ...]:
    if how.user is None:
        return ()
    ids = (f"--reuid={how.user}", f"--regid={how.group}")
    return ("setpriv", *ids, "--clear-groups", "--no-new-privs", "--inh-caps=-all", "--")


def _journal(function: Function, how: Confinement) -> tuple[str, ...]:
    return ("systemd-cat", f"--identifier=umbel-{function.id}", "--") if how.has_systemd else ()


class ConfinedVim:
    """A VIM whose functions are all shut in."""

    def __init__(self, vim: Vim, how: Confinement) -> None:
        self._vim = vim
        self._how = how
        self.stop = vim.stop
        self.running = vim.running
        self.watch = vim.watch
        self.close = vim.close

    async def start(self, owner: str, function: Function, node: Node) -> None:
        """As the VIM does."""
        await self._vim.start(owner, confined(function, node, self._how), node)

    async def hosts(self, nodes: Sequence[Node]) -> dict[str, HostUsage]:
        """As the VIM does, if it does."""
        return await self._vim.hosts(nodes) if isinstance(self._vim, MeasuresHosts) else {}
