"""Follow what changes, over server-sent events, and go on after a break where it ended.

python examples/03-follow-state.py http://127.0.0.1:8000 [--changes 3] [--position FILE]

Prints a line per change. With --position the last position is kept in FILE, so that the next run
misses nothing. Without an operator's token you get events and providers only.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

AGAIN_S = 1.0
SILENCE_S = 40.0  # the platform says something at least every 15 s


def main() -> None:
    """Print changes until there were as many as asked for."""
    options = arguments()
    seen = 0
    position = options.position.read_text() if options.position.exists() else ""
    while options.changes == 0 or seen < options.changes:
        try:
            for at, kind, data in changes(options, position):
                position = at
                options.position.write_text(position)
                if kind == "hello":
                    print(f"hello: from {position} on", flush=True)
                    continue
                # `reset`: the position was too old; a client that keeps a picture reads it again.
                print(f"{position} {kind} {data['subject']} {data.get('state', '')}", flush=True)
                seen += 1
                if seen == options.changes:
                    return
        except httpx.HTTPError as error:
            print(f"broken off ({error}); again from {position or 'now'}", flush=True)
        time.sleep(AGAIN_S)


def changes(
    options: argparse.Namespace, position: str
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each message as (id, event, data), as WHATWG HTML 9.2 frames them."""
    headers = {"Last-Event-ID": position} if position else {}
    if options.token:
        headers["Authorization"] = f"Bearer {options.token}"
    timeout = httpx.Timeout(10, read=SILENCE_S)
    url = f"{options.url}/api/v1/state"
    with httpx.stream("GET", url, headers=headers, timeout=timeout) as answer:
        answer.raise_for_status()
        fields: dict[str, str] = {}
        for line in answer.iter_lines():
            if line:
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ")
            else:
                if "data" in fields:
                    yield fields["id"], fields["event"], json.loads(fields["data"])
                fields = {}


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", help="the platform, as http://127.0.0.1:8000")
    parser.add_argument("--changes", type=int, default=0, help="end after so many; 0: never")
    parser.add_argument("--position", type=Path, default=Path("position.txt"))
    parser.add_argument("--token", default="", help="an operator's, to see everything")
    return parser.parse_args()


if __name__ == "__main__":
    main()
