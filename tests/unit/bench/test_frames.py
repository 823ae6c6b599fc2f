"""Counting frames in a stream that is cut anywhere."""

import pytest

from bench.frames import FrameCounter
from bench.stamp import STAMP
from service.transports.shared_frames import frame

STREAM = (
    frame(b'{"type":"step.finished"}', is_binary=False)
    + frame(b"p" * 20_000 + STAMP.pack(1234), is_binary=True)
    + frame(b'{"type":"job.started"' + b" " * 200 + b"}", is_binary=False)
    + frame(b'{"type":"job.succeeded"}', is_binary=False)
)


def fed(*pieces: bytes) -> FrameCounter:
    counter = FrameCounter()
    for piece in pieces:
        counter.feed(bytearray(piece), len(piece))
    return counter


@pytest.mark.parametrize("cut", [1, 2, 26, 27, 29, 40, 5000, 20_030, 20_048, 20_060, len(STREAM) - 40])
def test_a_stream_cut_in_two_has_the_same_frames(cut):
    counter = fed(STREAM[:cut], STREAM[cut:])
    assert (counter.frames, counter.previews, counter.ends) == (4, 1, 1)
    assert counter.size_bytes == len(STREAM)


def test_the_stamp_of_a_preview_is_read():
    assert fed(STREAM).stamps == [1234]


def test_a_stamp_cut_in_two_is_passed_over():
    end_of_preview = STREAM.index(STAMP.pack(1234)) + 4
    counter = fed(STREAM[:end_of_preview], STREAM[end_of_preview:])
    assert (counter.previews, counter.stamps) == (1, [])


def test_frames_byte_by_byte_are_counted():
    counter = fed(*(STREAM[index : index + 1] for index in range(len(STREAM))))
    assert (counter.frames, counter.previews, counter.ends) == (4, 1, 1)
