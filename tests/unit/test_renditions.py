"""The names of qualities, and where transcoders stand."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.views import ACQUIRER, X, edge, planted, room, view
from umbel.delivery.model import Branch, Tree
from umbel.delivery.policy import transcoders
from umbel.delivery.policy.sls import Sls
from umbel.delivery.trees import renditions
from umbel.delivery.trees.grafting import Relaying, edges_of, graft, leaf, prune, repair
from umbel.delivery.trees.view import NoCapacity, View
from umbel.kit.ids import new_id
from umbel.media.model import VideoCodec

SMALL = f"{X}-360p"
POLICY = Sls()


def made_at(node: str, *branches: Branch) -> Tree:
    """A rendition's tree whose transcoder stands at the node."""
    root = leaf(f"transcoder-{node}-1", node, "transcoder")
    return Tree(stream=SMALL, branches=(root, *branches), version=1)


def without_idle_forwarders(tree: Tree, node: str) -> Tree:
    """The tree with an edge grafted at the node."""
    return graft(view(tree), tree, leaf(f"edge-{node}-1", node), Relaying.EVERY_CORE)


def settled(seen: View, tree: Tree, *sending: str) -> Tree:
    return transcoders.moved(seen, tree, POLICY, sending)


@given(st.sampled_from(["source", "1080p", "720p", "360p", "vp8"]))
def test_a_stream_is_named_by_its_event_and_quality(quality: str) -> None:
    event = new_id("ev")
    stream = renditions.stream_of(event, quality)
    assert (renditions.event_of(stream), renditions.quality_of(stream)) == (event, quality)
    assert (renditions.height_of(stream) == 0) == (quality == "source")
    assert (renditions.codec_of(stream) is VideoCodec.VP8) == (quality == "vp8")


@given(st.text(max_size=70))
def test_any_text_is_some_stream(text: str) -> None:
    assert text.startswith(renditions.event_of(text))
    assert renditions.height_of(text) >= 0


@pytest.mark.parametrize(
    ("height", "there"),
    [
        (0, ("source",)),
        (360, ("source",)),
        (720, ("source", "360p")),
        (2160, ("source", "1080p", "720p", "360p")),
    ],
)
def test_what_is_on_offer_is_smaller_than_the_source(height: int, there: tuple[str, ...]) -> None:
    assert renditions.offered(height) == there
    with_vp8 = (*there, "vp8") if height else there
    assert renditions.offered(height, vp8=True) == with_vp8


def test_strange_and_larger_qualities_are_named() -> None:
    for quality in ("480p", "", "Source", "360", "-1p", "VP8", "p"):
        with pytest.raises(renditions.NoSuchQuality, match="source, 1080p, 720p, 360p, vp8"):
            renditions.stream_of(X, quality)
    with pytest.raises(
        renditions.NoSuchQuality, match="720p now; choose one of source, 360p"
    ) as no:
        renditions.check(f"{X}-720p", 720)
    assert no.value.details == {"qualities": ["source", "360p"]}
    renditions.check(SMALL, 720)
    renditions.check(X, 0)


@pytest.mark.parametrize(
    ("quality", "source", "shown"),
    [
        ("source", 0, 0),
        ("source", 1080, 1080),
        ("360p", 720, 360),
        ("360p", 0, 360),
        ("vp8", 1080, 720),
        ("vp8", 360, 360),
    ],
)
def test_pictures_are_never_higher_than_the_source(quality: str, source: int, shown: int) -> None:
    assert renditions.shown_height(renditions.stream_of(X, quality), source) == shown


def test_vp8_is_made_of_any_source_that_flows_where_the_event_has_it() -> None:
    stream = renditions.stream_of(X, "vp8")
    assert renditions.height_of(stream) == 720
    for height in (180, 720, 2160):
        renditions.check(stream, height)
    with pytest.raises(renditions.NoSuchQuality, match="vp8 now; choose one of source"):
        renditions.check(stream, 0)
    renditions.check_codec(stream, vp8=True)
    renditions.check_codec(SMALL, vp8=False)
    with pytest.raises(renditions.NoSuchQuality, match="vp8 now; choose one of source"):
        renditions.check_codec(stream, vp8=False)


