"""The view History: what runs and waits, everything that has ended, and each job in full."""

import base64
import io
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image, PngImagePlugin
from playwright.sync_api import Browser, Page, expect

from bench.stored_jobs import store_jobs
from tests.page.conftest import OpenPage
from tests.servers import DEADLINE_S, ThreadServer, thread_server

_STORED = 100_000
_SLOW_MS = 400
_MOST_TILES = 200
_RECIPE = "a red apple\nNegative prompt: a pear\nSteps: 12, Sampler: Euler a, CFG scale: 5, Seed: 77, Size: 256x256"


@pytest.fixture(scope="module")
def full_server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    """A server that has done 100,000 jobs."""
    data_dir = tmp_path_factory.mktemp("full")
    store_jobs(data_dir, _STORED)
    with thread_server(data_dir) as server:
        yield server


def test_what_runs_and_what_waits_stands_on_top_and_can_be_cancelled(
    page_server: ThreadServer, open_page: OpenPage
) -> None:
    running, waiting = (_submit(page_server, steps=100, step_ms=_SLOW_MS, images=4) for _ in range(2))
    page = open_page(page_server, "history").page
    row = page.locator("sl-active-job").first
    expect(row).to_contain_text(re.compile(r"Step \d+ of 100"))
    expect(row.get_by_role("progressbar")).to_have_attribute("value", re.compile(r"0\.\d+"))
    for button in (page.get_by_role("button", name="Cancel: Test pattern").nth(place) for place in (1, 0)):
        button.click()
    expect(page.get_by_text("Nothing runs, and nothing waits.")).to_be_visible()
    expect(page.locator("sl-job-tile[status=cancelled]")).to_have_count(2)
    with page_server.client() as client:
        assert {client.get(f"/v1/jobs/{job}").json()["status"] for job in (running, waiting)} == {"cancelled"}


def test_a_list_of_100_000_jobs_keeps_few_of_them_in_the_page(full_server: ThreadServer, open_page: OpenPage) -> None:
    page = _open_full(open_page, full_server)
    tiles = page.locator("sl-job-tile")
    expect(tiles.first).to_be_visible()
    for place in (150, 400, 1200, 1500):
        _scroll_to_end_until(page, place)
        assert tiles.count() < _MOST_TILES
    page.evaluate("scrollTo({top: 0})")
    # The jobs up here were dropped, and are asked for again.
    expect(page.locator("sl-job-tile[aria-posinset='1']:not([pending])")).to_be_visible()
    assert tiles.count() < _MOST_TILES


def test_the_filter_is_in_the_address_so_that_the_back_button_takes_it_back(
    page_server: ThreadServer, open_page: OpenPage
) -> None:
    _submit(page_server)
    _submit(page_server, fail_at_step=1)
    _submit(page_server, task="text_to_image", prompt="a red apple", steps=1)
    _wait_for_all(page_server)
    page = open_page(page_server, "history").page
    tiles = page.locator("sl-job-tile")
    expect(tiles).to_have_count(3)
    page.get_by_label("How it ended").select_option("failed")
    expect(tiles).to_have_count(1)
    expect(tiles).to_have_attribute("status", "failed")
    page.get_by_label("Words of the prompt").fill("RED app")
    expect(page.get_by_text("No job is like that.")).to_be_visible()
    page.get_by_role("button", name="Show all").click()
    expect(tiles).to_have_count(3)
    page.get_by_label("Words of the prompt").fill("RED app")
    expect(tiles).to_have_count(1)
    expect(tiles).to_contain_text("a red apple")
    page.go_back()
    expect(tiles).to_have_count(3)
    page.get_by_label("Kind of work").select_option("text_to_image")
    expect(tiles).to_have_count(1)
    page.reload()
    expect(page.get_by_label("Kind of work")).to_have_value("text_to_image")
    expect(tiles).to_have_count(1)
    page.get_by_label("Up to this day").fill("2020-02-03")
    expect(page.get_by_text("No job is like that.")).to_be_visible()


