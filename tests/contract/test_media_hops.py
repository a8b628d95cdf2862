"""One suite over every MediaDriver: whose packets a function takes, and with which key."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from support.media_rigs import KEY, FakeRig, RealRig, Rig
from support.media_server import ground, key_hash
from support.waiting import until
from umbel.kit.errors import Invalid
from umbel.media.model import Server, StreamRole, StreamSpec, StreamState, Target, srtp_key_id

SRTP_KEY, OTHER_KEY = bytes(range(32)), bytes(32)


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.lab)])
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    with ground(tmp_path) as made:
        rig: Rig = FakeRig() if request.param == "fake" else RealRig(made)
        try:
            yield rig
        finally:
            await rig.close()


def spec(role: StreamRole, *hops: Target, srtp_key: bytes = b"") -> StreamSpec:
    keys = (key_hash(KEY),) if role is StreamRole.ACQUIRER else ()
    return StreamSpec(stream="ev1", role=role, hops=hops, key_hashes=keys, srtp_key=srtp_key)


async def test_packets_are_taken_from_the_sources_alone(rig: Rig) -> None:
    acquirer = await rig.start("acq", StreamRole.ACQUIRER)
    edge = await rig.start("edge", StreamRole.EDGE)
    other = replace(spec(StreamRole.EDGE), sources=("127.0.9.77",))
    leaf = await rig.plane.ensure(edge, other)
    assert leaf.sources == ("127.0.9.77",)
    to_leaf = Target(address=edge.address, port=leaf.port)
    await rig.plane.ensure(acquirer, spec(StreamRole.ACQUIRER, to_leaf))
    await rig.publish(acquirer, "ev1", KEY)

    async def at(server: Server) -> StreamState:
        return (await rig.plane.observe(server))["ev1"]

    await until(lambda: at(acquirer), lambda s: s.mbps_out > 0)
    state = await at(edge)
    assert (state.flowing, state.mbps_in) == (False, 0)
    both = replace(other, sources=("127.0.9.77", acquirer.address))
    assert (await rig.plane.ensure(edge, both)).sources == both.sources
    await until(lambda: at(edge), lambda s: s.flowing)
    await rig.plane.ensure(edge, other)
    await until(lambda: at(edge), lambda s: not s.flowing)
    assert (await rig.plane.ensure(edge, spec(StreamRole.EDGE))).sources == ()
    await until(lambda: at(edge), lambda s: s.flowing)


async def test_who_has_the_key_reads_what_others_pass_on(rig: Rig) -> None:
    servers = {
        role: await rig.start(role.value, role)
        for role in (StreamRole.ACQUIRER, StreamRole.FORWARDER, StreamRole.EDGE)
    }

    async def carry(role: StreamRole, *hops: Target, srtp_key: bytes = b"") -> StreamState:
        return await rig.plane.ensure(servers[role], spec(role, *hops, srtp_key=srtp_key))

    async def at(role: StreamRole) -> StreamState:
        return (await rig.plane.observe(servers[role]))["ev1"]

    def target(role: StreamRole, state: StreamState) -> Target:
        return Target(address=servers[role].address, port=state.port)

    leaf = await carry(StreamRole.EDGE, srtp_key=OTHER_KEY)
    middle = await carry(StreamRole.FORWARDER, target(StreamRole.EDGE, leaf))
    root = await carry(StreamRole.ACQUIRER, target(StreamRole.FORWARDER, middle), srtp_key=SRTP_KEY)
    shown = [state.srtp_key_id for state in (root, middle, leaf)]
    assert shown == [srtp_key_id(SRTP_KEY), "", srtp_key_id(OTHER_KEY)]
    await rig.publish(servers[StreamRole.ACQUIRER], "ev1", KEY)
    await until(lambda: at(StreamRole.FORWARDER), lambda s: s.flowing and s.mbps_out > 0)
    assert not (await at(StreamRole.EDGE)).flowing
    same = await carry(StreamRole.EDGE, srtp_key=SRTP_KEY)
    assert (same.port, same.srtp_key_id) == (leaf.port, srtp_key_id(SRTP_KEY))
    await until(lambda: at(StreamRole.EDGE), lambda s: s.flowing)
    await carry(StreamRole.ACQUIRER, target(StreamRole.FORWARDER, middle))
    await until(lambda: at(StreamRole.EDGE), lambda s: not s.flowing)


async def test_a_key_of_another_size_is_refused(rig: Rig) -> None:
    server = await rig.start("edge", StreamRole.EDGE)
    with pytest.raises(Invalid):
        await rig.plane.ensure(server, spec(StreamRole.EDGE, srtp_key=b"short"))
    assert await rig.plane.observe(server) == {}
