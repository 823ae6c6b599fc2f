"""A server that is told to stop says so, hands back what runs, and goes on with it at the next start."""

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from protocol.codec import Codec
from tests.integration.viewers import (
    FACT_TYPES,
    Message,
    Viewer,
    facts_of,
    finished,
    inline,
    png,
    started_running,
    submit,
)
from tests.servers import DEADLINE_S, ProcessServer, until

PRINTS = {"images": 6, "steps": 10, "step_ms": 20, "width": 16, "height": 16}
SLOW = {"steps": 3, "step_ms": 1500, "width": 8, "height": 8}


@pytest.fixture
def process(tmp_path: Path) -> Iterator[ProcessServer]:
    server = ProcessServer(tmp_path / "data", log_level="warning", max_live_jobs=1)
    with server:
        yield server


def test_running_job_is_handed_back_and_goes_on_after_a_restart(process: ProcessServer, codec: Codec) -> None:
    with Viewer(process, codec) as viewer, process.client() as http:
        viewer.ask("subscribe", topic="server")
        job_id = viewer.submit(params=PRINTS)["id"]
        waiting = submit(http, params=PRINTS | {"images": 1})["id"]
        told = viewer.until("output.ready")
        stopping = Stopping(process)
        told += viewer.until("server.draining")
        told += viewer.until("job.requeued")
        assert told[-1]["data"] == {"attempt": 2, "reason": "shutdown"}
        assert viewer.closed()[0] == 1012
    assert stopping.status() in {0, -15}

    process.start()
    facts = [message for message in told if message["type"] in FACT_TYPES]
    with Viewer(process, codec) as viewer, process.client() as http:
        viewer.ask("subscribe", job_id=job_id, after=facts[-1]["seq"])
        facts += [message for message in viewer.until_end(job_id) if message["type"] in FACT_TYPES]
        assert [fact["seq"] for fact in facts] == list(range(1, len(facts) + 1))
        assert facts == facts_of(http, job_id)
        assert facts[-1]["type"] == "job.succeeded"
        assert outputs_in(facts) == list(range(PRINTS["images"]))
        job = finished(http, job_id)
        assert (job["attempt"], len(job["outputs"])) == (2, PRINTS["images"])
        of_waiting = [fact["type"] for fact in facts_of(http, finished(http, waiting)["id"])]
        assert of_waiting == ["job.queued", "job.started", "output.ready", "job.succeeded"]


def outputs_in(facts: list[Message]) -> list[int]:
    return [fact["data"]["index"] for fact in facts if fact["type"] == "output.ready"]


class Stopping(threading.Thread):
    """Asks a server to stop, while the test watches."""

    def __init__(self, process: ProcessServer) -> None:
        super().__init__(daemon=True)
        self._process = process
        self._status: int | None = None
        self.start()

    def run(self) -> None:
        self._status = self._process.stop()

    def status(self) -> int | None:
        self.join(4 * DEADLINE_S)
        return self._status


def test_stopping_server_accepts_nothing_more_and_says_when_to_come_back(process: ProcessServer, codec: Codec) -> None:
    with Viewer(process, codec) as viewer, process.client() as http:
        viewer.ask("subscribe", topic="server")
        job = viewer.submit(params=SLOW)
        viewer.until("job.started", job_id=job["id"])
        kept = png()
        assert http.get("/v1/health/ready").status_code == 200
        stopping = Stopping(process)
        viewer.until("server.draining")
        refused = http.post("/v1/jobs", json={"task": "upscale", "params": {"image": inline(kept)}})
        assert (refused.status_code, refused.json()["code"]) == (503, "draining")
        assert int(refused.headers["retry-after"]) >= 1
        assert viewer.ask("submit", job={"task": "test_pattern"})["error"]["code"] == "draining"
        ready = http.get("/v1/health/ready")
        assert (ready.status_code, ready.json()["problems"]) == (503, ["draining"])
        assert viewer.closed()[0] == 1012
        assert stopping.status() in {0, -15}


def test_those_who_wait_for_a_job_are_answered_when_the_server_stops(process: ProcessServer) -> None:
    answers: dict[str, httpx.Response] = {}

    def ask(path: str, headers: dict[str, str]) -> None:
        with process.client() as http:
            answers[path] = http.get(path, headers=headers)

    with process.client() as http:
        job_id = submit(http, params=SLOW)["id"]
        started_running(http, job_id)
    requests: list[tuple[str, dict[str, str]]] = [
        (f"/v1/jobs/{job_id}?wait=60", {}),
        (f"/v1/jobs/{job_id}/events?after=2&wait=60", {}),
        (f"/v1/jobs/{job_id}/events", {"Accept": "text/event-stream"}),
    ]
    asking = [threading.Thread(target=ask, args=request) for request in requests]
    for thread in asking:
        thread.start()
    with process.client() as http:
        until(lambda: "safelight_subscribers 3.0" in http.get("/metrics").text, "all three to wait")
    stopping = Stopping(process)
    for thread in asking:
        thread.join(4 * DEADLINE_S)
    assert stopping.status() in {0, -15}
    assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(answers, 200)
    assert len(answers) == 3
    whole, told, streamed = (answers[path] for path, _ in requests)
    assert whole.json()["status"] == "queued"
    assert [event["type"] for event in told.json()["events"]][-1] == "job.requeued"
    assert streamed.text.rstrip().split("event: ")[-1].startswith("job.requeued")


def test_cancel_that_was_accepted_holds_across_a_restart(process: ProcessServer) -> None:
    with process.client() as http:
        running = submit(http, params=SLOW)["id"]
        started_running(http, running)
        waiting = submit(http, params=PRINTS)["id"]
        assert http.delete(f"/v1/jobs/{waiting}").status_code == 202
        assert http.delete(f"/v1/jobs/{running}").status_code == 202
        process.kill()
    process.start()
    with process.client() as http:
        for job_id in (running, waiting):
            job = finished(http, job_id)
            assert job["status"] == "cancelled"
            facts = [fact["type"] for fact in facts_of(http, job_id)]
            assert facts.count("job.cancelled") == 1
            assert "job.succeeded" not in facts