def test_chosen_jobs_are_deleted_after_a_question_that_says_how_many(
    page_server: ThreadServer, open_page: OpenPage
) -> None:
    jobs = [_submit(page_server) for _ in range(4)]
    _wait_for_all(page_server)
    page = open_page(page_server, "history").page
    tiles = page.locator("sl-job-tile")
    expect(tiles).to_have_count(4)
    tiles.nth(1).hover()
    tiles.nth(1).locator(".tile-check").click()
    tiles.nth(3).click(modifiers=["Shift"])
    expect(page.get_by_text("3 chosen")).to_be_visible()
    tiles.nth(2).click(modifiers=["Control"])
    expect(page.get_by_text("2 chosen")).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    question = page.get_by_role("alertdialog", name="Delete 2 jobs?")
    question.get_by_role("button", name="Cancel").click()
    expect(tiles).to_have_count(4)
    page.get_by_role("button", name="Delete").click()
    question.get_by_role("button", name="Delete").click()
    expect(tiles).to_have_count(2)
    expect(page.get_by_text("2 chosen")).to_be_hidden()
    with page_server.client() as client:
        assert [client.get(f"/v1/jobs/{job}").status_code for job in reversed(jobs)] == [200, 404, 200, 404]


def test_jobs_that_another_tab_deletes_leave_this_one_too(page_server: ThreadServer, open_page: OpenPage) -> None:
    job = _submit(page_server)
    _wait_for_all(page_server)
    page = open_page(page_server, "history").page
    expect(page.locator("sl-job-tile")).to_have_count(1)
    elsewhere = open_page(page_server, "history").page
    elsewhere.get_by_role("listbox", name="Ended").press("Delete")
    elsewhere.get_by_role("alertdialog").get_by_role("button", name="Delete").click()
    expect(page.locator("sl-job-tile")).to_have_count(0)
    with page_server.client() as client:
        assert client.get(f"/v1/jobs/{job}").status_code == 404


def test_the_keyboard_alone_chooses_opens_and_closes(page_server: ThreadServer, open_page: OpenPage) -> None:
    for _ in range(3):
        _submit(page_server)
    _wait_for_all(page_server)
    page = open_page(page_server, "history").page
    grid = page.get_by_role("listbox", name="Ended")
    grid.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    chosen = page.locator("sl-job-tile[aria-selected=true]")
    expect(chosen).to_have_attribute("aria-posinset", "2")
    page.keyboard.press("Shift+ArrowRight")
    expect(chosen).to_have_count(2)
    page.keyboard.press("Escape")
    expect(chosen).to_have_count(0)
    page.keyboard.press("Control+a")
    expect(chosen).to_have_count(3)
    page.keyboard.press("Escape")
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    details = page.get_by_role("dialog", name="Test pattern")
    expect(details).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile("job="))
    page.keyboard.press("Escape")
    expect(details).to_be_hidden()
    expect(page).not_to_have_url(re.compile("job="))


def test_one_output_is_saved_as_it_is_and_several_in_an_archive(page_server: ThreadServer, open_page: OpenPage) -> None:
    _submit(page_server)
    _submit(page_server, images=2)
    _wait_for_all(page_server)
    page = open_page(page_server, "history").page
    tiles = page.locator("sl-job-tile")
    expect(tiles).to_have_count(2)
    tiles.nth(1).click(modifiers=["Control"])
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download").click()
    assert saved.value.suggested_filename.endswith(".png")
    with Image.open(saved.value.path()) as picture:
        assert picture.size == (256, 256)
    tiles.nth(0).click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download").click()
    assert saved.value.suggested_filename == "safelight.zip"
    with zipfile.ZipFile(saved.value.path()) as archive:
        assert len(archive.namelist()) == 3
        assert archive.testzip() is None


