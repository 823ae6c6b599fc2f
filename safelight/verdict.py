"""What the end of a socket means: come back, or do not."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import orjson
from websockets.exceptions import ConnectionClosed

from protocol.errors import ErrorCode
from protocol.messages import CLOSE_CODES
from safelight.errors import RequestRefused, SafelightError, UnexpectedAnswer
from safelight.wire import read_refusal

_REFUSALS: Final[Mapping[int, ErrorCode]] = {
    1008: ErrorCode.FORBIDDEN,
    4400: ErrorCode.MALFORMED,
    4401: ErrorCode.UNAUTHORIZED,
    4406: ErrorCode.NOT_ACCEPTABLE,
}
"""Close codes after which coming back with the same words would end the same way."""

_TOO_BIG: Final = 1009
_ABNORMAL: Final = 1006
_TRY_LATER: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
_CODE_OF_STATUS: Final[Mapping[int, ErrorCode]] = {
    HTTPStatus.UNAUTHORIZED: ErrorCode.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN: ErrorCode.FORBIDDEN,
}


class Broken(Exception):
    """The present socket is of no more use; another may be."""


class Refused(Exception):
    """No socket would be of use."""

    def __init__(self, error: SafelightError) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a socket ended, or was not opened.

    Attributes:
        final: what to tell everyone who waits; None if coming back may help.
        is_too_big: a message of ours was too big.
    """

    reason: str
    final: SafelightError | None = None
    is_too_big: bool = False


def of_close(error: ConnectionClosed) -> Verdict:
    """Judge the end of an open socket by its close code."""
    code = error.rcvd.code if error.rcvd is not None else _ABNORMAL
    meaning = (error.rcvd.reason if error.rcvd is not None else "") or CLOSE_CODES.get(code, "the connection broke")
    final = RequestRefused(_REFUSALS[code], meaning) if code in _REFUSALS else None
    return Verdict(f"closed with {code}, {meaning}", final, is_too_big=code == _TOO_BIG)


def of_answer(url: str, status: int, body: bytes) -> Verdict:
    """Judge an HTTP answer where a WebSocket was asked for."""
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _TRY_LATER:
        return Verdict(f"HTTP {status}")
    try:
        problem = orjson.loads(body)
    except orjson.JSONDecodeError:
        problem = None
    if isinstance(problem, dict) and "code" in problem:
        return Verdict(f"HTTP {status}", read_refusal(problem, status))
    if status in _CODE_OF_STATUS:
        message = f"the server refused the connection with HTTP {status}; is the API key right?"
        return Verdict(f"HTTP {status}", RequestRefused(_CODE_OF_STATUS[HTTPStatus(status)], message))
    return Verdict(f"HTTP {status}", UnexpectedAnswer(f"{url} answered HTTP {status}; is it a Safelight server?"))
