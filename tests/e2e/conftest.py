"""What all tests in a browser share."""

from playwright.async_api import expect

# Playwright's own 5 s are too short for a machine that does other things meanwhile.
expect.set_options(timeout=30_000)
