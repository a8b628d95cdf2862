"""Follow what happens in the network: register a callback, check each POST, notice gaps.

python examples/05-receive-notifications.py http://127.0.0.1:8000 --username operator \
    --password ... [--address 127.0.0.1] [--notices 3]

Prints a line per notice. The callback is removed at the end, also on Ctrl-C.
"""

import argparse
import contextlib
import hmac
import json
import queue
import re
import threading
import time
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

KINDS = ["function_appeared", "function_left", "switch_up", "switch_down", "link_up", "link_down"]


def is_genuine(secret: str, header: str, body: bytes, within_s: float = 300.0) -> bool:
    """Whether a POST was signed with our secret, of this very body, and not long ago."""
    form = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", header)
    if form is None or abs(time.time() - int(form[1])) > within_s:
        return False
    signed = form[1].encode() + b"." + body
    return hmac.compare_digest(form[2], hmac.new(secret.encode(), signed, sha256).hexdigest())


class Hook(BaseHTTPRequestHandler):
    """Takes POSTs. It answers at once and leaves the work to others: who is slow falls behind."""

    protocol_version = "HTTP/1.1"
    secret = ""
    inbox: "queue.Queue[dict[str, Any]]" = queue.Queue()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        good = is_genuine(self.secret, self.headers.get("Umbel-Signature", ""), body)
        if good:
            self.inbox.put(json.loads(body))
        self.send_response(204 if good else 401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    """Register, print, remove."""
    options = arguments()
    server = ThreadingHTTPServer((options.address, 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with httpx.Client(base_url=options.url) as api, contextlib.suppress(KeyboardInterrupt):
        api.headers["Authorization"] = f"Bearer {sign_in(api, options)}"
        with registered(api, f"http://{options.address}:{server.server_port}/hook") as callback:
            pinged = api.post(f"/api/v1/notifications/{callback}/ping").json()
            print(f"ping delivered: {pinged['delivered']} {pinged['error']}".rstrip(), flush=True)
            listen(options.notices)
    server.shutdown()


@contextlib.contextmanager
def registered(api: httpx.Client, url: str) -> Iterator[str]:
    """A callback's id; gone on the way out. The secret is shown this once."""
    answer = api.post("/api/v1/notifications", json={"url": url, "kinds": KINDS})
    callback = answer.raise_for_status().json()
    Hook.secret = callback["secret"]
    print(f"registered {callback['id']} at {url}", flush=True)
    try:
        yield callback["id"]
    finally:
        api.delete(f"/api/v1/notifications/{callback['id']}")


def listen(count: int) -> None:
    """Print notices. The same one may come twice (its answer was lost): its id tells."""
    seen: set[str] = set()
    expected = 1
    while count == 0 or len(seen) < count:
        notice = Hook.inbox.get()
        if notice["kind"] == "ping" or notice["id"] in seen:
            continue
        if notice["sequence"] > expected:
            print(f"missed {notice['sequence'] - expected}: read the state again", flush=True)
        seen.add(notice["id"])
        expected = notice["sequence"] + 1
        told = " ".join(f"{name}={value}" for name, value in notice["body"].items())
        print(f"{notice['sequence']} {notice['kind']} {told}", flush=True)


def sign_in(api: httpx.Client, options: argparse.Namespace) -> str:
    """An operator's token."""
    form = {"grant_type": "password", "username": options.username, "password": options.password}
    return str(api.post("/oauth/token", data=form).raise_for_status().json()["access_token"])


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", help="the platform, as http://127.0.0.1:8000")
    parser.add_argument("--username", required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--address", default="127.0.0.1", help="ours, as the platform reaches it")
    parser.add_argument("--notices", type=int, default=0, help="end after so many; 0: never")
    return parser.parse_args()


if __name__ == "__main__":
    main()
