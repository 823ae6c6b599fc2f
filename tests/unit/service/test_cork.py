"""What a batch holds back leaves when the batch is over, whatever happens in it."""

import pytest

from service.cork import Cork


class Socket:
    def __init__(self, cork: Cork) -> None:
        self.cork = cork
        self.was_in: list[bool] = []

    def flush(self) -> None:
        self.was_in.append(self.cork.is_in)


def test_everyone_held_back_is_flushed_once_the_cork_is_out() -> None:
    cork = Cork()
    first, second = Socket(cork), Socket(cork)
    with cork.put_in():
        cork.holding += [first, second]
        assert first.was_in == []
    assert first.was_in == second.was_in == [False]
    assert cork.holding == []


def test_a_batch_that_breaks_off_leaves_nothing_held_back() -> None:
    cork = Cork()
    held = Socket(cork)
    with pytest.raises(LookupError):
        _break_off(cork, held)
    assert held.was_in == [False]
    assert not cork.is_in


def _break_off(cork: Cork, held: Socket) -> None:
    with cork.put_in():
        cork.holding.append(held)
        raise LookupError
