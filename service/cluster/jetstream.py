"""JetStream's own questions and answers, where the client library asks too little or reads too slowly."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import orjson
from nats.js.errors import APIError

from service.cluster.connection import ANSWER_S, Connection, asking

WRONG_LAST_SEQUENCE: Final = frozenset({10071, 10164})
"""Somebody else has written since."""
NO_MESSAGE: Final = 10037
NO_CONSUMER: Final = 10014


async def ask(
    connection: Connection, verb: str, request: Mapping[str, Any] | None = None, *, timeout_s: float = ANSWER_S
) -> dict[str, Any]:
    """Ask JetStream; `verb` as `STREAM.INFO.name`.

    Raises:
        Unavailable: no answer, or NATS cannot do it now.
        APIError: refused.
    """
    with asking(verb):
        payload = orjson.dumps(request) if request is not None else b""
        reply = await connection.nats.request(f"$JS.API.{verb}", payload, timeout=timeout_s)
        answer: dict[str, Any] = orjson.loads(reply.data)
        if "error" in answer:
            raise error_of(answer["error"])
    return answer


async def pages(
    connection: Connection, verb: str, request: Mapping[str, Any], items: str, *, timeout_s: float = ANSWER_S
) -> AsyncIterator[dict[str, Any]]:
    """Ask for a list, page after page. It is no snapshot: what comes and goes meanwhile may be left out.

    Args:
        items: where in an answer its part of the list is, as `state.subjects`.

    Raises:
        Unavailable: as `ask`.
        APIError: as `ask`.
    """
    offset = 0
    while True:
        answer = await ask(connection, verb, {**request, "offset": offset}, timeout_s=timeout_s)
        yield answer
        part: Any = answer
        for name in items.split("."):
            part = (part or {}).get(name)
        offset += len(part or ())
        if not part or offset >= answer.get("total", 0):
            return


def error_of(error: dict[str, Any]) -> APIError:
    """What JetStream has refused something with, as the client library raises it."""
    try:
        APIError.from_error(error)
    except APIError as problem:
        return problem
    return APIError(**error)
