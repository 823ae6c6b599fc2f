"""The view Edit with the embedded models: what they find and make is where it was asked for."""

from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from playwright.sync_api import expect

from engine.text.detect import READER
from tests.page.conftest import OpenPage
from tests.page.desk import Desk, newest, output_of, painted, uploaded
from tests.servers import DEADLINE_S, MODELS_DIR, ThreadServer
from tests.unit.engine.pictures import texture, writing

pytestmark = pytest.mark.models
pytest.importorskip("rapidocr")

SLOW_MS = 9 * DEADLINE_S * 1000
"""Until a model has done its work, on a busy machine."""

NOTICE_SHOWN = """(element) => new MutationObserver(() => {
    if (!element.hidden) element.dataset.wasShown = "";
}).observe(element, {attributeFilter: ["hidden"]})"""


@pytest.fixture(scope="module")
def photograph() -> bytes:
    return (MODELS_DIR / "demo-photograph.jpg").read_bytes()


@pytest.fixture
def http(model_server: ThreadServer) -> Iterator[httpx.Client]:
    with model_server.client() as client:
        yield client


def test_what_is_painted_over_is_filled_from_around_it_and_everything_else_stays(
    open_page: OpenPage, model_server: ThreadServer, http: httpx.Client
) -> None:
    clean = texture(160, 240)
    image = clean.copy()
    image[60:90, 100:130] = (255, 0, 0)
    desk = Desk.open(open_page, model_server, image)
    desk.page.get_by_role("slider", name="Size").fill("0.435")
    desk.drag((104, 66), (126, 66), (104, 75), (126, 84), (104, 84), (126, 90), (104, 90))
    desk.drag((98, 58), (132, 58), (132, 92), (98, 92), (98, 58))
    desk.press("Erase")
    desk.wait_for_version(1, timeout_ms=SLOW_MS)
    job = newest(http, "erase")
    mask = uploaded(http, job["params"]["mask"]) > 0
    assert mask[60:90, 100:130].all()
    after = output_of(http, job)
    grown = 4 + 2 + 1  # of the page, and the soft edge
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    touched = painted(
        image.shape,
        columns[0] - grown,
        rows[0] - grown,
        columns[-1] - columns[0] + 1 + 2 * grown,
        rows[-1] - rows[0] + 1 + 2 * grown,
    )
    assert (after[~touched] == image[~touched]).all()
    assert np.abs(after[60:90, 100:130].astype(int) - clean[60:90, 100:130]).mean() < 40


def test_an_object_is_found_under_a_click_and_becomes_the_mask(
    open_page: OpenPage, model_server: ThreadServer, photograph: bytes
) -> None:
    desk = Desk(open_page(model_server, "edit").page)
    desk.open_file(photograph, "photograph.jpg", "image/jpeg")
    desk.press("Pick an object")
    desk.click(323, 220)  # the rocket
    expect(desk.button("Add to the mask")).to_be_enabled(timeout=SLOW_MS)
    assert not desk.mask().any()
    desk.press("Add to the mask")
    mask = desk.mask()
    assert mask.shape == (427, 640)
    assert mask[220, 323]
    assert 0.002 < mask.mean() < 0.2
    assert not mask[:100].any()


def test_found_text_is_ticked_and_removed_and_other_text_stays(
    open_page: OpenPage, model_server: ThreadServer, http: httpx.Client
) -> None:
    image = np.vstack([writing("NORTH GATE")[1], writing("SOUTH GATE")[1]])
    desk = Desk.open(open_page, model_server, image)
    desk.press("Find text")
    north = desk.page.get_by_role("checkbox", name="NORTH")
    north.check(timeout=SLOW_MS)
    expect(desk.page.get_by_role("checkbox", name="SOUTH")).not_to_be_checked()
    desk.press("Remove what is ticked")
    desk.wait_for_version(1, timeout_ms=SLOW_MS)
    after = output_of(http, newest(http, "remove_text"))
    assert [line.text.replace(" ", "") for line in READER.read(after) if line.confidence > 0.5] == ["SOUTHGATE"]
    assert (after[160:] == image[160:]).all()


def test_an_edge_is_extended_step_by_step_and_the_picture_stays(
    open_page: OpenPage, model_server: ThreadServer, http: httpx.Client
) -> None:
    image = texture(128, 128)
    desk = Desk.open(open_page, model_server, image)
    desk.choose("Extend")
    desk.page.get_by_role("spinbutton", name="Left").fill("64")
    desk.page.get_by_role("textbox", name="What to paint").fill("a red apple")
    desk.page.get_by_text("More settings").locator("visible=true").click()
    desk.page.get_by_role("spinbutton", name="Steps").fill("20")
    preview = desk.page.locator("sl-job-preview")
    preview.evaluate(NOTICE_SHOWN)  # on a fast machine it is there for a moment only
    desk.press("Extend")
    desk.wait_for_version(1, timeout_ms=SLOW_MS)
    assert preview.get_attribute("data-was-shown") is not None
    after = output_of(http, newest(http, "outpaint"))
    assert after.shape[:2] == (128, 192)
    assert (after[:, 64 + 16 :] == image[:, 16:]).all()
    expect(preview).to_be_hidden()


def test_the_subject_of_a_picture_becomes_a_mask(
    open_page: OpenPage, model_server: ThreadServer, photograph: bytes
) -> None:
    desk = Desk(open_page(model_server, "edit").page)
    desk.open_file(photograph, "photograph.jpg", "image/jpeg")
    desk.choose("Cut out")
    desk.press("Find it as a mask instead")
    expect(desk.button("Add to the mask")).to_be_enabled(timeout=SLOW_MS)
    desk.press("Add to the mask")
    assert 0 < desk.mask().mean() < 0.6
