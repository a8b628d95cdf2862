"""Web push: the browsers that one's notices go to."""

from typing import Annotated

from pydantic import BaseModel, Field

from umbel.catalogue.devices.model import MOST_LABEL, Device
from umbel.kit.clock import to_rfc3339
from umbel.notify import endpoints
from umbel.portal import auth
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Given

router = Resource(prefix="/api/v1", tags=["push"])


class PushKeysIn(Given):
    """As `PushSubscription.toJSON()` gives them: base64url without padding."""

    p256dh: Annotated[str, Field(max_length=100)]
    auth: Annotated[str, Field(max_length=32)]


class DeviceIn(Given):
    """A browser's push subscription, and a name by which its user knows the device."""

    endpoint: Annotated[str, Field(max_length=endpoints.MOST_ENDPOINT)]
    keys: PushKeysIn
    label: Annotated[str, Field(max_length=MOST_LABEL)]


class DeviceOut(BaseModel):
    """A device that notices go to."""

    id: str
    label: str
    created_at: str


class PushOut(BaseModel):
    """What browsers subscribe with (`applicationServerKey`), and one's devices."""

    public_key: str
    devices: list[DeviceOut]


@router.get("/me/push")
async def get_push(system: auth.SystemDep, user: auth.SignedIn) -> PushOut:
    """Get the key to subscribe with, and one's devices."""
    devices = await system.catalogue.devices.every(user.username)
    return PushOut(public_key=system.push_key, devices=[_response(one) for one in devices])


@router.post("/me/push/devices", status_code=201)
async def add_device(system: auth.SystemDep, user: auth.SignedIn, given: DeviceIn) -> DeviceOut:
    """Have notices sent to a browser that subscribed. The same endpoint once more is the same
    device; one that another account had is this account's from now on."""
    endpoints.parse(given.endpoint, allow_private=system.settings.push_private)
    return _response(
        await system.catalogue.devices.add(
            user.username, given.endpoint, given.keys.p256dh, given.keys.auth, given.label
        )
    )


@router.delete("/me/push/devices/{device_id}", status_code=204)
async def remove_device(system: auth.SystemDep, user: auth.SignedIn, device_id: str) -> None:
    """Send no notices to this device any more."""
    await system.catalogue.devices.remove(user.username, device_id)


def exported(devices: list[Device]) -> list[dict[str, object]]:
    """As rows of the file with one's data; the endpoint is what opens the device for pushes."""
    return [_response(one).model_dump(mode="json") for one in devices]


def _response(of: Device) -> DeviceOut:
    return DeviceOut(id=of.id, label=of.label, created_at=to_rfc3339(of.created_s))