def test_details_show_parameters_outputs_seed_times_and_what_happened(
    page_server: ThreadServer, open_page: OpenPage
) -> None:
    job = _submit(page_server, task="text_to_image", prompt="a red apple", steps=3, seed=41, images=2)
    _wait_for_all(page_server)
    page = open_page(page_server, f"history?job={job}").page
    details = page.get_by_role("dialog", name="a red apple")
    for term, value in (("steps", "3"), ("seed", "41"), ("prompt", "a red apple"), ("images", "2")):
        expect(details.locator(f"dt:text-is('{term}') + dd").first).to_have_text(value)
    expect(details.get_by_role("img", name="Output 1")).to_be_visible()
    expect(details.get_by_text("seed 41")).to_be_visible()
    details.get_by_role("button", name="Output 2").click()
    expect(details.get_by_text("seed 42")).to_be_visible()
    details.get_by_text("What happened").click()
    for event in ("job.queued", "job.started", "output.ready", "job.succeeded"):
        expect(details.get_by_text(event).first).to_be_visible()
    details.get_by_role("button", name="Edit").click()
    expect(page).to_have_url(re.compile(re.escape(f"#/edit?picture=job%3A{job}%2F1")))
    # The dialog is gone with its view: nothing keeps the page from being used.
    page.get_by_role("link", name="Models").click()
    expect(page.get_by_role("heading", name="Models", level=2)).to_be_visible()


_HOLD_PREVIEWS = """() => {
const decode = HTMLImageElement.prototype.decode;
window.held = [];
HTMLImageElement.prototype.decode = function () {
    if (!this.src.startsWith("blob:")) return decode.call(this);
    return new Promise((goOn) => window.held.push(goOn)).then(() => decode.call(this));
};
}"""


def test_an_output_is_shown_though_a_preview_is_still_being_decoded(
    page_server: ThreadServer, open_page: OpenPage
) -> None:
    tab = open_page(page_server, "models")
    page = tab.page
    page.evaluate(_HOLD_PREVIEWS)
    # It waits behind another job until its details are open.
    before = _submit(page_server, steps=100, step_ms=_SLOW_MS)
    job = _submit(page_server, steps=40)
    page.evaluate("(job) => { location.hash = `#/history?job=${job}`; }", job)
    details = page.get_by_role("dialog", name="Test pattern")
    expect(details.get_by_text("Waiting").first).to_be_visible()
    with page_server.client() as client:
        assert client.delete(f"/v1/jobs/{before}").is_success
    page.wait_for_function("() => window.held.length > 0")
    output = details.get_by_role("img", name="Output 1")
    expect(output).to_be_visible()
    page.evaluate("() => window.held.forEach((goOn) => goOn())")
    page.evaluate("new Promise((painted) => requestAnimationFrame(() => requestAnimationFrame(painted)))")
    expect(output).to_be_visible()
    expect(output).not_to_have_attribute("src", re.compile("^blob:"))


def test_a_job_that_is_deleted_from_its_details_leaves_the_list_and_the_address(
    page_server: ThreadServer, open_page: OpenPage
) -> None:
    _submit(page_server)
    _submit(page_server, task="text_to_image", prompt="a red apple", steps=1)
    _wait_for_all(page_server)
    page = open_page(page_server, "history").page
    page.locator("sl-job-tile", has_text="a red apple").click()
    details = page.get_by_role("dialog", name="a red apple")
    details.get_by_role("button", name="Delete").click()
    page.get_by_role("alertdialog", name="Delete this job?").get_by_role("button", name="Delete").click()
    expect(details).to_be_hidden()
    expect(page.locator("sl-job-tile")).to_have_count(1)
    expect(page).not_to_have_url(re.compile("job="))


def test_details_of_a_failed_job_say_why_in_words(page_server: ThreadServer, open_page: OpenPage) -> None:
    job = _submit(page_server, fail_at_step=1)
    page = open_page(page_server, f"history?job={job}").page
    alert = page.get_by_role("dialog").get_by_role("alert")
    expect(alert).to_contain_text("The work broke off: ")
    expect(page.get_by_role("dialog").get_by_text("It made no picture.")).to_be_visible()


def test_a_job_that_does_not_exist_is_said_to_be_gone(page_server: ThreadServer, open_page: OpenPage) -> None:
    tab = open_page(page_server, "history?job=01900000-0000-7000-8000-000000000000")
    expect(tab.page.get_by_role("dialog", name="There is no such job")).to_be_visible()
    assert all("404" in problem for problem in tab.problems)
    tab.problems.clear()


