"""A stand-in for Real-ESRGAN that needs no weights, and whose answer is known."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from engine.interface import Call, OutOfMemory
from engine.models.residency import Residency
from engine.safety.checkers import OPEN_NSFW


class Nearest(torch.nn.Module):
    """Enlarges by repeating pixels. Runs out of memory on tiles above `room_px`.

    Attributes:
        seen: height and width of what it was given, in order.
    """

    scale, reach_px, fade_px = 4, 3, 2

    def __init__(self, room_px: int = 10_000) -> None:
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))
        self.room_px = room_px
        self.seen: list[tuple[int, ...]] = []

    def forward(self, pixels: Tensor) -> Tensor:
        self.seen.append(tuple(pixels.shape[2:]))
        if max(pixels.shape[2:]) > self.room_px:
            raise OutOfMemory("the test says so")
        return functional.interpolate(pixels, scale_factor=4.0, mode="nearest")


class WithUpscaler(Residency):
    """Holds models as the real one does, and gives out `upscaler` for any packaged network."""

    def __init__(self, upscaler: torch.nn.Module) -> None:
        super().__init__(Path(), "cpu")
        self.asked: list[str] = []
        self._upscaler = upscaler

    def use(self, name: str, load: object) -> Generator[Call, Any, Any]:
        self.asked.append(name)
        return (yield Call(lambda: self._upscaler, stage="load"))


class WithUpscalerAndChecker(WithUpscaler):
    """Gives out the network that judges of a folder, and `upscaler` for all others."""

    def __init__(self, upscaler: Nearest, folder: Path) -> None:
        super().__init__(upscaler)
        self._checkers = Residency(folder, "cpu")

    def use(self, name: str, load: Any) -> Any:
        return (yield from self._checkers.use(name, load) if name == OPEN_NSFW else super().use(name, load))
