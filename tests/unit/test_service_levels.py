"""Room that is promised to a provider is kept for its viewers, by every policy."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.views import planted, room, view
from umbel.catalogue.service_levels.model import Commitment, ServiceLevel
from umbel.delivery.guidance import Watch
from umbel.delivery.model import Tree
from umbel.delivery.policy import service_levels
from umbel.delivery.policy.base import Policy
from umbel.delivery.policy.consolidation import Consolidation
from umbel.delivery.policy.qos import Qos
from umbel.delivery.policy.service_levels import Claim
from umbel.delivery.policy.sls import Sls
from umbel.delivery.policy.virca import Virca
from umbel.delivery.trees.view import Costs, FunctionView, NoCapacity, View

POLICIES = [Sls(), Consolidation(), Qos(), Virca()]
ACCESS = [f"pe{number}" for number in range(1, 6)]
PROVIDERS = ("a", "b", "c")
RATE = Costs().stream_mbps
every_policy = pytest.mark.parametrize("policy", POLICIES, ids=lambda p: p.name)


def commitment(provider: str, viewers: int, priority: int = 0, height: int = 0) -> Commitment:
    level = ServiceLevel(
        provider_id=provider, viewers=viewers, priority=priority, height=height, version=1
    )
    return Commitment(level=level, events=(f"ev_{provider}",))


@dataclass
class Crowd:
    """Viewers of three providers' events, on nodes that can send to so many of them."""

    places: dict[str, int]
    commitments: tuple[Commitment, ...]
    trees: dict[str, Tree] = field(
        default_factory=lambda: {f"ev_{p}": planted(stream=f"ev_{p}") for p in PROVIDERS}
    )
    watching: dict[Watch, int] = field(default_factory=dict)

    def view(self) -> View:
        nodes = {name: room(name, mbps_free=count * RATE) for name, count in self.places.items()}
        return replace(view(*self.trees.values(), nodes=nodes), watching=self.watching)

    def come(self, policy: Policy, provider: str, access: str) -> bool:
        """Whether another viewer of the provider is served."""
        stream, claim = f"ev_{provider}", Claim(provider_id=provider, commitments=self.commitments)
        left = service_levels.without_reserved(self.view(), claim, access, 0)
        try:
            got = policy.assign(left, stream, access)
        except NoCapacity:
            return False
        self.trees[stream] = got.tree
        self.places[got.node] -= 1
        watch = (stream, access, got.node)
        self.watching[watch] = self.watching.get(watch, 0) + 1
        return True

    def missing(self, provider: str) -> int:
        """How many of the promised viewers of a provider do not watch."""
        level = next(c.level for c in self.commitments if c.level.provider_id == provider)
        here = sum(n for (stream, _, _), n in self.watching.items() if stream == f"ev_{provider}")
        return max(0, level.viewers - here)

    def may_come(self, provider: str) -> bool:
        """Whether a place is left that is not kept for others."""
        levels = {c.level.provider_id: c.level for c in self.commitments}
        kept = sum(
            self.missing(other)
            for other in PROVIDERS
            if other != provider
            and (not self.missing(provider) or levels[other].priority > levels[provider].priority)
        )
        return sum(self.places.values()) > kept


@st.composite
def crowds(draw: st.DrawFn) -> Crowd:
    return Crowd(
        places={name: draw(st.integers(0, 3)) for name in ACCESS},
        commitments=tuple(
            commitment(p, draw(st.integers(0, 5)), draw(st.integers(0, 2))) for p in PROVIDERS
        ),
    )


viewers = st.lists(st.tuples(st.sampled_from(PROVIDERS), st.sampled_from(ACCESS)), max_size=12)


@every_policy
@given(crowd=crowds(), arrivals=viewers)
def test_a_viewer_is_served_as_long_as_a_place_is_not_kept_for_others(
    policy: Policy, crowd: Crowd, arrivals: list[tuple[str, str]]
) -> None:
    for provider, access in arrivals:
        expected = crowd.may_come(provider)
        assert crowd.come(policy, provider, access) == expected


