"""What a switch has counted: its meters, groups, rules and ports (OpenFlow 1.3.5, section 7.3.5).

In: a connection that answers requests. Out: the network's own counters. What is not ours among a
switch's rules is left out.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Protocol

from umbel.network.drivers.openflow.codec import Codec
from umbel.network.switching.counters import Count, SwitchCounts
from umbel.network.switching.program import Match

_UNKNOWN = 0xFFFFFFFFFFFFFFFF
"""What a switch says of a counter it does not have."""


class StatisticsSource(Protocol):
    """A switch's connection."""

    codec: Codec

    async def request(self, message: Any) -> list[Any]:
        """Send, and what comes back. Raises SwitchRefused, SwitchGone."""


async def counts(channel: StatisticsSource) -> SwitchCounts:
    """What the switch has counted so far. Raises SwitchRefused, SwitchGone."""
    c, o, p = channel.codec, channel.codec.ofproto, channel.codec.ofproto_parser
    everything = {"out_port": o.OFPP_ANY, "out_group": o.OFPG_ANY}
    meters, groups, flows, ports = await asyncio.gather(
        channel.request(p.OFPMeterStatsRequest(c, 0, o.OFPM_ALL)),
        channel.request(p.OFPGroupStatsRequest(c, 0, o.OFPG_ALL)),
        channel.request(p.OFPFlowStatsRequest(c, 0, o.OFPTT_ALL, **everything)),
        channel.request(p.OFPPortStatsRequest(c, 0, o.OFPP_ANY)),
    )
    return SwitchCounts(
        meters={one.meter_id: _metered(one) for one in meters},
        groups={one.group_id: _counted(one) for one in groups},
        rules=dict(_rules(c, flows)),
        ports={one.port_no: _sent(one) for one in ports},
    )


def _metered(stats: Any) -> Count:
    return Count(
        packets=_known(stats.packet_in_count),
        bytes=_known(stats.byte_in_count),
        drops=sum(_known(band.packet_band_count) for band in stats.band_stats),
    )


def _counted(stats: Any) -> Count:
    return Count(packets=_known(stats.packet_count), bytes=_known(stats.byte_count))


def _sent(stats: Any) -> Count:
    return Count(
        packets=_known(stats.tx_packets),
        bytes=_known(stats.tx_bytes),
        drops=_known(stats.tx_dropped),
    )


def _rules(codec: Codec, flows: Iterable[Any]) -> Iterable[tuple[tuple[int, int, Match], Count]]:
    for stats in flows:
        ours = codec.program([stats], [], [])
        for rule in ours.rules if ours else ():
            yield rule.key, _counted(stats)


def _known(count: int) -> int:
    return 0 if count == _UNKNOWN else count
