from collections.abc import AsyncIterator

import pytest

from safelight.sse import event_data

pytestmark = pytest.mark.anyio


async def lines(text: str) -> AsyncIterator[str]:
    for line in text.split("\n"):
        yield line


@pytest.mark.parametrize(
    ("stream", "data"),
    [
        ("id: 1\nevent: job.queued\ndata: {}\n\n", ["{}"]),
        ("data:a\ndata: b\n\n", ["a\nb"]),
        (": ping\n\ndata: a\n\n: ping\n\n", ["a"]),
        ("event: x\n\n", []),
        ("data: a\n\ndata: cut in the midd", ["a"]),
    ],
)
async def test_only_whole_events_are_dispatched_with_their_lines_joined(stream: str, data: list[str]) -> None:
    assert [item async for item in event_data(lines(stream))] == data
