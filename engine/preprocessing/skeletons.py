"""Bodies drawn as the coloured skeletons that ControlNets for poses follow."""

import colorsys
from collections.abc import Iterable
from typing import Final, TypeAlias

import cv2
import numpy as np

from engine.images import Bytes, Floats, from_uint8
from engine.preprocessing.bodies import JOINTS, LIMBS, Body, Joint

Colour: TypeAlias = tuple[int, int, int]

_DRAWN: Final = 17
"""Limbs; those from shoulders to ears are not."""
_WIDTH_SHARE: Final = 4 / 512
"""Half the width of a limb, and the radius of a joint, of the shorter side of the picture."""
_DIMMED: Final = 0.6
"""How bright limbs are."""


def colours() -> tuple[Colour, ...]:
    """Of joints and limbs, by their numbers: once round the hues."""
    hues = (colorsys.hsv_to_rgb(number / JOINTS, 1, 1) for number in range(JOINTS))
    return tuple((round(red * 255), round(green * 255), round(blue * 255)) for red, green, blue in hues)


def draw_skeletons(bodies: Iterable[Body], width: int, height: int) -> Floats:
    """On black: limbs first, then joints over them.

    Returns:
        (height, width, 3), RGB in [0, 1].

    Source: the pictures ControlNets for poses are published with (Zhang et al., 2023).
    """
    drawn = np.zeros((height, width, 3), np.uint8)
    radius = max(1, round(min(width, height) * _WIDTH_SHARE))
    bodies = list(bodies)
    for limb, colour in list(zip(LIMBS, colours(), strict=False))[:_DRAWN]:
        dimmed = (round(colour[0] * _DIMMED), round(colour[1] * _DIMMED), round(colour[2] * _DIMMED))
        for body in bodies:
            if limb.begin in body.joints and limb.end in body.joints:
                _draw_limb(drawn, body.joints[limb.begin], body.joints[limb.end], dimmed, radius)
    for number, colour in enumerate(colours()):
        for body in bodies:
            if number in body.joints:
                cv2.circle(drawn, _place(body.joints[number], drawn), radius, colour, thickness=-1)
    return from_uint8(drawn)


def _draw_limb(drawn: Bytes, begin: Joint, end: Joint, colour: Colour, radius: int) -> None:
    """An ellipse from one joint to the other."""
    (left, top), (right, bottom) = _place(begin, drawn), _place(end, drawn)
    length = float(np.hypot(right - left, bottom - top))
    angle = round(float(np.degrees(np.arctan2(bottom - top, right - left))))
    middle = ((left + right) // 2, (top + bottom) // 2)
    outline = np.array(cv2.ellipse2Poly(middle, (int(length / 2), radius), angle, 0, 360, 1), np.int32)
    cv2.fillConvexPoly(drawn, outline, colour)


def _place(joint: Joint, drawn: Bytes) -> tuple[int, int]:
    height, width = drawn.shape[:2]
    return int(joint.x * width), int(joint.y * height)
