"""The page as people have it: in a real browser, on a real server."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import httpx
import pytest

from engine.tasks.test_pattern import Hold, hold
from tests.browser import Tab, chromium
from tests.servers import DEADLINE_S, MODELS_DIR, Address, ThreadServer, thread_server, until

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_REMEMBER = """
if (sessionStorage.getItem("tests.opened") === null) {
    sessionStorage.setItem("tests.opened", "once, not again when the page is reloaded");
    for (const [name, value] of Object.entries(VALUES)) localStorage.setItem(name, value);
}
"""


class OpenPage(Protocol):
    """Opens a view of the page for somebody new; see `open_page`."""

    def __call__(
        self,
        server: Address,
        view: str = "make",
        *,
        language: str = "en",
        storage: dict[str, str] | None = None,
        phase: str = "open",
    ) -> Tab: ...


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """One browser for all tests of a module: while it runs, no test of this process can have an event loop."""
    with chromium() as running:
        yield running


@pytest.fixture
def open_page(browser: "Browser") -> Iterator[OpenPage]:
    """Open a view; what it complained of by the end fails the test, unless that has emptied `problems`.

    `view` may have parameters (`edit?picture=job:ID/0`). `language` is `en` or `zh`; `storage` is what the page
    remembers from before; `phase` how the connection stands when it is handed over.
    """
    tabs: list[Tab] = []

    def open_view(
        server: Address,
        view: str = "make",
        *,
        language: str = "en",
        storage: dict[str, str] | None = None,
        phase: str = "open",
    ) -> Tab:
        tab = Tab(browser, reduced_motion="reduce")  # what moves for its own sake keeps a core at work
        tabs.append(tab)
        remembered = {"safelight.language": language, **(storage or {})}
        tab.page.add_init_script(_REMEMBER.replace("VALUES", json.dumps(remembered)))
        tab.page.goto(f"{server.url}/#/{view}")
        tab.page.locator(f"sl-{view.partition('?')[0]}-view").wait_for()
        tab.page.locator(f"sl-connection-state[phase={phase}]").wait_for()
        return tab

    yield open_view
    # A request that the page gave up, because nobody looks at its answer any more, is no problem.
    problems = [problem for tab in tabs for problem in tab.problems if "ERR_ABORTED" not in problem]
    for tab in tabs:
        tab.close()
    assert problems == []


@pytest.fixture
def page_server(browser: "Browser", tmp_path: Path) -> Iterator[ThreadServer]:
    """A server with the fake engine, whose steps take long enough to be seen."""
    with thread_server(tmp_path / "data", fake_step_s=0.05) as running:
        yield running


class Brake:
    """Holds the jobs of the fake engine in a step; not test patterns, whose steps are as long as they ask."""

    def __init__(self) -> None:
        self._is_off = threading.Event()
        self._is_off.set()

    def hold(self) -> None:
        """Whatever comes to a step from now on stays in it until `release`."""
        self._is_off.clear()

    def release(self) -> None:
        self._is_off.set()

    def step(self, payload: Hold) -> None:
        assert self._is_off.wait(12 * DEADLINE_S), "nobody released it"
        hold(payload)


@pytest.fixture
def brake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Brake]:
    """Of all servers of this process."""
    brake = Brake()
    monkeypatch.setattr("engine.fake.hold", brake.step)
    yield brake
    brake.release()


@pytest.fixture
def page_http(page_server: ThreadServer) -> Iterator[httpx.Client]:
    """Another client of `page_server`, which submits and looks things up beside the page."""
    with page_server.client() as client:
        yield client


@pytest.fixture(scope="module")
def model_server(browser: "Browser", tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    """A server with the embedded models, which has made a first picture already. Tests that use it need `models`."""
    # After the browser: no model is loaded where there is none.
    options: dict[str, Any] = {"device": "cpu", "models_dir": MODELS_DIR, "allow_model_downloads": False}
    with (
        thread_server(tmp_path_factory.mktemp("data"), engine="torch", **options) as running,
        running.client() as client,
    ):
        until(lambda: client.get("/v1/health/ready").is_success, "the models", deadline_s=20 * DEADLINE_S)
        warm = {"task": "text_to_image", "params": {"prompt": "a red apple", "steps": 1}}
        job = client.post("/v1/jobs", json=warm).json()["id"]
        until(
            lambda: client.get(f"/v1/jobs/{job}").json()["status"] == "succeeded",
            "a first picture",
            deadline_s=20 * DEADLINE_S,
        )
        assert client.delete(f"/v1/jobs/{job}/record").status_code == 204
        yield running
