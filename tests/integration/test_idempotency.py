"""A submit that is sent again makes no second job; and waiting for the answer."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from protocol.codec import Codec
from protocol.ids import new_id
from tests.integration.viewers import Viewer, finished, started_running, submit
from tests.servers import DEADLINE_S, ThreadServer, thread_server

pytestmark = pytest.mark.usefixtures("quiet_log")

SMALL = {"task": "test_pattern", "params": {"steps": 1, "width": 8, "height": 8}}
LONG = {"steps": 1000, "step_ms": 20, "width": 8, "height": 8}


def test_repeated_submit_gets_the_first_answer(http: httpx.Client) -> None:
    key = {"Idempotency-Key": "order 66"}
    first = http.post("/v1/jobs", json=SMALL, headers=key)
    finished(http, first.json()["id"])
    again = http.post("/v1/jobs", json=SMALL, headers=key)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    assert len(http.get("/v1/jobs").json()["jobs"]) == 1


def test_twenty_submits_at_once_with_one_key_make_one_job(server: ThreadServer, http: httpx.Client) -> None:
    def send(_: int) -> httpx.Response:
        with server.client() as client:
            return client.post("/v1/jobs", json=SMALL, headers={"Idempotency-Key": "once"})

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(send, range(20)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(http.get("/v1/jobs").json()["jobs"]) == 1


def test_order_of_names_in_the_body_makes_no_other_request(http: httpx.Client) -> None:
    key = {"Idempotency-Key": "a"}
    first = http.post("/v1/jobs", content=b'{"task":"test_pattern","previews":"none"}', headers=key | JSON_TYPE)
    again = http.post("/v1/jobs", content=b'{ "previews": "none", "task": "test_pattern" }', headers=key | JSON_TYPE)
    assert first.json()["id"] == again.json()["id"]


JSON_TYPE = {"Content-Type": "application/json"}


def test_key_of_another_request_is_refused(http: httpx.Client) -> None:
    key = {"Idempotency-Key": "a"}
    first = http.post("/v1/jobs", json=SMALL, headers=key)
    other = http.post("/v1/jobs", json=SMALL | {"priority": "high"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
    assert "Idempotency-Key" in other.json()["detail"]
    assert http.post("/v1/jobs", json=SMALL, headers=key).json()["id"] == first.json()["id"]


def test_refused_submit_does_not_use_up_its_key(http: httpx.Client) -> None:
    key = {"Idempotency-Key": "a"}
    assert http.post("/v1/jobs", json={"task": "paint"}, headers=key).status_code == 422
    assert http.post("/v1/jobs", json=SMALL, headers=key).status_code == 202


def test_socket_and_request_share_idempotency_keys(server: ThreadServer, http: httpx.Client, codec: Codec) -> None:
    key = new_id()
    first = http.post("/v1/jobs", json=SMALL, headers={"Idempotency-Key": key}).json()
    with Viewer(server, codec) as viewer:
        again = viewer.ask("submit", job=SMALL, idempotency_key=key)
        assert again["job"]["id"] == first["id"]
        assert viewer.until_end(first["id"])[-1]["type"] == "job.succeeded"
        other = viewer.ask("submit", job={"task": "test_pattern"}, idempotency_key=key)
        assert other["error"]["code"] == "idempotency_mismatch"


def test_each_api_key_has_idempotency_keys_of_its_own(tmp_path: Path) -> None:
    with thread_server(tmp_path / "data", api={"keys": ("anna", "bert")}) as server, server.client() as http:
        ids = {
            http.post("/v1/jobs", json=SMALL, headers={"Idempotency-Key": "a", "X-API-Key": key}).json()["id"]
            for key in ("anna", "bert")
        }
    assert len(ids) == 2


def test_idempotency_keys_survive_a_restart(tmp_path: Path) -> None:
    ids = []
    for _ in range(2):
        with thread_server(tmp_path / "data") as server, server.client() as http:
            ids.append(http.post("/v1/jobs", json=SMALL, headers={"Idempotency-Key": "a"}).json()["id"])
    assert ids[0] == ids[1]


def test_idempotency_keys_are_forgotten_after_their_time(tmp_path: Path) -> None:
    with thread_server(tmp_path / "data", idempotency_ttl_s=0.001) as server, server.client() as http:
        ids = set()
        for _ in range(2):
            answer = http.post("/v1/jobs", json=SMALL, headers={"Idempotency-Key": "a"}).json()
            finished(http, answer["id"])
            ids.add(answer["id"])
    assert len(ids) == 2


def test_submit_that_prefers_to_wait_gets_the_finished_job(http: httpx.Client) -> None:
    answer = http.post("/v1/jobs", json=SMALL, headers={"Prefer": "respond-async, wait=30"})
    assert (answer.status_code, answer.headers["preference-applied"]) == (200, "wait=30")
    job = answer.json()
    assert (job["status"], len(job["outputs"])) == ("succeeded", 1)


def test_submit_whose_wait_is_too_short_gets_the_job_as_it_is(http: httpx.Client) -> None:
    body = {"task": "test_pattern", "params": LONG}
    answer = http.post("/v1/jobs", json=body, headers={"Prefer": "wait=0.1"})
    assert answer.status_code == 202
    assert answer.json()["status"] in {"queued", "running"}
    http.delete(answer.headers["location"])


def test_waiting_for_a_job_ends_when_it_ends(http: httpx.Client) -> None:
    job = submit(http, params={"steps": 10, "step_ms": 20, "width": 8, "height": 8})
    began = time.monotonic()
    assert http.get(f"/v1/jobs/{job['id']}", params={"wait": 3 * DEADLINE_S}).json()["status"] == "succeeded"
    assert time.monotonic() - began < DEADLINE_S


def test_waiting_is_cut_to_what_the_server_allows(tmp_path: Path) -> None:
    with thread_server(tmp_path / "data", max_wait_s=0.1) as server, server.client() as http:
        job = submit(http, params=LONG)
        started_running(http, job["id"])
        for wait in (1e9, "inf"):
            assert http.get(f"/v1/jobs/{job['id']}", params={"wait": wait}).json()["status"] == "running"
        answer = http.get(f"/v1/jobs/{job['id']}/events", params={"wait": 1e9, "after": 2}).json()
        assert (answer["done"], answer["seq"]) == (False, 2)
        http.delete(f"/v1/jobs/{job['id']}")


def test_poller_who_names_its_last_hint_is_woken_by_the_next(http: httpx.Client) -> None:
    job = submit(http, params=LONG | {"step_ms": 50}, previews="none")
    started_running(http, job["id"])
    n, seen = 0, []
    while len(seen) < 5:
        answer = http.get(f"/v1/jobs/{job['id']}/events", params={"after": 2, "n": n, "wait": DEADLINE_S}).json()
        hints = [event for event in answer["events"] if "n" in event]
        assert hints[-1]["n"] > n
        n = hints[-1]["n"]
        seen.append(n)
    http.delete(f"/v1/jobs/{job['id']}")
