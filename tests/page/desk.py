"""The view Edit in the hands of a test: what is clicked is said in pixels of the picture."""

import io
from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from engine.images import Bytes
from tests.page.conftest import OpenPage
from tests.servers import Address
from tests.unit.engine.pictures import pixels_of, png

Place = tuple[float, float]

_CANVAS = "sl-mask-canvas"
# The pixels of the mask as the page has them, packed so that a large mask comes over quickly.
_MASK = """async (canvas) => {
    const { writeMask } = await import("/web/editing/mask-file.js");
    const bytes = new Uint8Array(await (await writeMask(canvas.mask)).arrayBuffer());
    return Array.from(bytes);
}"""


class Desk:
    """A picture that is being edited."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.canvas = page.locator(_CANVAS)

    @classmethod
    def open(cls, open_page: OpenPage, server: Address, pixels: NDArray[np.generic], **options: str) -> "Desk":
        """Open the view, and a PNG of `pixels` in it."""
        desk = cls(open_page(server, "edit", **options).page)
        desk.open_file(png(pixels))
        return desk

    def open_file(self, content: bytes, name: str = "picture.png", media_type: str = "image/png") -> None:
        before = self.address()
        self.page.locator("sl-edit-view input[type=file]").set_input_files(
            {"name": name, "mimeType": media_type, "buffer": content}
        )
        self.page.wait_for_function("(before) => location.hash !== before", arg=before)
        expect(self.canvas).to_be_visible()

    def address(self) -> str:
        return str(self.page.evaluate("location.hash"))

    def viewport(self) -> dict[str, float]:
        """`zoom`, and where the picture begins on the screen, from the corner of the canvas."""
        found: dict[str, float] = self.canvas.evaluate("(canvas) => canvas.viewport")
        return found

    def on_screen(self, x: float, y: float) -> Place:
        """Where a point of the picture is in the window."""
        box, seen = self.canvas.bounding_box(), self.viewport()
        assert box is not None
        return box["x"] + seen["x"] + x * seen["zoom"], box["y"] + seen["y"] + y * seen["zoom"]

    def in_picture(self, x: float, y: float) -> Place:
        """Which point of the picture is at a place in the window."""
        box, seen = self.canvas.bounding_box(), self.viewport()
        assert box is not None
        return (x - box["x"] - seen["x"]) / seen["zoom"], (y - box["y"] - seen["y"]) / seen["zoom"]

    def click(self, x: float, y: float, **options: Any) -> None:
        self.page.mouse.click(*self.on_screen(x, y), **options)

    def drag(self, *places: Place, button: Any = "left") -> None:
        """Press at the first place, go along all of them, let go."""
        first, *others = [self.on_screen(*place) for place in places]
        self.page.mouse.move(*first)
        self.page.mouse.down(button=button)
        for place in others:
            self.page.mouse.move(*place, steps=4)
        self.page.mouse.up(button=button)

    def press(self, name: str) -> None:
        """A button, by its whole name."""
        self.button(name).click()

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True).locator("visible=true")

    def choose(self, action: str) -> None:
        """One of the things to do."""
        self.page.get_by_role("radio", name=action, exact=True).check()

    def mask(self) -> NDArray[np.bool_]:
        """What is masked: (H, W)."""
        return pixels_of(bytes(self.canvas.evaluate(_MASK))) > 0

    def version(self, number: int) -> Locator:
        name = "Original" if number == 0 else f"Version {number}"
        return self.page.get_by_role("list", name="Versions").get_by_role("button", name=name)

    def wait_for_version(self, number: int, *, timeout_ms: float | None = None) -> None:
        """Until it is made, and is the one that is edited."""
        expect(self.version(number)).to_have_attribute("aria-current", "true", timeout=timeout_ms)


def painted(shape: Sequence[int], x: int, y: int, width: int, height: int) -> NDArray[np.bool_]:
    """A mask (H, W) with one rectangle."""
    mask = np.zeros(shape[:2], np.bool_)
    mask[y : y + height, x : x + width] = True
    return mask


def newest(http: httpx.Client, task: str) -> dict[str, Any]:
    """The last job of that task."""
    found: dict[str, Any] = http.get("/v1/jobs", params={"task": task, "limit": 1}).json()["jobs"][0]
    return found


def output_of(http: httpx.Client, job: dict[str, Any]) -> Bytes:
    return pixels_of(http.get(f"/v1/jobs/{job['id']}/outputs/0").content)


def uploaded(http: httpx.Client, ref: str) -> Bytes:
    """The picture behind `upload:ID`."""
    return pixels_of(http.get(f"/v1/uploads/{ref.removeprefix('upload:')}").content)


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))
