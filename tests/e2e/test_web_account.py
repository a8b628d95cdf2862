"""A viewer's own account in a real Chromium: made, used, and deleted."""

import json
import re
from email.message import EmailMessage
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from support.axe import violations
from support.http import PASSWORD
from support.smtp import MailServer, mail_server
from support.waiting import until
from support.web_world import web_world
from umbel.demo.browser import chromium
from umbel.kit.languages import Language

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

APPEARS_MS = 30_000
NEW = "another long one"


async def account_page(page: Page) -> None:
    await expect(page.get_by_role("heading", name="Account", exact=True)).to_be_visible(
        timeout=APPEARS_MS
    )


async def sign_in(page: Page, username: str, password: str) -> None:
    await page.get_by_label("Name", exact=True).fill(username)
    await page.get_by_label("Password", exact=True).fill(password)
    await page.locator("form").get_by_role("button", name="Sign in").click()


async def only_letter(mails: MailServer) -> tuple[list[str], EmailMessage]:
    """The one letter that came, and to whom; answers do not wait for each letter."""

    async def came() -> list[tuple[list[str], EmailMessage]]:
        return mails.letters

    (letter,) = await until(came, within_s=APPEARS_MS / 1_000)
    return letter


async def test_a_viewer_makes_an_account_and_deletes_it(tmp_path: Path) -> None:
    async with web_world(tmp_path, sign_up="open") as (here, url), chromium() as browser:
        page = await browser.new_page()
        await page.goto(url)
        await page.get_by_role("link", name="Sign in").click()
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=APPEARS_MS)
        assert await violations(page) == []
        await page.get_by_role("link", name="Create an account").click()
        await page.get_by_label("Name", exact=True).fill("city")
        await page.get_by_label("Password", exact=True).fill("long enough")
        assert await violations(page) == []
        await page.get_by_role("button", name="Create account").click()
        await expect(page.get_by_role("alert")).to_contain_text("exists", timeout=APPEARS_MS)
        await page.get_by_label("Name", exact=True).fill("ann")
        await page.keyboard.press("Enter")
        await account_page(page)
        assert await violations(page) == []

        async with page.expect_download() as started:
            await page.get_by_role("link", name="Download all your data").click()
        file = await started.value
        assert file.suggested_filename == "umbel-ann.json"
        body = json.loads(Path(await file.path()).read_text())
        assert body["account"]["username"] == "ann"

        deletion = page.get_by_label("Password, to delete your account")
        for password in ("wrong one", "long enough"):
            await deletion.fill(password)
            await page.get_by_role("button", name="Delete account").click()
            dialog = page.get_by_role("dialog")
            await expect(dialog).to_be_visible()
            assert await violations(page) == []
            await dialog.get_by_role("button", name="Delete account").click()
            if password == "wrong one":
                await expect(page.get_by_role("alert")).to_contain_text("current password")
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=APPEARS_MS)
        assert "ann" not in [user.username for user in await here.system.catalogue.users()]


async def test_another_password_and_a_sign_out_everywhere(tmp_path: Path) -> None:
    async with web_world(tmp_path) as (_, url), chromium() as browser:
        page = await browser.new_page()
        await page.goto(f"{url}/sign-up")
        await expect(page.get_by_text("Ask the operator")).to_be_visible(timeout=APPEARS_MS)
        await page.goto(f"{url}/account")
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=APPEARS_MS)
        await expect(page.get_by_role("link", name="Create an account")).to_have_count(0)
        await sign_in(page, "viewer", PASSWORD)
        await account_page(page)
        await page.get_by_label("Current password").fill(PASSWORD)
        await page.get_by_label("New password").fill(NEW)
        await page.get_by_role("button", name="Change password").click()
        await expect(page.get_by_text("Password changed")).to_be_visible(timeout=APPEARS_MS)
        await page.reload()
        await account_page(page)
        await page.get_by_role("button", name="Sign out everywhere").click()
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=APPEARS_MS)
        await sign_in(page, "viewer", NEW)
        await account_page(page)


