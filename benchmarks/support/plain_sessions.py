"""The peer of `control`: sessions opened by FastAPI over plain sqlite3, and nothing else.

In: a folder. Out: the same request answered: an event and its tree are read, a session and a line
of a journal are inserted, a token is signed. One commit a request, on the event loop's own thread.
"""

import asyncio
import json
import secrets
import signal
import sqlite3
import time
from pathlib import Path

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from umbel.kit.listening import bind

EVENT = "ev_plain"
SCHEMA = """
CREATE TABLE events (id TEXT PRIMARY KEY, state TEXT NOT NULL);
CREATE TABLE trees (stream TEXT PRIMARY KEY, branches TEXT NOT NULL);
CREATE TABLE sessions (id TEXT PRIMARY KEY, stream TEXT, access_node TEXT, function TEXT,
    edge_node TEXT, opened_s REAL, seen_s REAL, expires_s REAL);
CREATE INDEX ix_sessions ON sessions (stream, function);
CREATE TABLE changes (seq INTEGER PRIMARY KEY AUTOINCREMENT, at_s REAL, kind TEXT, subject TEXT,
    body TEXT);
"""


class SessionIn(BaseModel):
    """Where the viewer is."""

    access_node: str
    quality: str = "source"


class TicketOut(BaseModel):
    """Where to watch."""

    id: str
    quality: str
    edge: str
    whep: str
    hls: str
    token: str
    expires_at: str


def create_app(path: Path, nodes: tuple[str, ...]) -> FastAPI:
    """The app over a fresh database."""
    database = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        database.execute(f"PRAGMA {pragma}")
    database.executescript(SCHEMA)
    branches = [{"function": f"edge-{n}", "node": n, "role": "edge"} for n in nodes]
    database.execute("INSERT INTO events VALUES (?, 'live')", (EVENT,))
    database.execute("INSERT INTO trees VALUES (?, ?)", (EVENT, json.dumps(branches)))
    key = Ed25519PrivateKey.generate()
    app = FastAPI()

    @app.post("/api/v1/events/{event_id}/sessions", status_code=201)
    async def open_session(event_id: str, given: SessionIn) -> TicketOut:
        query = "SELECT state FROM events WHERE id = ?"
        if database.execute(query, (event_id,)).fetchone() != ("live",):
            raise HTTPException(409)
        query = "SELECT branches FROM trees WHERE stream = ?"
        tree = json.loads(database.execute(query, (event_id,)).fetchone()[0])
        edge = next(b for b in tree if b["node"] == given.access_node)
        id_, now_s = f"se_{secrets.token_hex(8)}", time.time()
        row = (id_, event_id, given.access_node, edge["function"], edge["node"])
        body = {"what": "opened", "stream": event_id, "edge": edge["node"]}
        database.execute("BEGIN IMMEDIATE")
        insert = "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        database.execute(insert, (*row, now_s, now_s, now_s + 3600))
        insert = "INSERT INTO changes VALUES (NULL, ?, 'session', ?, ?)"
        database.execute(insert, (now_s, id_, json.dumps(body)))
        database.execute("COMMIT")
        claims = {"sub": id_, "scope": event_id, "exp": int(now_s + 3600)}
        token = jwt.encode(claims, key, algorithm="EdDSA")
        return TicketOut(
            id=id_,
            quality=given.quality,
            edge=edge["node"],
            whep=f"http://127.0.0.1/whep/{event_id}",
            hls=f"http://127.0.0.1/hls/{event_id}/index.m3u8?token={token}",
            token=token,
            expires_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now_s + 3600)),
        )

    return app


async def serve(folder: Path, nodes: tuple[str, ...]) -> None:
    """The peer, until SIGTERM."""
    app = create_app(folder / "plain.db", nodes)
    config = uvicorn.Config(app, access_log=False, log_config=None, server_header=False)
    server, listening = uvicorn.Server(config), bind("127.0.0.1", 0)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.handle_exit, 15, None)
    # The socket takes connections from here on; the first request waits for the app.
    listening.listen()
    print(json.dumps({"port": listening.getsockname()[1], "event": EVENT}), flush=True)
    await server._serve([listening])
