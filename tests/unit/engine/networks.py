"""Stand-ins for what holds networks, and scenes on which the answer of a real one is known."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engine.images import Bytes
from engine.interface import Call


class Shelf:
    """Gives out networks that the test made, in place of a `Residency`."""

    def __init__(self, networks: Mapping[str, object], *, device: str = "cpu", models_dir: Path = Path("/nowhere")):
        self.device = device
        self.models_dir = models_dir
        self.asked: list[str] = []
        self._networks = networks

    def use(self, name: str, load: object) -> Any:
        self.asked.append(name)
        return (yield Call(lambda: self._networks[name], stage="load"))


def ball(width: int = 320, height: int = 240) -> tuple[Bytes, Any]:
    """A shaded orange ball on a dull wall: (H, W, 3) uint8, and the (H, W) bool mask of the ball."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    radius, middle_x, middle_y = height * 0.3, width * 0.45, height * 0.52
    mask = np.hypot(x - middle_x, y - middle_y) < radius
    light = 1 - 0.7 * np.hypot(x - middle_x + radius / 3, y - middle_y + radius / 3) / (2 * radius)
    wall = np.stack([110 + 0.1 * x, 120 + 0.05 * y, 125 + 0 * x], axis=2)
    picture = np.where(mask[..., None], np.array([245, 120, 25]) * light[..., None], wall)
    grain = np.random.default_rng(1).normal(0, 2, picture.shape)
    return np.clip(picture + grain, 0, 255).astype(np.uint8), mask


def overlap(one: Any, other: Any) -> float:
    """Intersection over union of two masks."""
    return float((one & other).sum() / (one | other).sum())
