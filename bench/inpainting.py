"""What IOPaint's `POST /api/v1/inpaint` costs with OpenCV's fill, beside that fill with its files read and written.

The reference reads the same two files with Pillow, fills the same part of the picture with `cv2.inpaint`, and writes
a PNG with Pillow, compressed as fast as that does: what a service cannot leave out. Ours gets them as IOPaint's front
end sends them.
"""

import base64
import contextlib
import io
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import orjson
from PIL import Image, ImageDraw

from bench import servers
from bench.keepalive import Keepalive
from bench.measure import Goal, Measure, Round, compare
from bench.process import cpu_s
from bench.servers import Server

_GOAL: Final = 1.3
_RADIUS_PX: Final = 5
_TRIGGER_PX: Final = 800
_MARGIN_PX: Final = 128
_PNG: Final = {"compress_level": 3, "compress_type": zlib.Z_RLE}
"""By runs only, as ours are: a quarter of the time of Pillow's default."""
_BRUSH: Final = (255, 204, 0, 187)
# What the page sends beside the pictures, its misspelt names included.
_FIELDS: Final[dict[str, Any]] = {
    "ldm_steps": 30, "ldm_sampler": "ddim", "zits_wireframe": True, "cv2_flag": "INPAINT_NS", "cv2_radius": _RADIUS_PX,
    "hd_strategy": "Crop", "hd_strategy_crop_triger_size": 640, "hd_strategy_crop_margin": _MARGIN_PX,
    "hd_trategy_resize_imit": 2048, "prompt": "", "negative_prompt": "", "use_croper": False, "use_extender": False,
    "sd_mask_blur": 12, "sd_strength": 1, "sd_steps": 50, "sd_guidance_scale": 7.5, "sd_sampler": "DPM++ 2M",
    "sd_seed": -1, "paint_by_example_example_image": None, "controlnet_method": "", "enable_controlnet": False,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one picture, in seconds."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Order:
    """A picture and the stroke over it, as files, and the request that has both."""

    image: bytes
    mask: bytes
    body: bytes


def run(*, quick: bool = False, sides: tuple[int, ...] = (512, 2048), rounds: int | None = None) -> list[Measure]:
    """One picture at a time; processor time of the server is that of the whole process meanwhile."""
    rounds = rounds or (5 if quick else 15)
    with (
        tempfile.TemporaryDirectory(prefix="safelight-bench-") as place,
        _ours(Path(place)) as server,
        Keepalive(server.port) as client,
    ):
        return [measure for side in sides for measure in _side(server, client, side, rounds)]


@contextlib.contextmanager
def _ours(place: Path) -> Iterator[Server]:
    port = servers.free_port()
    environment = {"SAFELIGHT_IOPAINT_MODEL": "cv2", "SAFELIGHT_MODELS_DIR": str(place / "models")}
    arguments = ["safelight", "serve", "--listen", f"{port}=iopaint", "--data-dir", str(place / "data")]
    with servers.run(arguments, port, environment) as server:
        servers.wait_until_healthy(server, "/v1/health/ready")
        yield server


def _side(server: Server, client: Keepalive, side: int, rounds: int) -> list[Measure]:
    order = _order(side)
    ask = partial(client.request, "POST", "/api/v1/inpaint", order.body)
    if not np.array_equal(_pixels(ask()), _pixels(_bare(order))):
        raise RuntimeError(f"{side} px: ours and the reference made different pictures")
    wall, cpu = [], []
    for number in range(rounds + 1):
        ours = _cost(ask, partial(cpu_s, server.pid))
        reference = _cost(partial(_bare, order), time.process_time)
        if number:  # the first round warms both up
            wall.append(Round(ours.wall_s * 1000, reference.wall_s * 1000))
            cpu.append(Round(ours.cpu_s * 1000, reference.cpu_s * 1000))
    against, goal = "bare cv2 and Pillow", Goal.AT_MOST
    return [
        compare(f"inpaint with cv2, {side} px, CPU", cpu, unit="ms", against=against, goal=goal, limit=_GOAL),
        compare(f"inpaint with cv2, {side} px, wall", wall, unit="ms", against=against, goal=goal, limit=_GOAL),
    ]


def _cost(work: Callable[[], object], cpu: Callable[[], float]) -> Cost:
    cpu_before_s, began_at = cpu(), time.perf_counter()
    work()
    return Cost(time.perf_counter() - began_at, cpu() - cpu_before_s)


def _bare(order: Order) -> bytes:
    """The result as a file."""
    with Image.open(io.BytesIO(order.image)) as file:
        picture = np.array(file.convert("RGB"))
    with Image.open(io.BytesIO(order.mask)) as file:
        hole = (np.asarray(file.convert("L")) > 127).astype(np.uint8)
    height, width = hole.shape
    rows, columns = slice(0, height), slice(0, width)
    if max(height, width) > _TRIGGER_PX:
        x, y, across, down = cv2.boundingRect(hole)
        rows = slice(max(0, y - _MARGIN_PX), y + down + _MARGIN_PX)
        columns = slice(max(0, x - _MARGIN_PX), x + across + _MARGIN_PX)
    picture[rows, columns] = cv2.inpaint(picture[rows, columns], hole[rows, columns], _RADIUS_PX, cv2.INPAINT_NS)
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG", **_PNG)
    return out.getvalue()


def _order(side: int) -> Order:
    image = _file(_scene(side))
    layer = Image.new("RGBA", (side, side))
    path = [(side * 0.25, side * 0.4), (side * 0.5, side * 0.5), (side * 0.7, side * 0.45)]
    ImageDraw.Draw(layer).line(path, _BRUSH, width=side // 20, joint="curve")
    mask = _file(layer)
    body = orjson.dumps({**_FIELDS, "image": _data_url(image), "mask": _data_url(mask)})
    return Order(image, mask, body)


def _scene(side: int) -> Image.Image:
    """Something with the detail of a photograph: noise of every scale, the coarser the stronger."""
    random = np.random.default_rng(side)
    pixels = np.full((side, side, 3), 128.0, np.float32)
    cells = 4
    while cells <= side:
        noise = random.normal(0, 160 / cells**0.7, (cells, cells, 3)).astype(np.float32)
        pixels += cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)
        cells *= 2
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _file(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def _data_url(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def _pixels(file: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    with Image.open(io.BytesIO(file)) as image:
        return np.asarray(image.convert("RGB"))
