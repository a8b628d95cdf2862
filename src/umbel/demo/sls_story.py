"""SLS's story (sections 3.1, 3.4 and 4), with real parts and in a real browser.

A provider schedules an event. A viewer finds it, reserves it to watch and to record, and is
reminded. The provider goes live from a camera. The viewer watches, records from the middle on, goes
back and returns to live. Afterwards both recordings play; the calendar and feeds have the event.

In: a running platform. Out: figures. Provider and viewer are two names of one host in one browser,
so that each has a sign-in of their own. Neighbour: story.py runs it.
"""

import asyncio
import json
import secrets
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import feedparser
import httpx
import vobject
from playwright.async_api import BrowserContext, Page, expect
from playwright.async_api import Error as PlaywrightError
from rich.console import Console

from umbel.catalogue.model import UserRole
from umbel.demo import stage
from umbel.demo.browser import chromium, until_decoded
from umbel.demo.model import Account
from umbel.demo.stage import DemoFailed
from umbel.kit.clock import SystemClock
from umbel.kit.errors import UmbelError

Json = dict[str, Any]

_CLOCK = SystemClock()
TITLE = "Council session"
_APPEARS_MS = 60_000
_RESERVES_WITHIN_S = 60.0
"""A reminder whose time is past when its event is reserved is not made up for."""
_REMINDED_MS = 180_000
_DECODED_S = 120.0
_BEFORE_S = 15.0
"""How much of the event is recorded before the viewer begins, too."""
_AFTER_S = 15.0
_RECORDED_S = 180.0
_LOOK_S = 0.5
_SEGMENT_S = 4.0
"""A recording may begin with what its segment had before."""
_SLACK_S = 0.5
"""Of a recording's length, between the player and the platform."""
_VIDEO = "document.querySelector('[data-testid=replay]')"
_PLAYS = f"""at => {_VIDEO} && {_VIDEO}.readyState >= 2 && !{_VIDEO}.seeking
  && {_VIDEO}.videoWidth > 0 && Math.abs({_VIDEO}.currentTime - at) < 4"""


