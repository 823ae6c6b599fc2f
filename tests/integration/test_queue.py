"""Who goes first, what those who wait are told, and what happens when there is no room to wait."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from protocol.codec import Codec
from tests.integration.viewers import Viewer, facts_of, finished, inline, png, started_running, submit
from tests.servers import ThreadServer, thread_server

pytestmark = pytest.mark.usefixtures("quiet_log")

SHORT = {"steps": 1, "width": 8, "height": 8}
LONG = {"steps": 1000, "step_ms": 20, "width": 8, "height": 8}
ERASE = {"image": inline(png()), "regions": [{"x": 2, "y": 2, "width": 5, "height": 5}]}
KEYS = ("key-of-anna", "key-of-bert", "key-of-carl")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ThreadServer]:
    """One live job of each class at a time, so that the order can be seen; three keys."""
    with thread_server(tmp_path / "data", max_live_jobs=1, api={"keys": KEYS}) as running:
        yield running


@pytest.fixture
def clients(server: ThreadServer) -> Iterator[list[httpx.Client]]:
    """One client per key."""
    opened = [server.client(headers={"X-API-Key": key}) for key in KEYS]
    yield opened
    for client in opened:
        client.close()


class Busy:
    """Keeps the device busy; in the end tells in which order the jobs behind it began."""

    def __init__(self, http: httpx.Client) -> None:
        self.job_id: str = submit(http, params=LONG)["id"]
        self._http = http
        started_running(http, self.job_id)

    def order(self, jobs: dict[str, str], clients: Sequence[httpx.Client]) -> list[str]:
        """The names of these jobs (id -> name), as they began once the device was free."""
        assert self._http.delete(f"/v1/jobs/{self.job_id}").status_code == 202
        started = {}
        for http in clients:
            for job_id in jobs:
                if http.get(f"/v1/jobs/{job_id}").status_code == 200:  # one of its own
                    assert finished(http, job_id)["status"] == "succeeded"
                    cursor = next(fact["cursor"] for fact in facts_of(http, job_id) if fact["type"] == "job.started")
                    started[job_id] = int(cursor.rpartition("-")[2])
        assert started.keys() == jobs.keys()
        return [jobs[job_id] for job_id in sorted(started, key=lambda job_id: started[job_id])]


def test_higher_priority_goes_first_and_age_decides_among_equals(
    server: ThreadServer, clients: list[httpx.Client]
) -> None:
    http = clients[0]
    busy = Busy(http)
    jobs = {}
    for number, priority in enumerate(["low", "normal", "high", "normal", "high", "low"]):
        jobs[submit(http, params=SHORT, priority=priority)["id"]] = f"{priority} {number}"
    assert busy.order(jobs, clients) == ["high 2", "high 4", "normal 1", "normal 3", "low 0", "low 5"]


def test_interactive_work_goes_before_batch_work_whatever_its_priority(
    server: ThreadServer, clients: list[httpx.Client]
) -> None:
    http = clients[0]
    busy = Busy(http)
    jobs = {submit(http, params=SHORT, priority="high")["id"]: "batch"}
    erase = submit(http, "erase", params=ERASE, priority="low")
    assert finished(http, erase["id"])["status"] == "succeeded"
    assert http.get(f"/v1/jobs/{busy.job_id}").json()["status"] == "running"
    assert busy.order(jobs, clients) == ["batch"]


def test_keys_take_turns_however_many_jobs_one_of_them_has(server: ThreadServer, clients: list[httpx.Client]) -> None:
    busy = Busy(clients[2])
    jobs = {}
    for name, http, count in (("a", clients[0], 5), ("b", clients[1], 2), ("c", clients[2], 1)):
        for number in range(count):
            jobs[submit(http, params=SHORT)["id"]] = f"{name}{number}"
    order = busy.order(jobs, clients)
    # Carl's long job was taken while nobody else waited: it costs him nothing against those who came later.
    assert sorted(order[:3]) == ["a0", "b0", "c0"]
    assert sorted(order[3:5]) == ["a1", "b1"]
    assert order[5:] == ["a2", "a3", "a4"]


def test_waiting_job_is_told_its_position_down_to_its_start(
    server: ThreadServer, clients: list[httpx.Client], codec: Codec
) -> None:
    http = clients[0]
    finished(http, submit(http, params=SHORT)["id"])  # from now on there is a measure of how long one takes
    params = {"steps": 10, "step_ms": 30, "width": 8, "height": 8}
    ahead = [submit(http, params=params) for _ in range(4)]
    with Viewer(server, codec, headers={"X-API-Key": KEYS[0]}) as viewer:
        job = viewer.submit(params=SHORT)
        told = viewer.until_end(job["id"])
        moves = [message["data"] for message in told if message["type"] == "queue.moved"]
    positions = [move["position"] for move in moves]
    assert positions[0] in {3, 4}
    assert positions == sorted(set(positions), reverse=True)
    assert positions[-1] == 0
    assert all(move["eta_s"] >= 0 for move in moves)
    assert "position" not in http.get(f"/v1/jobs/{job['id']}").json()
    assert all(finished(http, other["id"])["status"] == "succeeded" for other in ahead)


def test_job_that_waits_shows_its_position_when_it_is_asked_for(
    server: ThreadServer, clients: list[httpx.Client]
) -> None:
    http = clients[0]
    busy = Busy(http)
    jobs = [submit(http, params=SHORT)["id"] for _ in range(3)]
    assert [http.get(f"/v1/jobs/{job_id}").json()["position"] for job_id in jobs] == [0, 1, 2]
    http.delete(f"/v1/jobs/{jobs[0]}")
    assert [http.get(f"/v1/jobs/{job_id}").json()["position"] for job_id in jobs[1:]] == [0, 1]
    busy.order(dict.fromkeys(jobs[1:], ""), clients)


def test_full_queue_refuses_with_a_time_to_try_again_and_has_room_again_later(tmp_path: Path, codec: Codec) -> None:
    limits = {"max_live_jobs": 1, "max_queued_jobs": 3, "max_queued_jobs_per_key": 2, "api": {"keys": KEYS}}
    with (
        thread_server(tmp_path / "limited", **limits) as server,
        server.client(headers={"X-API-Key": KEYS[0]}) as anna,
        server.client(headers={"X-API-Key": KEYS[1]}) as bert,
    ):
        busy = Busy(anna)
        of_anna = [submit(anna, params=SHORT)["id"] for _ in range(2)]
        of_key = anna.post("/v1/jobs", json={"task": "test_pattern"})
        of_bert = submit(bert, params=SHORT)["id"]
        of_all = bert.post("/v1/jobs", json={"task": "test_pattern"})
        for answer in (of_key, of_all):
            assert (answer.status_code, answer.json()["code"]) == (429, "queue_full")
            assert 1 <= int(answer.headers["retry-after"]) <= 600
        with Viewer(server, codec, headers={"X-API-Key": KEYS[1]}) as viewer:
            error = viewer.ask("submit", job={"task": "test_pattern", "params": SHORT})["error"]
            assert error["code"] == "queue_full"
        assert len(bert.get("/v1/jobs").json()["jobs"]) == 1
        busy.order(dict.fromkeys((*of_anna, of_bert), ""), (anna, bert))
        assert finished(bert, submit(bert, params=SHORT)["id"])["status"] == "succeeded"
