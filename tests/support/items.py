"""Items of the repository over REST, for tests."""

from support.http import World
from umbel.repository.drivers.fake import FakeStorage

DATA = bytes(range(256)) * 20


async def created(here: World, who: str = "city", **metadata: str) -> dict[str, str]:
    answer = await here.client.post("/repo/item", json=metadata, headers=here.as_(who))
    assert answer.status_code == 200, answer.text
    return answer.json()


def storage_of(here: World) -> FakeStorage:
    """Where the bytes are."""
    storage = here.system.repository.storage
    assert isinstance(storage, FakeStorage)
    return storage


async def stored(here: World, data: bytes = DATA, who: str = "city", kind: str = "") -> str:
    """An item with these bytes, of that media type."""
    headers = {"Content-Type": kind} if kind else {}
    made = await created(here, who)
    answer = await here.client.put(made["url"], content=data, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"id": made["id"], "size": len(data)})
    return made["id"]


async def url_of(here: World, item_id: str, who: str = "city") -> str:
    answer = await here.client.get(f"/repo/item/{item_id}", headers=here.as_(who))
    assert (answer.status_code, answer.json()["id"]) == (200, item_id)
    return answer.json()["url"]
