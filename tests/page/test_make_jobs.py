"""The cards of jobs in the view Make: they follow the server's events, whoever submitted the job."""

import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.page.conftest import OpenPage
from tests.servers import DEADLINE_S, REPOSITORY, ProcessServer, ThreadServer, until

SLOW_MS = 6 * DEADLINE_S * 1000
"""Until a picture is made by the embedded model, on a busy machine."""

PREVIEW = re.compile("^blob:")
OUTPUT = re.compile("/v1/jobs/")
# Notes every address a picture's element has shown, whether it could be painted at once, and how large its frame was.
WATCH = """() => {
    window.seen = { addresses: [], elements: new Set(), heights: new Set(), blank: 0 };
    const look = ({ target: image }) => {
        if (!image.matches("sl-job-picture img")) return;
        const { seen } = window;
        seen.addresses.push(image.src);
        if (!image.complete) seen.blank += 1;
        seen.elements.add(image);
        seen.heights.add(Math.round(image.closest("sl-job-picture").getBoundingClientRect().height));
    };
    const observer = new MutationObserver((changes) => changes.forEach(look));
    observer.observe(document.body, { subtree: true, attributeFilter: ["src"] });
}"""
SEEN = """() => {
    const { addresses, blank, elements, heights } = window.seen;
    return { addresses, blank, elements: elements.size, heights: [...heights] };
}"""


def ask(page: Page, words: str) -> Locator:
    """Submit by the keyboard, and give the newest card."""
    page.get_by_role("textbox", name="Prompt", exact=True).fill(words)
    page.keyboard.press("Control+Enter")
    return page.get_by_role("article", name=words).first


def finished(card: Locator, number: int = 1) -> Locator:
    return card.get_by_role("button", name=f"Open picture {number} of")


def jobs(http: httpx.Client) -> list[dict[str, Any]]:
    """Newest first."""
    return list(http.get("/v1/jobs").json()["jobs"])


def slowly(images: int = 32) -> dict[str, Any]:
    """A job that is still at work when somebody has looked at it."""
    params = {"width": 64, "height": 32, "images": images, "steps": 10, "step_ms": 100}
    return {"task": "test_pattern", "params": params, "previews": "all"}


@pytest.mark.models
def test_a_picture_develops_in_place_from_its_previews(open_page: OpenPage, model_server: ThreadServer) -> None:
    page = open_page(model_server).page
    page.locator("summary", has_text="Previews, priority, file").click()
    page.get_by_label("Previews", exact=True).select_option(label="Every step")
    page.locator("summary", has_text="Steps, seed, sampler").click()
    page.get_by_label("Steps", exact=True).fill("40")
    page.evaluate(WATCH)
    card = ask(page, "a red apple")
    expect(card.get_by_text("of 40")).to_be_visible(timeout=SLOW_MS)
    expect(finished(card)).to_be_visible(timeout=SLOW_MS)
    expect(card.locator("img")).to_have_attribute("src", OUTPUT)
    seen = page.evaluate(SEEN)
    previews = [address for address in seen["addresses"] if address.startswith("blob:")]
    assert len(previews) >= 3
    assert seen["addresses"][-1].startswith(f"{model_server.url}/v1/jobs/")
    assert (seen["blank"], seen["elements"], len(seen["heights"])) == (0, 1, 1)


def test_a_page_that_is_reloaded_in_the_middle_of_a_job_sees_it_go_on(
    open_page: OpenPage, page_server: ThreadServer, page_http: httpx.Client
) -> None:
    tab = open_page(page_server)
    page = tab.page
    job = page_http.post("/v1/jobs", json=slowly()).json()["id"]
    card = page.get_by_role("article", name="Test pattern")
    finished(card, 1).wait_for()
    page.reload()
    # A preview may have been on its way to the screen.
    tab.problems.clear()
    finished(card, 1).wait_for()
    # The picture it is at is there before its next preview, and outputs go on to come.
    expect(card.locator("sl-job-picture[at-work] img")).to_have_attribute("src", PREVIEW)
    before = card.locator("sl-job-picture[data-finished]").count()
    finished(card, before + 1).wait_for()
    expect(card.get_by_text("of 10")).to_be_visible()
    page_http.delete(f"/v1/jobs/{job}")
    expect(card.get_by_text("Cancelled")).to_be_visible()


