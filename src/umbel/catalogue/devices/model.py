"""A browser that subscribed to web push for an account. Times are epoch seconds."""

from dataclasses import dataclass

from umbel.kit.errors import Conflict, NotFound

MOST_DEVICES = 10
"""Of one account."""
MOST_LABEL = 80


class NoSuchDevice(NotFound):
    """Your account has no such device."""

    code = "umbel.no_such_device"


class TooManyDevices(Conflict):
    """The account has as many devices as there may be; remove one in your account."""

    code = "umbel.too_many_devices"


@dataclass(frozen=True, kw_only=True)
class Device:
    """Where its pushes go, and the keys that only it can open them with."""

    id: str
    username: str
    endpoint: str
    p256dh: str
    auth: str
    label: str
    created_s: float
