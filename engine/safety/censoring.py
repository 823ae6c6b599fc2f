"""What becomes of a picture that may not be seen."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from engine.images import Bytes, Picture, on_white, to_uint8
from engine.interface import Call, Where
from engine.safety.checkers import SafetyChecker

_STAGE: Final = "safety_check"


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture that was looked at, and whether it became black."""

    picture: Picture
    is_censored: bool


def look_at(
    picture: Picture, index: int, checker: SafetyChecker, warn: Callable[[str, str], None]
) -> Generator[Call, Any, Seen]:
    """The picture, or a black one of its size if it is unsafe. Use with `yield from`.

    Args:
        index: of the image in its job, for the warning.
        warn: told of `censored`.
    """
    image: Bytes = yield Call(lambda: to_uint8(on_white(picture)), Where.POOL, "finish")
    is_unsafe: bool = yield Call(lambda: checker.is_unsafe(image), stage=_STAGE)
    if not is_unsafe:
        return Seen(picture, is_censored=False)
    warn("censored", f"image {index} may not be safe for work; it became black")
    return Seen(replace(picture, rgb=np.zeros_like(picture.rgb), alpha=None), is_censored=True)
