"""A server that is killed again and again while clients use it, and what must be true afterwards."""

import hashlib
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.servers import DEADLINE_S, ProcessServer, until

TERMINAL = {"job.succeeded", "job.failed", "job.cancelled"}
Request = dict[str, Any]


@dataclass
class Client:
    """Submits, uploads and cancels, and writes down what it was promised.

    Attributes:
        wishes: idempotency key -> request, all of them, answered or not.
        accepted: idempotency key -> job id, of those that were answered.
        uploads: id -> SHA-256, of those that were answered.
        cancelling: job ids whose cancelling was asked, answered or not: a server may die between the deed and the word.
    """

    make_request: Callable[[random.Random], Request]
    make_upload: Callable[[random.Random], bytes]
    use_upload: Callable[[str], Request]
    wishes: dict[str, Request] = field(default_factory=dict)
    accepted: dict[str, str] = field(default_factory=dict)
    uploads: dict[str, str] = field(default_factory=dict)
    cancelling: set[str] = field(default_factory=set)

    def use(self, http: httpx.Client, chance: random.Random, jobs: int) -> None:
        """Use the server until everything is said, or until it is gone."""
        try:
            for key in [key for key in self.wishes if key not in self.accepted]:
                self.submit(http, key)
            for number in range(jobs):
                key = f"wish-{len(self.wishes)}"
                self.wishes[key] = self.make_request(chance)
                if number == 1:
                    content = self.make_upload(chance)
                    answer = http.post("/v1/uploads", content=content)
                    assert answer.status_code == 201, answer.text
                    self.uploads[answer.json()["id"]] = hashlib.sha256(content).hexdigest()
                    self.wishes[key] = self.use_upload(answer.json()["ref"])
                self.submit(http, key)
                if chance.random() < 0.1:
                    self._cancel(http, self.accepted[key])
        except httpx.TransportError:
            return  # killed

    def submit(self, http: httpx.Client, key: str) -> str:
        answer = http.post("/v1/jobs", json=self.wishes[key], headers={"Idempotency-Key": key})
        assert answer.status_code == 202, answer.text
        job_id: str = answer.json()["id"]
        assert self.accepted.setdefault(key, job_id) == job_id, f"{key} made two jobs"
        return job_id

    def _cancel(self, http: httpx.Client, job_id: str) -> None:
        self.cancelling.add(job_id)
        answer = http.delete(f"/v1/jobs/{job_id}")
        assert answer.status_code in {202, 409}, answer.text


def crash(server: ProcessServer, client: Client, chance: random.Random, *, jobs: int, longest_s: float) -> None:
    """Start the server, use it, and kill it at a random moment."""
    server.start()
    killer = threading.Timer(chance.uniform(0, longest_s), server.kill)
    killer.start()
    with server.client() as http:
        client.use(http, chance, jobs)
    killer.join()


def wait_for_all(http: httpx.Client, job_ids: Sequence[str], *, deadline_s: float) -> dict[str, Request]:
    """Wait until each job has ended; returns them as the server shows them."""
    end = time.monotonic() + deadline_s
    jobs = {}
    for job_id in job_ids:
        while True:
            jobs[job_id] = http.get(f"/v1/jobs/{job_id}", params={"wait": 5}).json()
            if jobs[job_id]["status"] in {"succeeded", "failed", "cancelled"}:
                break
            assert time.monotonic() < end, f"not ended after {deadline_s:g} s: {jobs[job_id]}"
    return jobs


def facts_of(http: httpx.Client, job_id: str) -> list[Request]:
    answer = http.get(f"/v1/jobs/{job_id}/events", params={"after": 0}, headers={"Accept": "application/json"})
    assert answer.status_code == 200, answer.text
    return [event for event in answer.json()["events"] if "n" not in event]


def check_facts(facts: Sequence[Request]) -> int:
    """What must be true of every job's facts; returns how many times it was requeued."""
    types = [fact["type"] for fact in facts]
    assert [fact["seq"] for fact in facts] == list(range(1, len(facts) + 1)), types
    assert types[0] == "job.queued"
    assert [kind for kind in types if kind in TERMINAL] == types[-1:], types
    attempt, is_running, requeued = 1, False, 0
    outputs: list[int] = []
    for fact in facts:
        kind, data = fact["type"], fact["data"]
        if kind == "job.started":
            assert not is_running, types
            assert data["attempt"] == attempt
            is_running = True
        elif kind == "job.requeued":
            assert is_running, types
            assert data["attempt"] == attempt + 1
            attempt, is_running, requeued = data["attempt"], False, requeued + 1
        elif kind == "output.ready":
            assert is_running, types
            outputs.append(data["index"])
    assert outputs == sorted(set(outputs)), "an output that was ready was made again"
    return requeued


def check_outputs(http: httpx.Client, job: Request) -> dict[int, str]:
    """Every listed output is a whole file; returns their SHA-256 by index."""
    found = {}
    for output in job["outputs"]:
        answer = http.get(output["url"])
        assert answer.status_code == 200, answer.text
        assert len(answer.content) == output["size_bytes"]
        assert hashlib.sha256(answer.content).hexdigest() == output["sha256"]
        found[output["index"]] = output["sha256"]
    return found


def check_uploads(data_dir: Path, uploads: dict[str, str]) -> None:
    """Every upload that was answered is there, as it was sent."""
    kept = {path.name: path for path in (data_dir / "uploads").glob("??/*")}
    for upload_id, sha256 in uploads.items():
        assert hashlib.sha256(kept[upload_id].read_bytes()).hexdigest() == sha256


def check_nothing_is_left_over(data_dir: Path, job_ids: set[str]) -> None:
    """What was half written is removed, and so is what belongs to no job."""
    until(
        lambda: (
            not list(data_dir.rglob("*.part")) and {path.name for path in (data_dir / "jobs").glob("??/*")} <= job_ids
        ),
        "what is left over to be removed",
        deadline_s=DEADLINE_S,
    )
