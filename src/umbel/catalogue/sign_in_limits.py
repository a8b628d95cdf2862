"""How often passwords may be tried: by account and by address, with delays that double.

In: attempts, with the time. Out: SignInTooSoon while one has to wait. Pure. An attempt counts as
wrong until its outcome is known, so that many at once are bounded, too. Memory is bounded: of more
accounts or addresses the one that was tried longest ago is forgotten.
"""

from collections import OrderedDict
from dataclasses import dataclass

from umbel.kit.errors import TooSoon

FREE_BY_ACCOUNT = 5
FREE_BY_ADDRESS = 20  # there may be a campus behind one address
LONGEST_DELAY_S = 300.0
FORGOTTEN_AFTER_S = 3_600.0
MOST_KEPT = 10_000


class SignInTooSoon(TooSoon):
    """There were too many wrong passwords for this account or from this address: wait, then try
    again."""

    code = "umbel.sign_in_too_soon"


@dataclass
class _Failures:
    count: int
    last_s: float


class FailureCounter:
    """Wrong attempts by key."""

    def __init__(self, free: int) -> None:
        self._free = free
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def wait_s(self, key: str, now_s: float) -> float:
        """How long until the next attempt."""
        failures = self._failures.get(key)
        if failures is None or failures.count < self._free:
            return 0.0
        doubled = min(failures.count - self._free, 30)
        return failures.last_s + min(2.0**doubled, LONGEST_DELAY_S) - now_s

    def add(self, key: str, now_s: float) -> None:
        """One more."""
        failures = self._failures.pop(key, None)
        if failures is None or now_s - failures.last_s > FORGOTTEN_AFTER_S:
            failures = _Failures(0, now_s)
        self._failures[key] = _Failures(failures.count + 1, now_s)
        if len(self._failures) > MOST_KEPT:
            self._failures.popitem(last=False)

    def take_back(self, key: str) -> None:
        """One less."""
        failures = self._failures.get(key)
        if failures is not None:
            failures.count = max(failures.count - 1, 0)

    def forget(self, key: str) -> None:
        """None any more."""
        self._failures.pop(key, None)


class SignInLimits:
    """Lets attempts through, or says how long to wait."""

    def __init__(self) -> None:
        self._accounts = FailureCounter(FREE_BY_ACCOUNT)
        self._addresses = FailureCounter(FREE_BY_ADDRESS)
        self._own: OrderedDict[tuple[str, str], None] = OrderedDict()

    def admit(self, account: str, source: str, now_s: float) -> None:
        """An attempt begins; `account` is empty when nobody can have the name that was given.
        Raises SignInTooSoon; such an attempt counts for nothing.

        Where the account signed in before, only the address counts: strangers who try passwords
        elsewhere cannot keep its owner out."""
        counters = [(self._addresses, source)]
        if account and (account, source) not in self._own:
            counters.append((self._accounts, account))
        wait_s = max(counter.wait_s(key, now_s) for counter, key in counters)
        if wait_s > 0:
            raise SignInTooSoon(wait_s)
        for counter, key in counters:
            counter.add(key, now_s)

    def was_right(self, account: str, source: str) -> None:
        """The password of an admitted attempt was right."""
        self._addresses.take_back(source)
        self._accounts.forget(account)
        self._own[account, source] = None
        self._own.move_to_end((account, source))
        if len(self._own) > MOST_KEPT:
            self._own.popitem(last=False)

    def was_not_checked(self, account: str, source: str) -> None:
        """The password of an admitted attempt could not be checked."""
        self._addresses.take_back(source)
        if (account, source) not in self._own:
            self._accounts.take_back(account)
