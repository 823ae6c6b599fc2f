"""The view Models: what the server has, what is in memory, what is on its way, and how the server is."""

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from protocol.version import SOFTWARE_VERSION
from tests.page.conftest import OpenPage
from tests.servers import DEADLINE_S, ThreadServer, thread_server
from tests.unit.engine.library.model_files import LORA_SD1, content, write

_LARGE = content({**LORA_SD1, "filling": (4 << 20,)})


class _Origin(ThreadingHTTPServer):
    """A server of one file, of which it keeps the second half back until `goes_on` is set."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Half)
        self.goes_on = threading.Event()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"


class _Half(BaseHTTPRequestHandler):
    server: _Origin

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(_LARGE)))
        self.end_headers()
        self.wfile.write(_LARGE[: len(_LARGE) // 2])
        self.server.goes_on.wait(3 * DEADLINE_S)
        try:
            self.wfile.write(_LARGE[len(_LARGE) // 2 :])
        except ConnectionError:
            return

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def origin() -> Iterator[_Origin]:
    with _Origin() as origin:
        thread = threading.Thread(target=origin.serve_forever)
        thread.start()
        yield origin
        origin.goes_on.set()
        origin.shutdown()
        thread.join()


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def server(browser: Browser, tmp_path: Path, models_dir: Path, origin: _Origin) -> Iterator[ThreadServer]:
    options: dict[str, Any] = {"allow_private_urls": True, "fetch_ports": (origin.server_port,)}
    with thread_server(tmp_path / "data", models_dir=models_dir, **options) as running:
        yield running


def test_health_shows_whether_it_is_ready_with_its_version_and_what_is_waiting(
    server: ThreadServer, open_page: OpenPage
) -> None:
    page = open_page(server, "models").page
    health = page.get_by_role("region", name="Ready")
    expect(health).to_be_visible()
    expect(health.locator("dt:text-is('Version') + dd")).to_have_text(SOFTWARE_VERSION)
    expect(health.locator("dt:text-is('Device') + dd")).to_have_text("fake")
    expect(health.locator("dt:text-is('Waiting') + dd")).to_have_text("0")
    expect(health.get_by_role("img", name=re.compile("Jobs at work: .* of "))).to_be_visible()
    for name, path in (("API", "/docs"), ("Reference", "/redoc"), ("Metrics", "/metrics")):
        expect(health.get_by_role("link", name=name)).to_have_attribute("href", path)


def test_a_server_that_cannot_work_says_why_in_words(server: ThreadServer, open_page: OpenPage) -> None:
    server.services.submissions.is_draining = True
    tab = open_page(server, "models")
    health = tab.page.get_by_role("region", name="Not ready")
    expect(health.get_by_text("The server is about to stop and takes no new jobs.")).to_be_visible()
    tab.problems.clear()  # a browser complains of each 503


def test_a_model_is_loaded_and_unloaded_and_the_server_says_when_it_was(
    server: ThreadServer, open_page: OpenPage
) -> None:
    page, other = (open_page(server, "models").page for _ in range(2))
    page.get_by_role("button", name="Load: fake").click()
    for each in (page, other):
        expect(each.locator("sl-model-row[loaded]").get_by_text("In memory")).to_be_visible()
    page.get_by_role("button", name="Unload: fake").click()
    for each in (page, other):
        expect(each.get_by_role("button", name="Load: fake", exact=True)).to_be_visible()
        expect(each.locator("sl-model-row[loaded]")).to_have_count(0)


def test_models_are_listed_by_kind_and_found_by_name(
    server: ThreadServer, open_page: OpenPage, models_dir: Path
) -> None:
    write(models_dir / "loras" / "ink.safetensors", LORA_SD1)
    page = open_page(server, "models").page
    loras = page.get_by_role("list", name="LoRAs: added to a checkpoint")
    expect(loras.get_by_text("ink", exact=True)).to_be_visible()
    page.get_by_label("Find a model").fill("INK")
    expect(page.get_by_role("list", name="Checkpoints: they make pictures")).to_be_hidden()
    expect(loras).to_be_visible()
    page.get_by_label("Find a model").fill("no such thing")
    expect(page.get_by_text("No model is called that.")).to_be_visible()


def test_the_hash_of_a_file_is_computed_and_shown(server: ThreadServer, open_page: OpenPage, models_dir: Path) -> None:
    write(models_dir / "loras" / "ink.safetensors", LORA_SD1)
    page = open_page(server, "models").page
    row = page.locator("sl-model-row", has_text="ink")
    row.get_by_text("More").click()
    row.get_by_role("button", name="Compute SHA-256: ink").click()
    expect(row.locator("dt:text-is('SHA-256') + dd")).to_have_text(re.compile(r"[0-9a-f]{64}"))


def test_a_download_shows_how_far_it_is_and_then_the_model(
    server: ThreadServer, open_page: OpenPage, origin: _Origin
) -> None:
    page = open_page(server, "models").page
    _download(page, origin.url("ink.safetensors"))
    row = page.locator("sl-model-row", has_text="ink")
    expect(row.get_by_text(re.compile(r"Downloading \d+%"))).to_be_visible()
    assert 0 < float(row.get_by_role("progressbar").get_attribute("value") or 0) < 1
    origin.goes_on.set()
    expect(row.get_by_role("progressbar")).to_be_hidden()
    expect(row.locator(".tag", has_text="sd1")).to_be_visible()


def test_a_download_can_be_stopped(server: ThreadServer, open_page: OpenPage, origin: _Origin) -> None:
    page = open_page(server, "models").page
    _download(page, origin.url("ink.safetensors"))
    page.get_by_role("button", name="Stop: ink").click()
    expect(page.locator("sl-model-row", has_text="ink").get_by_text("cancelled by a client")).to_be_visible()
    expect(page.get_by_role("button", name="Stop: ink")).to_be_hidden()


def test_an_address_that_is_refused_is_said_at_its_field(server: ThreadServer, open_page: OpenPage) -> None:
    tab = open_page(server, "models")
    _download(tab.page, "ftp://models.test/ink.safetensors")
    expect(tab.page.locator("sl-model-download").get_by_role("alert")).to_contain_text("A setting is not accepted")
    expect(tab.page.get_by_label("Address of the file")).to_be_focused()
    expect(tab.page.get_by_label("Address of the file")).to_have_attribute("aria-invalid", "true")
    tab.problems.clear()  # a browser complains of each 422


def _download(page: Page, url: str) -> None:
    page.get_by_text("Add a model from an address").click()
    page.get_by_label("Address of the file").fill(url)
    page.get_by_label("What it is").select_option("lora")
    page.get_by_role("button", name="Download").click()
