"""Tasks that are started, watched, cancelled and fetched."""

import threading
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from tests.dialects.pictures import b64, png
from tests.dialects.text_removal.callers import FINAL, ProgressSocket, covered, order, pixels
from tests.dialects.text_removal.conftest import PROFILE
from tests.servers import ProcessServer, ThreadServer, free_port, thread_server

ASYNC = "/api/v1/inpaint-regions-async"
RANK = {"pending": 0, "preparing": 1, "processing": 2, "completed": 3, "error": 3, "cancelled": 3}


def completed(server: ThreadServer, task_id: str) -> dict[str, object]:
    """Wait for the end of a task that goes well."""
    with ProgressSocket(server.ports[0], task_id) as socket:
        return socket.until("task_completed")


def test_a_task_is_started_watched_and_fetched(server: ThreadServer, client: httpx.Client) -> None:
    started = client.post(ASYNC, json=order(task_id="doc-1")).json()
    assert started == {
        "task_id": "doc-1",
        "status": "pending",
        "message": "Started processing 2 regions",
        "estimated_time": None,
        "websocket_url": f"ws://127.0.0.1:{server.ports[0]}/api/v1/ws/progress/doc-1",
    }
    end = completed(server, "doc-1")
    assert end["result"]["processed_image_path"] == "/api/v1/task-result/doc-1"  # type: ignore[index]
    assert end["result"]["regions_processed"] == 2  # type: ignore[index]
    status = client.get("/api/v1/task-status/doc-1").json()
    assert (status["status"], status["stage"], status["overall_progress"]) == ("completed", "finalizing", 100.0)
    assert (status["current_region"], status["total_regions"], status["error_message"]) == (2, 2, None)
    moments = [datetime.fromisoformat(status[name]) for name in ("created_at", "started_at", "completed_at")]
    assert moments == sorted(moments)
    result = client.get("/api/v1/task-result/doc-1")
    assert result.headers["content-type"] == "image/png"
    assert result.headers["x-regions-count"] == "2"
    assert float(result.headers["x-processing-time"]) == pytest.approx(status["elapsed_time"], abs=1e-3)
    outside = ~covered(order()["regions"])
    assert (pixels(result.content)[outside] == pixels(png())[outside]).all()
    assert not (pixels(result.content) == pixels(png())).all()


def test_a_task_without_an_id_gets_one_and_without_progress_no_address(client: httpx.Client) -> None:
    first = client.post(ASYNC, json=order(enable_progress=False)).json()
    second = client.post(ASYNC, json=order(enable_progress=False, task_id="")).json()
    assert first["websocket_url"] is None
    assert first["task_id"] != second["task_id"]
    assert client.get(f"/api/v1/task-status/{first['task_id']}").status_code == 200


def test_statuses_and_progress_never_go_back(slow_server: ThreadServer, slow_client: httpx.Client) -> None:
    with ProgressSocket(slow_server.ports[0], "a") as socket:
        assert socket.next()["type"] == "connection_established"
        slow_client.post(ASYNC, json=order(task_id="a")).raise_for_status()
        socket.until(*FINAL)
    updates = [message for message in socket.seen if message["type"] == "progress_update"]
    ranks = [RANK[message["status"]] for message in updates]
    progress = [message["progress"] for message in updates]
    assert ranks == sorted(ranks)
    assert progress == sorted(progress)
    assert [message["current_region"] for message in updates] == sorted(
        message["current_region"] for message in updates
    )


def test_progress_is_that_of_the_work(slow_server: ThreadServer, slow_client: httpx.Client) -> None:
    """The original counts 60 ms per region, whatever its model does. The fake engine works in four steps."""
    with ProgressSocket(slow_server.ports[0], "a") as socket:
        slow_client.post(ASYNC, json=order(task_id="a")).raise_for_status()
        socket.until("task_completed")
    worked = [
        message["progress"]
        for message in socket.seen
        if message["type"] == "progress_update" and message["stage"] == "inpainting"
    ]
    assert worked[:3] == [33.8, 52.5, 71.2]
    assert socket.seen[-2]["status"] == "completed"
    assert socket.seen[-2]["progress"] == 100.0


