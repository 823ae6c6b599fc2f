"""The main colours of a picture, with plain names."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.images import Floats, thumbnail

_SAMPLE_PX: Final = 64
_CLUSTERS: Final = 8
_MOST_ROUNDS: Final = 20
_LIGHTNESS_WEIGHT: Final = 0.6
"""People name a colour by its hue first: a dark slate blue is blue before it is dark."""
_LEAST_SHARE: Final = 0.04

_TYPICAL: Final[Sequence[tuple[str, tuple[int, int, int]]]] = (
    ("black", (15, 15, 15)),
    ("dark grey", (70, 70, 70)),
    ("grey", (128, 128, 128)),
    ("light grey", (195, 195, 195)),
    ("white", (250, 250, 250)),
    ("red", (205, 30, 35)),
    ("dark red", (105, 20, 25)),
    ("pink", (240, 165, 185)),
    ("orange", (240, 130, 30)),
    ("orange", (222, 112, 75)),
    ("brown", (110, 70, 40)),
    ("tan", (195, 160, 120)),
    ("beige", (232, 218, 190)),
    ("yellow", (245, 220, 50)),
    ("olive", (110, 110, 40)),
    ("green", (45, 150, 60)),
    ("dark green", (25, 70, 35)),
    ("light green", (160, 215, 140)),
    ("teal", (30, 125, 125)),
    ("light blue", (150, 200, 235)),
    ("blue", (40, 90, 200)),
    ("blue", (65, 95, 145)),
    ("dark blue", (20, 30, 90)),
    ("purple", (115, 55, 150)),
    ("lilac", (190, 160, 215)),
)
"""Names with typical sRGB values; some need more than one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Colour:
    """One main colour: its name, its value as `#rrggbb`, and the share of the picture it covers, 0..1."""

    name: str
    value: str
    share: float


def main_colours(rgb: Floats) -> list[Colour]:
    """The colours that cover most of the picture, most first; the same for the same picture.

    Args:
        rgb: (H, W, 3) in [0, 1].

    Source: k-means (Lloyd 1982) in CIE Lab 1976, seeded by farthest points.
    """
    sample = thumbnail(rgb, _SAMPLE_PX).astype(np.float32) / np.float32(255)
    points = to_lab(sample).reshape(-1, 3)
    centres, labels = _cluster(points)
    shares = np.bincount(labels, minlength=len(centres)) / len(points)
    found: dict[str, Colour] = {}
    for place in np.argsort(-shares, kind="stable"):
        name, share = _name(centres[place]), float(shares[place])
        if name in found:  # two shades of one colour: told as the one that covers more
            found[name] = replace(found[name], share=found[name].share + share)
        else:
            found[name] = Colour(name=name, value=_hexadecimal(centres[place]), share=share)
    colours = [replace(colour, share=round(colour.share, 3)) for colour in found.values()]
    return sorted((colour for colour in colours if colour.share >= _LEAST_SHARE), key=lambda colour: -colour.share)


def to_lab(rgb: Floats) -> Floats:
    """(H, W, 3) sRGB in [0, 1] to CIE Lab, L in 0..100."""
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB), np.float32)


def _cluster(points: Floats) -> tuple[Floats, NDArray[np.intp]]:
    centres = points.mean(axis=0, keepdims=True)
    for _ in range(_CLUSTERS - 1):
        farthest = _distances(points, centres).min(axis=1).argmax()
        centres = np.concatenate([centres, points[farthest : farthest + 1]])
    labels = _distances(points, centres).argmin(axis=1)
    for _ in range(_MOST_ROUNDS):
        # A centre nobody is nearest to stays where it is.
        centres = np.stack(
            [points[labels == n].mean(axis=0) if (labels == n).any() else centres[n] for n in range(len(centres))]
        )
        moved = _distances(points, centres).argmin(axis=1)
        if (moved == labels).all():
            break
        labels = moved
    return centres, labels


def _distances(points: Floats, centres: Floats) -> Floats:
    return np.asarray(np.linalg.norm(points[:, None] - centres[None], axis=2), np.float32)


def _name(lab: Floats) -> str:
    typical = to_lab(np.array([[value for _, value in _TYPICAL]], np.float32) / np.float32(255))[0]
    apart = (typical - lab) * np.array([_LIGHTNESS_WEIGHT, 1, 1], np.float32)
    return _TYPICAL[int(np.linalg.norm(apart, axis=1).argmin())][0]


def _hexadecimal(lab: Floats) -> str:
    rgb = np.asarray(cv2.cvtColor(lab.reshape(1, 1, 3).astype(np.float32), cv2.COLOR_LAB2RGB))[0, 0]
    red, green, blue = (round(float(value) * 255) for value in np.clip(rgb, 0, 1))
    return f"#{red:02x}{green:02x}{blue:02x}"
