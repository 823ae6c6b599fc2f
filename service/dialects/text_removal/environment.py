"""The environment variables of the text-removal service, read while a listener has its profile.

Its documentation writes `IOPAINT_PORT`, its program reads `PORT`; here both count, and the longer name wins. `LOW_MEM`,
`CPU_OFFLOAD` and `NO_GUI` have no effect: memory is managed by itself, and there is no second program to start.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from protocol.erasing import EraseModel

_PREFIX: Final = "IOPAINT_"
_LEVELS: Final = {"trace": "debug", "warn": "warning", "critical": "error", "fatal": "error"}


def read_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """What the variables say, as settings of ours by name; only those that are given and not empty."""
    found: dict[str, Any] = {}
    for name, (setting, read) in _VARIABLES.items():
        text = (environ.get(_PREFIX + name) or environ.get(name) or "").strip()
        if text and (value := read(text)) is not None:
            found[setting] = value
    return found


def _device(text: str) -> str | None:
    # There is no engine for MPS here: the best there is is taken.
    return None if text.lower() == "mps" else text.lower()


def _level(text: str) -> str:
    return _LEVELS.get(text.lower(), text.lower())


def _origins(text: str) -> list[str]:
    """A JSON list, as the original wants it, or names with commas."""
    try:
        listed = orjson.loads(text)
    except orjson.JSONDecodeError:
        listed = text.split(",")
    if not isinstance(listed, list):
        listed = [listed]
    return [str(origin).strip() for origin in listed if str(origin).strip()]


def _model(text: str) -> str | None:
    # Compose files name the original's default. Here that is what is taken if it is there, and never a failure.
    return None if text.lower() == EraseModel.LAMA else text.lower()


_VARIABLES: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    "HOST": ("host", str),
    "PORT": ("port", str),
    "MODEL": ("text_removal_model", _model),
    "DEVICE": ("device", _device),
    "MAX_IMAGE_SIZE": ("text_removal_max_side_px", str),
    "MAX_FILE_SIZE": ("max_upload_bytes", str),
    "REQUEST_TIMEOUT": ("text_removal_timeout_s", str),
    "LOG_LEVEL": ("log_level", _level),
    "CORS_ORIGINS": ("allowed_origins", _origins),
}
