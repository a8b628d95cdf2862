"""The links of a VIM follow the rows of its pool, and a bad row costs its own node alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from umbel.compute.links import Links
from umbel.compute.ports import CannotRun


@dataclass(frozen=True)
class Machine:
    pool: str
    address: str


@dataclass
class Link:
    machine: Machine
    is_closed: bool = False

    async def close(self) -> None:
        self.is_closed = True


@dataclass
class Ground:
    rows: dict[str, Machine] = field(default_factory=dict)
    made: list[Link] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)

    async def all(self) -> Mapping[str, Machine]:
        return dict(self.rows)

    def connect(self, machine: Machine) -> Link:
        if machine.address in self.refused:
            raise CannotRun(f"{machine.address} needs a library")
        self.made.append(Link(machine))
        return self.made[-1]


async def test_there_is_a_link_for_each_row_of_the_pool_as_it_is_now() -> None:
    ground = Ground({"a": Machine("mine", "1"), "b": Machine("other", "2")})
    links = Links("mine", ground.all, ground.connect)
    assert set(await links.follow()) == {"a"}
    assert (await links.follow())["a"] is ground.made[0]
    ground.rows["a"] = Machine("mine", "3")
    assert (await links.follow())["a"].machine.address == "3"
    assert [one.is_closed for one in ground.made] == [True, False]
    del ground.rows["a"]
    assert await links.follow() == links.now == {}
    assert all(one.is_closed for one in ground.made)


async def test_a_row_without_a_link_costs_its_node_alone_until_it_has_one() -> None:
    ground = Ground({"a": Machine("mine", "1"), "b": Machine("mine", "2")}, refused={"1"})
    links = Links("mine", ground.all, ground.connect)
    assert set(await links.follow()) == {"b"}
    assert "needs a library" in links.failed["a"].message
    ground.refused.clear()
    assert set(await links.follow()) == {"a", "b"}
    assert links.failed == {}
    ground.refused.add("9")
    ground.rows["c"] = Machine("mine", "9")
    await links.follow()
    del ground.rows["c"]
    await links.follow()
    assert links.failed == {}
    await links.close()
    assert all(one.is_closed for one in ground.made)
    assert links.now == {}
