"""The floor for fan-out: an asyncio TCP server that writes the same bytes to every connection and does nothing else.

    python -m bench.raw_tcp PORT

What it writes are WebSocket frames, so that one client can read both, but there is no handshake and nothing is read.
A line on its standard input makes it play: `STEPS STEP_MS`; or answer `count` with how many are connected.
"""

import asyncio
import sys
from typing import Final, cast

import uvloop

from bench.playback import ENCODE_S, PREVIEW_BYTES
from bench.stamp import STAMP, stamp
from protocol.codec import JSON
from protocol.events import Event, JobSucceeded, PreviewReady, StepFinished

_JOB_ID: Final = "00000000-0000-7000-8000-000000000000"
_AT: Final = "2026-01-01T00:00:00.000Z"


def frame(payload: bytes) -> bytes:
    """One whole, binary WebSocket frame."""
    first, size = 0x82, len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 1 << 16:
        return bytes((first, 126)) + size.to_bytes(2, "big") + payload
    return bytes((first, 127)) + size.to_bytes(8, "big") + payload


class Viewer(asyncio.Protocol):
    """A connection that is only written to."""

    def __init__(self, transports: set[asyncio.Transport]) -> None:
        self._transports = transports

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self._transports.add(self._transport)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - asyncio passes it
        self._transports.discard(self._transport)


async def play(transports: set[asyncio.Transport], steps: int, step_ms: int) -> None:
    """A step and a preview to everybody, `steps` times, to a timetable."""
    step = frame(JSON.event_frame(_hint(StepFinished(image=0, step=25, steps=50, progress=0.5, eta_s=2.5))))
    preview = PreviewReady(image=0, step=25, width=256, height=256, media_type="image/jpeg", bytes=b"")
    head = JSON.event_frame(_hint(preview)) + bytes(PREVIEW_BYTES - STAMP.size)
    loop = asyncio.get_running_loop()
    begin = loop.time()
    for number in range(1, steps + 1):
        await asyncio.sleep(max(0.0, begin + number * step_ms / 1000 - loop.time()))
        for transport in transports:
            transport.write(step)
        await asyncio.sleep(ENCODE_S)
        shown = frame(head + stamp())
        for transport in transports:
            transport.write(shown)
    end = frame(JSON.event_frame(Event(JobSucceeded(duration_s=5.0), job_id=_JOB_ID, seq=3, at=_AT)))
    for transport in transports:
        transport.write(end)


def _hint(body: StepFinished | PreviewReady) -> Event:
    return Event(body, job_id=_JOB_ID, seq=2, at=_AT, attempt=1, n=50)


async def main(port: int) -> None:
    transports: set[asyncio.Transport] = set()
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: Viewer(transports), "127.0.0.1", port, backlog=2048)
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        if line.strip() == b"count":
            print(len(transports), flush=True)
        else:
            steps, step_ms = line.split()
            await play(transports, int(steps), int(step_ms))


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
