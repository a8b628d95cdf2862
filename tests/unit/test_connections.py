"""Connections make room for each other: by address, and in all."""

from umbel.kit.connections import Connections


class One:
    def __init__(self, *, is_idle: bool = True) -> None:
        self.is_idle = is_idle
        self.is_ended = False

    def end(self) -> None:
        self.is_ended = True


def test_the_oldest_idle_connection_of_an_address_makes_room() -> None:
    connections: Connections[One] = Connections(most=9, most_per_address=3)
    busy, first, second, third = One(is_idle=False), One(), One(), One()
    assert all(connections.admit(one, "192.0.2.1") for one in (busy, first, second, third))
    assert [one.is_ended for one in (busy, first, second, third)] == [False, True, False, False]
    other = One()
    assert connections.admit(other, "192.0.2.2")
    assert not second.is_ended
    assert len(connections) == 4


def test_where_none_is_idle_the_new_one_is_refused() -> None:
    connections: Connections[One] = Connections(most=9, most_per_address=2)
    busy = [One(is_idle=False) for _ in range(2)]
    assert all(connections.admit(one, "192.0.2.1") for one in busy)
    assert not connections.admit(One(), "192.0.2.1")
    connections.remove(busy[0])
    connections.remove(busy[0])
    assert connections.admit(One(), "192.0.2.1")


def test_many_addresses_share_what_there_is() -> None:
    connections: Connections[One] = Connections(most=3, most_per_address=2)
    made = [One() for _ in range(4)]
    assert all(connections.admit(one, f"192.0.2.{n}") for n, one in enumerate(made))
    assert [one.is_ended for one in made] == [True, False, False, False]


def test_a_network_of_64_bits_counts_as_one_address() -> None:
    connections: Connections[One] = Connections(most=9, most_per_address=2)
    made = [One() for _ in range(3)]
    assert all(connections.admit(one, f"2001:db8::{n}") for n, one in enumerate(made, 1))
    assert [one.is_ended for one in made] == [True, False, False]
