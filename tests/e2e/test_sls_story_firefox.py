"""The main part of SLS's story in a real Firefox: find an event, reserve it, watch it, record it
late, and see both recordings when it is over. Pictures carry the time at which they were encoded:
what Firefox shows is read of its pixels."""

from pathlib import Path
from typing import Any

import pytest

from support import firefox
from support.firefox import ENTER, FirefoxPage
from support.platform import Platform, platform
from support.waiting import until
from umbel.catalogue.model import UserRole
from umbel.demo import stage
from umbel.demo.encoder import BIT_PX, BITS, WIDTH

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(600),
    pytest.mark.skipif(firefox.ABSENT != "", reason=firefox.ABSENT),
]

TITLE = "Council session"
BEFORE_S = 12.0
AFTER_S = 14.0
SEGMENT_S = 4.0
"""A recording may begin with what its segment had before."""
SLACK_S = 0.5
"""Of a recording's length, between the player and the platform."""
LATE_S = 1.0
"""A busy encoder burns the time in late; segments take 2 s."""
LIVE = "window.umbelPlayer?.framesDecoded ?? 0"
REPLAY = "document.querySelector('[data-testid=replay]')"
STATES = "document.querySelector('main').innerText"
PRESSED = """[...document.querySelectorAll('fieldset.chips button[aria-pressed=true]')]
    .map(one => one.textContent.replace('✓', '').trim())"""
SHOWN = f"""(video => {{
    if (!video || video.readyState < 2 || video.seeking) return null;
    const canvas = document.createElement('canvas');
    canvas.width = {BITS}; canvas.height = 1;
    const pen = canvas.getContext('2d');
    const scale = video.videoWidth / {WIDTH};
    const [y, width] = [{BIT_PX} * scale / 2, {BITS * BIT_PX} * scale];
    pen.drawImage(video, 0, y, width, 1, 0, 0, {BITS}, 1);
    const dots = pen.getImageData(0, 0, {BITS}, 1).data;
    let ms = 0;
    for (let i = 0; i < {BITS}; i++) if (dots[i * 4] > 128) ms += 2 ** i;
    return {{
        atS: video.currentTime, encodedMs: ms, durationS: video.duration,
        frames: video.getVideoPlaybackQuality().totalVideoFrames,
    }};
}})({REPLAY})"""
"""Where a recording is, and the burnt-in time of the picture that it shows."""


async def test_from_discover_to_myshare(tmp_path: Path) -> None:
    async with platform(tmp_path) as made, firefox.firefox(tmp_path) as page:
        await sign_in(made, page)
        await made.sign_in(UserRole.PROVIDER)
        event_id = await stage.schedule(made.api, TITLE, begins_in_s=240)
        await find_and_reserve(made, page, event_id)
        await made.sign_in(UserRole.PROVIDER)
        live = await stage.open_ingest(made.api, event_id)
        pusher = await made.push(live)
        await stage.until_live(made.api, event_id, pusher)
        await watch(page)
        await until_recorded(made, BEFORE_S)
        await page.click("button", "Record from now")
        await page.has("button", "Stop recording")
        await until_recorded(made, BEFORE_S, AFTER_S)
        await made.sign_in(UserRole.PROVIDER)
        await stage.done(made.api.post(f"/api/v1/events/{event_id}/end"))
        await until(lambda: watched_by(made, event_id), lambda names: "hls" in names, within_s=60)
        await my_share(made, page)


async def sign_in(made: Platform, page: FirefoxPage) -> None:
    viewer = next(one for one in made.accounts if one.role is UserRole.VIEWER)
    await page.open(f"{made.url}/account")
    await page.fill("textbox", "Name", viewer.username)
    await page.evaluate("document.querySelector('input[type=password]').focus()")
    await page.type(viewer.password + ENTER)
    await page.has("heading", "Account")


async def find_and_reserve(made: Platform, page: FirefoxPage, event_id: str) -> None:
    """By a search in Discover; to watch, and to record."""
    await page.open(made.url)
    await page.fill("searchbox", "Search events and providers", "council")
    # Before that there is a link to it that goes: it names what comes next.
    await until(lambda: page.evaluate(STATES), lambda text: "Found 1 event" in text)
    await page.follow(f"/watch/{event_id}")
    await until(lambda: page.evaluate("location.pathname"), f"/watch/{event_id}".__eq__)
    for purpose, pressed in (("Watch", ["Watch"]), ("Record", ["Watch", "Record"])):
        await page.click("button", purpose)
        await until(lambda: page.evaluate(PRESSED), pressed.__eq__)
    (one,) = await reserved(made)
    assert (one["event"]["id"], one["purpose"]) == (event_id, "both")


