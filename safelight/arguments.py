"""What a user passes to `submit`, as the request that goes to the server."""

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from protocol.errors import ProtocolError
from protocol.pictures import pictures_in, with_pictures
from protocol.requests import TASKS, JobRequest, parse_job_request
from safelight.errors import RequestRefused
from safelight.picture import PictureFile, load, send
from safelight.rest import Rest

_STANDS_FOR_A_PICTURE: Final = "upload:later"


async def request_fields(
    rest: Rest, task: str | JobRequest, params: Mapping[str, object], options: Mapping[str, object]
) -> dict[str, Any]:
    """Check the arguments, send the pictures among them, and return the request as the wire has it.

    Everything is checked before the first picture is sent. A request that is one already goes as it is.

    Args:
        params: of the task. Regions and boxes may be (x, y, width, height), points (x, y) or (x, y, include).
        options: priority, previews, webhook, labels; those that are None are left to the server.

    Raises:
        RequestRefused: by ourselves, as the server would.
        PictureUnreadable: a picture argument is none.
    """
    fields: dict[str, Any]
    if isinstance(task, JobRequest):
        fields = task.model_dump(mode="json", exclude_none=True)
        params = {**fields["params"], **params}
    else:
        fields = {"task": str(task)}
    fields["params"] = {name: _plain(name, value) for name, value in params.items() if value is not None}
    fields |= {name: _plain(name, value) for name, value in options.items() if value is not None}
    pictures = await _load_pictures(fields["task"], params)
    stand_ins = {
        name: picture if isinstance(picture, str) else _STANDS_FOR_A_PICTURE for name, picture in pictures.items()
    }
    try:
        parse_job_request({**fields, "params": with_pictures(fields["params"], stand_ins)})
    except ProtocolError as error:
        raise RequestRefused(error.code, error.message, error.field) from None
    sent = {name: each if isinstance(each, str) else await send(rest, each) for name, each in pictures.items()}
    fields["params"] = with_pictures(fields["params"], sent)
    return fields


async def _load_pictures(task: str, params: Mapping[str, object]) -> dict[str, str | PictureFile]:
    known = next((name for name in TASKS if name == task), None)
    if known is None:  # refused by the check that follows
        return {}
    return {name: await load(picture) for name, picture in pictures_in(known, params).items()}


def _plain(name: str, value: object) -> Any:
    """Python's values as JSON's."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        if name == "box":
            return _region(value)
        if name == "regions":
            return [_region(item) for item in value]
        if name == "points":
            return [_point(item) for item in value]
        return [_plain("", item) for item in value]
    return value


def _region(value: object) -> Any:
    if isinstance(value, list | tuple) and len(value) == 4:
        return dict(zip(("x", "y", "width", "height"), value, strict=True))
    return _plain("", value)


def _point(value: object) -> Any:
    if isinstance(value, list | tuple) and len(value) in {2, 3}:
        return dict(zip(("x", "y", "include"), value, strict=False))
    return _plain("", value)