@dataclass(kw_only=True)
class SlsStory:
    """The story as it goes on. `viewing` and `providing` are the platform's addresses for both."""

    browser: BrowserContext
    viewing: str
    providing: str
    console: Console
    figures: Json = field(default_factory=dict)

    def tell(self, what: str) -> None:
        self.console.print(f"{what} ...")

    async def sign_in(self, base: str, username: str, password: str) -> Page:
        page = await self.browser.new_page()
        await page.goto(f"{base}/account")
        await page.get_by_label("Name", exact=True).fill(username)
        await page.get_by_label("Password", exact=True).fill(password)
        await page.locator("form").get_by_role("button", name="Sign in").click()
        await appears(page.get_by_role("heading", name="Account", exact=True))
        return page

    async def sign_up(self) -> Page:
        """The viewer makes an account."""
        page = await self.browser.new_page()
        await page.goto(f"{self.viewing}/sign-up")
        await page.get_by_label("Name", exact=True).fill("ann")
        await page.get_by_label("Password", exact=True).fill(secrets.token_urlsafe(12))
        await page.get_by_role("button", name="Create account").click()
        await appears(page.get_by_role("heading", name="Account", exact=True))
        return page

    async def schedule(self, page: Page) -> tuple[str, datetime]:
        """The provider schedules the event for some minutes from now, and has it recorded for
        everybody. Its id, and when it begins."""
        self.tell("the provider schedules an event")
        await page.goto(f"{self.providing}/studio")
        await page.get_by_label("Title").fill(TITLE)
        now = datetime.fromtimestamp(_CLOCK.now_s(), UTC)
        starts = now.replace(second=0, microsecond=0) + timedelta(minutes=5)
        form = page.locator("form")
        await form.locator("[name=time_zone]").select_option("UTC")
        await form.locator("[name=starts]").fill(f"{starts:%Y-%m-%dT%H:%M}")
        await form.locator("[name=ends]").fill(f"{starts + timedelta(hours=1):%Y-%m-%dT%H:%M}")
        await page.get_by_role("button", name="Create event").click()
        await appears(page.get_by_role("heading", name=TITLE))
        for_everybody = page.get_by_label("Record for everybody")
        await for_everybody.click(timeout=_APPEARS_MS)
        await expect(for_everybody).to_be_checked(timeout=_APPEARS_MS)
        return page.url.rsplit("/", 1)[1], starts

    async def choose_reminder(self, page: Page, starts: datetime) -> None:
        """The viewer wants to be reminded some minutes before, at a time that is still to come."""
        self.tell("the viewer chooses when to be reminded")
        ahead_s = starts.timestamp() - _CLOCK.now_s()
        minutes = int((ahead_s - _RESERVES_WITHIN_S) // 60)
        if minutes < 1:
            raise DemoFailed(f"the event begins in {ahead_s:.0f} s already: this machine is slow")
        panel = page.get_by_role("region", name="When you are reminded")
        await panel.get_by_label("How many").fill(str(minutes))
        await panel.get_by_label("Unit").select_option("minutes")
        await panel.get_by_role("button", name="Add").click()
        await panel.get_by_role("button", name="Save reminders").click()
        await appears(panel.get_by_text("Saved"))

    async def discover(self, page: Page, event: str) -> None:
        """The viewer finds the event, and reserves it to watch and to record."""
        self.tell("the viewer finds it, and reserves a reminder and a recording")
        await page.goto(self.viewing)
        await page.get_by_role("searchbox").fill("council")
        # Before that there is a link to it that goes: it names what comes next.
        await appears(page.get_by_text("Found 1 event"))
        await page.get_by_role("link", name=TITLE).first.click(timeout=_APPEARS_MS)
        await page.wait_for_url(f"**/watch/{event}")
        choices = page.get_by_role("group", name=f"Reserve {TITLE}")
        for purpose in ("Watch", "Record"):
            button = choices.get_by_role("button", name=purpose)
            await button.click(timeout=_APPEARS_MS)
            await expect(button).to_have_attribute("aria-pressed", "true", timeout=_APPEARS_MS)

    async def reminded(self, page: Page) -> None:
        """The page reminds of what begins soon."""
        self.tell("the viewer is reminded")
        began_s = _CLOCK.monotonic_s()
        reminder = page.get_by_role("region", name="Reminders")
        await expect(reminder).to_contain_text(TITLE, timeout=_REMINDED_MS)
        self.figures["reminded_after_s"] = round(_CLOCK.monotonic_s() - began_s, 1)
        await reminder.get_by_role("button", name="Dismiss").first.click()

    async def go_live(self, page: Page) -> None:
        """The provider's camera is on air."""
        self.tell("the provider goes live from a camera")
        await page.get_by_role("button", name="Use camera").click()
        await page.get_by_role("button", name="Go live").click(timeout=_APPEARS_MS)
        on_air = page.get_by_test_id("on-air")
        await expect(on_air).to_contain_text("On air", timeout=_APPEARS_MS)

    async def recorded(self, page: Page) -> list[float]:
        """How long the viewer's recordings are, as the platform has them; the longest first."""
        answer = await page.request.get(f"{self.viewing}/api/v1/me/recordings")
        found = (await answer.json())["recordings"]
        return sorted((float(one["duration_s"]) for one in found), reverse=True)

    async def until_recorded(self, page: Page, *least_s: float) -> None:
        """Wait until the viewer's recordings are so long: the machine may be slow."""
        try:
            async with asyncio.timeout(_RECORDED_S):
                while True:
                    found = await self.recorded(page)
                    pairs = zip(found, least_s, strict=False)
                    if len(found) == len(least_s) and all(one >= least for one, least in pairs):
                        return
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            raise DemoFailed(f"recordings last {found} s, and not {least_s}") from None

    async def watch(self, page: Page) -> None:
        """The viewer watches, and records from then on."""
        self.tell("the viewer watches, and begins to record")
        began_s = _CLOCK.monotonic_s()
        await until_decoded(page, 30, timeout_s=_DECODED_S)
        self.figures["30_frames_after_s"] = round(_CLOCK.monotonic_s() - began_s, 1)
        await self.until_recorded(page, _BEFORE_S)
        # The reserved recording goes on; this one begins late.
        await appears(page.get_by_role("link", name="Records into MyShare"))
        await page.get_by_role("button", name="Record from now").click(timeout=_APPEARS_MS)
        await appears(page.get_by_role("button", name="Stop recording"))

    async def go_back(self, page: Page) -> None:
        """The viewer pauses, goes back to the beginning, and returns to live."""
        self.tell("the viewer goes back, and returns to live")
        await self.until_recorded(page, _BEFORE_S, _AFTER_S)
        await page.get_by_role("button", name="Pause and rewind").click(timeout=_APPEARS_MS)
        await page.wait_for_function(
            f"() => {_VIDEO} && {_VIDEO}.readyState >= 2", timeout=_APPEARS_MS
        )
        await page.evaluate(f"{_VIDEO}.pause()")
        await page.evaluate(f"{_VIDEO}.currentTime = 2")
        await page.wait_for_function(_PLAYS, arg=2, timeout=_APPEARS_MS)
        await page.get_by_role("button", name="Back to live").click()
        await until_decoded(page, 30, timeout_s=_DECODED_S)

    async def end(self, page: Page) -> None:
        """The provider ends the event."""
        self.tell("the event ends")
        await page.get_by_role("button", name="End event").click()
        await page.get_by_role("dialog").get_by_role("button", name="End event").click()

    async def my_share(self, page: Page) -> None:
        """Both recordings are there with right durations, and play where somebody seeks."""
        self.tell("both recordings play in MyShare")
        await page.goto(f"{self.viewing}/recordings")
        rows = page.get_by_role("listitem", name=TITLE)
        await expect(rows).to_have_count(2, timeout=_APPEARS_MS)
        await expect(page.get_by_text("Records now")).to_have_count(0, timeout=2 * _APPEARS_MS)
        whole_s, late_s = await self.recorded(page)
        if whole_s - late_s < _BEFORE_S - _SEGMENT_S:
            raise DemoFailed(f"the late recording lasts {late_s:.1f} s of {whole_s:.1f} s")
        found = []
        for number in range(2):
            await rows.nth(number).get_by_role("button", name="Play").click()
            await page.wait_for_function(_PLAYS, arg=0, timeout=_APPEARS_MS)
            duration_s = float(await page.evaluate(f"{_VIDEO}.duration"))
            await page.evaluate(f"{_VIDEO}.pause()")
            began_s = _CLOCK.monotonic_s()
            await page.evaluate(f"{_VIDEO}.currentTime = {duration_s / 2}")
            await page.wait_for_function(_PLAYS, arg=duration_s / 2, timeout=_APPEARS_MS)
            found.append({"duration_s": duration_s, "seek_s": _CLOCK.monotonic_s() - began_s})
            await rows.nth(number).get_by_role("button", name="Close").click()
        found.sort(key=lambda one: -one["duration_s"])
        for one, name, expected_s in zip(found, ("whole", "late"), (whole_s, late_s), strict=True):
            said = {**one, "expected_s": expected_s}
            self.figures[name] = {key: round(value, 2) for key, value in said.items()}
            if abs(one["duration_s"] - expected_s) > _SLACK_S:
                raise DemoFailed(
                    f"the {name} recording lasts {one['duration_s']:.1f} s, not {said}"
                )

    async def calendar(self, page: Page, event: str) -> None:
        """The calendar, its address and the provider's feed have the event."""
        self.tell("calendar and feeds have it")
        await page.goto(f"{self.viewing}/calendar?view=agenda")
        await appears(page.get_by_role("link", name=TITLE).first)
        await page.get_by_role("button", name="Create an address").click()
        address = await page.get_by_role("textbox", name="Calendar address").input_value()
        async with httpx.AsyncClient(base_url=self.viewing, timeout=30) as client:
            calendar = vobject.readOne((await client.get(address)).text)
            titles = [str(one.summary.value) for one in calendar.vevent_list]
            provider = (await client.get(f"/api/v1/events/{event}")).json()["provider_id"]
            feed = feedparser.parse((await client.get(f"/providers/{provider}/feed.xml")).text)
        named = [entry.title for entry in feed.entries]
        if TITLE not in titles or not any(TITLE in one for one in named) or feed.bozo:
            raise DemoFailed(f"{TITLE} is not in the calendar {titles} or the feed {named}")
        self.figures["feeds"] = {"ics": len(titles), "rss": len(named)}


async def appears(locator: Any) -> None:
    """Wait until it is shown."""
    await expect(locator).to_be_visible(timeout=_APPEARS_MS)


async def tell(story: SlsStory, provider: Account) -> Json:
    """The whole story; what came of it. Raises DemoFailed, and Playwright's errors."""
    providing = await story.sign_in(story.providing, provider.username, provider.password)
    viewing = await story.sign_up()
    event, starts = await story.schedule(providing)
    await story.choose_reminder(viewing, starts)
    await story.discover(viewing, event)
    await story.reminded(viewing)
    await story.go_live(providing)
    await story.watch(viewing)
    await story.go_back(viewing)
    await story.end(providing)
    await story.my_share(viewing)
    await story.calendar(viewing, event)
    return {"ok": True, **story.figures}


async def run(data_dir: Path, console: Console) -> Json:
    """Set the stage, tell the story, and leave nothing of it."""
    console.print("platform ...")
    accounts, network = await stage.prepare(data_dir, "sls")
    platform, url = await stage.start_platform(
        data_dir,
        options=("--network", str(network)),
        settings={"UMBEL_SIGN_UP": "open"},
    )
    provider = next(one for one in accounts if one.role is UserRole.PROVIDER)
    try:
        async with chromium() as browser:
            story = SlsStory(
                browser=browser,
                viewing=url,
                providing=url.replace("127.0.0.1", "localhost"),
                console=console,
            )
            return await tell(story, provider)
    finally:
        await platform.stop()


async def main(data_dir: Path) -> int:
    """Tell it. Answers the exit code; the last line is one JSON object."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        figures = await run(data_dir.resolve(), Console(stderr=True))
    except (UmbelError, PlaywrightError, AssertionError) as error:
        figures = {"ok": False, "reason": str(error)}
    sys.stdout.write(json.dumps(figures) + "\n")
    return 0 if figures["ok"] else 1