async def reserved(made: Platform) -> list[dict[str, Any]]:
    """The viewer's reservations, as the platform has them."""
    await made.sign_in(UserRole.VIEWER)
    found: list[dict[str, Any]] = await made.get("me/reservations")
    return found


async def watch(page: FirefoxPage) -> None:
    """The page that was open before the event began plays it."""
    await until(lambda: page.evaluate(LIVE), lambda frames: frames >= 60, within_s=120)
    assert await page.evaluate("window.umbelPlayer.state") == "playing"


async def watched_by(made: Platform, event_id: str) -> set[str]:
    """The protocols that the provider's statistics have."""
    found = await made.get(f"events/{event_id}/statistics")
    return {one["protocol"] for one in found["protocols"] if one["watched_s"] > 0}


async def durations(made: Platform) -> list[float]:
    """How long the viewer's recordings are, as the platform has them; the longest first."""
    found = (await made.get("me/recordings"))["recordings"]
    return sorted((float(one["duration_s"]) for one in found), reverse=True)


async def until_recorded(made: Platform, *least_s: float) -> None:
    """Until the viewer's recordings are so long."""
    await made.sign_in(UserRole.VIEWER)

    def are_long_enough(found: list[float]) -> bool:
        return all(one >= least for one, least in zip(found, least_s, strict=True))

    await until(
        lambda: durations(made),
        lambda found: len(found) == len(least_s) and are_long_enough(found),
        within_s=120,
    )


async def my_share(made: Platform, page: FirefoxPage) -> None:
    """Both recordings last as long as the platform says, and show the pictures of where one
    seeks."""
    await page.open(f"{made.url}/recordings")
    await page.has("button", f"Play: {TITLE}", 2)
    await until(lambda: page.evaluate(STATES), lambda text: "Records now" not in text, within_s=120)
    await made.sign_in(UserRole.VIEWER)
    whole_s, late_s = await durations(made)
    assert whole_s - late_s > BEFORE_S - SEGMENT_S
    played_s = sorted([await played(page, 0), await played(page, 1)], reverse=True)
    assert played_s == [pytest.approx(whole_s, abs=SLACK_S), pytest.approx(late_s, abs=SLACK_S)]


async def played(page: FirefoxPage, number: int) -> float:
    """How long the recording of that number is, once it was played and sought in."""
    await page.click("button", f"Play: {TITLE}", number)
    began = await until(lambda: page.evaluate(SHOWN), within_s=60)
    playing = await until(
        lambda: page.evaluate(SHOWN),
        lambda now: now is not None and now["frames"] >= began["frames"] + 30,
        within_s=60,
    )
    assert playing["encodedMs"] > began["encodedMs"]
    await page.evaluate(f"{REPLAY}.pause()")
    # It has played about a second: each is another picture than the one before.
    late_s, early_s, middle_s = (playing["durationS"] * part for part in (0.75, 0.05, 0.4))
    late, early, middle = [await sought(page, at_s) for at_s in (late_s, early_s, middle_s)]
    for at_s, there in ((late_s, late), (middle_s, middle)):
        between_s = (there["encodedMs"] - early["encodedMs"]) / 1000
        assert between_s == pytest.approx(at_s - early_s, abs=LATE_S), (early, there)
    await page.click("button", f"Close: {TITLE}")
    return float(playing["durationS"])


async def sought(page: FirefoxPage, at_s: float) -> dict[str, Any]:
    """What is shown after a seek, once it is another picture."""
    before = await page.evaluate(SHOWN)
    await page.evaluate(f"{REPLAY}.currentTime = {at_s}")

    def is_other(now: dict[str, Any] | None) -> bool:
        return now is not None and now["encodedMs"] != before["encodedMs"]

    found: dict[str, Any] = await until(lambda: page.evaluate(SHOWN), is_other, within_s=60)
    return found