def test_cancelling_ends_the_work_for_good(slow_server: ThreadServer, slow_client: httpx.Client) -> None:
    with ProgressSocket(slow_server.ports[0], "a") as socket:
        slow_client.post(ASYNC, json=order(task_id="a")).raise_for_status()
        socket.until("progress_update", status="processing")
        answer = slow_client.post("/api/v1/cancel-task/a")
        assert answer.json() == {"task_id": "a", "status": "cancelled", "message": "Task cancelled successfully"}
        end = socket.until(*FINAL)
        assert set(end) == {"type", "task_id", "session_id", "timestamp"}
        assert end["type"] == "task_cancelled"
    job = slow_client.get("/v1/jobs").json()["jobs"][0]
    assert job["status"] == "cancelled"
    assert job["outputs"] == []
    assert slow_client.get("/api/v1/task-status/a").json()["status"] == "cancelled"
    assert slow_client.get("/api/v1/task-result/a").status_code == 410
    again = slow_client.post("/api/v1/cancel-task/a")
    assert (again.status_code, again.json()["status"]) == (200, "cancelled")


def test_cancelling_a_task_that_waits_leaves_the_running_one_alone(tmp_path: Path) -> None:
    with (
        thread_server(tmp_path / "data", listen=PROFILE, fake_step_s=0.2, max_live_jobs=1) as server,
        server.client() as client,
        ProgressSocket(server.ports[0], "first") as socket,
    ):
        client.post(ASYNC, json=order(task_id="first")).raise_for_status()
        client.post(ASYNC, json=order(task_id="second", image=b64(png(80, 48)))).raise_for_status()
        assert client.get("/api/v1/task-status/second").json()["status"] == "pending"
        assert client.get("/api/v1/task-result/second").status_code == 409
        assert client.post("/api/v1/cancel-task/second").json()["status"] == "cancelled"
        assert socket.until(*FINAL)["type"] == "task_completed"


def test_a_finished_task_is_not_rewritten_by_a_cancel(server: ThreadServer, client: httpx.Client) -> None:
    client.post(ASYNC, json=order(task_id="a")).raise_for_status()
    completed(server, "a")
    answer = client.post("/api/v1/cancel-task/a")
    assert answer.status_code == 409
    assert "completed" in answer.json()["detail"]
    assert client.get("/api/v1/task-status/a").json()["status"] == "completed"


def test_the_same_request_twice_is_one_task_and_another_under_its_id_is_refused(
    server: ThreadServer, client: httpx.Client
) -> None:
    for _ in range(2):
        assert client.post(ASYNC, json=order(task_id="a")).status_code == 200
    refused = client.post(ASYNC, json=order(task_id="a", regions=[{"x": 1, "y": 1, "width": 5, "height": 5}]))
    assert refused.status_code == 409
    assert refused.json() == {"detail": "Task a already exists; choose another task_id"}
    completed(server, "a")
    assert client.post(ASYNC, json=order(task_id="a")).json()["status"] == "completed"
    assert client.get("/api/v1/tasks").json()["total_tasks"] == 1


def test_many_who_start_one_task_at_the_same_moment_start_one(server: ThreadServer, client: httpx.Client) -> None:
    answers: list[httpx.Response] = []

    def start() -> None:
        answers.append(client.post(ASYNC, json=order(task_id="a")))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [200] * 8
    assert len(client.get("/v1/jobs").json()["jobs"]) == 1


def test_the_id_of_a_cancelled_task_can_be_used_anew(slow_server: ThreadServer, slow_client: httpx.Client) -> None:
    with ProgressSocket(slow_server.ports[0], "a") as socket:
        slow_client.post(ASYNC, json=order(task_id="a")).raise_for_status()
        slow_client.post("/api/v1/cancel-task/a").raise_for_status()
        assert socket.until(*FINAL)["type"] == "task_cancelled"
        slow_client.post(ASYNC, json=order(task_id="a")).raise_for_status()
        assert socket.until(*FINAL)["type"] == "task_completed"
    assert slow_client.get("/api/v1/task-status/a").json()["status"] == "completed"


@pytest.mark.parametrize("task_id", ["a/b", "../x", "a b", "x" * 129, "ä", 'a"b', "a\n"])
def test_an_id_that_could_not_stand_in_a_path_is_refused(client: httpx.Client, task_id: str) -> None:
    answer = client.post(ASYNC, json=order(task_id=task_id))
    assert answer.status_code == 400
    assert "task_id" in answer.json()["detail"]
    assert client.get("/v1/jobs").json()["jobs"] == []


