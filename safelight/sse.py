"""Watching over Server-Sent Events, one stream per job; resumes by `Last-Event-ID`.

Source: HTML Living Standard, section 9.2, Server-sent events.
"""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson

from safelight.backoff import Backoff
from safelight.errors import UnexpectedAnswer
from safelight.feed import Feed
from safelight.following import FollowingTransport


class SseTransport(FollowingTransport):
    """Follows `GET /v1/jobs/{id}/events` as an event stream."""

    async def follow(self, feed: Feed, backoff: Backoff) -> None:
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-cache"}
        if feed.seq:
            headers["Last-Event-ID"] = str(feed.seq)
        path = f"/v1/jobs/{feed.job_id}/events"
        async with self._rest.stream("GET", path, params={"previews": "inline"}, headers=headers) as response:
            async for data in event_data(response.aiter_lines()):
                backoff.succeeded()
                feed.offer(_fields(data))
                if feed.has_ended:
                    return
        raise httpx.RemoteProtocolError("the event stream ended before its job")


async def event_data(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    """The `data` of each dispatched event of a stream, its lines joined; comments and other fields are skipped."""
    data: list[str] = []
    async for line in lines:
        if not line:
            if data:
                yield "\n".join(data)
            data.clear()
            continue
        name, _, value = line.partition(":")
        if name == "data":
            data.append(value.removeprefix(" "))


def _fields(data: str) -> dict[str, Any]:
    try:
        fields = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise UnexpectedAnswer(f"the event stream carries something that is no JSON: {error}") from None
    if not isinstance(fields, dict):
        raise UnexpectedAnswer("the event stream carries something that is no event")
    return fields