def test_a_transcoder_stands_where_the_policy_serves_the_viewer() -> None:
    found = transcoders.assigned(view(planted()), SMALL, "pe4", POLICY)
    assert (found.node, found.function) == ("pe4", "edge-pe4-1")
    assert [(b.role, b.node, b.parent) for b in found.tree.branches] == [
        ("transcoder", "pe4", ""),
        ("edge", "pe4", "transcoder-pe4-1"),
    ]


def test_and_elsewhere_where_there_is_no_room_for_it() -> None:
    crowded = {"pe4": room("pe4", cores_free=0.2)}
    found = transcoders.assigned(view(planted(), nodes=crowded), SMALL, "pe4", POLICY)
    assert found.node == "pe4"
    assert found.tree.root is not None
    assert found.tree.root.node == "c2"
    full = {name: room(name, cores_free=0.2) for name in view().nodes}
    with pytest.raises(NoCapacity) as no:
        transcoders.assigned(view(planted(), nodes=full), SMALL, "pe4", POLICY)
    assert no.value.details["reason"] == "cpu"


@given(st.floats(0.0, 1.0), st.floats(0.0, 600.0), st.floats(0.0, 12.0), st.booleans())
def test_an_edge_and_its_transcoder_are_not_promised_the_same_room(
    cores: float, memory_mb: float, mbps: float, is_running: bool
) -> None:
    """Each alone fitted a node that had not enough for both."""
    tight = room("pe4", cores_free=cores, memory_free_mb=memory_mb, mbps_free=mbps)
    before = view(planted(edge("pe4")) if is_running else planted(), nodes={"pe4": tight})
    found = transcoders.assigned(before, SMALL, "pe4", POLICY)
    costs, mbps_each = before.costs, before.mbps(SMALL)
    used, memory_used, mbps_used = 0.0, 0.0, 0.0
    if found.node == "pe4":
        is_new = found.function not in before.functions
        used += costs.stream_cores + costs.viewer_cores + is_new * costs.function_cores
        memory_used += costs.function_mb if is_new else costs.stream_mb
        mbps_used += mbps_each
    if found.tree.root is not None and found.tree.root.node == "pe4":
        used += costs.transcoder_cores
        memory_used += costs.transcoder_mb
        mbps_used += mbps_each
    assert used <= cores + 1e-9
    assert memory_used <= memory_mb + 1e-9
    assert mbps_used <= mbps + 1e-9


def test_a_link_too_thin_for_the_source_refuses_its_transcoder_there() -> None:
    thin = {frozenset(("c2", "pe4")): 2.0}
    found = transcoders.assigned(view(planted(), links=thin), SMALL, "pe4", POLICY)
    assert found.tree.root is not None
    assert found.tree.root.node == "c2"
    assert edges_of(found.tree) == [("c2", "pe4")]


def test_the_source_feeds_exactly_the_transcoders_that_are_wanted() -> None:
    source, small = planted(edge("pe2")), without_idle_forwarders(made_at("pe4"), "pe4")
    tree = transcoders.attached(view(source, small), source, Relaying.EVERY_CORE)
    assert edges_of(tree) == [("pe1", "pe2"), ("pe1", "c1"), ("c1", "c2"), ("c2", "pe4")]
    assert tree.branches[-1].role == "transcoder"
    assert transcoders.attached(view(tree, small), tree, Relaying.EVERY_CORE) == tree
    over = transcoders.attached(view(tree), tree, Relaying.EVERY_CORE)
    assert over.branches == source.branches


