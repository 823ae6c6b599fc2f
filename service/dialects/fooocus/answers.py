"""Answers in JSON, compressed where they are long and the client can read that; off the event loop where very long."""

import gzip
from collections.abc import Mapping
from typing import Final

import anyio.to_thread
import orjson
from starlette.requests import Request
from starlette.responses import Response

_COMPRESSED_FROM: Final = 1000
"""Bytes, as in the originals."""
_AT_ONCE_BELOW: Final = 64 << 10
_LEVEL: Final = 5
_JSON: Final = "application/json"


async def json_answer(
    request: Request, value: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A JSON value as an answer."""
    body = orjson.dumps(value)
    sent = dict(headers or {})
    if len(body) >= _COMPRESSED_FROM:
        sent["Vary"] = "Accept-Encoding"
        if "gzip" in request.headers.get("accept-encoding", "").lower():
            sent["Content-Encoding"] = "gzip"
            if len(body) < _AT_ONCE_BELOW:
                body = gzip.compress(body, _LEVEL)
            else:
                body = await anyio.to_thread.run_sync(gzip.compress, body, _LEVEL)
    return Response(body, status, sent, media_type=_JSON)
