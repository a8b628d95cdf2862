"""The addresses of public pages, as they are shown to other sites and programs.

In: a request, or the operator's `public_url`. Out: absolute URLs.
"""

from dataclasses import dataclass

from starlette.requests import HTTPConnection

from umbel.portal.ports import System


@dataclass(frozen=True)
class Addresses:
    """`base` is where people reach the front end, without a slash at its end. Ids need no quoting:
    catalogue.rules.is_name holds for each."""

    base: str

    def watch(self, event_id: str) -> str:
        """An event's page."""
        return f"{self.base}/watch/{event_id}"

    def embed(self, event_id: str) -> str:
        """The event's player alone, for other sites' frames."""
        return f"{self.base}/embed/{event_id}"

    def provider(self, provider_id: str) -> str:
        """A provider's page."""
        return f"{self.base}/providers/{provider_id}"

    def feed(self, provider_id: str) -> str:
        """The provider's events as RSS."""
        return f"{self.base}/providers/{provider_id}/feed.xml"

    def picture(self, event_id: str) -> str:
        """A small picture of what is live."""
        return f"{self.base}/api/v1/events/{event_id}/thumbnail"


def of(system: System, request: HTTPConnection) -> Addresses:
    """Under the operator's URL; without one, under the host that the request names."""
    return Addresses(system.settings.public_url or str(request.base_url).rstrip("/"))
