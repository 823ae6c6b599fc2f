"""The events of one job as Server-Sent Events, and as a JSON long poll: one replay, two encodings.

Source of the stream's form: the HTML standard, section 9.2, Server-sent events.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

import orjson
from sse_starlette import EventSourceResponse
from sse_starlette.sse import AppStatus, SendTimeoutError
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from protocol.codec import event_text
from protocol.events import Event
from service.auth import Key
from service.errors import ReaderStalled
from service.feeds import JobSubscription
from service.outlet import BufferedOutlet, Lagging
from service.wiring import Services

AppStatus.enable_automatic_graceful_drain = False  # cuts streams off before their last facts; Lifecycle ends them
_SEND_TIMEOUT_S: Final = 30.0
_STREAM_HEADERS: Final = {"X-Accel-Buffering": "no"}  # nginx would hold events back


class _Stream(EventSourceResponse):
    """An event stream; a reader that stalls is no error of the server's."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            raise ReaderStalled from None


@dataclass(frozen=True, slots=True)
class Watch:
    """What a request wants to see of a job."""

    job_id: str
    key: Key
    after: int = 0
    inline_previews: bool = False


async def stream(services: Services, watch: Watch) -> Response:
    """Facts after `watch.after`, the latest hints, then live events, until the job ends.

    Raises:
        ProtocolError: `not_found`, or `invalid_params` for an `after` in the future.
    """
    job = await services.jobs.get(watch.job_id, watch.key)
    if job.status.is_terminal and watch.after == job.seq:
        return Response(status_code=204)  # tells an EventSource that it need not come back
    outlet = BufferedOutlet(services.settings.event_buffer)
    subscription = await services.feeds.follow_job(watch.job_id, watch.key.visible, watch.after, outlet)
    return _Stream(
        _chunks(services, watch, subscription, outlet),
        ping=services.settings.heartbeat_s,
        send_timeout=_SEND_TIMEOUT_S,
        sep="\n",
        headers=_STREAM_HEADERS,
    )


async def _chunks(
    services: Services, watch: Watch, subscription: JobSubscription, outlet: BufferedOutlet
) -> AsyncIterator[bytes]:
    services.outlets.add(outlet)
    try:
        while True:
            for event in await outlet.take():
                yield _chunk(event, watch.inline_previews)
                if event.is_terminal:
                    return
    except Lagging:
        services.metrics.socket_lagged()  # the stream ends here; the client comes back with Last-Event-ID
    finally:
        services.outlets.discard(outlet)
        subscription.close()


def _chunk(event: Event, inline_previews: bool) -> bytes:
    """One event of the stream; built once per event and form."""
    form = "sse+base64" if inline_previews else "sse"
    chunk = event.frames.get(form)
    if chunk is None:
        identifier = b"id: %d\n" % event.seq if event.is_fact else b""
        text = event_text(event, inline_previews=inline_previews)
        chunk = b"%sevent: %s\ndata: %s\n\n" % (identifier, event.type.encode(), text)
        event.frames[form] = chunk
    return chunk


async def poll(services: Services, watch: Watch, *, wait_s: float, after_n: int | None) -> Response:
    """What there is after `watch.after`, or after at most `wait_s` seconds what has come.

    Hints are in the answer; one ends the wait only if its counter is above `after_n`, so a client that wants progress
    passes the last `n` it has, and one that wants facts passes none.

    Raises:
        ProtocolError: as for `stream`.
    """
    outlet = BufferedOutlet(services.settings.event_buffer)
    subscription = await services.feeds.follow_job(watch.job_id, watch.key.visible, watch.after, outlet)
    services.outlets.add(outlet)
    events: list[Event] = []
    try:
        async with asyncio.timeout(wait_s if not subscription.has_ended else 0.001):
            while not _is_news(events, after_n):
                events += await outlet.take()
    except (TimeoutError, Lagging):
        pass
    finally:
        services.outlets.discard(outlet)
        subscription.close()
    job = await services.jobs.get(watch.job_id, watch.key)
    seq = max([watch.after, *(event.seq for event in events if event.is_fact)])
    body = {
        "events": [
            orjson.Fragment(event_text(event, inline_previews=watch.inline_previews)) for event in _newest(events)
        ],
        "seq": seq,
        "status": job.status,
        "done": job.status.is_terminal and seq == job.seq,
    }
    return Response(orjson.dumps(body), media_type="application/json", headers={"Cache-Control": "no-store"})


def _is_news(events: list[Event], after_n: int | None) -> bool:
    return any(event.is_fact or (after_n is not None and (event.n or 0) > after_n) for event in events)


def _newest(events: list[Event]) -> list[Event]:
    """All facts, and of the hints of each type the newest."""
    latest: dict[Any, Event] = {}
    for event in events:
        key: object = event if event.is_fact else event.type
        latest.pop(key, None)
        latest[key] = event
    return list(latest.values())
