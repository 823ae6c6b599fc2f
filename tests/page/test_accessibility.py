"""axe-core finds no serious fault in any view, light or dark, wide or narrow, nor in what opens over them."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser import Tab
from tests.servers import DEADLINE_S, REPOSITORY, ThreadServer, thread_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, ViewportSize

_AXE = REPOSITORY / "node_modules" / "axe-core" / "axe.min.js"
_SERIOUS = {"serious", "critical"}
_SIZES: dict[str, "ViewportSize"] = {"wide": {"width": 1500, "height": 900}, "phone": {"width": 390, "height": 844}}

pytestmark = pytest.mark.skipif(not _AXE.is_file(), reason="axe-core is not installed; make setup does it, with npm")


def _job_is_listed(page: "Page") -> None:
    page.locator("sl-job-tile:not([pending])").first.wait_for()


def _details(page: "Page") -> None:
    _job_is_listed(page)
    page.locator("sl-job-tile").first.click()
    page.get_by_role("dialog").get_by_text("Parameters").wait_for()
    for summary in page.get_by_role("dialog").locator("summary:visible").all():
        summary.click()


def _chosen(page: "Page") -> None:
    _job_is_listed(page)
    page.get_by_role("listbox", name="Ended").focus()
    page.keyboard.press("Space")
    page.get_by_text("1 chosen").wait_for()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("alertdialog").wait_for()


def _unfolded(page: "Page") -> None:
    page.locator("sl-model-row").first.wait_for()
    for summary in page.locator("sl-models-view summary:visible").all():
        summary.click()


def _shortcuts(page: "Page") -> None:
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keyboard shortcuts").wait_for()


def _key(page: "Page") -> None:
    page.get_by_role("button", name="API key").click()
    page.get_by_role("dialog").wait_for()


def _settings(page: "Page") -> None:
    for summary in page.locator("sl-make-view summary:visible").all():
        summary.click()


def _work(page: "Page") -> None:
    page.get_by_role("progressbar").first.wait_for()


def _recipe(page: "Page") -> None:
    _job_is_listed(page)
    page.evaluate(
        """async () => {
            const canvas = Object.assign(document.createElement("canvas"), {width: 8, height: 8});
            const picture = await new Promise((done) => canvas.toBlob(done));
            const view = document.querySelector("sl-history-view");
            view.dispatchEvent(new CustomEvent("picture", {detail: new File([picture], "a.png")}));
        }"""
    )
    page.get_by_text("The file does not say").wait_for()


_STATES: dict[str, tuple[str, Callable[["Page"], None] | None]] = {
    "make": ("make", None),
    "make, unfolded": ("make", _settings),
    "make, at work": ("make", _work),
    "edit": ("edit", None),
    "edit, with a picture": ("edit?picture=job:JOB/0", None),
    "history": ("history", _job_is_listed),
    "history, details": ("history", _details),
    "history, at work": ("history", _work),
    "history, a dropped picture": ("history", _recipe),
    "history, a question": ("history", _chosen),
    "models": ("models", _unfolded),
    "shortcuts": ("make", _shortcuts),
    "key": ("models", _key),
}


@pytest.fixture(scope="module")
def server(browser: "Browser", tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    with thread_server(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture(scope="module")
def job(server: ThreadServer) -> str:
    """A job with two pictures; one that failed is there, too."""
    with server.client() as client:
        jobs: list[dict[str, Any]] = [
            {"task": "test_pattern", "params": {"fail_at_step": 1}},
            {"task": "text_to_image", "params": {"prompt": "a red apple", "steps": 1, "images": 2}},
        ]
        ids = [client.post("/v1/jobs", json=job).json()["id"] for job in jobs]
        for each in ids:
            assert client.get(f"/v1/jobs/{each}", params={"wait": DEADLINE_S}).json()["finished_at"]
        # Goes on until the server is stopped.
        client.post("/v1/jobs", json={"task": "test_pattern", "params": {"steps": 1000, "step_ms": 500}})
        return str(ids[-1])


@pytest.mark.parametrize("state", _STATES)
def test_no_serious_fault(browser: "Browser", server: ThreadServer, job: str, state: str) -> None:
    place, prepare = _STATES[state]
    # axe is a script of ours here, which the page's own policy rightly would not run.
    with Tab(browser, bypass_csp=True, reduced_motion="reduce") as tab:
        page = tab.page
        page.goto(f"{server.url}/#/{place.replace('JOB', job)}")
        page.locator("sl-connection-state[phase=open]").wait_for()
        if prepare is not None:
            prepare(page)
        page.evaluate(_AXE.read_text("utf-8"))
        faults = {}
        for name, size in _SIZES.items():
            page.set_viewport_size(size)
            page.emulate_media(color_scheme="light")
            faults[f"{name}, light"] = _faults(page)
            page.emulate_media(color_scheme="dark")
            faults[f"{name}, dark"] = _faults(page, rules=["color-contrast"])  # nothing else is another in the dark
        assert not any(faults.values()), faults


def test_the_page_without_scripts_has_no_serious_fault(browser: "Browser", server: ThreadServer) -> None:
    with Tab(browser, bypass_csp=True) as tab:
        # Everything but the start of the page: axe needs scripts, the page has none.
        tab.page.route("**/main.js", lambda route: route.abort())
        tab.page.goto(server.url)
        tab.page.get_by_role("heading", level=1).wait_for()
        tab.page.evaluate(_AXE.read_text("utf-8"))
        assert _faults(tab.page) == []


def _faults(page: "Page", *, rules: Sequence[str] = ()) -> list[str]:
    """Each serious fault in a line: the rule, what it is about, and where. axe is there, and looks for all `rules`."""
    options = {"resultTypes": ["violations"]} | ({"runOnly": list(rules)} if rules else {})
    found: dict[str, Any] = page.evaluate("(options) => axe.run(document, options)", options)
    return [
        f"{fault['id']} ({fault['help']}): {node['html']:.200} {node['failureSummary']}"
        for fault in found["violations"]
        if fault["impact"] in _SERIOUS
        for node in fault["nodes"]
    ]
