"""What all tests in a browser share."""

import os

from playwright.async_api import expect

# Pages show times of the browser's zone. Tests that choose none expect UTC, wherever they run.
os.environ["TZ"] = "UTC"

# Playwright's own 5 s are too short for a machine that does other things meanwhile.
expect.set_options(timeout=30_000)
