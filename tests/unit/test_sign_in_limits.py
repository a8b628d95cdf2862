"""Wrong passwords: delays that double, by account and by address, in bounded memory."""

import pytest

from umbel.catalogue import sign_in_limits
from umbel.catalogue.sign_in_limits import (
    FORGOTTEN_AFTER_S,
    FREE_BY_ACCOUNT,
    FREE_BY_ADDRESS,
    LONGEST_DELAY_S,
    SignInLimits,
    SignInTooSoon,
)
from umbel.kit.connections import source_of


def wait_s(limits: SignInLimits, account: str, source: str, now_s: float) -> int:
    with pytest.raises(SignInTooSoon) as refused:
        limits.admit(account, source, now_s)
    assert refused.value.retry_after_s is not None
    return refused.value.retry_after_s


def test_delays_for_an_account_double_from_any_address_up_to_the_longest() -> None:
    limits, now_s, waits = SignInLimits(), 0.0, []
    for host in range(FREE_BY_ACCOUNT):
        limits.admit("ann", f"192.0.2.{host}", now_s)
    for host in range(12):
        waits.append(wait_s(limits, "ann", f"198.51.100.{host}", now_s))
        now_s += waits[-1]
        limits.admit("ann", f"198.51.100.{host}", now_s)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, *[LONGEST_DELAY_S] * 3]
    limits.admit("bob", "192.0.2.1", now_s)
    limits.admit("ann", "192.0.2.1", now_s + FORGOTTEN_AFTER_S + 1)
    limits.admit("ann", "192.0.2.1", now_s + FORGOTTEN_AFTER_S + 1)


def test_an_address_waits_whatever_account_it_tries() -> None:
    limits = SignInLimits()
    for number in range(FREE_BY_ADDRESS):
        limits.admit(f"user{number}", "192.0.2.1", 0.0)
    assert wait_s(limits, "ann", "192.0.2.1", 0.0) == 1
    assert wait_s(limits, "", "192.0.2.1", 0.5) == 1
    limits.admit("ann", "192.0.2.2", 0.0)


def test_right_passwords_are_not_counted() -> None:
    limits = SignInLimits()
    for number in range(FREE_BY_ADDRESS * 3):
        limits.admit(f"user{number % 7}", "192.0.2.1", 0.0)
        limits.was_right(f"user{number % 7}", "192.0.2.1")
    for _ in range(FREE_BY_ACCOUNT * 3):
        limits.admit("ann", "192.0.2.2", 0.0)
        limits.was_not_checked("ann", "192.0.2.2")


def test_strangers_cannot_keep_an_owner_out() -> None:
    limits = SignInLimits()
    limits.admit("ann", "192.0.2.1", 0.0)
    limits.was_right("ann", "192.0.2.1")
    for _ in range(FREE_BY_ACCOUNT):
        limits.admit("ann", "198.51.100.1", 1.0)
    assert wait_s(limits, "ann", "198.51.100.2", 1.0) == 1
    limits.admit("ann", "192.0.2.1", 1.0)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in_limits, "MOST_KEPT", 10)
    limits = SignInLimits()
    for number in range(100):
        limits.admit(f"user{number}", f"192.0.2.{number}", float(number))
        if number % 2:
            limits.was_right(f"user{number}", f"192.0.2.{number}")
    kept = (limits._accounts._failures, limits._addresses._failures, limits._own)
    assert [len(one) <= 10 for one in kept] == [True] * 3


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("a socket", ""),
    ],
)
def test_what_counts_as_one_address(address: str, source: str) -> None:
    assert source_of(address) == source