def test_what_there_is_not_is_a_404_in_its_words(client: httpx.Client) -> None:
    for method, path in (("GET", "task-status"), ("GET", "task-result"), ("POST", "cancel-task")):
        answer = client.request(method, f"/api/v1/{path}/nope")
        assert (answer.status_code, answer.json()) == (404, {"detail": "Task nope not found"})


def test_tasks_are_counted_by_status_and_the_active_ones_are_named(
    slow_server: ThreadServer, slow_client: httpx.Client
) -> None:
    slow_client.post(ASYNC, json=order(task_id="done")).raise_for_status()
    completed(slow_server, "done")
    slow_client.post(ASYNC, json=order(task_id="active")).raise_for_status()
    # A picture that somebody waits for is no task.
    slow_client.post("/api/v1/inpaint-regions", json=order()).raise_for_status()
    slow_client.post(ASYNC, json=order(task_id="last")).raise_for_status()
    told = slow_client.get("/api/v1/tasks").json()
    assert told["total_tasks"] == 3
    assert told["active_tasks"] == len(told["active_task_ids"]) >= 1
    assert "last" in told["active_task_ids"]
    assert "done" not in told["active_task_ids"]
    assert told["completed_tasks"] + told["active_tasks"] == 3


def test_a_task_that_fails_says_why(server: ThreadServer, client: httpx.Client) -> None:
    everything = [{"x": 0, "y": 0, "width": 64, "height": 48}]
    client.post(ASYNC, json=order(task_id="a", regions=everything)).raise_for_status()
    with ProgressSocket(server.ports[0], "a") as socket:
        end = socket.until(*FINAL)
    assert end["type"] == "task_failed"
    status = client.get("/api/v1/task-status/a").json()
    assert status["status"] == "error"
    assert status["error_message"] == end["error_message"]
    assert status["message"] == f"Task failed: {end['error_message']}"
    assert "covers the whole picture" in end["error_message"]
    assert client.get("/api/v1/tasks").json()["error_tasks"] == 1
    # A failed one may be tried again.
    assert client.post(ASYNC, json=order(task_id="a")).json()["status"] == "pending"


def test_everybody_has_ids_of_their_own(tmp_path: Path) -> None:
    keys = {"api": {"keys": ["one", "two"]}}
    with thread_server(tmp_path / "data", listen=PROFILE, **keys) as server, server.client() as client:
        mine, theirs = {"X-API-Key": "one"}, {"X-API-Key": "two"}
        assert client.post(ASYNC, json=order(task_id="a")).status_code == 401
        client.post(ASYNC, json=order(task_id="a"), headers=mine).raise_for_status()
        assert client.get("/api/v1/task-status/a", headers=theirs).status_code == 404
        assert client.post("/api/v1/cancel-task/a", headers=theirs).status_code == 404
        other = order(task_id="a", regions=[{"x": 1, "y": 1, "width": 5, "height": 5}])
        assert client.post(ASYNC, json=other, headers=theirs).status_code == 200
        assert client.get("/api/v1/tasks", headers=mine).json()["total_tasks"] == 1
        assert client.get("/api/v1/health").status_code == 200


def test_a_task_outlives_the_death_of_the_server(tmp_path: Path) -> None:
    port = free_port()
    with (
        ProcessServer(tmp_path / "data", port=port, listen=f"{port}=text_removal", fake_step_s=0.3) as server,
        server.client() as client,
    ):
        client.post(ASYNC, json=order(task_id="done")).raise_for_status()
        with ProgressSocket(port, "done") as socket:
            socket.until("task_completed")
        with ProgressSocket(port, "cut") as socket:
            client.post(ASYNC, json=order(task_id="cut")).raise_for_status()
            socket.until("progress_update", status="processing")
            server.kill()
        server.start()
        assert client.get("/api/v1/task-status/done").json()["status"] == "completed"
        assert client.get("/api/v1/task-result/done").status_code == 200
        with ProgressSocket(port, "cut") as socket:
            assert socket.next()["type"] == "connection_established"
            assert socket.next()["status"] in {"processing", "completed"}
            socket.until("task_completed")
        assert client.get("/api/v1/tasks").json()["completed_tasks"] == 2
        assert client.get("/api/v1/task-result/cut").status_code == 200
