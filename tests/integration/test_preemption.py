"""Urgent work overtakes long work, and a cancel lands, within one step; and neither touches anything else."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from protocol.codec import Codec
from protocol.ids import new_id
from tests.integration.viewers import (
    Message,
    Viewer,
    facts_of,
    finished,
    inline,
    png,
    started_running,
    submit,
)
from tests.servers import MODELS_DIR, ThreadServer, thread_server

pytestmark = pytest.mark.usefixtures("quiet_log")

STEP_MS = 150
LONG = {"steps": 1000, "step_ms": STEP_MS, "width": 16, "height": 16}
ERASE = {"image": inline(png()), "regions": [{"x": 2, "y": 2, "width": 5, "height": 5}]}


def steps_in(messages: Sequence[Message], job_id: str) -> int:
    return sum(message["type"] == "step.finished" and message["job_id"] == job_id for message in messages)


def test_erase_ends_after_at_most_one_step_of_a_long_job(server: ThreadServer, http: httpx.Client) -> None:
    with Viewer(server) as viewer:
        long_job = viewer.submit(params=LONG, previews="none")
        viewer.until("step.finished", job_id=long_job["id"])
        for _ in range(3):
            erase = viewer.submit("erase", params=ERASE, previews="none")
            told = viewer.until_end(erase["id"])
            assert told[-1]["type"] == "job.succeeded"
            assert steps_in(told, long_job["id"]) <= 1
        assert http.get(f"/v1/jobs/{long_job['id']}").json()["status"] == "running"
        viewer.ask("cancel", job_id=long_job["id"])


@pytest.mark.models
@pytest.mark.parametrize("model", ["compact", pytest.param("x4plus", marks=pytest.mark.slow)])
def test_erase_of_a_photograph_ends_after_at_most_one_step_of_a_long_upscale(tmp_path: Path, model: str) -> None:
    photograph = MODELS_DIR / "demo-photograph.jpg"
    erase = {"image": inline(photograph.read_bytes()), "regions": [{"x": 430, "y": 110, "width": 42, "height": 250}]}
    enlarge = {"image": erase["image"], "factor": 4, "model": model}
    with thread_server(tmp_path / "data", engine="torch", models_dir=MODELS_DIR) as real, Viewer(real) as viewer:
        upscale = viewer.submit("upscale", params=enlarge, previews="none")
        viewer.until("step.finished", job_id=upscale["id"])
        for _ in range(2):
            edit = viewer.submit("erase", params=erase)
            told = viewer.until_end(edit["id"])
            assert told[-1]["type"] == "job.succeeded"
            assert steps_in(told, upscale["id"]) <= 1
        # It was still at work, or there was nothing to overtake: a job that has ended cannot be cancelled.
        assert viewer.ask("cancel", job_id=upscale["id"])["ok"]
        assert viewer.until_end(upscale["id"])[-1]["type"] == "job.cancelled"


def test_cancel_lands_within_one_step(server: ThreadServer, codec: Codec) -> None:
    with Viewer(server, codec) as viewer:
        job = viewer.submit(params=LONG)
        viewer.until("step.finished", job_id=job["id"])
        ref = viewer.say("cancel", job_id=job["id"])
        told = viewer.until_end(job["id"])
    reply = next(message for message in told if message.get("ref") == ref)
    assert reply["ok"]
    assert reply["job"]["cancel_requested"]
    assert told[-1]["type"] == "job.cancelled"
    assert steps_in(told, job["id"]) <= 1


def test_cancelling_one_running_job_leaves_the_others_alone(server: ThreadServer, http: httpx.Client) -> None:
    params = {"images": 2, "steps": 10, "step_ms": 5, "width": 16, "height": 16}
    jobs = [submit(http, params=params) for _ in range(4)]
    started_running(http, jobs[1]["id"])
    assert http.delete(f"/v1/jobs/{jobs[1]['id']}").status_code == 202
    ends = [finished(http, job["id"]) for job in jobs]
    assert [job["status"] for job in ends] == ["succeeded", "cancelled", "succeeded", "succeeded"]
    assert [len(job["outputs"]) for job in ends[:1] + ends[2:]] == [2, 2, 2]


@pytest.fixture
def one_at_a_time(tmp_path: Path) -> Iterator[ThreadServer]:
    with thread_server(tmp_path / "data", max_live_jobs=1) as running:
        yield running


def test_cancelling_a_waiting_job_leaves_the_running_one_alone(one_at_a_time: ThreadServer, codec: Codec) -> None:
    with Viewer(one_at_a_time, codec) as viewer, one_at_a_time.client() as http:
        running = viewer.submit(params={"steps": 15, "step_ms": 20, "width": 16, "height": 16})
        viewer.until("job.started", job_id=running["id"])
        waiting = viewer.submit(params=LONG)
        reply = viewer.ask("cancel", job_id=waiting["id"])
        assert (reply["job"]["status"], reply["job"].get("started_at")) == ("cancelled", None)
        assert [fact["type"] for fact in facts_of(http, waiting["id"])] == ["job.queued", "job.cancelled"]
        assert viewer.until_end(running["id"])[-1]["type"] == "job.succeeded"


def test_cancelling_what_has_ended_says_how_it_ended(server: ThreadServer, http: httpx.Client, codec: Codec) -> None:
    small = {"steps": 1, "width": 8, "height": 8}
    with Viewer(server, codec) as viewer:
        for params, word in ((small, "succeeded"), (small | {"fail_at_step": 1}, "failed")):
            job = viewer.submit(params=params)
            viewer.until_end(job["id"])
            for _ in range(2):
                answer = http.delete(f"/v1/jobs/{job['id']}")
                assert (answer.status_code, answer.json()["code"]) == (409, "already_ended")
                assert word in answer.json()["detail"]
                error = viewer.ask("cancel", job_id=job["id"])["error"]
                assert error["code"] == "already_ended"
                assert word in error["message"]
            assert [fact["type"] for fact in facts_of(http, job["id"])][-1] == f"job.{word}"
        cancelled = viewer.submit(params=LONG)
        viewer.ask("cancel", job_id=cancelled["id"])
        viewer.until_end(cancelled["id"])
        assert "cancelled" in http.delete(f"/v1/jobs/{cancelled['id']}").json()["detail"]


def test_cancelling_what_nobody_made_says_so(server: ThreadServer, http: httpx.Client, codec: Codec) -> None:
    for job_id in (new_id(), "x"):
        answer = http.delete(f"/v1/jobs/{job_id}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        with Viewer(server, codec) as viewer:
            assert viewer.ask("cancel", job_id=job_id)["error"]["code"] == "not_found"


def test_cancelling_twice_ends_a_job_once(server: ThreadServer, http: httpx.Client) -> None:
    with Viewer(server) as viewer:
        job = viewer.submit(params=LONG)
        viewer.until("step.finished")
        for _ in range(3):
            viewer.say("cancel", job_id=job["id"])
        viewer.until_end(job["id"])
        assert viewer.ask("ping")["ok"]
    assert [fact["type"] for fact in facts_of(http, job["id"])] == ["job.queued", "job.started", "job.cancelled"]


def test_failing_job_fails_alone(server: ThreadServer, http: httpx.Client) -> None:
    params = {"images": 2, "steps": 5, "step_ms": 2, "width": 16, "height": 16}
    jobs = [submit(http, params=params | ({"fail_at_step": 3} if number == 1 else {})) for number in range(3)]
    ends = [finished(http, job["id"]) for job in jobs]
    assert [job["status"] for job in ends] == ["succeeded", "failed", "succeeded"]
    assert ends[1]["error"]["code"] == "step_failed"
    assert "fail_at_step" in ends[1]["error"]["message"]
