"""What every model of `segment` can do: look at a picture once, and answer one prompt after the other about it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

MEAN: Final = (123.675, 116.28, 103.53)
"""Of the pixels all these models were trained on, 0 to 255; they are shifted by it."""
DEVIATION: Final = (58.395, 57.12, 57.375)
Embedding: TypeAlias = Any
"""What a model made of a picture: a tensor, or several. Only the model that made it knows."""


@dataclass(frozen=True, slots=True)
class Click:
    """A point in pixels of the picture, inside or outside the object."""

    x: float
    y: float
    is_included: bool


@dataclass(frozen=True, slots=True)
class Edges:
    """A box in pixels of the picture."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True, eq=False)
class SegmentedMask:
    """One answer: (H, W) bool, and the intersection over union with the truth that the network expects."""

    mask: NDArray[np.bool_]
    score: float


class Segmenter(Protocol):
    """A loaded model."""

    def prepare(self, rgb: NDArray[np.float32]) -> Tensor:
        """(H, W, 3) in [0, 1] to what the first piece of the encoder takes."""
        ...

    def encoder_pieces(self) -> Sequence[Callable[[Any], Any]]:
        """The encoder in pieces, from what `prepare` gives to an embedding: each takes what the last one gave."""
        ...

    def decode(
        self, embedding: Embedding, size: tuple[int, int], clicks: Sequence[Click], box: Edges | None, count: int
    ) -> list[SegmentedMask]:
        """The `count` best masks for a prompt, best first: those that obey the most clicks, among them those with the
        higher score.

        Args:
            embedding: of this picture.
            size: its height and width.
            clicks, box: at least one of them.
            count: 1 to 3.
        """
        ...


def is_ambiguous(clicks: Sequence[Click], box: Edges | None) -> bool:
    """Whether a prompt may mean a thing, a part of it or a part of that: the networks have one candidate for each.

    For other prompts they have a fourth, made for the case that there is no doubt.
    """
    return len(clicks) == 1 and box is None


def ranked(logits: Tensor, scores: Sequence[float], places: Tensor, is_included: Tensor) -> list[int]:
    """The order of candidates, best first.

    Args:
        logits: (K, h, w), above 0 inside the object.
        scores: K expected overlaps.
        places: (P, 2), x and y of the clicks on the raster of `logits`.
        is_included: (P,) bool.
    """
    height, width = logits.shape[1:]
    x, y = places[:, 0].long().clamp(0, width - 1), places[:, 1].long().clamp(0, height - 1)
    obeyed: list[int] = ((logits[:, y, x] > 0) == is_included).sum(dim=1).tolist()
    return sorted(range(len(scores)), key=lambda at: (-obeyed[at], -scores[at]))


def normalised(rgb: NDArray[np.float32], size: tuple[int, int]) -> Tensor:
    """(H, W, 3) in [0, 1] to (1, 3, height, width) as the networks were trained, on the CPU.

    Wherever the network is: a large picture would take a gigabyte of a GPU, and CUDA cannot scale very long ones.

    Args:
        size: height and width.
    """
    pixels = torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)[None]
    pixels = functional.interpolate(pixels, size, mode="bilinear", antialias=True) * 255
    mean, deviation = (pixels.new_tensor(values).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))
    return (pixels - mean) / deviation


def clicked(clicks: Sequence[Click], device: torch.device) -> tuple[Tensor, Tensor]:
    """Clicks as (P, 2) x and y in pixels of the picture, and (P,) bool; P may be 0."""
    points = torch.tensor([[click.x, click.y] for click in clicks], device=device).view(-1, 2)
    return points, torch.tensor([click.is_included for click in clicks], dtype=torch.bool, device=device)


def corners(box: Edges, device: torch.device) -> Tensor:
    """(4,): left, top, right, bottom in pixels of the picture."""
    return torch.tensor([box.left, box.top, box.right, box.bottom], device=device)
