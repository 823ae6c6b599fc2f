"""What holds at all gateways together: the limits of the queue, and how far back a viewer may go. Real processes."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from service.migrations import DATABASE_NAME
from tests.clusters import Cluster
from tests.integration.viewers import Viewer, finished, submit

MOST = 5
LONG = {"width": 16, "height": 16, "images": 1, "steps": 1000, "step_ms": 50}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(
        tmp_path_factory.mktemp("limits"), workers=1, max_queued_jobs_per_key=MOST, max_live_jobs=1
    ) as running:
        yield running


def test_no_more_jobs_of_a_key_wait_than_may_however_many_gateways_take_them(cluster: Cluster) -> None:
    with cluster.gateways[0].client() as one, cluster.gateways[1].client() as other:
        with Viewer(cluster.gateways[0]) as viewer:
            viewer.ask("subscribe", jobs="mine")
            running = submit(one, params=LONG)["id"]
            viewer.until("job.started", job_id=running)

        def ask(number: int) -> tuple[int, str]:
            client = (one, other)[number % 2]
            answer = client.post("/v1/jobs", json={"task": "test_pattern", "params": LONG})
            return answer.status_code, answer.json().get("id", answer.json().get("code"))

        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(ask, range(24)))
        accepted = [job_id for status, job_id in answers if status == 202]
        assert len(accepted) == MOST, answers
        assert {answer for answer in answers if answer[0] != 202} == {(429, "queue_full")}
        for job_id in (*accepted, running):
            assert other.delete(f"/v1/jobs/{job_id}").status_code == 202
            assert finished(one, job_id)["status"] == "cancelled"


def test_a_new_gateway_knows_that_facts_before_a_removal_are_too_old(cluster: Cluster) -> None:
    with cluster.gateways[0].client() as one:
        first, second = (finished(one, submit(one)["id"]) for _ in range(2))
        events = one.get(f"/v1/jobs/{first['id']}/events").json()["events"]
        assert one.delete(f"/v1/jobs/{second['id']}/record").status_code == 204
        newcomer = cluster.add_gateway().start()
        with Viewer(newcomer) as viewer:
            reply = viewer.ask("subscribe", jobs="mine", cursor=events[0]["cursor"])
            assert (reply["ok"], reply["error"]["code"]) == (False, "cursor_expired")
        assert newcomer.stop() in {0, -15}


def test_a_gateway_takes_no_folder_that_has_the_jobs_of_another_kind_of_server(
    cluster: Cluster, tmp_path: Path
) -> None:
    member = cluster.add_gateway()
    member.start()
    member.stop()
    database = member.data_dir / DATABASE_NAME
    with closing(sqlite3.connect(database)) as opened, opened:
        opened.execute("DELETE FROM meta WHERE name = 'position'")
        opened.execute("UPDATE meta SET value = 'of another' WHERE name = 'database_id'")
        jobs = opened.execute("SELECT count(*) FROM jobs").fetchone()
    member.launch()
    assert member.until_ended() == 1
    assert "choose another folder" in member.log
    with closing(sqlite3.connect(database)) as opened:
        assert opened.execute("SELECT count(*) FROM jobs").fetchone() == jobs
