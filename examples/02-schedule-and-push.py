"""Be a provider: schedule an event, open its ingest, push a file, wait until it is live, end it.

python examples/02-schedule-and-push.py http://127.0.0.1:8000 FILE --username NAME --password WORD

The account must be a provider's. The file is pushed in a loop by ffmpeg over RTMP, as H.264 without
B-frames, which the platform passes through untouched.
"""

import argparse
import subprocess
import time
from contextlib import suppress
from typing import Any

import httpx
import imageio_ffmpeg


def main() -> None:
    """Hold an event of some seconds."""
    options = arguments()
    with httpx.Client(base_url=options.url, timeout=60) as api:
        form = {"grant_type": "password", "username": options.username}
        answer = api.post("/oauth/token", data={**form, "password": options.password})
        api.headers["Authorization"] = f"Bearer {done(answer)['access_token']}"
        event = done(api.post("/api/v1/events", json=draft(api)))
        print(f"event {event['id']} is {event['state']}")
        ingest = done(api.post(f"/api/v1/events/{event['id']}/ingest"))
        print(f"push to {ingest['rtmp']} on {ingest['node']}")
        encoder = push(options.file, f"{ingest['rtmp']}/{ingest['stream_key']}")
        try:
            event = until_live(api, event["id"], encoder)
            stream = event["stream"]
            print(f"live: {stream['video']} {stream['width']}x{stream['height']}")
            print(f"watch {options.url}/watch/{event['id']}")
            with suppress(subprocess.TimeoutExpired):  # the encoder ends by itself only on failure
                encoder.wait(options.seconds)
        finally:
            encoder.terminate()
            encoder.wait(10)
            event = done(api.post(f"/api/v1/events/{event['id']}/end"))
        print(f"event {event['id']} is {event['state']}")


def draft(api: httpx.Client) -> dict[str, Any]:
    """An event of an hour, from now."""
    now_s = time.time()
    return {
        "provider_id": done(api.get("/api/v1/me"))["provider_id"],
        "title": "Pushed from an example",
        "starts_at": rfc3339(now_s),
        "ends_at": rfc3339(now_s + 3600),
    }


def push(file: str, target: str) -> subprocess.Popen[bytes]:
    """Start ffmpeg; the caller ends it."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-nostdin"]
    command += ["-re", "-stream_loop", "-1", "-i", file]
    command += "-c:v libx264 -preset ultrafast -tune zerolatency -bf 0 -g 30".split()
    command += "-pix_fmt yuv420p -c:a aac -ar 48000 -f flv".split()
    return subprocess.Popen([*command, target])


def until_live(api: httpx.Client, event: str, encoder: subprocess.Popen[bytes]) -> Any:
    """The event once its picture was seen. Example 03 shows how to get events instead of
    polling."""
    while encoder.poll() is None:
        found = done(api.get(f"/api/v1/events/{event}"))
        if found["state"] == "live" and found["stream"]["width"]:
            return found
        time.sleep(0.5)
    raise SystemExit("the encoder ended")


def rfc3339(time_s: float) -> str:
    """A time as the API reads it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time_s))


def done(answer: httpx.Response) -> Any:
    """The answer's JSON, or the end of the program with the platform's own words."""
    if answer.is_error:
        raise SystemExit(f"{answer.request.method} {answer.request.url.path}: {answer.text}")
    return answer.json()


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", help="the platform, as http://127.0.0.1:8000")
    parser.add_argument("file", help="anything ffmpeg reads, with picture and sound")
    parser.add_argument("--username", required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to be live")
    return parser.parse_args()


if __name__ == "__main__":
    main()