def test_an_edge_beside_a_transcoder_feeds_it_as_long_as_it_is_there() -> None:
    source, small = planted(edge("pe4")), without_idle_forwarders(made_at("pe4"), "pe4")
    tree = transcoders.attached(view(source, small), source, Relaying.EVERY_CORE)
    assert edges_of(tree) == [("pe1", "pe4"), ("pe4", "pe4")]
    left = prune(tree, set(), now_s=0.0, linger_s=5.0)
    left = prune(left, set(), now_s=5.0, linger_s=5.0)
    assert [b.role for b in left.branches] == ["acquirer", "transcoder"]
    again = repair(view(left, small), left, Relaying.EVERY_CORE)
    assert edges_of(again) == [("pe1", "c1"), ("c1", "c2"), ("c2", "pe4")]


def test_a_transcoder_in_good_order_stays() -> None:
    tree = without_idle_forwarders(made_at("pe4"), "pe2")
    assert settled(view(planted(), tree), tree) == tree


def test_a_lost_transcoder_is_replaced_at_once_where_its_viewers_are() -> None:
    tree = without_idle_forwarders(made_at("pe4"), "pe2")
    after = settled(view(planted(), tree, broken=frozenset({"pe4"})), tree)
    assert after.root is not None
    assert after.root.node == "pe2"
    assert edges_of(after) == [("pe2", "pe2")]
    nowhere = {name: room(name, cores_free=0.1) for name in view().nodes}
    stuck = view(planted(), tree, nodes=nowhere, broken=frozenset({"pe4"}))
    assert settled(stuck, tree) == tree


def test_one_that_leaves_a_resting_node_goes_on_until_its_heir_sends() -> None:
    tree = without_idle_forwarders(made_at("pe4"), "pe2")
    resting = view(planted(), tree, nodes={"pe4": room("pe4", is_closed=True)})
    before = settled(resting, tree)
    assert before.root == tree.root
    assert [(b.role, b.node) for b in before.branches if not b.parent] == [
        ("transcoder", "pe4"),
        ("transcoder", "pe2"),
    ]
    assert settled(resting, before) == before
    source = transcoders.attached(view(planted(), before), planted(), Relaying.EVERY_CORE)
    assert {b.node for b in source.branches if b.role == "transcoder"} == {"pe4", "pe2"}
    after = settled(resting, before, "transcoder-pe2-1")
    assert [(b.role, b.node) for b in after.branches] == [("transcoder", "pe2"), ("edge", "pe2")]


def test_an_heir_is_let_go_when_the_node_is_wanted_again_and_chosen_anew_when_its_own_closes() -> (
    None
):
    tree = without_idle_forwarders(made_at("pe4"), "pe2")
    closed = {"pe4": room("pe4", is_closed=True)}
    before = settled(view(planted(), tree, nodes=closed), tree)
    assert settled(view(planted(), before), before) == tree
    closed["pe2"] = room("pe2", is_closed=True)
    anew = settled(view(planted(), before, nodes=closed), before)
    heirs = [b.node for b in anew.branches if not b.parent][1:]
    assert heirs
    assert not {"pe2", "pe4"} & set(heirs)


def test_nobody_watching_ends_a_rendition_and_never_the_source() -> None:
    assert transcoders.ended(made_at("pe4")).branches == ()
    watched = without_idle_forwarders(made_at("pe4"), "pe2")
    assert transcoders.ended(watched) == watched
    assert transcoders.ended(planted()) == planted()
    assert transcoders.ended(Tree(stream=SMALL)) == Tree(stream=SMALL)


def test_an_heir_feeds_nobody_before_its_time() -> None:
    tree = made_at("pe4")
    both = replace(tree, branches=(*tree.branches, leaf("transcoder-c2-1", "c2", "transcoder")))
    grown = without_idle_forwarders(both, "pe5")
    assert grown.branch("edge-pe5-1") is not None
    feeders = {b.parent for b in grown.branches if b.parent}
    assert "transcoder-c2-1" not in feeders
    assert ACQUIRER.function not in feeders
