"""IOPaint's own front end, as published and unmodified: fetched from the package index, and used with the mouse."""

import base64
import hashlib
import io
import os
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from engine.models.carriers import PullFailed, fetch_wheel
from engine.models.catalogue import Carrier
from tests.browser import Tab

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FloatRect, Locator, Response, WebSocket

PUBLISHED = Carrier(package="IOPaint", version="1.6.0", licence="Apache-2.0")
_SHA256 = "b38c6987a27ddd995da60ea7e24e033ff3326b6d3082ed11966b009faf89a878"
_CACHE_DIR = Path(os.environ.get("SAFELIGHT_TEST_CACHE_DIR") or "~/.cache/safelight/tests").expanduser()
_FOLDER = "iopaint/web_app"
_PROGRESSED = '42["diffusion_progress",'
_FINISHED = '42["diffusion_finish"]'
_OPENED = "6"
"""What Engine.IO answers last when a connection has moved from polling to its WebSocket: a noop."""
_CANVAS = """() => {
  const canvas = document.querySelector('canvas');
  const isDrawn = canvas?.width > 0 && canvas.getContext('2d').getImageData(0, 0, 1, 1).data[3] > 0;
  return isDrawn ? canvas.toDataURL('image/png') : '';
}"""
"""What is on the first canvas, which has the picture; nothing while it is empty."""

Pixels = NDArray[np.uint8]
"""(H, W, 3), RGB."""


def published_front_end(folder: Path) -> Path:
    """Lay the front end's files down under `folder`; its wheel is kept in a cache.

    The test is skipped where the wheel cannot be had, and fails if it is another one.
    """
    wheel = _CACHE_DIR / f"{PUBLISHED.package}-{PUBLISHED.version}.whl"
    if not wheel.is_file() or _sha256(wheel.read_bytes()) != _SHA256:
        with tempfile.TemporaryDirectory(prefix="safelight-front-end-") as place:
            try:
                fetched = fetch_wheel(PUBLISHED, Path(place))
            except PullFailed as failed:
                pytest.skip(f"the published front end cannot be had: {failed}")
            content = fetched.read_bytes()
            assert _sha256(content) == _SHA256, f"{fetched.name}: the index gave another wheel than was published"
            _keep(content, wheel)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if name.startswith(f"{_FOLDER}/")])
    return folder / _FOLDER


class FrontEnd(Tab):
    """Somebody who has opened the page, and what they do there.

    Attributes:
        received: every message that came over its WebSockets.
    """

    def __init__(self, browser: "Browser", url: str) -> None:
        super().__init__(browser)
        self.received: list[str] = []
        self.page.on("websocket", self._listen)
        with self.page.expect_websocket() as opening:
            self.page.goto(url)
        self._socket = opening.value
        while _OPENED not in self.received:
            self._socket.wait_for_event("framereceived")
        self.page.wait_for_selector("input[type=file]", state="attached")

    def _listen(self, websocket: "WebSocket") -> None:
        websocket.on("framereceived", lambda message: self.received.append(str(message)))

    @property
    def told(self) -> list[str]:
        """What the page was told of jobs, in order."""
        return [message for message in self.received if message.startswith((_PROGRESSED, _FINISHED))]

    @property
    def bar(self) -> "Locator":
        """The bar of progress with its per cent; the page shows it while it waits for a picture."""
        return self.page.locator("div.font-nums", has_text="%")

    def until_finished(self) -> list[str]:
        """Wait until the page was told of the end of its job; returns all it was told of jobs so far."""
        while _FINISHED not in self.told:
            self._socket.wait_for_event("framereceived")
        return self.told

    def upload(self, file: Path) -> None:
        """Pick a picture from the disk, and wait until it is shown."""
        self.page.set_input_files("input[type=file] >> nth=0", str(file))
        self.until_shown()

    def until_shown(self) -> None:
        """Wait until a picture is there to draw on."""
        self.page.wait_for_function(_CANVAS)

    def stroke(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Draw with the brush from one place of the picture to another, both as shares of its width and height."""
        box = self._place_of_canvas()
        self.page.mouse.move(box["x"] + box["width"] * start[0], box["y"] + box["height"] * start[1])
        self.page.mouse.down()
        self.page.mouse.move(box["x"] + box["width"] * end[0], box["y"] + box["height"] * end[1], steps=10)
        self.page.mouse.up()

    def _place_of_canvas(self) -> "FloatRect":
        """Where the picture is once it has come to rest: the page centres and scales it after it is there."""
        canvas = self.page.locator("canvas").first
        before, box = None, canvas.bounding_box()
        while box is None or box != before:
            self.page.evaluate("() => new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
            before, box = box, canvas.bounding_box()
        return box

    def paint(self) -> None:
        """Press the button that starts a diffusion model; erase models start when the brush is lifted."""
        self.page.get_by_role("button", name="Paint", exact=True).click()

    def drawn(self) -> str:
        """The picture on the canvas, as a data URL."""
        return str(self.page.evaluate(_CANVAS))

    def until_redrawn(self, before: str) -> Pixels:
        """Wait until something else than `before` is on the canvas, and give it."""
        is_another = f"before => {{ const drawn = ({_CANVAS})(); return drawn !== before && drawn }}"
        drawn = str(self.page.wait_for_function(is_another, arg=before).json_value())
        return pixels(base64.b64decode(drawn.partition(",")[2]))


def pixels(file: bytes) -> Pixels:
    """What a picture file shows."""
    with Image.open(io.BytesIO(file)) as image:
        return np.asarray(image.convert("RGB"))


def sent(answer: "Response") -> dict[str, Any]:
    """The fields of the request that was answered; pictures among them as files."""
    body: dict[str, Any] = answer.request.post_data_json
    return {
        name: base64.b64decode(value.partition(",")[2]) if name in {"image", "mask"} else value
        for name, value in body.items()
    }


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _keep(content: bytes, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    Path(name).replace(path)
