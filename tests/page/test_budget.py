"""What the page costs: what is sent of it, what is there before a script runs, what a flood of events does to it."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser import Tab
from tests.page.conftest import OpenPage
from tests.servers import DEADLINE_S, ThreadServer, thread_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Request

_MOST_BYTES = 250_000
_VIEWS = ("make", "edit", "history", "models")
_STEPS = 1000
_TIMEOUT_MS = 3 * DEADLINE_S * 1000
_COUNT_FRAMES_AND_CHANGES = """() => {
    window.frames_drawn = 0;
    window.changes = 0;
    const draw = () => { window.frames_drawn += 1; requestAnimationFrame(draw); };
    requestAnimationFrame(draw);
    const line = document.querySelector("sl-active-job");
    const everything = {subtree: true, childList: true, characterData: true};
    new MutationObserver(() => { window.changes += 1; }).observe(line, everything);
}"""


@pytest.fixture
def fast_server(browser: "Browser", tmp_path: Path) -> Iterator[ThreadServer]:
    """Steps as fast as they can be told."""
    with thread_server(tmp_path / "data") as running:
        yield running


def test_all_of_the_page_is_less_than_250_kb_over_the_wire(browser: "Browser", page_server: ThreadServer) -> None:
    sizes: dict[str, int] = {}

    def weigh(request: "Request") -> None:
        path = request.url.removeprefix(page_server.url)
        if path == "/" or path.startswith("/web/"):
            sizes[path] = request.sizes()["responseBodySize"]

    with Tab(browser) as tab:
        tab.page.on("requestfinished", weigh)
        for view in _VIEWS:
            tab.page.goto(f"{page_server.url}/#/{view}")
            tab.page.locator(f"sl-{view}-view").wait_for()
        tab.page.locator("sl-model-row").wait_for()
    assert {"/", "/web/main.js", "/web/client/safelight.js", "/web/elements/history-view.js"} <= sizes.keys()
    assert 0 < sum(sizes.values()) < _MOST_BYTES


def test_nothing_comes_from_anywhere_else(open_page: OpenPage, page_server: ThreadServer) -> None:
    tab = open_page(page_server, "make")
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    tab.page.reload()
    for view in _VIEWS:
        tab.page.goto(f"{page_server.url}/#/{view}")
        tab.page.locator(f"sl-{view}-view").wait_for()
    assert asked
    assert [url for url in asked if not url.startswith((f"{page_server.url}/", "blob:", "data:"))] == []


def test_the_page_can_be_read_before_any_script_runs(browser: "Browser", page_server: ThreadServer) -> None:
    with Tab(browser, java_script_enabled=False) as tab:
        tab.page.goto(page_server.url)
        heading = tab.page.get_by_role("heading", level=1)
        assert heading.inner_text() == "Watch a picture develop"
        box = heading.bounding_box()
        assert box is not None
        assert box["height"] > 0
        for view in _VIEWS:
            link = tab.page.get_by_role("link", name=view.capitalize(), exact=True)
            assert link.get_attribute("href") == f"#/{view}"
        assert "needs JavaScript" in tab.page.locator("main").inner_text()
        tab.page.get_by_role("link", name="whether it is ready").click()
        tab.page.wait_for_url("**/v1/health/ready")
        assert '"ready":true' in tab.page.locator("body").inner_text()
        assert [problem for problem in tab.problems if "favicon" not in problem] == []


def test_the_first_paint_waits_for_no_script(browser: "Browser", page_server: ThreadServer) -> None:
    with Tab(browser) as tab:
        tab.page.route("**/*.js", lambda route: None)  # a script that never comes
        tab.page.goto(page_server.url, wait_until="commit")
        tab.page.get_by_role("heading", name="Watch a picture develop").wait_for()
        painted = "() => performance.getEntriesByName('first-contentful-paint').length > 0"
        tab.page.wait_for_function(painted, timeout=_TIMEOUT_MS)


@pytest.mark.parametrize("previews", ["none", "all"])
def test_a_flood_of_events_is_drawn_once_a_frame_and_no_more(
    open_page: OpenPage, fast_server: ThreadServer, previews: str
) -> None:
    page = open_page(fast_server, "history").page
    with fast_server.client() as client:
        body = {
            "task": "test_pattern",
            "previews": previews,
            "params": {"steps": _STEPS, "step_ms": 3, "width": 64, "height": 64},
        }
        job = client.post("/v1/jobs", json=body).json()["id"]
        page.locator("sl-active-job").wait_for()
        page.evaluate(_COUNT_FRAMES_AND_CHANGES)
        client.get(f"/v1/jobs/{job}", params={"wait": DEADLINE_S})
    page.locator("sl-job-tile").wait_for()
    # Text and bar of the one line; what is left over is from the frame in which it was counted.
    changes, frames = page.evaluate("[window.changes, window.frames_drawn]")
    assert 0 < changes <= 2 * (frames + 1)
