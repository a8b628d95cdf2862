"""Watch without a player: sign in, choose a live event, open a session, fetch its HLS playlists.

python examples/01-watch-with-rest.py http://127.0.0.1:8000 [--username NAME --password WORD]

Signing in is not needed to watch; it is here to show how. Prints what the platform answers.
"""

import argparse
from typing import Any
from urllib.parse import urljoin

import httpx


def main() -> None:
    """Ask as the options say."""
    options = arguments()
    with httpx.Client(base_url=options.url, timeout=30) as api:
        if options.username:
            token = sign_in(api, options.username, options.password)
            me = done(api.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"}))
            print(f"signed in as {me['username']}, {me['role']}")
        events = done(api.get("/api/v1/events", params={"state": "live"}))
        for event in events:
            print(f"live: {event['title']} ({event['id']}), {event['provider_name']}")
        if not events:
            raise SystemExit("nothing is live")
        session = done(api.post(f"/api/v1/events/{events[0]['id']}/sessions"))
        print(f"edge {session['edge']}, until {session['expires_at']}")
        try:
            watch(session["hls"])
        finally:
            bearer = {"Authorization": f"Bearer {session['token']}"}
            api.delete(f"/api/v1/sessions/{session['id']}", headers=bearer).raise_for_status()


def watch(playlist: str) -> None:
    """Walk from the first playlist to the newest segment (RFC 8216)."""
    # The token is in the URLs; the edge serves them, not the control plane.
    with httpx.Client(timeout=30) as edge:
        renditions = lines(edge, playlist)
        media = urljoin(playlist, renditions[0])
        segments = lines(edge, media)
        newest = edge.get(urljoin(media, segments[-1])).raise_for_status()
        print(f"{len(segments)} segments; the newest has {len(newest.content)} bytes")


def lines(edge: httpx.Client, playlist: str) -> list[str]:
    """The playlist's URIs."""
    text = edge.get(playlist).raise_for_status().text
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def sign_in(api: httpx.Client, username: str, password: str) -> str:
    """A user's token (RFC 6749, section 4.3)."""
    form = {"grant_type": "password", "username": username, "password": password}
    return str(done(api.post("/oauth/token", data=form))["access_token"])


def done(answer: httpx.Response) -> Any:
    """The answer's JSON, or the end of the program with the platform's own words."""
    if answer.is_error:
        raise SystemExit(f"{answer.request.method} {answer.request.url.path}: {answer.text}")
    return answer.json()


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", help="the platform, as http://127.0.0.1:8000")
    parser.add_argument("--username", default="")
    parser.add_argument("--password", default="")
    return parser.parse_args()


if __name__ == "__main__":
    main()
