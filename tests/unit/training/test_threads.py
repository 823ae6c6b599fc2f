"""The choice of threads."""

from collections.abc import Iterator

import pytest
import torch

from training.spark.threads import Threads


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def run(threads: Threads, steps: int, seconds: dict[int, float]) -> None:
    for _ in range(steps):
        threads.finished(seconds[torch.get_num_threads()])


@pytest.mark.parametrize(("seconds", "best"), [({1: 0.3, 2: 0.2}, 2), ({1: 0.3, 2: 0.9}, 1)])
def test_the_faster_number_of_threads_is_used(seconds: dict[int, float], best: int) -> None:
    threads = Threads(2, look_every=20, look_steps=3)
    run(threads, 30, seconds)
    assert threads.best == best
    assert torch.get_num_threads() == best


def test_the_choice_is_made_again_when_the_machine_changes() -> None:
    threads = Threads(2, look_every=20, look_steps=3)
    run(threads, 50, {1: 0.3, 2: 0.9})
    assert threads.best == 1
    run(threads, 50, {1: 0.3, 2: 0.2})
    assert threads.best == 2


@pytest.mark.parametrize(("seconds", "best"), [({1: 0.3, 2: 0.2}, 2), ({1: 0.3, 2: 0.9}, 1)])
def test_the_first_look_times_what_it_says(seconds: dict[int, float], best: int) -> None:
    threads = Threads(2, look_every=20, look_steps=3)
    run(threads, 7, seconds)
    assert threads.best == best


def test_one_thread_at_most_is_never_exceeded() -> None:
    threads = Threads(1)
    run(threads, 100, {1: 0.1})
    assert torch.get_num_threads() == 1
