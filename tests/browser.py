"""A real browser for tests of pages: Chromium without a window, driven by Playwright.

Tests that use it are skipped where either is missing.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers import DEADLINE_S

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

_NAMES = ("chromium", "chromium-browser", "google-chrome")
# Nothing of its own over the network, and colours as they are in the files.
_ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--force-color-profile=srgb",
)  # fmt: skip
_VIEWPORT = {"width": 1500, "height": 900}
_WAIT_MS = 3 * DEADLINE_S * 1000


@contextmanager
def chromium() -> Iterator["Browser"]:
    """One browser with an empty profile, until the block ends. Each of its contexts has cookies of its own."""
    api = pytest.importorskip("playwright.sync_api", reason="the Python package playwright is not installed")
    path = _path()
    if path is None:
        pytest.skip("no Chromium on the PATH, and none named by SAFELIGHT_TEST_BROWSER")
    api.expect.set_options(timeout=_WAIT_MS)
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


class Tab:
    """A page of somebody who has this browser to themselves: with cookies and storage of its own.

    Attributes:
        problems: what the page complained of: uncaught errors, errors in the console, requests that got no answer.
    """

    def __init__(self, browser: "Browser", **options: Any) -> None:
        """Open an empty page; `options` are those of Playwright's `new_context`."""
        self.problems: list[str] = []
        self._context = browser.new_context(**{"viewport": _VIEWPORT, **options})
        self._context.set_default_timeout(_WAIT_MS)
        self.page: Page = self._context.new_page()
        self.page.on("pageerror", lambda error: self.problems.append(f"uncaught: {error}"))
        self.page.on("requestfailed", lambda request: self.problems.append(f"failed: {request.url} {request.failure}"))
        self.page.on("console", self._hear)

    def close(self) -> None:
        """Leave, as closing the window does."""
        self._context.close()

    def __enter__(self) -> "Tab":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _hear(self, message: "ConsoleMessage") -> None:
        if message.type == "error":
            self.problems.append(f"console: {message.text} {message.location.get('url', '')}")


def _path() -> str | None:
    named = os.environ.get("SAFELIGHT_TEST_BROWSER")
    return named or next((path for name in _NAMES if (path := shutil.which(name))), None)
