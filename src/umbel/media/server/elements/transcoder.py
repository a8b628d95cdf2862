"""The maker of a rendition as an element: Transcoder over workers/rendition.py."""

from umbel.media import roles
from umbel.media.server.elements.base import MediaElement, Place
from umbel.media.server.elements.context import Host
from umbel.media.server.elements.fan import Fan, Guard
from umbel.media.server.elements.flow import Count
from umbel.media.workers.rendition import Transcoding


class Transcoder(MediaElement):
    """Takes a stream and gives another one, with smaller pictures."""

    type = "Transcoder"

    def __init__(self, place: Place, host: Host, height: int) -> None:
        super().__init__(place)
        roles.check_height(height)
        self._into, self._out = Fan(), Fan()
        self._transcoding = Transcoding(
            place.parent.get_name() if place.parent else "", height, self._out, host.clock
        )
        self._into.attach(self._transcoding)
        self.sink = Guard(self._into, self.id)
        self.source = self._out

    async def close(self) -> None:
        await self._transcoding.close()

    def get_height(self) -> int:
        return self._transcoding.height

    def set_height(self, height: int) -> None:
        roles.check_height(height)
        self._transcoding.set_height(height)

    def is_media_transcoding(self, media_type: str, bin_name: str | None = None) -> bool:
        return media_type == "VIDEO"

    def count_in(self) -> Count:
        return _count(self._into)

    def count_out(self) -> Count:
        return _count(self._out)


def _count(fan: Fan) -> Count:
    return Count(packets=fan.packets_seen, bytes=fan.bytes_seen)
