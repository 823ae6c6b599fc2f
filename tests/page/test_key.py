"""The page on a server with keys: it asks for one, shows pictures with it, and asks again when it is revoked."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

from service.auth import Scope, add_key, revoke_key
from tests.page.conftest import OpenPage
from tests.servers import ThreadServer, thread_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser

JOBS = (Scope.JOBS_READ, Scope.JOBS_WRITE)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def server(browser: "Browser", data_dir: Path) -> Iterator[ThreadServer]:
    with thread_server(data_dir, api={"keys": ("key-of-nobody-here",)}, fake_step_s=0.05) as running:
        yield running


def use_key(page: Page, key: str) -> None:
    dialog = page.get_by_role("dialog", name="This server wants an API key")
    dialog.get_by_label("API key").fill(key)
    dialog.get_by_role("button", name="Use this key").click()


def test_a_key_is_asked_for_and_pictures_come_with_it(
    open_page: OpenPage, server: ThreadServer, data_dir: Path
) -> None:
    tab = open_page(server, phase="refused")
    page = tab.page
    use_key(page, add_key(data_dir, "anna", JOBS))
    expect(page.locator("sl-connection-state")).to_contain_text("Connected")
    page.get_by_role("textbox", name="Prompt", exact=True).fill("a red apple")
    page.keyboard.press("Control+Enter")
    card = page.get_by_role("article", name="a red apple")
    card.get_by_role("button", name="Open picture 1 of 1").click()
    shown = page.get_by_role("dialog").get_by_role("img", name="a red apple")
    # An <img> cannot show a key: the page fetches for it.
    expect(shown).to_have_attribute("src", re.compile("^blob:"))
    expect(shown).to_have_js_property("naturalWidth", 64)
    tab.problems.clear()


def test_a_key_that_is_revoked_is_asked_for_again_and_work_goes_on_with_the_next(
    open_page: OpenPage, server: ThreadServer, data_dir: Path
) -> None:
    first, next_one = add_key(data_dir, "anna", JOBS), add_key(data_dir, "anna again", JOBS)
    tab = open_page(server, storage={"safelight.key": first})
    page = tab.page
    revoke_key(data_dir, "anna")
    dialog = page.get_by_role("dialog", name="This server wants an API key")
    expect(dialog.get_by_text("The key was not accepted.")).to_be_visible()
    expect(page.locator("sl-connection-state")).to_contain_text("Not let in")
    use_key(page, next_one)
    expect(page.locator("sl-connection-state")).to_contain_text("Connected")
    page.get_by_role("textbox", name="Prompt", exact=True).fill("a blue car")
    page.keyboard.press("Control+Enter")
    page.get_by_role("article", name="a blue car").get_by_role("button", name="Open picture 1 of 1").wait_for()
    tab.problems.clear()


def test_a_key_without_the_right_is_told_so(open_page: OpenPage, server: ThreadServer, data_dir: Path) -> None:
    key = add_key(data_dir, "reader", (Scope.JOBS_READ,))
    tab = open_page(server, storage={"safelight.key": key})
    page = tab.page
    page.get_by_role("textbox", name="Prompt", exact=True).fill("a red apple")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".notice")).to_contain_text("Your key does not allow this.")
    tab.problems.clear()
