"""One suite over recorders and who pulls from them: the fakes, and real media servers."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from support import mp4
from support.media_rigs import KEY, FakeRig, RealRig, Rig
from support.media_server import ground, key_hash
from support.waiting import until
from umbel.kit.errors import Conflict, Unavailable
from umbel.media.model import Pulled, Server, StreamRole, StreamSpec, StreamState, Target

TOKEN = "t-_0" * 8
SPEC = StreamSpec(stream="ev1", role=StreamRole.RECORDER, record_token=TOKEN)


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.lab)])
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    with ground(tmp_path) as made:
        rig: Rig = FakeRig() if request.param == "fake" else RealRig(made)
        try:
            yield rig
        finally:
            await rig.close()


def url_of(state: StreamState) -> str:
    return dict(state.urls)["record"]


async def live(rig: Rig) -> tuple[Server, StreamState]:
    """An acquirer that somebody publishes to, and the recorder that it feeds."""
    acquirer = await rig.start("acq", StreamRole.ACQUIRER)
    recorder = await rig.start("rec", StreamRole.RECORDER)
    state = await rig.plane.ensure(recorder, SPEC)
    hop = Target(address=recorder.address, port=state.port)
    root = StreamSpec(
        stream="ev1", role=StreamRole.ACQUIRER, hops=(hop,), key_hashes=(key_hash(KEY),)
    )
    await rig.plane.ensure(acquirer, root)
    await rig.publish(acquirer, "ev1", KEY)
    return recorder, state


async def test_a_recorder_tells_where_to_pull(rig: Rig) -> None:
    recorder = await rig.start("rec", StreamRole.RECORDER)
    state = await rig.plane.ensure(recorder, SPEC)
    assert (state.role, state.viewers, state.hops, state.flowing) == (SPEC.role, (), (), False)
    assert state.port > 0
    assert url_of(state).startswith(f"http://{recorder.address}:")
    assert url_of(state).endswith("/record/ev1/segments")
    assert (await rig.plane.ensure(recorder, SPEC)).port == state.port
    with pytest.raises(Conflict):
        await rig.plane.ensure(recorder, StreamSpec(stream="ev1", role=StreamRole.EDGE))


async def test_what_flows_is_pulled_in_order_and_once(rig: Rig) -> None:
    recorder, state = await live(rig)

    async def first() -> Pulled:
        return await rig.recorders.pull(url_of(state), TOKEN, -1, "")

    pulled = await until(first, lambda found: bool(found.segments), within_s=60)
    (body, *_) = pulled.segments
    assert 0.5 < body.duration_s < 4.0
    assert mp4.decode(pulled.maps[body.map_number] + body.body).samples > 0
    newest, boot = pulled.segments[-1].number, pulled.boot
    later = await rig.recorders.pull(url_of(state), TOKEN, newest, boot)
    numbers = [one.number for one in later.segments]
    assert numbers == list(range(newest + 1, newest + 1 + max(1, len(numbers))))
    assert (later.boot, later.dropped, later.ended) == (boot, 0, False)
    again = await rig.recorders.pull(url_of(state), TOKEN, -1, boot)
    assert [one.number for one in again.segments][:1] == [newest + 1]
    over = await rig.plane.ensure(recorder, replace(SPEC, is_over=True))
    assert over.port == state.port
    rest = await rig.recorders.pull(url_of(state), TOKEN, newest, boot)
    assert rest.ended
    assert rest.segments
    # For good: neither packets nor another spec begin it again.
    await rig.plane.ensure(recorder, SPEC)
    last = rest.segments[-1].number
    end = await rig.recorders.pull(url_of(state), TOKEN, last, boot)
    assert (end.ended, end.segments, end.maps) == (True, (), {})


async def test_one_that_is_held_has_nothing_yet(rig: Rig) -> None:
    recorder = await rig.start("rec", StreamRole.RECORDER)
    state = await rig.plane.ensure(recorder, replace(SPEC, is_held=True))
    assert (state.is_held, state.is_over, state.unpulled) == (True, False, 0)
    freed = await rig.plane.ensure(recorder, SPEC)
    assert (freed.is_held, freed.port) == (False, state.port)
    over = await rig.plane.ensure(recorder, replace(SPEC, is_over=True))
    assert over.is_over
    assert (await rig.plane.observe(recorder))["ev1"].is_over


async def test_only_the_token_opens_it(rig: Rig) -> None:
    recorder = await rig.start("rec", StreamRole.RECORDER)
    over = replace(SPEC, is_over=True)
    url = url_of(await rig.plane.ensure(recorder, over))
    for wrong in ("", "x" * 32, TOKEN[:-1]):
        with pytest.raises(Unavailable):
            await rig.recorders.pull(url, wrong, -1, "")
    assert (await rig.recorders.pull(url, TOKEN, -1, "")).ended
    other = replace(over, record_token="u" * 40)
    await rig.plane.ensure(recorder, other)
    with pytest.raises(Unavailable):
        await rig.recorders.pull(url, TOKEN, -1, "")
    assert (await rig.recorders.pull(url, other.record_token, -1, "")).ended


async def test_another_life_has_another_name(rig: Rig) -> None:
    recorder = await rig.start("rec", StreamRole.RECORDER)
    over = replace(SPEC, is_over=True)
    url = url_of(await rig.plane.ensure(recorder, over))
    before = await rig.recorders.pull(url, TOKEN, -1, "")
    await rig.plane.remove(recorder, "ev1")
    with pytest.raises(Unavailable):
        await rig.recorders.pull(url, TOKEN, -1, "")
    await rig.plane.ensure(recorder, over)
    assert (await rig.recorders.pull(url, TOKEN, -1, "")).boot != before.boot


async def test_a_recorder_that_is_gone_is_unavailable(rig: Rig) -> None:
    recorder = await rig.start("rec", StreamRole.RECORDER)
    url = url_of(await rig.plane.ensure(recorder, SPEC))
    await rig.lose(recorder)
    with pytest.raises(Unavailable):
        await rig.recorders.pull(url, TOKEN, -1, "")
