"""Clients of the text-removal service for tests: requests, and a progress socket that is read message by message."""

import io
import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import numpy as np
from PIL import Image
from websockets.sync.client import connect

from tests.dialects.pictures import b64, png
from tests.servers import DEADLINE_S

Message = dict[str, Any]
REGIONS = [{"x": 10, "y": 8, "width": 20, "height": 6}, {"x": 40, "y": 30, "width": 12, "height": 8}]
FINAL = {"task_completed", "task_failed", "task_cancelled"}


def mask(width: int = 64, height: int = 48) -> bytes:
    """White where the first of `REGIONS` is."""
    buffer = io.BytesIO()
    picture = Image.new("L", (width, height))
    picture.paste(255, (10, 8, 30, 14))
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def order(**fields: Any) -> dict[str, Any]:
    """A body with a picture and two regions."""
    return {"image": b64(png()), "regions": REGIONS, **fields}


def pixels(content: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(H, W, 3)."""
    with Image.open(io.BytesIO(content)) as picture:
        return np.asarray(picture.convert("RGB"))


def covered(regions: list[dict[str, int]], width: int = 64, height: int = 48) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """(H, W), true within a region."""
    found = np.zeros((height, width), np.bool_)
    for region in regions:
        found[region["y"] : region["y"] + region["height"], region["x"] : region["x"] + region["width"]] = True
    return found


class ProgressSocket:
    """A client on `/api/v1/ws/progress`, or on that of one task."""

    def __init__(self, port: int, task_id: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        path = "/api/v1/ws/progress" + (f"/{task_id}" if task_id is not None else "")
        self._context = connect(
            f"ws://127.0.0.1:{port}{path}",
            additional_headers=headers,
            proxy=None,
            open_timeout=3 * DEADLINE_S,
            close_timeout=DEADLINE_S,
        )
        self.connection = self._context.__enter__()
        self.seen: list[Message] = []
        """Every message that has come."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._context.__exit__(kind, error, traceback)

    def send(self, message: object) -> None:
        self.connection.send(message if isinstance(message, str) else json.dumps(message))

    def next(self) -> Message:
        """The next message, whatever it is."""
        message: Message = json.loads(self.connection.recv(timeout=3 * DEADLINE_S))
        self.seen.append(message)
        return message

    def until(self, *kinds: str, **fields: object) -> Message:
        """The first message from now on of one of these types, with these fields."""
        while True:
            message = self.next()
            if message["type"] in kinds and all(message.get(name) == value for name, value in fields.items()):
                return message

    def asked(self, message: object) -> Message:
        """Send, and take what comes next."""
        self.send(message)
        return self.next()
