"""Scenes: one object on a background. Which scenes exist, which are kept out, and their pixels."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import torch

from training.spark.sprites import PICTURE_PX, SPRITE_PX, Sprites
from training.spark.words import BACKGROUNDS, COLOURS, HELD_OUT, NOUNS

JITTER_PX = 2
"""An object stands at most this far from the middle, each way."""

_COLOUR_NAMES = tuple(COLOURS)
_MARGIN_PX = (PICTURE_PX - SPRITE_PX) // 2


@dataclass(frozen=True)
class Scene:
    """What is in a picture.

    Attributes:
        noun: index into `NOUNS`.
        variant: 0 for the icon's own colours, else 1 + index into `COLOURS`.
        background: index into `BACKGROUNDS`.
        right_px, down_px: how far the object stands from the middle.
    """

    noun: int
    variant: int
    background: int
    right_px: int = 0
    down_px: int = 0


@cache
def held_out() -> frozenset[tuple[int, int]]:
    """(noun, variant) of the colour-noun pairs no training picture may show."""
    index = {noun.name: number for number, noun in enumerate(NOUNS)}
    return frozenset((index[name], 1 + _COLOUR_NAMES.index(colour)) for colour, name in HELD_OUT)


def variants(sprites: Sprites, noun: int) -> list[int]:
    """The variants of a noun that may be trained on: drawn, and not held out."""
    if not sprites.recolourable[noun]:
        return [0]
    return [number for number in range(1 + len(COLOURS)) if (noun, number) not in held_out()]


def compose(sprites: Sprites, scenes: list[Scene]) -> torch.Tensor:
    """Draw scenes: (N, 3, PICTURE_PX, PICTURE_PX) float32, RGB in [-1, 1], the layout the autoencoder reads."""
    backgrounds = np.array(list(BACKGROUNDS.values()), np.float32)
    pictures = np.empty((len(scenes), PICTURE_PX, PICTURE_PX, 3), np.float32)
    for picture, scene in zip(pictures, scenes, strict=True):
        picture[:] = backgrounds[scene.background]
        paste(picture, sprites.pixels[scene.noun, scene.variant], scene.right_px, scene.down_px)
    return to_tensor(pictures)


def compose_strange(sprites: Sprites, count: int, random: np.random.Generator) -> torch.Tensor:
    """Pictures no caption describes, for the autoencoder: any flat colour, mirrored, off the middle, cut at the edge.

    They keep it usable on pictures that are edited rather than generated. Layout as `compose`.
    """
    pictures = np.empty((count, PICTURE_PX, PICTURE_PX, 3), np.float32)
    for picture in pictures:
        picture[:] = random.uniform(0, 255, 3)
        for _ in range(int(random.integers(1, 4))):
            noun = int(random.integers(len(NOUNS)))
            sprite = sprites.pixels[noun, int(random.choice(variants(sprites, noun)))]
            right, down = random.integers(-26, 27, 2)
            paste(picture, sprite[:, :: int(random.choice([-1, 1]))], int(right), int(down))
    return to_tensor(pictures)


def paste(picture: npt.NDArray[np.float32], sprite: npt.NDArray[np.uint8], right_px: int, down_px: int) -> None:
    """Lay a sprite over `picture` (H, W, 3, RGB 0..255) in place; what falls outside is cut off.

    Source: the "over" operator on premultiplied colours, Porter and Duff 1984.
    """
    left, top = _MARGIN_PX + right_px, _MARGIN_PX + down_px
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + SPRITE_PX, PICTURE_PX), min(top + SPRITE_PX, PICTURE_PX)
    part = sprite[y0 - top : y1 - top, x0 - left : x1 - left].astype(np.float32)
    area = picture[y0:y1, x0:x1]
    area *= 1 - part[..., 3:] / 255
    area += part[..., :3]


def to_tensor(pictures: npt.NDArray[np.float32]) -> torch.Tensor:
    """(N, H, W, 3) in 0..255 to (N, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous() / 127.5 - 1


def draw_lots(sprites: Sprites, count: int, random: np.random.Generator) -> list[Scene]:
    """Random scenes as they are trained on: nouns even, half of the backgrounds white, small jitter."""
    scenes = []
    for _ in range(count):
        noun = int(random.integers(len(NOUNS)))
        variant = int(random.choice(variants(sprites, noun)))
        background = 0 if random.random() < 0.5 else int(random.integers(1, len(BACKGROUNDS)))
        right, down = random.integers(-JITTER_PX, JITTER_PX + 1, 2)
        scenes.append(Scene(noun, variant, background, int(right), int(down)))
    return scenes
