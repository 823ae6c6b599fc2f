"""The view Edit: masks, versions, comparing and extending, by pointer and by keyboard."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from engine.images import Bytes
from tests.page.conftest import Brake, OpenPage
from tests.page.desk import Desk, newest, opened, output_of, painted, uploaded
from tests.servers import ThreadServer, thread_server, until
from tests.unit.engine.pictures import png, texture

WIDTH, HEIGHT = 320, 200


@pytest.fixture(scope="module")
def server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    """One for all: each test is another visitor."""
    with thread_server(tmp_path_factory.mktemp("edit") / "data") as running:
        yield running


@pytest.fixture
def pixels() -> Bytes:
    return texture(HEIGHT, WIDTH)


@pytest.fixture
def desk(open_page: OpenPage, server: ThreadServer, pixels: Bytes) -> Desk:
    """A picture of 320 x 200 px, opened from a file."""
    return Desk.open(open_page, server, pixels)


def rectangle(desk: Desk, x: int, y: int, width: int, height: int) -> None:
    desk.press("Rectangle")
    desk.drag((x + 0.5, y + 0.5), (x + width - 0.5, y + height - 0.5))


def test_what_is_painted_is_erased_and_everything_else_stays(desk: Desk, http: httpx.Client, pixels: Bytes) -> None:
    rectangle(desk, 40, 30, 60, 50)
    expect(desk.page.get_by_text("nothing masked")).to_be_hidden()
    desk.press("Erase")
    desk.wait_for_version(1)
    job = newest(http, "erase")
    mask = uploaded(http, job["params"]["mask"]) > 0
    assert (mask == painted(pixels.shape, 40, 30, 60, 50)).all()
    after = output_of(http, job)
    assert (after[~mask] == pixels[~mask]).all()
    assert (after[mask] != pixels[mask]).any()
    expect(desk.page.get_by_text("nothing masked")).to_be_visible()
    desk.press("Undo")
    assert (desk.mask() == mask).all()
    details = desk.page.get_by_role("link", name="How it was made")
    expect(details).to_have_attribute("href", f"#/history?job={job['id']}")


def test_the_picture_is_sent_once_and_a_result_is_not_sent_at_all(desk: Desk, http: httpx.Client) -> None:
    sent: list[str] = []
    desk.page.on("request", lambda request: sent.append(request.url) if "/v1/uploads" in request.url else None)
    for number in (1, 2):
        rectangle(desk, 40 * number, 30, 20, 20)
        desk.press("Erase")
        desk.wait_for_version(number)
    first, second = http.get("/v1/jobs", params={"task": "erase", "limit": 2}).json()["jobs"][::-1]
    assert first["params"]["image"].startswith("upload:")
    assert second["params"]["image"] == f"job:{first['id']}/0"
    assert len([url for url in sent if "name=mask.png" in url]) == len(sent) == 2


def test_a_brush_paints_what_is_as_near_as_its_radius(desk: Desk) -> None:
    desk.page.get_by_role("slider", name="Size").fill("0.435")
    expect(desk.page.get_by_text("20 px", exact=True)).to_be_visible()
    desk.drag((60, 100), (200, 100))
    mask = desk.mask()
    assert mask[92:108, 60:200].all()
    assert not mask[:88].any()
    assert not mask[112:].any()
    assert not mask[:, :48].any()
    desk.press("Eraser of the mask")
    desk.drag((60, 100), (120, 100))
    assert not desk.mask()[95:105, 60:120].any()
    assert desk.mask()[95:105, 140:200].all()


def test_strokes_are_undone_and_redone_one_by_one(desk: Desk) -> None:
    page = desk.page
    states = [desk.mask()]
    for x in (40, 120, 200):
        rectangle(desk, x, 50, 30, 30)
        states.append(desk.mask())
    assert [int(state.sum()) for state in states] == [0, 900, 1800, 2700]
    page.keyboard.press("Control+z")
    assert (desk.mask() == states[2]).all()
    page.keyboard.press("Control+z")
    desk.press("Undo")
    assert not desk.mask().any()
    expect(desk.button("Undo")).to_be_disabled()
    page.keyboard.press("Control+Shift+Z")
    assert (desk.mask() == states[1]).all()
    desk.press("Redo")
    assert (desk.mask() == states[2]).all()


def test_a_mask_is_inverted_grown_shrunk_and_cleared_and_that_can_be_undone(desk: Desk) -> None:
    rectangle(desk, 100, 80, 40, 40)
    desk.press("Invert the mask")
    assert (desk.mask() == ~painted((HEIGHT, WIDTH), 100, 80, 40, 40)).all()
    desk.press("Undo")
    desk.press("Grow the mask")
    grown = desk.mask()
    assert grown[80:120, 96:144].all()
    assert grown[76:124, 100:140].all()
    assert not grown[77, 97]
    assert not grown[:76].any()
    desk.press("Shrink the mask")
    assert (desk.mask() == painted((HEIGHT, WIDTH), 100, 80, 40, 40)).all()
    desk.page.keyboard.press("Delete")
    assert not desk.mask().any()
    desk.press("Undo")
    assert desk.mask().sum() == 1600


def test_a_mask_is_painted_by_keyboard_alone(desk: Desk) -> None:
    page = desk.page
    page.keyboard.press("r")
    desk.canvas.focus()
    page.keyboard.press("Enter")
    for key in ("ArrowRight", "ArrowDown") * 3:
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    mask = desk.mask()
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    assert (rows[0], columns[0]) == (HEIGHT // 2, WIDTH // 2)
    assert mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
    assert len(rows) == len(columns) > 6
    page.keyboard.press("b")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Escape")
    assert (desk.mask() == mask).all(), "Escape drops the stroke"
    page.keyboard.press("Space")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    assert desk.mask().sum() > mask.sum()


def test_zooming_keeps_the_point_under_the_cursor(desk: Desk) -> None:
    page = desk.page
    before = desk.viewport()
    # The wheel knows whole pixels of the window only.
    place = tuple(map(round, desk.on_screen(250, 40)))
    point = desk.in_picture(*place)
    page.mouse.move(*place)
    for turn in (-240, -240, 120):
        page.mouse.wheel(0, turn)
    page.wait_for_function(
        "(zoom) => document.querySelector('sl-mask-canvas').viewport.zoom > zoom", arg=before["zoom"]
    )
    assert desk.in_picture(*place) == pytest.approx(point, abs=1e-6)
    # What is painted is where the pointer is, however close one looks.
    desk.press("Rectangle")
    desk.drag((250.5, 40.5), (259.5, 44.5))
    assert (desk.mask() == painted((HEIGHT, WIDTH), 250, 40, 10, 5)).all()


def test_the_picture_is_moved_by_space_bar_middle_button_and_keys(desk: Desk) -> None:
    page = desk.page
    page.mouse.move(*desk.on_screen(160, 100))
    page.mouse.wheel(0, -600)
    desk.canvas.focus()

    def gone() -> tuple[float, float]:
        now = desk.viewport()
        return round(now["x"] - before["x"]), round(now["y"] - before["y"])

    before = desk.viewport()
    page.keyboard.down("Space")
    start = desk.on_screen(160, 100)
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(start[0] + 30, start[1] - 20)
    page.mouse.up()
    page.keyboard.up("Space")
    assert gone() == (30, -20)
    page.mouse.down(button="middle")
    page.mouse.move(start[0], start[1])
    page.mouse.up(button="middle")
    assert gone() == (0, 0)
    page.keyboard.press("Shift+ArrowRight")
    assert gone() == (-60, 0)
    assert not desk.mask().any()
    page.keyboard.press("0")
    page.mouse.move(5, 5)
    assert desk.viewport()["zoom"] < before["zoom"]


def test_going_on_from_an_older_version_uses_that_one(desk: Desk, http: httpx.Client) -> None:
    rectangle(desk, 20, 20, 40, 40)
    desk.press("Erase")
    desk.wait_for_version(1)
    desk.version(0).click()
    desk.wait_for_version(0)
    desk.choose("Enlarge")
    desk.press("Enlarge")
    desk.wait_for_version(2)
    job = newest(http, "upscale")
    assert job["params"]["image"].startswith("upload:")
    expect(desk.page.get_by_text("640 × 400 px")).to_be_visible()
    with desk.page.expect_download() as saved:
        desk.press("Save")
    assert opened(saved.value.path().read_bytes()).size == (640, 400)
    assert f"job%3A{job['id']}%2F0" in desk.address()


def test_versions_and_work_are_there_again_after_the_page_is_loaded_anew(desk: Desk, brake: Brake) -> None:
    desk.choose("Enlarge")
    brake.hold()
    desk.press("Enlarge")
    expect(desk.button("Cancel")).to_be_visible()
    desk.page.reload()
    expect(desk.button("Cancel")).to_be_visible()
    brake.release()
    desk.wait_for_version(1)
    desk.page.reload()
    desk.wait_for_version(1)
    expect(desk.page.get_by_text(f"{2 * WIDTH} × {2 * HEIGHT} px")).to_be_visible()
    desk.version(0).click()
    desk.wait_for_version(0)
    expect(desk.page.get_by_text(f"{WIDTH} × {HEIGHT} px")).to_be_visible()


def test_before_and_after_are_compared_by_keyboard(desk: Desk) -> None:
    page = desk.page
    rectangle(desk, 20, 20, 280, 160)
    desk.press("Erase")
    desk.wait_for_version(1)
    page.keyboard.press("c")
    slider = page.get_by_role("slider", name="Before and after")
    expect(slider).to_have_attribute("aria-valuenow", "50")

    def colour() -> list[int]:
        """In the middle of what was erased, as it is seen."""
        found: list[int] = desk.canvas.evaluate(
            """(canvas) => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => {
                const { zoom, x, y } = canvas.viewport;
                const at = [x + 100 * zoom, y + 100 * zoom].map((each) => Math.round(each * devicePixelRatio));
                resolve([...canvas.querySelector("canvas").getContext("2d").getImageData(...at, 1, 1).data]);
            })))"""
        )
        return found

    before = colour()
    slider.focus()
    page.keyboard.press("Home")
    expect(slider).to_have_attribute("aria-valuenow", "0")
    after = colour()
    assert before != after
    page.keyboard.press("End")
    expect(slider).to_have_attribute("aria-valuenow", "100")
    assert colour() == before
    page.keyboard.press("ArrowLeft")
    expect(slider).to_have_attribute("aria-valuetext", "98 % before")
    page.keyboard.press("c")
    expect(slider).to_be_hidden()
    assert colour() == after


def test_a_picture_is_extended_by_dragging_an_edge(desk: Desk, http: httpx.Client, pixels: Bytes) -> None:
    page = desk.page
    desk.choose("Extend")
    expect(desk.button("Extend")).to_be_disabled()
    handle = page.get_by_role("slider", name="Right")
    box = handle.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    zoom = desk.viewport()["zoom"]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 64 * zoom, y, steps=4)
    page.mouse.up()
    expect(handle).to_have_attribute("aria-valuenow", "64")
    expect(page.get_by_role("spinbutton", name="Right")).to_have_value("64")
    top = page.get_by_role("slider", name="Top")
    top.focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("spinbutton", name="Top")).to_have_value("64")
    page.get_by_role("textbox", name="What to paint").fill("a wide landscape")
    page.keyboard.press("Control+Enter")
    desk.wait_for_version(1)
    job = newest(http, "outpaint")
    assert {name: job["params"].get(name, 0) for name in ("left", "top", "right", "bottom", "prompt")} == {
        "left": 0, "top": 64, "right": 64, "bottom": 0, "prompt": "a wide landscape",
    }  # fmt: skip
    after = output_of(http, job)
    assert after.shape[:2] == (HEIGHT + 64, WIDTH + 64)
    assert (after[64 + 32 :, : WIDTH - 32] == pixels[32:, : WIDTH - 32]).all()


def test_repainting_sends_the_mask_and_what_was_typed(desk: Desk, http: httpx.Client) -> None:
    page = desk.page
    rectangle(desk, 100, 80, 40, 30)
    desk.choose("Repaint")
    page.get_by_role("textbox", name="What to paint").fill("a red apple")
    page.get_by_role("slider", name="Strength").fill("0.6")
    page.get_by_text("More settings").locator("visible=true").click()
    page.get_by_role("spinbutton", name="Steps").fill("3")
    desk.press("Repaint")
    desk.wait_for_version(1)
    params = newest(http, "inpaint")["params"]
    assert (params["prompt"], params["strength"], params["steps"]) == ("a red apple", 0.6, 3)
    assert params["area"] == {"x": 68, "y": 48, "width": 104, "height": 94}
    assert (uploaded(http, params["mask"]) > 0).sum() == 40 * 30


def test_work_can_be_cancelled_and_leaves_mask_and_versions_as_they_were(
    desk: Desk, brake: Brake, http: httpx.Client
) -> None:
    rectangle(desk, 100, 80, 40, 30)
    desk.choose("Repaint")
    desk.page.get_by_role("textbox", name="What to paint").fill("a red apple")
    brake.hold()
    desk.press("Repaint")
    desk.press("Cancel")
    until(lambda: newest(http, "inpaint").get("cancel_requested", False), "the server to be asked")
    brake.release()
    expect(desk.button("Cancel")).to_be_hidden()
    expect(desk.version(1)).to_be_hidden()
    assert desk.mask().sum() == 1200
    assert newest(http, "inpaint")["status"] == "cancelled"


def test_a_job_that_fails_is_told_in_words(desk: Desk) -> None:
    desk.press("Invert the mask")
    desk.press("Erase")
    expect(desk.page.locator("sl-edit-view").get_by_role("alert")).to_contain_text("covers the whole picture")
    expect(desk.version(1)).to_be_hidden()
    expect(desk.button("Erase")).to_be_enabled()


def test_a_value_the_server_refuses_is_told_at_its_field(desk: Desk) -> None:
    rectangle(desk, 100, 80, 40, 30)
    desk.choose("Repaint")
    desk.page.get_by_text("More settings").locator("visible=true").click()
    steps = desk.page.get_by_role("spinbutton", name="Steps")
    steps.evaluate("(input) => { input.removeAttribute('max'); }")
    steps.fill("900")
    desk.press("Repaint")
    expect(steps).to_have_attribute("aria-invalid", "true")
    expect(steps).to_be_focused()


def test_a_dropped_picture_is_opened(desk: Desk, pixels: Bytes) -> None:
    data = desk.page.evaluate_handle(
        """(bytes) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "dropped.png", { type: "image/png" }));
            return data;
        }""",
        list(png(pixels[:50, :70])),
    )
    desk.page.dispatch_event("body", "drop", {"dataTransfer": data})
    expect(desk.page.get_by_text("70 × 50 px")).to_be_visible()
    expect(desk.version(1)).to_be_hidden()


def test_found_text_is_ticked_and_removed(desk: Desk, http: httpx.Client, pixels: Bytes) -> None:
    desk.press("Find text")
    line = desk.page.get_by_role("checkbox", name="fake")
    expect(line).not_to_be_checked()
    expect(desk.button("Remove what is ticked")).to_be_disabled()
    # By a click on its box in the picture.
    desk.click(WIDTH / 2, HEIGHT * 0.8)
    expect(line).to_be_checked()
    desk.press("Add to the mask")
    region = {"x": 80, "y": 150, "width": 160, "height": 25}
    assert (desk.mask() == painted(pixels.shape, **region)).all()
    desk.press("Remove what is ticked")
    desk.wait_for_version(1)
    job = newest(http, "remove_text")
    assert job["params"]["regions"] == [region]
    assert "result" not in job["params"] or job["params"]["result"] == "picture"


def test_an_object_is_proposed_and_counts_once_it_is_accepted(desk: Desk, http: httpx.Client) -> None:
    desk.press("Pick an object")
    desk.click(100, 100)
    accept = desk.button("Add to the mask")
    expect(accept).to_be_enabled()
    desk.click(250, 20, button="right")
    expect(accept).to_be_enabled()
    points = newest(http, "segment")["params"]["points"]
    assert [point["include"] for point in points] == [True, False]
    assert points[0]["x"] == pytest.approx(100, abs=0.5)
    assert not desk.mask().any()
    accept.click()
    mask = desk.mask()
    assert mask[100, 100]
    assert not mask[20, 250]
    desk.press("Undo")
    assert not desk.mask().any()


def test_a_large_picture_is_shown_and_painted_in_its_own_pixels(open_page: OpenPage, server: ThreadServer) -> None:
    desk = Desk.open(open_page, server, np.zeros((3000, 4000, 3), np.uint8))
    rectangle(desk, 1000, 500, 400, 200)
    mask = desk.mask()
    assert mask.shape == (3000, 4000)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    zoom = desk.viewport()["zoom"]
    assert (rows[0], columns[0]) == pytest.approx((500, 1000), abs=1 / zoom)
    assert (len(rows), len(columns)) == pytest.approx((200, 400), abs=2 / zoom)


def test_a_picture_that_a_job_has_made_is_opened_from_the_empty_view_and_by_its_address(
    open_page: OpenPage, server: ThreadServer, http: httpx.Client
) -> None:
    request = {"task": "test_pattern", "params": {"width": 72, "height": 40, "steps": 0}}
    job = http.post("/v1/jobs", json=request, headers={"Prefer": "wait=10"}).json()
    page = open_page(server, "edit").page
    page.get_by_role("button", name="Edit picture 1").click()
    expect(page.get_by_text("72 × 40 px")).to_be_visible()
    assert f"job%3A{job['id']}%2F0" in Desk(page).address()
    other = open_page(server, f"edit?picture=job:{job['id']}/0").page
    expect(other.get_by_text("72 × 40 px")).to_be_visible()


def test_a_picture_that_is_gone_is_told_and_another_can_be_opened(
    open_page: OpenPage, server: ThreadServer, pixels: Bytes
) -> None:
    tab = open_page(server, "edit?picture=upload:01a1fc7b-8bbe-70b6-ad89-0aa3b642b6c4")
    expect(tab.page.get_by_text("It is not there any more").last).to_be_visible()
    tab.problems.clear()
    desk = Desk(tab.page)
    desk.open_file(png(pixels))
    expect(tab.page.get_by_text(f"{WIDTH} × {HEIGHT} px")).to_be_visible()


def test_one_finger_paints_and_two_zoom_and_move(desk: Desk) -> None:
    touch = desk.page.context.new_cdp_session(desk.page)

    def fingers(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    x, y = desk.on_screen(160, 100)
    before = desk.viewport()
    fingers("touchStart", (x, y))
    fingers("touchMove", (x + 60, y))
    fingers("touchEnd")
    assert desk.mask()[100, 160]
    painted_by_one = desk.mask()
    point = desk.in_picture(x, y)
    fingers("touchStart", (x - 50, y))
    fingers("touchStart", (x - 50, y), (x + 50, y))
    for apart in (60, 80, 100):
        fingers("touchMove", (x - apart, y), (x + apart, y))
    fingers("touchEnd")
    assert desk.viewport()["zoom"] == pytest.approx(2 * before["zoom"], rel=0.02)
    assert desk.in_picture(x, y) == pytest.approx(point, abs=2)
    assert (desk.mask() == painted_by_one).all(), "what the first finger began to paint is taken back"


def test_what_is_painted_while_a_job_is_at_work_is_kept_for_the_next(desk: Desk, brake: Brake, pixels: Bytes) -> None:
    rectangle(desk, 20, 20, 40, 40)
    brake.hold()
    desk.press("Erase")
    expect(desk.button("Cancel")).to_be_visible()
    desk.drag((200.5, 100.5), (219.5, 109.5))
    brake.release()
    desk.wait_for_version(1)
    expect(desk.page.get_by_text("0.31% masked")).to_be_visible()
    assert (desk.mask() == painted(pixels.shape, 200, 100, 20, 10)).all()


def test_objects_are_found_by_their_names(desk: Desk, http: httpx.Client) -> None:
    desk.press("Pick an object")
    desk.page.get_by_role("textbox", name="Or name it").fill("face, left hand")
    desk.page.keyboard.press("Enter")
    desk.press("Add to the mask")
    job = newest(http, "segment")
    assert job["params"]["text"] == "face, left hand"
    found = output_of(http, job) > 0
    assert (desk.mask() == found).all()
    assert found.any()


def test_work_goes_on_while_another_view_is_looked_at(desk: Desk, brake: Brake) -> None:
    page = desk.page
    desk.choose("Enlarge")
    brake.hold()
    desk.press("Enlarge")
    expect(desk.button("Cancel")).to_be_visible()
    page.get_by_role("link", name="Models").click()
    brake.release()
    page.wait_for_function("() => document.querySelector('sl-edit-view').querySelectorAll('.version').length === 2")
    assert desk.address() == "#/models"
    # Its keys are those of the view that is seen.
    page.keyboard.press("Control+z")
    page.get_by_role("link", name="Edit", exact=True).click()
    desk.wait_for_version(1)
    expect(page.get_by_text(f"{2 * WIDTH} × {2 * HEIGHT} px")).to_be_visible()
    assert "picture=job" in desk.address()


def test_a_picture_that_a_key_is_needed_for_is_there_once_the_key_is(
    open_page: OpenPage, tmp_path: Path, pixels: Bytes
) -> None:
    key = "a-key-for-the-page"
    with thread_server(tmp_path / "data", api={"keys": (key,)}) as server:
        with server.client(headers={"X-API-Key": key}) as client:
            ref = client.post("/v1/uploads", content=png(pixels)).json()["ref"]
        tab = open_page(server, f"edit?picture={ref}", phase="refused")
        tab.page.get_by_role("dialog").get_by_label("API key").fill(key)
        tab.page.keyboard.press("Enter")
        expect(tab.page.get_by_text(f"{WIDTH} × {HEIGHT} px")).to_be_visible()
        tab.problems.clear()
        tab.close()
