"""IOPaint's published front end against our server, in a real browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.browser import chromium
from tests.dialects.iopaint.front_end import FrontEnd, Pixels, pixels, published_front_end, sent
from tests.servers import ThreadServer, thread_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser

INPAINT = "**/api/v1/inpaint"
WIDTH, HEIGHT = 480, 320
START, END = (0.2, 0.5), (0.6, 0.5)
BRUSH_PX = 40
"""Across; the page's own default."""
EDGE_PX = 2
"""How far the page's round brush is from a true circle, and the mouse from the middle of a pixel."""
STEPS = 4
"""Of a job of the fake engine."""
OWN_JOB = [f'42["diffusion_progress",{{"step":{step}}}]' for step in range(STEPS)] + ['42["diffusion_finish"]']


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def web_dir(browser: "Browser", tmp_path_factory: pytest.TempPathFactory) -> Path:
    # After the browser: nothing is fetched where there is none.
    return published_front_end(tmp_path_factory.mktemp("front-end"))


@pytest.fixture(scope="module")
def server(web_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    """The fake engine, with a file manager; its diffusion model is at work."""
    folder = tmp_path_factory.mktemp("server")
    for name in ("in", "out", "masks"):
        (folder / name).mkdir()
    Image.fromarray(_gradients()).save(folder / "in" / "stored.png")
    with thread_server(
        folder / "data",
        listen="0=iopaint",
        iopaint_model="fake",
        iopaint_web_dir=web_dir,
        iopaint_input=folder / "in",
        iopaint_mask_dir=folder / "masks",
        iopaint_output_dir=folder / "out",
        fake_step_s=0.1,
        max_pixels=WIDTH * HEIGHT,
    ) as running:
        yield running


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A picture with another colour at every place."""
    path = tmp_path / "photo.png"
    Image.fromarray(_gradients()).save(path)
    return path


def test_stroke_is_erased_on_the_page_and_nothing_beside_it(
    web_dir: Path, browser: "Browser", tmp_path: Path, photo: Path
) -> None:
    settings: dict[str, Any] = {"engine": "torch", "models_dir": tmp_path / "models", "iopaint_plugins": ()}
    with (
        thread_server(
            tmp_path / "data", listen="0=iopaint", iopaint_model="cv2", iopaint_web_dir=web_dir, **settings
        ) as server,
        FrontEnd(browser, server.url) as tab,
    ):
        tab.upload(photo)
        before = tab.drawn()
        with tab.page.expect_response(INPAINT) as answer:
            tab.stroke(START, END)
        shown = tab.until_redrawn(before)
        asked = sent(answer.value)
        assert tab.until_finished() == OWN_JOB[-1:]
        assert tab.problems == []
    assert asked["image"] == photo.read_bytes()
    mask = pixels(asked["mask"])[..., 0]
    expected = cv2.inpaint(_gradients(), mask, asked["cv2_radius"], cv2.INPAINT_NS)
    assert np.array_equal(shown[mask > 127], expected[mask > 127])
    is_changed = (shown != _gradients()).any(axis=2)
    assert not (is_changed & (mask <= 127)).any()
    assert not (is_changed & (_distance_px() > BRUSH_PX / 2 + EDGE_PX)).any()
    # A fill may hit upon the old colour here and there.
    assert is_changed[_distance_px() < BRUSH_PX / 2 - EDGE_PX].mean() > 0.9


def test_two_browsers_at_once_each_see_their_own_progress_only(
    server: ThreadServer, browser: "Browser", photo: Path
) -> None:
    with FrontEnd(browser, server.url) as first, FrontEnd(browser, server.url) as second:
        for tab in (first, second):
            tab.upload(photo)
            tab.stroke(START, END)
        with first.page.expect_response(INPAINT):
            first.paint()
            first.bar.wait_for(state="visible")
            assert not second.bar.is_visible()
        assert first.until_finished() == OWN_JOB
        assert second.told == []
        first.received.clear()
        first.stroke((0.2, 0.2), (0.6, 0.2))
        with first.page.expect_response(INPAINT) as one, second.page.expect_response(INPAINT) as other:
            first.paint()
            second.paint()
        assert [one.value.status, other.value.status] == [200, 200]
        assert [first.until_finished(), second.until_finished()] == [OWN_JOB, OWN_JOB]
        assert _serious(first) == _serious(second) == []


def test_page_shows_the_seed_that_was_drawn(server: ThreadServer, browser: "Browser", photo: Path) -> None:
    with FrontEnd(browser, server.url) as tab:
        tab.upload(photo)
        tab.stroke(START, END)
        with tab.page.expect_response(INPAINT) as answer:
            tab.paint()
        seed = answer.value.headers["x-seed"]
        assert sent(answer.value)["sd_seed"] == -1
        tab.page.locator(f'input[value="{seed}"]').wait_for()


def test_page_says_why_a_picture_was_refused_and_goes_on(
    server: ThreadServer, browser: "Browser", tmp_path: Path, photo: Path
) -> None:
    large = tmp_path / "large.png"
    Image.new("RGB", (WIDTH + 1, HEIGHT)).save(large)
    with FrontEnd(browser, server.url) as tab:
        tab.upload(large)
        tab.stroke(START, END)
        with tab.page.expect_response(INPAINT) as refused:
            tab.paint()
        assert refused.value.status == 413
        tab.page.get_by_text(f"at most {WIDTH * HEIGHT} pixels").first.wait_for()
        tab.upload(photo)
        tab.stroke(START, END)
        with tab.page.expect_response(INPAINT) as answer:
            tab.paint()
        assert answer.value.status == 200


def test_picture_of_the_file_manager_is_opened_and_its_result_saved(server: ThreadServer, browser: "Browser") -> None:
    folder = server.services.settings.iopaint_output_dir
    assert folder is not None
    with FrontEnd(browser, server.url) as tab:
        tab.page.locator("header button").first.click()
        dialog = tab.page.get_by_role("dialog", name="Images (1)")
        dialog.locator("img").click()
        dialog.wait_for(state="hidden")  # while it fades out, strokes would land on it
        tab.until_shown()
        before = tab.drawn()
        tab.stroke(START, END)
        tab.paint()
        shown = tab.until_redrawn(before)
        with tab.page.expect_response("**/api/v1/save_image") as saved:
            tab.page.locator("button:has(svg.lucide-download)").click()
        assert saved.value.status == 200
        assert np.array_equal(pixels((folder / "stored.png").read_bytes()), shown)


def test_model_is_switched_in_the_settings_for_all(server: ThreadServer, browser: "Browser") -> None:
    with FrontEnd(browser, server.url) as tab:
        tab.page.locator("header button").last.click()
        dialog = tab.page.get_by_role("dialog", name="Settings")
        try:
            dialog.get_by_role("tab", name="Inpaint", exact=True).click()
            dialog.get_by_text("patchmatch", exact=True).click()
            dialog.get_by_role("button", name="Ok").click()
            tab.page.get_by_text("Switch to patchmatch success").first.wait_for()
            with server.client() as http:
                assert http.get("/api/v1/model").json()["name"] == "patchmatch"
        finally:
            with server.client() as http:
                http.post("/api/v1/model", json={"name": "fake"}).raise_for_status()


def _gradients() -> Pixels:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([x % 256, y % 256, (x + y) % 256], axis=2).astype(np.uint8)


def _distance_px() -> np.ndarray[Any, np.dtype[np.float64]]:
    """How far each pixel is from the line the brush was drawn along."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    nearest = np.clip(x, START[0] * WIDTH, END[0] * WIDTH)
    return np.hypot(x - nearest, y - START[1] * HEIGHT)


def _serious(tab: FrontEnd) -> list[str]:
    """What the page complained of, but for one: a browser calls every 404 an error.

    With a folder for its input the original answers so where there is no picture to begin with.
    """
    return [problem for problem in tab.problems if "/api/v1/inputimage" not in problem]
