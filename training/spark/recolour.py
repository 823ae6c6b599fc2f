"""Gives an icon another colour, or says that it has none that could be changed.

Pixels are RGBA with straight alpha. Hues are degrees, saturation and value are 0..1.
"""

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

HUE_REACH_DEG = 44.0
"""A pixel belongs to the dominant colour when its hue is this near to it, as its shading is."""
SATURATED = 0.25
ENOUGH = 0.55
"""Share of the saturated pixels the dominant hue must cover, else the icon has several colours and stays as it is."""
PALE = 0.12
"""Below this share of saturated pixels an icon is grey or white and is tinted instead."""


def recolour(icon: Pixels, colour: tuple[int, int, int]) -> Pixels | None:
    """Move the dominant colour of `icon` to `colour`, keeping its shading and its other colours.

    Returns:
        A picture like `icon`, or None when no one colour dominates it.
    """
    hue, saturation, value = to_hsv(icon[..., :3].astype(np.float32) / np.float32(255))
    visible = icon[..., 3] > 127
    saturated = visible & (saturation > SATURATED) & (value > 0.2)
    if not visible.any():
        return None
    if saturated.sum() < PALE * visible.sum():
        return _tint(icon, value, colour)
    near = saturated & (_distance_deg(hue, _dominant_hue(hue, saturated)) <= HUE_REACH_DEG)
    # An icon that is mostly grey with a coloured detail would be the wrong thing to call "a red robot".
    if near.sum() < ENOUGH * saturated.sum() or near.sum() < 0.3 * visible.sum():
        return None
    return _move(icon, hue, saturation, value, near, colour)


def to_hsv(rgb: Floats) -> tuple[Floats, Floats, Floats]:
    """(..., 3) RGB in [0, 1] to hue in [0, 360), saturation and value in [0, 1]."""
    largest, smallest = rgb.max(-1), rgb.min(-1)
    spread = largest - smallest
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    safe = np.where(spread == 0, 1, spread)
    hue = np.where(
        largest == red,
        (green - blue) / safe % 6,
        np.where(largest == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    saturation = np.where(largest == 0, 0, spread / np.where(largest == 0, 1, largest))
    return (hue * 60 % 360).astype(np.float32), saturation.astype(np.float32), largest.astype(np.float32)


def to_rgb(hue: Floats, saturation: Floats, value: Floats) -> Floats:
    """The inverse of `to_hsv`: (...,) each, to (..., 3) in [0, 1]."""
    channels = []
    for offset in (5, 3, 1):
        position = (offset + hue / 60) % 6
        channels.append(value - value * saturation * np.clip(np.minimum(position, 4 - position), 0, 1))
    return np.stack(channels, -1).astype(np.float32)


def _distance_deg(hue: Floats, other: float) -> Floats:
    return np.asarray(np.abs((hue - other + 180) % 360 - 180), np.float32)


def _dominant_hue(hue: Floats, saturated: npt.NDArray[np.bool_]) -> float:
    counts = np.bincount((hue[saturated] / 5).astype(int) % 72, minlength=72)
    around = sum(np.roll(counts, shift) for shift in range(-4, 5))
    first = float(np.argmax(around)) * 5 + 2.5
    near = saturated & (_distance_deg(hue, first) <= HUE_REACH_DEG)
    return first + float(np.median((hue[near] - first + 180) % 360 - 180))


def _move(
    icon: Pixels,
    hue: Floats,
    saturation: Floats,
    value: Floats,
    near: npt.NDArray[np.bool_],
    colour: tuple[int, int, int],
) -> Pixels:
    wanted_hue, wanted_saturation, wanted_value = (
        float(part) for part in to_hsv(np.array(colour, np.float32) / np.float32(255))
    )
    # Pixels at the antialiased edge of the area are less saturated: they move too, or a rim of the old colour stays.
    edge = (saturation > 0.08) & (_distance_deg(hue, float(np.median(hue[near]))) <= HUE_REACH_DEG) & (icon[..., 3] > 0)
    moved = near | edge
    middle_saturation, middle_value = float(np.median(saturation[near])), float(np.median(value[near]))
    # Half of the old hue differences: a leaf's lime beside its green becomes a shade, not another colour.
    spread = (hue - float(np.median(hue[near])) + 180) % 360 - 180
    new_hue = np.where(moved, (wanted_hue + 0.25 * spread) % 360, hue)
    new_saturation = np.where(moved, np.clip(saturation * wanted_saturation / middle_saturation, 0, 1), saturation)
    new_value = np.where(moved, np.clip(value * wanted_value / middle_value, 0, 1), value)
    rgb = to_rgb(new_hue.astype(np.float32), new_saturation.astype(np.float32), new_value.astype(np.float32))
    return np.concatenate([(rgb * 255 + 0.5).astype(np.uint8), icon[..., 3:]], -1)


def _tint(icon: Pixels, value: Floats, colour: tuple[int, int, int]) -> Pixels | None:
    visible = icon[..., 3] > 127
    light = float(np.quantile(value[visible], 0.8))
    if light < 0.45:
        return None  # black things have no shading to show a colour with
    shade = np.clip(value / light, 0, 1.15)[..., None]
    rgb = np.clip(shade * np.array(colour, np.float32), 0, 255)
    return np.concatenate([rgb.astype(np.uint8), icon[..., 3:]], -1)
