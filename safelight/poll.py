"""Watching by long poll: ask for what is new, and wait for it at the server."""

import asyncio
from typing import Any, Final

import orjson

from safelight.backoff import Backoff
from safelight.errors import UnexpectedAnswer
from safelight.feed import Feed
from safelight.following import FollowingTransport

WAIT_S: Final = 25
"""How long the server may hold an answer back while nothing happens; proxies tend to cut at 30 or 60 s."""
PAUSE_S: Final = 0.25
"""After an answer without news: a server that does not hold its answers back is not to be flooded."""


class PollTransport(FollowingTransport):
    """Follows `GET /v1/jobs/{id}/events` with JSON answers."""

    async def follow(self, feed: Feed, backoff: Backoff) -> None:
        async with self._rest.stream(
            "GET",
            f"/v1/jobs/{feed.job_id}/events",
            params={"after": feed.seq, "n": feed.last_n, "wait": WAIT_S, "previews": "inline"},
            headers={"Accept": "application/json"},
        ) as response:
            events = _events(await response.aread())
        backoff.succeeded()
        news = [feed.offer(event) for event in events]
        if not any(news):
            await asyncio.sleep(PAUSE_S)


def _events(content: bytes) -> list[dict[str, Any]]:
    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise UnexpectedAnswer(f"the answer to a poll is no JSON: {error}") from None
    events = answer.get("events") if isinstance(answer, dict) else None
    if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
        raise UnexpectedAnswer("the answer to a poll has no list of events")
    return events
