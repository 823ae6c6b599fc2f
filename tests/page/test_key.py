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
def keys(data_dir: Path) -> dict[str, str]:
    """Name -> key. They are there before the server is: it looks for new ones at most once a second."""
    rights = {"anna": JOBS, "anna again": JOBS, "reader": (Scope.JOBS_READ,)}
    return {name: add_key(data_dir, name, scopes) for name, scopes in rights.items()}


@pytest.fixture
def server(browser: "Browser", data_dir: Path, keys: dict[str, str]) -> Iterator[ThreadServer]:
    with thread_server(data_dir, fake_step_s=0.05) as running:
        yield running


def use_key(page: Page, key: str) -> None:
    dialog = page.get_by_role("dialog", name="This server wants an API key")
    dialog.get_by_label("API key").fill(key)
    dialog.get_by_role("button", name="Use this key").click()


def test_a_key_is_asked_for_and_pictures_come_with_it(
    open_page: OpenPage, server: ThreadServer, keys: dict[str, str]
) -> None:
    with server.client(headers={"X-API-Key": keys["anna"]}) as http:
        earlier = {"task": "text_to_image", "params": {"prompt": "made before"}}
        http.post("/v1/jobs", json=earlier, headers={"Prefer": "wait=30"}).raise_for_status()
    tab = open_page(server, phase="refused")
    page = tab.page
    use_key(page, keys["anna"])
    page.get_by_role("article", name="made before").wait_for()
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
    open_page: OpenPage, server: ThreadServer, data_dir: Path, keys: dict[str, str]
) -> None:
    tab = open_page(server, storage={"safelight.key": keys["anna"]})
    page = tab.page
    revoke_key(data_dir, "anna")
    dialog = page.get_by_role("dialog", name="This server wants an API key")
    expect(dialog.get_by_text("The key was not accepted.")).to_be_visible()
    expect(page.locator("sl-connection-state")).to_contain_text("Not let in")
    use_key(page, keys["anna again"])
    expect(page.locator("sl-connection-state")).to_contain_text("Connected")
    page.get_by_role("textbox", name="Prompt", exact=True).fill("a blue car")
    page.keyboard.press("Control+Enter")
    page.get_by_role("article", name="a blue car").get_by_role("button", name="Open picture 1 of 1").wait_for()
    tab.problems.clear()


def test_a_key_without_the_right_is_told_so(open_page: OpenPage, server: ThreadServer, keys: dict[str, str]) -> None:
    tab = open_page(server, storage={"safelight.key": keys["reader"]})
    page = tab.page
    page.get_by_role("textbox", name="Prompt", exact=True).fill("a red apple")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".notice")).to_contain_text("Your key does not allow this.")
    tab.problems.clear()