def test_a_server_that_is_killed_and_comes_back_has_lost_nothing(open_page: OpenPage, tmp_path_factory: Any) -> None:
    with ProcessServer(tmp_path_factory.mktemp("data"), fake_step_s=0.4, log_level="warning") as server:
        tab = open_page(server)
        page = tab.page
        first = ask(page, "a red apple")
        expect(first.get_by_text(re.compile(r"Step \d of 4"))).to_be_visible()
        second = ask(page, "a blue car")
        second.wait_for()
        server.kill()
        state = page.locator("sl-connection-state")
        expect(state).to_contain_text("Connection lost")
        expect(first).to_be_visible()
        third = ask(page, "a yellow flower")
        expect(page.get_by_role("button", name="Sending…")).to_be_disabled()
        server.start()
        expect(state).to_contain_text("Connected")
        for card in (first, second, third):
            expect(finished(card)).to_be_visible()
        expect(page.get_by_role("article")).to_have_count(3)
        with server.client() as http:
            assert [job["status"] for job in jobs(http)] == ["succeeded"] * 3
            assert [job["params"]["prompt"] for job in jobs(http)] == ["a yellow flower", "a blue car", "a red apple"]
        # What the browser says of the connections that were refused meanwhile.
        tab.problems.clear()


def test_pictures_are_loaded_as_they_come_near(
    open_page: OpenPage, page_server: ThreadServer, page_http: httpx.Client
) -> None:
    count = 40
    request = {"task": "test_pattern", "params": {"steps": 0, "width": 64, "height": 64}}
    for _ in range(count):
        page_http.post("/v1/jobs", json=request)
    until(lambda: page_http.get("/v1/jobs?status=succeeded").json()["jobs"][count - 1 :] != [], "the pictures")
    page = open_page(page_server).page
    cards = page.get_by_role("article")
    expect(cards).to_have_count(count)
    expect(cards.first.locator("img")).to_have_attribute("src", OUTPUT)
    assert page.locator("sl-job-picture img[src]").count() < count / 2
    cards.last.scroll_into_view_if_needed()
    expect(cards.last.locator("img")).to_have_attribute("src", OUTPUT)


def test_a_picture_that_could_not_be_had_is_asked_for_again_when_the_connection_is_back(
    open_page: OpenPage, page_server: ThreadServer, page_http: httpx.Client
) -> None:
    tab = open_page(page_server)
    page = tab.page
    page.route("**/outputs/0*", lambda route: route.abort())
    page_http.post("/v1/jobs", json={"task": "test_pattern", "params": {"steps": 0}})
    page.locator("sl-job-picture[data-missing]").wait_for()
    page.unroute("**/outputs/0*")
    page.evaluate(
        """async () => {
            const [{ app }, { withConnection }] = await Promise.all([import("/web/app.js"), import("/web/state.js")]);
            for (const phase of ["lost", "open"]) {
                app.store.change((state) => withConnection(state, { phase }));
                await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
            }
        }"""
    )
    expect(page.get_by_role("article").locator("img")).to_have_attribute("src", OUTPUT)
    tab.problems.clear()


def test_two_tabs_are_in_step(open_page: OpenPage, page_server: ThreadServer) -> None:
    one, other = open_page(page_server).page, open_page(page_server).page
    card = ask(one, "a red apple")
    twin = other.get_by_role("article", name="a red apple")
    expect(finished(card)).to_be_visible()
    expect(finished(twin)).to_be_visible()
    source = card.locator("img").get_attribute("src")
    expect(twin.locator("img")).to_have_attribute("src", str(source))
    assert twin.locator(".job-facts").text_content() == card.locator(".job-facts").text_content()


def test_a_job_is_cancelled_in_every_tab(
    open_page: OpenPage, page_server: ThreadServer, page_http: httpx.Client
) -> None:
    one, other = open_page(page_server).page, open_page(page_server).page
    page_http.post("/v1/jobs", json=slowly())
    cards = [page.get_by_role("article", name="Test pattern") for page in (one, other)]
    finished(cards[0]).wait_for()
    cards[0].get_by_role("button", name="Cancel").click()
    for card in cards:
        expect(card.get_by_text("Cancelled")).to_be_visible()
        expect(card.get_by_role("progressbar")).to_be_hidden()
        expect(finished(card)).to_be_visible()
    (job,) = jobs(page_http)
    assert job["status"] == "cancelled"


def test_a_picture_of_several_is_left_out(
    open_page: OpenPage, page_server: ThreadServer, page_http: httpx.Client
) -> None:
    page = open_page(page_server).page
    page_http.post("/v1/jobs", json=slowly(images=3))
    card = page.get_by_role("article", name="Test pattern")
    card.get_by_role("button", name="Leave out this picture").click()
    expect(card.get_by_text("1 left out")).to_be_visible()
    expect(card.get_by_role("button", name="Open picture")).to_have_count(2)


