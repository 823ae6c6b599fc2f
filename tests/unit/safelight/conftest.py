"""Events as they come off the wire, for tests of what the client does with them."""

from collections.abc import Callable
from typing import Any

import pytest

from protocol.codec import body_fields
from protocol.events import EventBody

AT = "2026-01-01T00:00:00.000Z"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def wire() -> Callable[..., dict[str, Any]]:
    """Writes a decoded event: a fact, or with `n` a hint."""

    def write(body: EventBody, seq: int, *, n: int | None = None, job_id: str = "j", **more: Any) -> dict[str, Any]:
        mark = {"cursor": f"{job_id}:{seq}"} if n is None else {"n": n, "attempt": 1}
        return {
            "type": body.TYPE, "job_id": job_id, "seq": seq, "at": AT, **mark, "data": body_fields(body), **more
        }  # fmt: skip

    return write
