"""Every noun in every colour it can take, drawn once and kept as one array on disk."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from training.spark.files import write_atomically
from training.spark.icons import draw, fetch, read_bodies
from training.spark.recolour import recolour
from training.spark.words import COLOURS, NOUNS, OWN_COLOUR_ONLY

PICTURE_PX = 64
SPRITE_PX = 58
"""Objects fill 90 % of a picture."""
_OVERSAMPLED = 4

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sprites:
    """The drawn nouns.

    Attributes:
        pixels: (noun, 1 + colour, SPRITE_PX, SPRITE_PX, 4) uint8, RGBA with premultiplied alpha; variant 0 has the
            icon's own colours, variant 1 + c the c-th of `COLOURS`.
        recolourable: (noun,) bool; where false, only variant 0 holds a picture.
    """

    pixels: npt.NDArray[np.uint8]
    recolourable: npt.NDArray[np.bool_]


def render(work_dir: Path) -> Sprites:
    """The sprites of `work_dir`, drawn first if they are not there or belong to other words."""
    path = work_dir / "sprites.npz"
    icons = np.array([noun.icon for noun in NOUNS])
    if path.exists():
        with np.load(path) as stored:
            if np.array_equal(stored["icons"], icons):
                return Sprites(stored["pixels"], stored["recolourable"])
    bodies = read_bodies(fetch(work_dir))
    pixels = np.zeros((len(NOUNS), 1 + len(COLOURS), SPRITE_PX, SPRITE_PX, 4), np.uint8)
    recolourable = np.zeros(len(NOUNS), bool)
    for index, noun in enumerate(NOUNS):
        large = draw(bodies[noun.icon], SPRITE_PX * _OVERSAMPLED)
        pixels[index, 0] = shrink(large)
        if noun.name in OWN_COLOUR_ONLY:
            continue
        for number, colour in enumerate(COLOURS.values(), start=1):
            coloured = recolour(large, colour)
            if coloured is None:
                break
            pixels[index, number] = shrink(coloured)
            recolourable[index] = True
    write_atomically(path, lambda file: np.savez(file, icons=icons, pixels=pixels, recolourable=recolourable))
    logger.info("drew %d nouns, %d of them in every colour", len(NOUNS), int(recolourable.sum()))
    return Sprites(pixels, recolourable)


def shrink(icon: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """RGBA with straight alpha, any size, to a sprite: premultiplied, so that edges do not bleed hidden colours."""
    side = (SPRITE_PX, SPRITE_PX)
    # Pillow averages RGBA weighted by alpha and hands back straight alpha.
    small = np.asarray(Image.fromarray(icon, "RGBA").resize(side, Image.Resampling.BOX)).astype(np.float32)
    colours = small[..., :3] * (small[..., 3:] / 255)
    return np.concatenate([colours, small[..., 3:]], -1).round().astype(np.uint8)
