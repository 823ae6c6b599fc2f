"""What a gateway does not hear of for a while: that a job of its own was stored, or facts that others have told."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.cluster.lossy_proxy import LossyProxy
from tests.clusters import Cluster
from tests.integration.loop_thread import on_a_thread
from tests.integration.viewers import Viewer, facts_of, finished
from tests.servers import until

ACCEPTED = b'{"stream":"SAFELIGHT_FACTS"'
"""Begins what NATS answers when it has stored a fact."""
BODY = {"task": "test_pattern", "params": {"width": 16, "height": 16, "steps": 1}}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Its gateways run; its worker does not yet."""
    with Cluster(tmp_path / "cluster", gateways=2, workers=0) as running:
        running.add_worker()
        yield running


def post(client: httpx.Client, key: str | None) -> httpx.Response:
    return client.post("/v1/jobs", json=BODY, headers={"Idempotency-Key": key} if key else {})


async def let_through(proxy: LossyProxy) -> None:
    proxy.open()


@pytest.mark.slow
@pytest.mark.parametrize("is_elsewhere", [False, True])
def test_submit_that_is_repeated_after_its_answer_was_lost_makes_one_job_which_is_done(
    cluster: Cluster, is_elsewhere: bool
) -> None:
    deaf, other = cluster.gateways
    deaf.kill()
    with on_a_thread(lambda: LossyProxy(cluster.nats.port)) as (proxy, thread), deaf.client() as client:
        deaf.start(nats_url=proxy.url)
        proxy.close_after_loss()
        proxy.losing_back = ACCEPTED
        refused = post(client, "k")
        assert (refused.status_code, proxy.has_lost.is_set()) == (503, True)
        if is_elsewhere:
            with other.client() as elsewhere:
                again = post(elsewhere, "k")
        thread.do(let_through(proxy))
        until(deaf.is_ready, "NATS to be back")
        if not is_elsewhere:
            again = post(client, "k")
        assert again.status_code == 202, again.text
        cluster.workers[0].start()
        job_id = again.json()["id"]
        assert finished(client, job_id)["status"] == "succeeded", facts_of(client, job_id)
        assert post(client, "k").json()["id"] == job_id
        listed = client.get("/v1/jobs").json()["jobs"]
        assert [job["id"] for job in listed if job["status"] != "cancelled"] == [job_id]


@pytest.mark.slow
def test_job_whose_client_was_told_that_it_was_not_accepted_is_not_done(cluster: Cluster) -> None:
    deaf, other = cluster.gateways
    deaf.kill()
    with on_a_thread(lambda: LossyProxy(cluster.nats.port)) as (proxy, thread), other.client() as client:
        deaf.start(nats_url=proxy.url)
        proxy.close_after_loss()
        proxy.losing_back = ACCEPTED
        with deaf.client() as refused:
            assert post(refused, None).status_code == 503
        (job,) = client.get("/v1/jobs").json()["jobs"]
        assert job["status"] == "queued", "it was stored after all"
        thread.do(let_through(proxy))
        assert finished(client, job["id"])["status"] == "cancelled"
        assert facts_of(client, job["id"])[-1]["data"]["reason"].startswith("it was not accepted")


def test_viewer_who_has_seen_more_elsewhere_is_sent_to_try_again_while_a_gateway_cannot_catch_up(
    cluster: Cluster,
) -> None:
    deaf, other = cluster.gateways
    deaf.kill()
    with (
        on_a_thread(lambda: LossyProxy(cluster.nats.port)) as (proxy, thread),
        deaf.client() as behind,
        other.client() as client,
    ):
        deaf.start(nats_url=proxy.url)
        job_id = post(client, None).json()["id"]
        until(lambda: behind.get(f"/v1/jobs/{job_id}").status_code == 200, "both to know")
        proxy.close_after_loss()
        proxy.losing_back = b"job.started"
        cluster.workers[0].start()
        finished(client, job_id)
        facts = facts_of(client, job_id)
        until(proxy.has_lost.is_set, "something to be lost")
        subscribes: list[dict[str, object]] = [
            {"job_id": job_id, "after": len(facts) - 1},
            {"jobs": "mine", "cursor": facts[-2]["cursor"]},
        ]
        for subscribe in subscribes:
            with Viewer(deaf) as viewer:
                viewer.say("subscribe", **subscribe)
                assert viewer.closed()[0] == 1012
        stream = behind.get(f"/v1/jobs/{job_id}/events", params={"after": len(facts) - 1})
        assert (stream.status_code, stream.json()["code"]) == (503, "not_ready")
        thread.do(let_through(proxy))
        until(deaf.is_ready, "NATS to be back")
        for subscribe in subscribes:
            with Viewer(deaf) as viewer:
                viewer.say("subscribe", **subscribe)
                assert viewer.until("job.succeeded")[-1] == facts[-1]