async def test_an_address_is_confirmed_by_a_letter_from_a_real_mail_server(tmp_path: Path) -> None:
    async with mail_server() as mails:
        asked = {"email_verification": True, "mail_from": "umbel@example.org"}
        told = {"public_url": "http://umbel.test", "smtp_port": mails.port}
        async with web_world(tmp_path, **asked, **told) as (here, url), chromium() as browser:
            page = await browser.new_page()
            await page.goto(f"{url}/account")
            await sign_in(page, "viewer", PASSWORD)
            await account_page(page)
            await page.get_by_label("E-mail address").fill("ann@example.org")
            await page.get_by_label("Password, to change the address").fill(PASSWORD)
            await page.get_by_role("button", name="Save address").click()
            again = page.get_by_role("button", name="Send the e-mail again")
            await expect(again).to_be_visible(timeout=APPEARS_MS)
            assert await violations(page) == []
            to, letter = await only_letter(mails)
            assert to == ["ann@example.org"]
            (path,) = re.findall(r"http://umbel\.test(/verify-email#\w+)", letter.get_content())
            other = await browser.new_page()
            await other.goto(f"{url}/verify-email")
            await expect(other.get_by_text("not complete")).to_be_visible(timeout=APPEARS_MS)
            await other.goto(f"{url}{path}")
            await other.reload()
            button = other.get_by_role("button", name="Confirm")
            await expect(button).to_be_visible(timeout=APPEARS_MS)
            assert await violations(other) == []
            await button.click()
            await expect(other.get_by_text("is confirmed")).to_be_visible(timeout=APPEARS_MS)
            await page.reload()
            await expect(page.get_by_text("E-mails go to this address")).to_be_visible(
                timeout=APPEARS_MS
            )
            await page.get_by_label("Language of e-mails").select_option("Deutsch")
            await expect(page.get_by_text("Saved")).to_be_visible(timeout=APPEARS_MS)
            await page.reload()
            await expect(page.get_by_label("Language of e-mails")).to_have_value(
                "de", timeout=APPEARS_MS
            )
            profile = (await here.system.catalogue.accounts.account("viewer")).profile
            assert (profile.email, profile.is_verified) == ("ann@example.org", True)
            assert profile.language is Language.GERMAN


async def test_a_lost_password(tmp_path: Path) -> None:
    async with mail_server() as mails:
        settings = {
            "mail_from": "umbel@example.org",
            "smtp_port": mails.port,
            "public_url": "http://umbel.test",
        }
        async with web_world(tmp_path, **settings) as (here, url), chromium() as browser:
            accounts = here.system.catalogue.accounts
            await accounts.set_email("viewer", "ann@example.org", PASSWORD, "192.0.2.1")
            page = await browser.new_page()
            await page.goto(f"{url}/account")
            await page.get_by_role("link", name="Forgot your password?").click(timeout=APPEARS_MS)
            await expect(page.get_by_role("heading", name="Forgot")).to_be_visible()
            assert await violations(page) == []
            await page.get_by_label("Name or e-mail address").fill("ann@example.org")
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("heading", name="Check your e-mail")).to_be_visible()
            assert await violations(page) == []
            to, letter = await only_letter(mails)
            assert to == ["ann@example.org"]
            link = re.findall(r"http://umbel.test(/reset-password#\S+)", letter.get_content())
            await page.goto(f"{url}{link[0]}")
            await page.get_by_label("New password").fill(NEW)
            assert await violations(page) == []
            await page.get_by_role("button", name="Change password").click()
            await expect(
                page.get_by_role("heading", name="Your password is changed")
            ).to_be_visible(timeout=APPEARS_MS)
            await page.get_by_role("link", name="Sign in with the new password").click()
            await sign_in(page, "viewer", NEW)
            await account_page(page)
            await page.goto(url)
            await page.goto(f"{url}{link[0]}")
            await page.get_by_label("New password").fill("yet another one")
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("alert")).to_contain_text("was used", timeout=APPEARS_MS)
            assert await violations(page) == []
