"""Job ids sort by the time they were made, and are safe in a path."""

import threading
import time
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import ids
from protocol.ids import is_id, new_id


def test_id_is_a_version_7_uuid_of_the_present_time() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid.UUID(new_id())
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert before - 1 <= made.int >> 80 <= time.time_ns() // 1_000_000 + 60_000  # a burst borrows from the future


def test_ids_of_one_thread_rise() -> None:
    made = [new_id() for _ in range(20_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_ids_of_many_threads_are_unique_and_rise_within_each() -> None:
    made: list[list[str]] = [[] for _ in range(8)]
    gate = threading.Barrier(len(made))

    def make(mine: list[str]) -> None:
        gate.wait()
        mine.extend(new_id() for _ in range(5_000))

    threads = [threading.Thread(target=make, args=(mine,)) for mine in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(mine == sorted(mine) for mine in made)
    assert len({one for mine in made for one in mine}) == 8 * 5_000


def test_ids_rise_when_the_clock_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    first = new_id()
    monkeypatch.setattr(ids.time, "time_ns", lambda: 0)
    assert new_id() > first


@given(st.text(max_size=50) | st.sampled_from(["../../etc/passwd", "", "0" * 32, "{" + "0" * 36 + "}"]))
def test_only_canonical_uuids_are_ids(text: str) -> None:
    assert not is_id(text) or str(uuid.UUID(text)) == text


def test_other_spellings_of_an_id_are_not_ids() -> None:
    made = new_id()
    assert is_id(made)
    assert not is_id("ABCDEF01-0000-7000-8000-000000000000")
    assert not is_id(made.replace("-", ""))
    assert not is_id(f"{{{made}}}")
    assert not is_id(f"urn:uuid:{made}")
    assert not is_id(made + "\n")
