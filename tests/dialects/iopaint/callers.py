"""A server that repaints for clients of IOPaint with real models of a few thousand weights, and requests for it."""

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

from tests.servers import ThreadServer, thread_server

PHOTO = np.random.default_rng(3).integers(0, 256, (64, 64, 3), np.uint8)
HOLE = (slice(16, 48), slice(16, 48))
"""The part of `PHOTO` that is to be repainted."""
WIDER = {"use_extender": True, "extender_x": -8, "extender_width": 72, "extender_height": 64}
"""Asks for 8 pixels more at the left of `PHOTO`."""


@contextmanager
def repainting_server(folder: Path, model: str) -> Iterator[ThreadServer]:
    """Run a server with the models that stand in `folder / "models"`.

    Args:
        model: what it begins with.
    """
    with thread_server(
        folder / "data",
        engine="torch",
        device="cpu",
        cpu_threads=1,
        models_dir=folder / "own",
        model_folders=[folder / "models"],
        listen="0=iopaint",
        iopaint_model=model,
    ) as server:
        yield server


def picture(pixels: np.ndarray[Any, Any]) -> str:
    """A PNG in base64, of (H, W, 3) or (H, W) bytes."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def ask(client: httpx.Client, **fields: Any) -> httpx.Response:
    """Have `HOLE` of `PHOTO` repainted, in two steps."""
    mask = np.zeros((64, 64), np.uint8)
    mask[HOLE] = 255
    asked = {"image": picture(PHOTO), "mask": picture(mask), "prompt": "a cat", "sd_steps": 2, "sd_seed": 5}
    return client.post("/api/v1/inpaint", json={**asked, **fields})


def newest(client: httpx.Client) -> dict[str, Any]:
    """The job of our own API that was made last."""
    job: dict[str, Any] = client.get("/v1/jobs").json()["jobs"][0]
    return job
