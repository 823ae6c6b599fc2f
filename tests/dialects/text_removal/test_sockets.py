"""What is said on the progress sockets beside the story of one task."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from protocol.events import Event
from protocol.jobs import Job
from service.auth import Key
from service.dialects.text_removal.tasks import Tasks
from service.outlet import BufferedOutlet, Lagging
from tests.dialects.pictures import png
from tests.dialects.text_removal.callers import FINAL, REGIONS, ProgressSocket, order
from tests.dialects.text_removal.conftest import PROFILE
from tests.servers import ThreadServer, thread_server, until

ASYNC = "/api/v1/inpaint-regions-async"


def finish(server: ThreadServer, client: httpx.Client, task_id: str) -> None:
    client.post(ASYNC, json=order(task_id=task_id)).raise_for_status()
    with ProgressSocket(server.ports[0], task_id) as socket:
        socket.until(*FINAL)


def test_one_who_comes_after_the_end_is_told_how_it_ended(server: ThreadServer, client: httpx.Client) -> None:
    """The original says nothing then; there no task takes less than 1.2 s."""
    finish(server, client, "a")
    with ProgressSocket(server.ports[0], "a") as socket:
        assert [socket.next()["type"] for _ in range(3)] == [
            "connection_established",
            "progress_update",
            "task_completed",
        ]
        assert socket.asked({"type": "ping", "timestamp": 1})["type"] == "pong"


def test_the_general_socket_says_nothing_of_tasks_it_was_not_asked_about(
    server: ThreadServer, client: httpx.Client
) -> None:
    with ProgressSocket(server.ports[0]) as socket:
        assert socket.next()["task_id"] is None
        finish(server, client, "a")
        assert socket.asked({"type": "ping", "timestamp": "x"}) == {"type": "pong", "timestamp": "x"}


def test_one_socket_hears_of_each_task_it_subscribed_to_and_of_no_other(
    slow_server: ThreadServer, slow_client: httpx.Client
) -> None:
    with ProgressSocket(slow_server.ports[0]) as socket:
        for task_id in ("a", "b"):
            socket.send({"type": "subscribe_task", "task_id": task_id})
        for task_id in ("a", "b", "c"):
            slow_client.post(ASYNC, json=order(task_id=task_id)).raise_for_status()
        ends = {socket.until("task_completed")["task_id"] for _ in range(2)}
    assert ends == {"a", "b"}
    assert {message.get("task_id") for message in socket.seen} == {None, "a", "b"}


def test_a_task_that_is_unsubscribed_from_is_heard_of_no_more(
    slow_server: ThreadServer, slow_client: httpx.Client
) -> None:
    with ProgressSocket(slow_server.ports[0], "a") as socket:
        slow_client.post(ASYNC, json=order(task_id="a")).raise_for_status()
        socket.until("progress_update", status="processing")
        socket.send({"type": "unsubscribe_task", "task_id": "a"})
        socket.until("task_unsubscribed")
        with ProgressSocket(slow_server.ports[0], "a") as other:
            other.until("task_completed")
        assert socket.asked({"type": "ping"})["type"] == "pong"


def test_subscribing_to_a_running_task_begins_with_where_it_stands(
    slow_server: ThreadServer, slow_client: httpx.Client
) -> None:
    slow_client.post(ASYNC, json=order(task_id="a")).raise_for_status()
    with ProgressSocket(slow_server.ports[0]) as socket:
        socket.send({"type": "subscribe_task", "task_id": "a"})
        socket.until("task_subscribed")
        snapshot = socket.next()
        assert snapshot["type"] == "progress_update"
        assert "stage_progress" in snapshot
        assert socket.until(*FINAL)["type"] == "task_completed"


def test_a_task_is_cancelled_over_the_socket(slow_server: ThreadServer, slow_client: httpx.Client) -> None:
    with ProgressSocket(slow_server.ports[0]) as bystander, ProgressSocket(slow_server.ports[0], "a") as socket:
        slow_client.post(ASYNC, json=order(task_id="a")).raise_for_status()
        socket.until("progress_update", status="processing")
        bystander.send({"type": "cancel_task", "task_id": "a"})
        assert bystander.until("task_cancelled")["task_id"] == "a"
        assert socket.until(*FINAL)["type"] == "task_cancelled"
        assert socket.asked({"type": "ping"})["type"] == "pong"  # said once
        failed = bystander.asked({"type": "cancel_task", "task_id": "nope"})
        assert failed == {"type": "error", "message": "Failed to cancel task nope - task not found"}
    finish(slow_server, slow_client, "b")
    with ProgressSocket(slow_server.ports[0]) as socket:
        socket.next()
        assert "completed already" in socket.asked({"type": "cancel_task", "task_id": "b"})["message"]


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        ("not json", "Invalid JSON format"),
        ("[1]", "Message type is required"),
        ("{}", "Message type is required"),
        ('{"type": "foo"}', "Unknown message type: foo"),
        ('{"type": "get_task_status"}', "task_id is required for status request"),
        ('{"type": "subscribe_task", "task_id": 7}', "task_id is required for subscription"),
        ('{"type": "unsubscribe_task"}', "task_id is required for unsubscription"),
        ('{"type": "cancel_task", "task_id": ""}', "task_id is required for cancel"),
        ('{"type": "get_task_status", "task_id": "zz"}', "Task zz not found"),
    ],
)
def test_what_makes_no_sense_is_answered_and_the_socket_lives_on(
    server: ThreadServer, said: str, answered: str
) -> None:
    with ProgressSocket(server.ports[0]) as socket:
        socket.next()
        error = socket.asked(said)
        assert (error["type"], error["error"]) == ("error", answered)
        assert isinstance(error["timestamp"], float)
        socket.connection.send(json.dumps({"type": "ping"}).encode())
        assert socket.next()["error"] == "Invalid JSON format"  # a binary frame
        assert socket.asked({"type": "ping"})["type"] == "pong"


def test_as_many_tasks_as_one_socket_may_watch_and_not_one_more(server: ThreadServer) -> None:
    with ProgressSocket(server.ports[0]) as socket:
        socket.next()
        for number in range(1000):
            assert socket.asked({"type": "subscribe_task", "task_id": f"t{number}"})["type"] == "task_subscribed"
        assert "At most 1000" in socket.asked({"type": "subscribe_task", "task_id": "more"})["error"]
        assert socket.asked({"type": "subscribe_task", "task_id": "t0"})["type"] == "task_subscribed"


def test_sockets_leave_nothing_behind(server: ThreadServer, client: httpx.Client) -> None:
    with ProgressSocket(server.ports[0], "a") as socket, ProgressSocket(server.ports[0]) as general:
        general.asked({"type": "subscribe_task", "task_id": "b"})
        finish(server, client, "a")
        socket.until(*FINAL)
        assert socket.asked({"type": "ping"})["type"] == "pong"
        sockets: list[Any] = list(server.services.sockets)
        assert {len(opened._states) for opened in sockets} == {0}
    parts = server.server.config.app.state.parts  # type: ignore[union-attr]
    (tasks,) = [part for kind, part in parts.items() if kind.__name__ == "Tasks"]
    until(lambda: not server.services.sockets, "the server to notice that they have gone")
    assert server.services.bus.subscriber_count() == 0
    assert tasks._watchers == {}


def test_a_task_that_starts_while_its_socket_looks_for_it_is_told_of_once(
    server: ThreadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = Tasks.find

    async def find_just_started(self: Tasks, task_id: str, key: Key) -> Job:
        monkeypatch.setattr(Tasks, "find", find)
        params = {"image": png(), "regions": REGIONS}
        job = await self.start(task_id, params, key)
        return await self._services.jobs.wait(job.id, key, 10.0)

    monkeypatch.setattr(Tasks, "find", find_just_started)
    with ProgressSocket(server.ports[0], "a") as socket:
        assert socket.until(*FINAL)["type"] == "task_completed"
        for _ in range(3):
            assert socket.asked({"type": "get_task_status", "task_id": "a"})["status"] == "completed"
            assert "created_at" in socket.seen[-1]


def test_a_reader_that_is_too_slow_is_told_to_come_back(
    server: ThreadServer, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(BufferedOutlet):
        async def take(self) -> list[Event]:
            await super().take()
            raise Lagging

    monkeypatch.setattr("service.dialects.text_removal.sockets.BufferedOutlet", Full)
    with ProgressSocket(server.ports[0], "a") as socket:
        socket.next()
        client.post(ASYNC, json=order(task_id="a")).raise_for_status()
        with pytest.raises(ConnectionClosed) as closed:
            socket.until(*FINAL)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4408


def test_a_socket_without_a_key_is_refused_where_one_is_needed(tmp_path: Path) -> None:
    with (
        thread_server(tmp_path / "data", listen=PROFILE, api={"keys": ["secret"]}) as server,
        pytest.raises(InvalidStatus) as refusal,
        ProgressSocket(server.ports[0]),
    ):
        pass
    assert refusal.value.response.status_code == 401
    with (
        thread_server(tmp_path / "more", listen=PROFILE, api={"keys": ["secret"]}) as server,
        ProgressSocket(server.ports[0], headers={"X-API-Key": "secret"}) as socket,
    ):
        assert socket.next()["type"] == "connection_established"


def test_a_server_that_stops_says_goodbye(tmp_path: Path) -> None:
    with thread_server(tmp_path / "data", listen=PROFILE) as server:
        socket = ProgressSocket(server.ports[0])
        socket.next()
    with pytest.raises(ConnectionClosed) as closed:
        socket.next()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