def test_a_failed_job_says_why_in_words(
    open_page: OpenPage, page_server: ThreadServer, page_http: httpx.Client
) -> None:
    page = open_page(page_server).page
    request = {"task": "test_pattern", "params": {"fail_at_step": 2}}
    page_http.post("/v1/jobs", json=request)
    card = page.get_by_role("article", name="Test pattern")
    expect(card.get_by_text("Failed", exact=True)).to_be_visible()
    expect(card.get_by_text("The work broke off")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="Test pattern failed")).to_have_count(1)


def test_a_job_that_is_over_before_the_page_could_look_it_up_is_announced(
    open_page: OpenPage, page_server: ThreadServer, page_http: httpx.Client
) -> None:
    old = page_http.post("/v1/jobs", json={"task": "test_pattern", "params": {"fail_at_step": 1}}).json()["id"]
    page_http.get(f"/v1/jobs/{old}", params={"wait": DEADLINE_S})
    page = open_page(page_server).page
    expect(page.get_by_role("article", name="Test pattern")).to_have_count(1)
    expect(page.get_by_role("status").filter(has_text="failed")).to_have_count(0)

    def look_up_late(route: Route) -> None:
        page_http.get(route.request.url, params={"wait": DEADLINE_S})  # until it has ended
        route.continue_()

    page.route(re.compile(r"/v1/jobs/[-\w]+$"), look_up_late)
    page_http.post("/v1/jobs", json={"task": "test_pattern", "params": {"fail_at_step": 2}})
    expect(page.get_by_role("article", name="Test pattern")).to_have_count(2)
    expect(page.get_by_role("status").filter(has_text="Test pattern failed")).to_have_count(1)


def test_warnings_are_shown(open_page: OpenPage, page_server: ThreadServer, page_http: httpx.Client) -> None:
    page = open_page(page_server).page
    params = {"prompt": "a red apple", "prompt_syntax": "fooocus", "wildcards_in_order": True, "images": 2}
    page_http.post("/v1/jobs", json={"task": "text_to_image", "params": {**params, "prompt": "a __nowhere__ apple"}})
    card = page.get_by_role("article", name="a __nowhere__ apple")
    expect(card.get_by_role("listitem").filter(has_text="nowhere")).to_be_visible()
    chinese = open_page(page_server, language="zh").page
    page_http.post("/v1/jobs", json={"task": "text_to_image", "params": {**params, "prompt": "a __nowhere__ pear"}})
    card = chinese.get_by_role("article", name="a __nowhere__ pear")
    expect(card.get_by_role("listitem").filter(has_text="通配符没有对应文件")).to_be_visible()


def test_every_warning_of_the_documents_has_words_in_chinese() -> None:
    _, _, rest = (REPOSITORY / "docs" / "tasks.md").read_text("utf-8").partition("\n## Warnings\n")
    documented = re.findall(r"^\| `(\w+)` \|", rest.partition("\n## ")[0], re.MULTILINE)
    translated = (REPOSITORY / "web" / "words" / "zh-warnings.js").read_text("utf-8")
    assert sorted(documented) == sorted(re.findall(r"^  (\w+): \"", translated, re.MULTILINE))


def test_again_has_the_same_parameters_and_vary_another_seed(
    open_page: OpenPage, page_server: ThreadServer, page_http: httpx.Client
) -> None:
    page = open_page(page_server).page
    card = ask(page, "a red apple")
    finished(card).wait_for()
    card.get_by_role("button", name="Again with the same seed").click()
    expect(page.get_by_role("article")).to_have_count(2)
    finished(page.get_by_role("article").first).wait_for()
    again, first = jobs(page_http)
    seed = first["outputs"][0]["seed"]
    assert again["params"] == {**first["params"], "seed": seed}
    assert again["outputs"][0]["sha256"] == first["outputs"][0]["sha256"]
    card.get_by_role("button", name="Vary").click()
    expect(page.get_by_role("article")).to_have_count(3)
    finished(page.get_by_role("article").first).wait_for()
    vary, *_ = jobs(page_http)
    assert {**vary["params"], "seed": None} == first["params"]
    assert vary["outputs"][0]["seed"] != seed


