"""The front end as one ASGI app. In: a System. Out: a FastAPI app; its lifespan runs the feed.

Layers, outside in: metrics, body limit, closed networks (captive.py), cross-site requests
(web_session.py), error mapping, routes (one module per resource in `api/`), and the built web app
for every other path.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

import umbel
from umbel.kit.token_buckets import TokenBuckets
from umbel.portal import errors
from umbel.portal.api import (
    accounts,
    captions,
    clouds,
    clusters,
    discover,
    edge,
    emails,
    events,
    files,
    firewall,
    follows,
    guest_operations,
    health,
    hypervisors,
    images,
    ingest,
    inline_functions,
    machines,
    members,
    migration_rules,
    migrations,
    network,
    nodes,
    notifications,
    password_resets,
    pictures,
    plans,
    platform,
    playouts,
    prepared,
    providers,
    push,
    recordings,
    reminders,
    replays,
    repository,
    reservations,
    series,
    sessions,
    sharing,
    slices,
    state,
    statistics,
    storage_functions,
    tokens,
    transfers,
    uploads,
    users,
    visibility,
    volumes,
    watched,
    web_sessions,
    welcome,
)
from umbel.portal.api.resource import describe
from umbel.portal.captive import Captive
from umbel.portal.feed import Feed
from umbel.portal.limits import BodyLimit
from umbel.portal.metrics import Metered, Metrics
from umbel.portal.page_heads import PageHeads
from umbel.portal.ports import System
from umbel.portal.site import STATIC, Site
from umbel.portal.streams import STREAMS
from umbel.portal.transfer_limits import TransferLimits
from umbel.portal.web_session import CsrfProtection

# Requests are matched in this order: what is asked most is first.
_RESOURCES = (
    sessions,
    events,
    discover,
    series,
    statistics,
    visibility,
    captions,
    replays,
    pictures,
    transfers,
    uploads,
    files,
    playouts,
    tokens,
    web_sessions,
    accounts,
    emails,
    password_resets,
    reservations,
    reminders,
    follows,
    recordings,
    push,
    users,
    providers,
    members,
    ingest,
    platform,
    guest_operations,
    volumes,
    images,
    firewall,
    prepared,
    nodes,
    storage_functions,
    machines,
    migration_rules,
    migrations,
    network,
    edge,
    inline_functions,
    slices,
    plans,
    repository,
    notifications,
    state,
    health,
    hypervisors,
    clouds,
    clusters,
    sharing,
    watched,
    welcome,
)


def create_app(system: System, *, static: Path = STATIC, keep_alive_s: float = 15.0) -> FastAPI:
    """The app over `system`. `static` holds the built web app, or nothing yet; `keep_alive_s` is
    the longest silence on a state stream."""
    feed = Feed(system.journal)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await feed.start()
        try:
            yield
        finally:
            await feed.stop()

    app = FastAPI(
        title="Umbel",
        version=umbel.__version__,
        docs_url=None,  # FastAPI's page would load scripts from elsewhere: site.py has ours
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.system = system
    app.state.feed = feed
    app.state.metrics = metrics = Metrics()
    app.state.keep_alive_s = keep_alive_s
    app.state.sessions_opened = TokenBuckets(system.settings.sessions_per_address, 60.0)
    app.state.replays_opened = TokenBuckets(system.settings.sessions_per_address, 60.0)
    app.state.transfer_limits = TransferLimits()
    app.state.sign_ups = TokenBuckets(system.settings.sign_ups_per_address, accounts.WINDOW_S)
    app.state.resets = TokenBuckets(password_resets.MOST_RESETS, password_resets.WINDOW_S)
    app.state.letters = TokenBuckets(emails.MOST_LETTERS, emails.WINDOW_S)
    app.state.feed_ages = sharing.FeedAges()
    errors.install(app)
    for resource in _RESOURCES:
        app.router.routes.extend(resource.router.routes)
    describe(app)
    app.router.default = Site(static, PageHeads(system))
    app.add_middleware(CsrfProtection, forms=welcome.FORMS)
    app.add_middleware(Captive, system=system)
    app.add_middleware(
        BodyLimit,
        most_bytes=system.settings.max_body_bytes,
        larger=(
            (images.PIECES, images.MOST_PIECE_BYTES),
            (pictures.PATHS, pictures.MOST_BYTES),
        ),
        streams=STREAMS,
    )
    app.add_middleware(Metered, metrics=metrics, clock=system.clock)
    return app
