"""The four ways in which a request can be answered, and which of them it asks for."""

from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Final

from starlette.exceptions import HTTPException

from service.dialects.fooocus.choices import Extension
from service.dialects.fooocus_engine.requests import EngineRequest

_IMAGE: Final = "image"
_EXTENSIONS: Final = {
    "png": Extension.PNG,
    "*": Extension.PNG,
    "jpeg": Extension.JPEG,
    "jpg": Extension.JPEG,
    "webp": Extension.WEBP,
}
"""What follows `image/` -> the format of the picture."""
_NOT_ACCEPTABLE: Final = 406


class Mode(StrEnum):
    """How an answer comes."""

    PICTURE = auto()
    """The picture alone."""
    STREAM = auto()
    """Events, until the task has ended."""
    LATER = auto()
    """At once, with the id to ask for."""
    WAIT = auto()
    """When the task has ended, with its record."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How an answer is wanted; `extension` of a picture alone."""

    mode: Mode
    extension: Extension = Extension.PNG


def wanted(accept: str | None, fields: EngineRequest) -> Wanted:
    """What counts first: `Accept` of one kind of picture, then `stream_output`, then `async_process`.

    Args:
        accept: the header, if there is one. More than one media type in it asks for no picture, as in the original.

    Raises:
        HTTPException: 406, a kind of picture that is not made here.
    """
    parts = (accept or "").lower().split("/")
    if len(parts) == 2 and parts[0].strip() == _IMAGE:
        kind = parts[1].partition(";")[0].strip()
        if kind not in _EXTENSIONS:
            raise HTTPException(
                _NOT_ACCEPTABLE, f"Accept: expected image/png, image/jpeg or image/webp, got {accept:.80}"
            )
        return Wanted(Mode.PICTURE, _EXTENSIONS[kind])
    if fields.stream_output:
        return Wanted(Mode.STREAM)
    return Wanted(Mode.LATER if fields.async_process else Mode.WAIT)