def test_a_dropped_picture_tells_what_it_was_made_with(page_server: ThreadServer, open_page: OpenPage) -> None:
    page = open_page(page_server, "history").page
    _drop(page, _picture(_RECIPE))
    dialog = page.get_by_role("dialog", name="What this picture was made with")
    for term, value in (("prompt", "a red apple"), ("steps", "12"), ("seed", "77")):
        expect(dialog.locator(f"dt:text-is('{term}') + dd")).to_have_text(value)
    dialog.get_by_role("button", name="Use in Make").click()
    expect(page).to_have_url(re.compile("#/make"))
    page.get_by_role("button", name="Use its settings").click()
    expect(page.get_by_role("textbox", name="Prompt")).to_have_value("a red apple")


def test_a_dropped_picture_without_a_word_is_said_to_have_none(page_server: ThreadServer, open_page: OpenPage) -> None:
    page = open_page(page_server, "history").page
    _drop(page, _picture(None))
    expect(page.get_by_role("dialog").get_by_text("The file does not say what it was made with.")).to_be_visible()


def test_new_jobs_come_at_the_top_without_moving_what_is_read(full_server: ThreadServer, open_page: OpenPage) -> None:
    page = _open_full(open_page, full_server)
    _scroll_to_end_until(page, 100)
    page.evaluate("scrollTo({top: 1500})")
    middle = page.locator("sl-job-tile[aria-posinset='40']:not([pending])")
    expect(middle).to_be_visible()
    name = middle.get_attribute("data-job")
    top = "name => document.querySelector(`[data-job='${name}']`).getBoundingClientRect().top"
    before = page.evaluate(top, name)
    job = _submit(full_server)
    arrived = page.get_by_role("button", name=re.compile("1 new"))
    expect(arrived).to_be_visible()
    page.wait_for_function(f"([name, before]) => Math.abs(({top})(name) - before) < 1", arg=[name, before])
    arrived.click()
    expect(page.locator("sl-job-tile[aria-posinset='1']")).to_have_attribute("data-job", job)


def _open_full(open_page: OpenPage, server: ThreadServer) -> Page:
    """The history of a server whose stored jobs have no files: a browser complains of each that is not there."""
    tab = open_page(server, "history")
    tab.problems = _Unheard()
    return tab.page


class _Unheard(list[str]):
    """Keeps what a page complains of, but for pictures that are not there."""

    def append(self, problem: str) -> None:
        if "/outputs/" not in problem:
            super().append(problem)


def _submit(server: ThreadServer, *, task: str = "test_pattern", **params: Any) -> str:
    with server.client() as client:
        answer = client.post("/v1/jobs", json={"task": task, "params": params})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])


def _wait_for_all(server: ThreadServer) -> None:
    with server.client() as client:
        for job in client.get("/v1/jobs").json()["jobs"]:
            client.get(f"/v1/jobs/{job['id']}", params={"wait": DEADLINE_S}).raise_for_status()


def _scroll_to_end_until(page: Page, place: int) -> None:
    """Go on to the end of what is listed until the `place`-th job is."""
    page.wait_for_function(
        """(place) => {
            scrollTo({top: document.body.scrollHeight});
            const last = [...document.querySelectorAll("sl-job-tile")].at(-1);
            return Number(last?.getAttribute("aria-posinset")) >= place && !last.hasAttribute("pending");
        }""",
        arg=place,
    )


def _picture(words: str | None) -> bytes:
    info = PngImagePlugin.PngInfo()
    if words is not None:
        info.add_text("parameters", words)
    file = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(file, "PNG", pnginfo=info)
    return file.getvalue()


def _drop(page: Page, content: bytes) -> None:
    page.evaluate(
        """(text) => {
            const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
            const data = new DataTransfer();
            data.items.add(new File([bytes], "apple.png", {type: "image/png"}));
            document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}));
        }""",
        base64.b64encode(content).decode(),
    )
