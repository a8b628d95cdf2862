"""A real Chromium as viewers, for the demo's self-check, the benches and the e2e tests.

In: watch-page URLs. Out: what the page's own hook and the decoded pictures say. Needs Playwright
and Debian's Chromium, which the test environment has.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import BrowserContext, Page, sync_playwright

from umbel.demo.encoder import BIT_PX, BITS, WIDTH

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]

_PROBE = """
window.umbelProbe = {firstFrameMs: null, latenciesMs: []};
(() => {
  const canvas = document.createElement('canvas');
  canvas.width = %(bits)d; canvas.height = 1;
  const pen = canvas.getContext('2d', {willReadFrequently: true});
  const read = (video) => {
    const scale = video.videoWidth / %(width)d;
    pen.drawImage(video, 0, %(px)d * scale / 2, %(bits)d * %(px)d * scale, 1, 0, 0, %(bits)d, 1);
    const dots = pen.getImageData(0, 0, %(bits)d, 1).data;
    let ms = 0;
    for (let i = 0; i < %(bits)d; i++) if (dots[i * 4] > 128) ms += 2 ** i;
    return ms;
  };
  const follow = (video) => {
    const seen = () => {
      const probe = window.umbelProbe;
      if (probe.firstFrameMs === null) probe.firstFrameMs = performance.now();
      const late = (Date.now() - read(video)) %% 2 ** 32;
      if (late >= 0 && late < 60000) probe.latenciesMs.push(late);
      video.requestVideoFrameCallback(seen);
    };
    video.requestVideoFrameCallback(seen);
  };
  const known = new WeakSet();
  new MutationObserver(() => {
    for (const video of document.querySelectorAll('video'))
      if (!known.has(video)) { known.add(video); follow(video); }
  }).observe(document, {childList: true, subtree: true});
})();
""" % {"bits": BITS, "px": BIT_PX, "width": WIDTH}

_REPORT = """() => {
  const hook = window.umbelPlayer, probe = window.umbelProbe;
  const asked = performance.getEntriesByType('resource')
    .filter((entry) => /\\/(whep|hls)\\//.test(entry.name)).map((entry) => entry.startTime);
  const late = [...probe.latenciesMs].sort((a, b) => a - b);
  return {
    state: hook ? hook.state : 'absent', status: hook ? hook.status : '',
    protocol: hook ? hook.protocol : null, edge: hook ? hook.edge : null,
    framesDecoded: hook ? hook.framesDecoded : 0,
    details: hook ? {...hook.details} : {},
    ttffMs: probe.firstFrameMs === null || !asked.length
      ? null : Math.round(probe.firstFrameMs - Math.min(...asked)),
    latencyMs: late.length ? late[Math.floor(late.length / 2)] : null,
    latencies: late.length,
  };
}"""


@contextmanager
def chromium() -> Iterator[BrowserContext]:
    """A fresh browser; every page of it carries the probe."""
    with tempfile.TemporaryDirectory() as profile, sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=CHROMIUM,
            headless=True,
            args=FLAGS,
            chromium_sandbox=False,
            viewport={"width": 1280, "height": 800},
        )
        context.add_init_script(_PROBE)
        try:
            yield context
        finally:
            context.close()


def report(page: Page) -> dict[str, Any]:
    """What the page shows now: state, protocol, edge, framesDecoded, ttffMs, latencyMs."""
    answer: dict[str, Any] = page.evaluate(_REPORT)
    return answer


def until_decoded(page: Page, frames: int, *, timeout_s: float) -> dict[str, Any]:
    """Wait until so many frames were decoded. Raises Playwright's TimeoutError."""
    page.wait_for_function(
        "frames => window.umbelPlayer && window.umbelPlayer.framesDecoded >= frames",
        arg=frames,
        timeout=timeout_s * 1000,
    )
    return report(page)
