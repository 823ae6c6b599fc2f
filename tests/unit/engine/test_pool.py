import threading
from collections.abc import Iterator

import pytest

from engine.interface import Order
from engine.pool import SidePool
from tests.servers import DEADLINE_S
from tests.unit.engine.workbench import Gate


@pytest.fixture
def pool() -> Iterator[SidePool]:
    """One thread for any work and one for interactive work."""
    made = SidePool(1)
    made.start()
    yield made
    made.stop()


class Log:
    """Work that writes its name down."""

    def __init__(self, expected: int) -> None:
        self.lines: list[str] = []
        self._left = expected
        self._done = threading.Event()

    def work(self, name: str) -> None:
        self.lines.append(name)
        self._left -= 1
        if not self._left:
            self._done.set()

    def wait(self) -> None:
        assert self._done.wait(DEADLINE_S), self.lines


def batch(priority: int = 1, turn: int = 1) -> Order:
    return Order(True, priority, turn)


def interactive(priority: int = 1, turn: int = 1) -> Order:
    return Order(False, priority, turn)


def hold(pool: SidePool, order: Order) -> Gate:
    gate = Gate()
    pool.submit(order, gate)
    gate.wait_entered()
    return gate


def test_waiting_work_is_served_most_urgent_first_and_equals_in_order_of_arrival(pool: SidePool) -> None:
    log = Log(4)
    gate = hold(pool, batch())
    for name, order in (("low", batch(2)), ("first", batch(1, 5)), ("second", batch(1, 5)), ("high", batch(0, 9))):
        pool.submit(order, lambda name=name: log.work(name))
    gate.open()
    log.wait()
    assert log.lines == ["high", "first", "second", "low"]


def test_interactive_work_is_served_while_every_other_thread_is_busy(pool: SidePool) -> None:
    gate, log = hold(pool, batch()), Log(1)
    pool.submit(interactive(), lambda: log.work("click"))
    log.wait()
    gate.open()


def test_batch_work_never_takes_the_thread_kept_for_interactive_work(pool: SidePool) -> None:
    gate, second, log = hold(pool, batch()), Gate(), Log(1)
    pool.submit(batch(), second)
    pool.submit(interactive(), lambda: log.work("click"))
    log.wait()
    assert not second.is_entered
    gate.open()
    second.wait_entered()
    second.open()


def test_interactive_work_goes_first_on_a_thread_that_takes_both(pool: SidePool) -> None:
    gates, log = [hold(pool, batch()), hold(pool, interactive())], Log(2)
    pool.submit(batch(0), lambda: log.work("batch"))
    pool.submit(interactive(2), lambda: log.work("click"))
    gates[0].open()
    log.wait()
    assert log.lines == ["click", "batch"]
    gates[1].open()


@pytest.mark.parametrize("error", [ValueError("bad"), SystemExit(1)], ids=repr)
def test_work_that_raises_costs_the_pool_no_thread(pool: SidePool, error: BaseException) -> None:
    def fail() -> None:
        raise error

    log = Log(1)
    pool.submit(batch(), fail)
    pool.submit(batch(), lambda: log.work("after"))
    log.wait()


def test_a_replaced_thread_is_of_the_same_kind_and_ends_when_its_work_comes_back() -> None:
    pool = SidePool(1)
    pool.start()
    threads: list[threading.Thread] = []
    stuck = Gate()

    def get_stuck() -> None:
        threads.append(threading.current_thread())
        stuck()

    pool.submit(batch(), get_stuck)
    stuck.wait_entered()
    pool.replace(threads[0])
    pool.replace(threads[0])  # twice is once
    first, second = hold(pool, batch()), Gate()
    pool.submit(batch(2), second)
    log = Log(1)
    pool.submit(interactive(), lambda: log.work("click"))
    log.wait()
    assert not second.is_entered  # there are again one thread for all work and one for interactive work
    stuck.open()
    threads[0].join(DEADLINE_S)
    assert not threads[0].is_alive()
    assert not second.is_entered
    first.open()
    second.wait_entered()
    second.open()
    pool.stop()


def test_a_stopped_pool_begins_nothing_more(pool: SidePool) -> None:
    threads = set(threading.enumerate())
    gate, never = hold(pool, batch()), Gate()
    pool.submit(batch(), never)
    pool.stop()
    gate.open()
    for thread in threads:
        if thread.name.startswith("safelight-pool"):
            thread.join(DEADLINE_S)
            assert not thread.is_alive()
    pool.submit(batch(), never)
    assert not never.is_entered


def test_a_pool_without_threads_is_refused() -> None:
    with pytest.raises(ValueError, match="expected at least 1"):
        SidePool(0)
