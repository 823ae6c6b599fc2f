"""Requests as a server gets them, without a server."""

from types import SimpleNamespace
from typing import Any

import httpx
from starlette.requests import Request
from starlette.types import Message

URL = "http://127.0.0.1/"


def form(data: dict[str, Any] | None = None, files: Any = None, *, max_bytes: int = 1 << 20) -> Request:
    """A form as httpx writes it: multipart if it has files.

    Args:
        max_bytes: the most that the server takes.
    """
    made = httpx.Request("POST", URL, data=data, files=files)
    return sent(made.read(), made.headers.get("content-type", ""), max_bytes=max_bytes)


def sent(body: bytes, content_type: str, *, max_bytes: int = 1 << 20) -> Request:
    """A request with that body, which comes in two parts."""
    half = len(body) // 2
    parts = [body[:half], body[half:]]

    async def receive() -> Message:
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    services = SimpleNamespace(settings=SimpleNamespace(max_upload_bytes=max_bytes))
    return Request(
        {
            "type": "http",
            "method": "POST",
            "path": "/",
            "query_string": b"",
            "headers": [(b"content-type", content_type.encode())],
            "app": SimpleNamespace(state=SimpleNamespace(services=services)),
        },
        receive,
    )
