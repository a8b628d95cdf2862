"""Which host of a node's access network has an IPv4 address: its switch asks by ARP.

In: sites and addresses, and the frames that switches send up. Out: Ethernet addresses. While a
question is open, one rule sends the answers to it up; nothing of the node itself is needed, so
that switches on other machines can be asked as well.
"""

import asyncio
import contextlib
from collections.abc import Mapping

from umbel.kit.errors import NotFound, Unavailable
from umbel.network.switching import arp
from umbel.network.switching.port_map import PortMap
from umbel.network.switching.ports import Switchboard
from umbel.network.switching.program import CONTROLLER, Delete, Field, Output, Put, Rule, Value
from umbel.network.switching.signals import PacketArrived, UnknownSwitch
from umbel.network.switching.tables import ASKED, Table
from umbel.network.topology.sites import Site

_TIMES, _WAIT_S = 3, 0.5

Question = tuple[int, str]
"""A switch's datapath id, and the address that is asked for."""


class Neighbours:
    """Asks. The same question by several callers is asked once."""

    def __init__(self, board: Switchboard, port_maps: Mapping[str, PortMap]) -> None:
        self._board, self._port_maps = board, port_maps
        self._open: dict[Question, asyncio.Future[str]] = {}
        self._tasks: dict[Question, asyncio.Task[str]] = {}

    async def ask(self, site: Site, address: str) -> str:
        """The Ethernet address of the host; empty: none answers. Raises UnknownSwitch, SwitchGone
        and SwitchRefused."""
        question = (site.datapath_id, address)
        task = self._tasks.get(question)
        if task is None:
            task = asyncio.create_task(self._ask(site, address))
            self._tasks[question] = task
            task.add_done_callback(lambda _: self._tasks.pop(question, None))
        return await asyncio.shield(task)

    def on_packet(self, arrived: PacketArrived) -> None:
        """A switch sent a frame up; what answers no question is ignored."""
        said = arp.parse(arrived.frame)
        if said is None or said.operation != arp.REPLY:
            return
        answer = self._open.get((arrived.dpid, said.sender))
        if answer is not None and not answer.done():
            answer.set_result(said.sender_mac)

    async def _ask(self, site: Site, address: str) -> str:
        port_map, dpid = self._port_maps.get(site.node), site.datapath_id
        if port_map is None:
            raise UnknownSwitch(f"The switch of node {site.node} is not wired yet", dpid=dpid)
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._open[dpid, address] = answer
        rule = _rule(port_map.patch_port, address)
        try:
            await self._board.apply(dpid, [Put(entry=rule)])
            for _ in range(_TIMES):
                await self._board.send(dpid, port_map.patch_port, arp.request(address))
                await asyncio.wait([answer], timeout=_WAIT_S)
                if answer.done():
                    return answer.result()
            return ""
        finally:
            del self._open[dpid, address]
            with contextlib.suppress(Unavailable, NotFound):
                await self._board.apply(dpid, [Delete(entry=rule)])


def _rule(port: int, address: str) -> Rule:
    asked: dict[Field, Value] = {
        Field.IN_PORT: port,
        Field.ETH_DST: arp.ASKER,
        Field.ETH_TYPE: arp.ETHERTYPE,
        Field.ARP_SPA: address,
    }
    actions = (Output(port=CONTROLLER),)
    return Rule(table=Table.CLASSIFIER, priority=ASKED, match=tuple(asked.items()), actions=actions)
