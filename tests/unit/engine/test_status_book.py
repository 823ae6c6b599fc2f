"""Whether the engine can work, as it is told."""

import pytest

from engine.interface.engine import EngineStatus
from engine.room import Room
from engine.status_book import StatusBook


@pytest.fixture
def room() -> Room:
    return Room(100, 8)


def test_jobs_are_taken_only_while_the_engine_is_ready(room: Room) -> None:
    book = StatusBook(room)
    assert not book.takes_jobs
    book.loaded("cpu")
    assert book.takes_jobs
    for status in EngineStatus:
        book.change(status)
        assert book.takes_jobs == (status is EngineStatus.READY)


def test_a_closed_engine_takes_no_jobs_however_ready_it_becomes(room: Room) -> None:
    book = StatusBook(room)
    book.close()
    book.loaded("cpu")
    assert book.state().status is EngineStatus.READY
    assert not book.takes_jobs


def test_the_device_is_told_once_it_is_found(room: Room) -> None:
    book = StatusBook(room)
    assert (book.device, book.state().device) == ("none", "none")
    book.loaded("cpu")
    assert (book.device, book.state().device) == ("cpu", "cpu")


def test_the_detail_of_one_status_does_not_outlive_it(room: Room) -> None:
    book = StatusBook(room)
    book.change(EngineStatus.STUCK, "upscale: still running")
    assert book.state().detail == "upscale: still running"
    book.change(EngineStatus.READY)
    assert book.state().detail == ""


def test_what_live_jobs_take_is_told_with_the_status(room: Room) -> None:
    room.take(30, is_batch=True)
    room.take(12, is_batch=False)
    state = StatusBook(room).state()
    assert (state.live_jobs, state.live_bytes, state.budget_bytes) == (2, 42, 100)