def test_a_picture_is_enlarged_edited_and_saved(
    open_page: OpenPage, page_server: ThreadServer, page_http: httpx.Client
) -> None:
    page = open_page(page_server).page
    card = ask(page, "a red apple")
    finished(card).wait_for()
    (job,) = jobs(page_http)
    with page.expect_download() as download:
        card.get_by_role("button", name="Download").click()
    saved = download.value.path().read_bytes()
    assert saved == page_http.get(f"/v1/jobs/{job['id']}/outputs/0").content
    assert download.value.suggested_filename.endswith(".png")
    card.get_by_role("button", name="Enlarge 2 times").click()
    enlarged = page.get_by_role("article", name="Upscale")
    finished(enlarged).wait_for()
    newest, _ = jobs(page_http)
    assert newest["params"]["image"] == f"job:{job['id']}/0"
    assert (newest["outputs"][0]["width"], newest["outputs"][0]["height"]) == (128, 128)
    card.get_by_role("button", name="Edit").click()
    page.locator("sl-edit-view").wait_for()
    assert f"job%3A{job['id']}%2F0" in page.evaluate("location.hash")


def test_pictures_are_looked_at_one_by_one(
    open_page: OpenPage, page_server: ThreadServer, page_http: httpx.Client
) -> None:
    page = open_page(page_server).page
    request = {"task": "text_to_image", "params": {"prompt": "two trees", "images": 2, "width": 64, "height": 48}}
    page_http.post("/v1/jobs", json=request, headers={"Prefer": "wait=10"})
    card = page.get_by_role("article", name="two trees")
    opener = finished(card, 1)
    opener.click()
    box = page.get_by_role("dialog", name="two trees")
    expect(box.get_by_text("1 of 2")).to_be_visible()
    shown = box.get_by_role("img", name="two trees")
    expect(shown).to_have_js_property("naturalWidth", 64)
    first = shown.get_attribute("src")
    page.keyboard.press("ArrowRight")
    expect(box.get_by_text("2 of 2")).to_be_visible()
    expect(shown).not_to_have_attribute("src", str(first))
    expect(box.get_by_role("button", name="Next picture")).to_be_disabled()
    page.keyboard.press("Home")
    expect(box.get_by_text("1 of 2")).to_be_visible()
    page.keyboard.press("Escape")
    expect(box).to_be_hidden()
    expect(opener).to_be_focused()


def test_a_large_picture_is_looked_at_in_its_full_size(
    open_page: OpenPage, page_server: ThreadServer, page_http: httpx.Client
) -> None:
    page = open_page(page_server).page
    request = {"task": "test_pattern", "params": {"steps": 0, "width": 3000, "height": 2000}}
    page_http.post("/v1/jobs", json=request)
    finished(page.get_by_role("article", name="Test pattern")).click()
    box = page.get_by_role("dialog", name="Test pattern")
    shown = box.get_by_role("img", name="Test pattern")
    expect(shown).to_have_js_property("naturalWidth", 3000)
    assert shown.evaluate(
        """image => {
            const { width, bottom } = image.getBoundingClientRect();
            const foot = document.querySelector(".lightbox-foot").getBoundingClientRect();
            return width < 1500 && bottom <= foot.top;
        }"""
    )
    page.keyboard.press("z")
    assert shown.evaluate("image => image.getBoundingClientRect().width") == 3000
    expect(box.get_by_role("button", name="Full size")).to_have_attribute("aria-pressed", "true")
    before = box.locator(".lightbox-frame").evaluate("frame => frame.scrollLeft")
    assert before > 0
    page.keyboard.press("ArrowRight")
    page.wait_for_function("before => document.querySelector('.lightbox-frame').scrollLeft > before", arg=before)
    shown.click()
    expect(box.get_by_role("button", name="Full size")).to_have_attribute("aria-pressed", "false")
    assert shown.evaluate("image => image.getBoundingClientRect().width") < 1500


def test_the_keyboard_alone_comes_from_the_empty_page_to_a_picture(
    open_page: OpenPage, page_server: ThreadServer
) -> None:
    page = open_page(page_server).page
    prompt = page.get_by_role("textbox", name="Prompt", exact=True)
    presses(page, "Tab", until=prompt)
    page.keyboard.type("a red apple")
    presses(page, "Tab", until=page.get_by_role("button", name="Make", exact=True))
    page.keyboard.press("Enter")
    opener = finished(page.get_by_role("article", name="a red apple"))
    opener.wait_for()
    presses(page, "Tab", until=opener)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="a red apple")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(prompt).to_be_focused()


def test_an_example_is_made_at_once(open_page: OpenPage, page_server: ThreadServer) -> None:
    page = open_page(page_server).page
    page.get_by_role("button", name="a blue car").click()
    finished(page.get_by_role("article", name="a blue car")).wait_for()
    expect(page.get_by_text("Nothing has been made yet")).to_be_hidden()


def presses(page: Page, key: str, *, until: Locator, most: int = 40) -> None:
    """Press a key as often as it takes to come to an element."""
    for _ in range(most):
        page.keyboard.press(key)
        if until.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"{most} times {key} did not come to {until}")
