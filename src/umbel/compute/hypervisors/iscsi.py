"""An iSCSI target whose logical units are guests' disks, as a value. Pure."""

import re
from dataclasses import dataclass

_TEXT = re.compile(
    r"(?P<host>[A-Za-z0-9][A-Za-z0-9.-]{0,252}|\[[0-9A-Fa-f:]{2,45}\])(:(?P<port>\d{1,5}))?"
    r"/(?P<iqn>(iqn|eui|naa)\.[a-z0-9.:-]{1,200})/(?P<first>\d{1,5})(-(?P<last>\d{1,5}))?"
)
_PORT, _MOST = 3260, 16383


@dataclass(frozen=True, kw_only=True)
class Lun:
    """A logical unit, of which a guest has the first `size` bytes."""

    host: str
    port: int
    iqn: str
    number: int
    size: int = 0

    @property
    def url(self) -> str:
        """As QEMU names it."""
        return f"iscsi://{self.host}:{self.port}/{self.iqn}/{self.number}"


@dataclass(frozen=True, kw_only=True)
class IscsiTarget:
    """A target, and its logical units that a hypervisor gives to guests: `first` to `last`."""

    host: str
    port: int
    iqn: str
    first: int
    last: int

    def lun(self, number: int, size: int = 0) -> Lun:
        """One of its logical units."""
        return Lun(host=self.host, port=self.port, iqn=self.iqn, number=number, size=size)

    def has(self, lun: Lun) -> bool:
        """Whether that is one of this target's, in any hypervisor's range."""
        return (self.host, self.port, self.iqn) == (lun.host, lun.port, lun.iqn)

    def overlaps(self, other: "IscsiTarget") -> bool:
        """Whether both give some logical unit to guests."""
        is_same = self.has(other.lun(other.first))
        return is_same and self.first <= other.last and other.first <= self.last


def parse(text: str) -> IscsiTarget:
    """A target out of HOST:PORT/IQN/FIRST-LAST. Raises ValueError with what is wrong."""
    found = _TEXT.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{text[:80]!r} is no iSCSI target such as 192.0.2.9:3260/iqn.2026-11.net.example:a/1-8"
        )
    first, port = int(found["first"]), int(found["port"] or _PORT)
    last = int(found["last"] or first)
    if not first <= last <= _MOST:
        raise ValueError(f"{first} to {last} are no logical units: at most {_MOST}")
    if not 0 < port < 65536:
        raise ValueError(f"{port} is no port")
    return IscsiTarget(host=found["host"], port=port, iqn=found["iqn"], first=first, last=last)
