"""A Chromium that opens our pages; whatever it complains about fails the test."""

import os
import shutil
from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",  # continuous integration runs as root
)
DEVICES = {
    "desktop": {"viewport": {"width": 1280, "height": 800}},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
}
TIMEOUT_MS = 60_000  # a machine that is busy is no failure
SERIOUS = ("serious", "critical")


@contextmanager
def chromium():
    """Start Chromium. Without one the tests are left out, unless REQUIRE_BROWSER is set, as `.ci/run` does."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        reason = f"LEFT OUT: the pages are not tested, as there is no browser ({', '.join(NAMES)}) on this machine"
        (pytest.fail if os.environ.get("REQUIRE_BROWSER") else pytest.skip)(reason)
    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*QUIET])
        yield browser
        browser.close()


@contextmanager
def watched_page(browser, device="desktop", *, expected=(), **options):
    """Open an empty page. Fail at the end if a script failed, or the console has other errors than the expected ones.

    Violations of the Content-Security-Policy are errors of the console.
    """
    with browser.new_context(**DEVICES[device], **options) as context:
        context.set_default_timeout(TIMEOUT_MS)
        page = context.new_page()
        complaints = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page
        assert [each for each in complaints if not any(text in each for text in expected)] == []


def obstacles(page):
    """Return the serious obstacles of a page for people with disabilities."""
    found = Axe().run(page).response["violations"]
    return [(each["id"], [node["html"] for node in each["nodes"]]) for each in found if each["impact"] in SERIOUS]
