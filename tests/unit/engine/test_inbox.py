"""What other threads ask of the executor thread."""

import threading

from engine.inbox import Inbox
from tests.servers import DEADLINE_S


def test_messages_are_delivered_once_in_the_order_they_were_posted() -> None:
    inbox, heard = Inbox(), list[int]()
    for number in range(5):
        inbox.post(lambda number=number: heard.append(number), is_submission=number == 2)
    assert inbox.deliver()
    assert not inbox.deliver()
    assert heard == [0, 1, 2, 3, 4]


def test_what_a_message_posts_waits_for_the_next_delivery() -> None:
    inbox, heard = Inbox(), list[str]()
    inbox.post(lambda: inbox.post(lambda: heard.append("later")))
    assert inbox.deliver()
    assert heard == []
    assert inbox.deliver()
    assert heard == ["later"]


def test_the_last_delivery_hears_submissions_only_and_drops_the_rest() -> None:
    inbox, heard = Inbox(), list[str]()
    inbox.post(lambda: heard.append("cancel"))
    inbox.post(lambda: heard.append("submit"), is_submission=True)
    inbox.deliver_last()
    assert heard == ["submit"]
    assert not inbox.deliver()


def test_who_waits_is_woken_by_a_message() -> None:
    inbox, woken = Inbox(), threading.Event()

    def wait() -> None:
        inbox.wait(None)
        woken.set()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    inbox.post(lambda: None)
    assert woken.wait(DEADLINE_S)
    thread.join(DEADLINE_S)


def test_nobody_waits_for_what_was_posted_before() -> None:
    inbox = Inbox()
    inbox.post(lambda: None)
    inbox.wait(None)
    assert inbox.deliver()