@every_policy
@given(crowd=crowds(), arrivals=viewers)
def test_what_was_promised_is_there_whoever_came_before(
    policy: Policy, crowd: Crowd, arrivals: list[tuple[str, str]]
) -> None:
    """Where all promises fit, the promised viewers are served after any crowd."""
    short = sum(crowd.missing(p) for p in PROVIDERS) - sum(crowd.places.values())
    crowd.places["pe1"] += max(0, short)
    for provider, access in arrivals:
        crowd.come(policy, provider, access)
    for provider in PROVIDERS:
        for _ in range(crowd.missing(provider)):
            assert crowd.come(policy, provider, "pe4")


def test_the_claim_of_a_higher_priority_comes_first() -> None:
    crowd = Crowd(
        places={name: int(name == "pe3") for name in ACCESS},
        commitments=(commitment("a", 1, priority=1), commitment("b", 1), commitment("c", 0)),
    )
    assert not crowd.come(Sls(), "b", "pe3")
    assert crowd.come(Sls(), "a", "pe3")


def test_without_an_event_that_runs_nothing_is_kept() -> None:
    idle = replace(commitment("a", 5), events=())
    crowd = Crowd(places=dict.fromkeys(ACCESS, 1), commitments=(idle, commitment("c", 0)))
    assert crowd.come(Sls(), "c", "pe3")


def test_pictures_larger_than_promised_have_no_claim() -> None:
    claim = Claim(provider_id="a", commitments=(commitment("a", 5, height=720),))
    nobody: Mapping[Watch, int] = {}
    assert [claim.is_promised(nobody, height) for height in (0, 360, 720, 1080)] == [
        True,
        True,
        True,
        False,
    ]
    assert not claim.is_promised({("ev_a-360p", "pe1", "pe1"): 5}, 360)


def test_room_is_kept_at_the_promised_rate_and_far_from_who_asks() -> None:
    promised = commitment("a", 10, height=360)
    claim = Claim(provider_id="b", commitments=(promised,))
    seen = view(planted(stream="ev_a"), planted(stream="ev_b"))
    left = service_levels.without_reserved(seen, claim, "pe1", 0)
    taken = {
        name: seen.nodes[name].mbps_free - node.mbps_free
        for name, node in left.nodes.items()
        if node != seen.nodes[name]
    }
    assert taken == {"pe5": pytest.approx(10 * 0.8)}


def test_room_is_kept_on_busy_cores_too() -> None:
    """An edge with the stream, whose core has room for two more; its node may start another."""
    costs = Costs()
    edge = FunctionView(id="edge-pe5-1", role="edge", node="pe5", cores_free=2 * costs.viewer_cores)
    tree = planted(stream="ev_a")
    carried = replace(
        tree, branches=(*tree.branches, replace(tree.branches[0], function=edge.id, node="pe5"))
    )
    only = {name: room(name, cores_free=0.0) for name in ACCESS if name != "pe5"}
    seen = view(carried, planted(stream="ev_b"), nodes=only, functions={edge.id: edge})
    claim = Claim(provider_id="b", commitments=(commitment("a", 5),))
    left = service_levels.without_reserved(seen, claim, "pe1", 0)
    new = costs.function_cores + costs.stream_cores
    assert left.functions[edge.id].cores_free == pytest.approx(0.0)
    assert left.nodes["pe5"].cores_free == pytest.approx(2.0 - new - 5 * costs.viewer_cores)


def test_a_refusal_names_the_service_level() -> None:
    seen = replace(view(planted(stream="ev_a")), watching={("ev_b", "pe1", "pe1"): 3})
    claim = Claim(provider_id="b", commitments=(commitment("a", 9), commitment("b", 2, priority=4)))
    error = service_levels.refusal(seen, claim, "ev_b", "pe2")
    assert error.code == "umbel.no_capacity"
    assert error.details == {
        "stream": "ev_b",
        "access_node": "pe2",
        "reason": "reserved",
        "provider": "b",
        "priority": 4,
        "promised": 2,
        "watching": 3,
    }
