"""What happens to jobs and viewers when a part of the cluster is away: NATS, a gateway or a worker."""

import hashlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from tests.cluster.watching import PATIENCE_S
from tests.clusters import LOST_S, Cluster, Member, frozen
from tests.integration.viewers import (
    FACT_TYPES,
    TERMINAL_TYPES,
    Message,
    Viewer,
    facts_of,
    finished,
    started_running,
    submit,
)
from tests.servers import DEADLINE_S, until

SMALL = {"width": 16, "height": 16}
QUICK = {**SMALL, "steps": 1}
STEADY = {**SMALL, "images": 6, "steps": 4, "step_ms": 100}
"""A job of nine facts that takes two and a half seconds."""
MAX_ATTEMPTS = 3
RESTARTING = 1012
CONNECTIONS = Path("/proc/net/tcp")
KEY_CHECK_S = 5.0
"""So often a gateway looks whether the keys of open sockets have been revoked."""


@pytest.fixture(scope="module")
def cluster_of_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(
        tmp_path_factory.mktemp("outages"), workers=2, max_attempts=MAX_ATTEMPTS, snapshot_after=50
    ) as running:
        yield running


@pytest.fixture
def cluster(cluster_of_module: Cluster) -> Iterator[Cluster]:
    """All of it runs at the start, whatever the test before has done to it."""
    if not cluster_of_module.nats.is_running:
        cluster_of_module.nats.start()
    cluster_of_module.nats.thaw()
    members = [*cluster_of_module.gateways[:2], *cluster_of_module.workers[:2]]
    for member in members:
        if member.is_running:
            member.thaw()
        else:
            member.launch()
    for member in members:
        member.until_ready()
    yield cluster_of_module
    cluster_of_module.show()


@pytest.fixture
def one(cluster: Cluster) -> Iterator[httpx.Client]:
    with cluster.gateways[0].client() as client:
        yield client


@pytest.fixture
def other(cluster: Cluster) -> Iterator[httpx.Client]:
    with cluster.gateways[1].client() as client:
        yield client


def attempts(facts: list[Message]) -> int:
    """How often a job was begun."""
    return sum(fact["type"] == "job.started" for fact in facts)


def check_end(facts: list[Message], kind: str = "job.succeeded") -> None:
    """There is one end, which is the last fact, and no gap before it."""
    assert [fact["seq"] for fact in facts] == list(range(1, len(facts) + 1)), facts
    assert [fact["type"] for fact in facts if fact["type"] in TERMINAL_TYPES] == [kind], facts
    assert facts[-1]["type"] == kind


def post(client: httpx.Client, key: str, **params: object) -> httpx.Response:
    body = {"task": "test_pattern", "params": {**QUICK, **params}, "labels": {"key": key}}
    return client.post("/v1/jobs", json=body, headers={"Idempotency-Key": key})


def ids_of(client: httpx.Client, key: str) -> list[str]:
    """The jobs that submits with an idempotency key have made, but for those that were not accepted."""
    listed = client.get("/v1/jobs", params={"label": f"key:{key}"}).raise_for_status().json()["jobs"]
    return [job["id"] for job in listed if job["status"] != "cancelled"]


def worker_of(cluster: Cluster, client: httpx.Client, job_id: str) -> Member:
    """The worker that has begun a job last."""
    started = [fact for fact in facts_of(client, job_id) if fact["type"] == "job.started"]
    return cluster.worker_called(started[-1]["data"]["worker"])


# ---- NATS ------------------------------------------------------------------------------------------------------


def nats_away(cluster: Cluster, one: httpx.Client, other: httpx.Client, *, away_s: float, hangs: bool = False) -> None:
    """Take NATS away in the middle of a job, and see that nothing else is lost for it."""
    job_id = submit(one, params={**STEADY, "images": 3})["id"]
    with Viewer(cluster.gateways[1]) as viewer:
        viewer.ask("subscribe", job_id=job_id)
        viewer.until("job.started")
        if hangs:
            cluster.nats.freeze()
        else:
            cluster.nats.kill()
        gone_at = time.monotonic()
        for number, client in enumerate((one, other)):
            refused = post(client, f"away-{job_id}-{number}")
            assert (refused.status_code, refused.json()["code"]) == (503, "not_ready")
            assert int(refused.headers["Retry-After"]) >= 1
        assert time.monotonic() - gone_at < 2 * DEADLINE_S, "a client is told within a few seconds"
        assert viewer.ask("ping")["ok"]
        assert other.get(f"/v1/jobs/{job_id}").json()["status"] == "running"
        until(lambda: len(outputs_in(cluster, job_id)) == 3, "the work to be done without NATS", interval_s=0.05)
        until(lambda: time.monotonic() - gone_at > away_s, "NATS to be away for long", deadline_s=2 * away_s + 1)
        assert viewer.ask("ping")["ok"]
        if hangs:
            cluster.nats.thaw()
        else:
            cluster.nats.start()
        facts = [message for message in viewer.until_end() if message["type"] in FACT_TYPES]
    assert finished(one, job_id)["status"] == "succeeded"
    told = facts_of(one, job_id)
    check_end(told)
    assert attempts(told) == 1
    assert facts == told[2:]
    until(lambda: facts_of(other, job_id) == told, "both to know")
    for number, client in enumerate((other, one)):
        key = f"away-{job_id}-{number}"
        until(lambda: post(client, key).status_code == 202, "the submit to be accepted")  # noqa: B023
        (made,) = ids_of(client, key)
        assert finished(client, made)["status"] == "succeeded"


def outputs_in(cluster: Cluster, job_id: str) -> list[Path]:
    """What has been stored of a job for all to fetch."""
    return list(cluster.objects.glob(f"jobs/*/{job_id}/outputs/*.png"))


def test_submits_are_refused_while_nats_is_away_and_running_work_is_reported_after(
    cluster: Cluster, one: httpx.Client, other: httpx.Client
) -> None:
    nats_away(cluster, one, other, away_s=2 * LOST_S)


def test_submits_are_refused_while_nats_hangs_and_running_work_is_reported_after(
    cluster: Cluster, one: httpx.Client, other: httpx.Client
) -> None:
    nats_away(cluster, one, other, away_s=2 * LOST_S, hangs=True)


@pytest.mark.slow
@pytest.mark.parametrize("hangs", [False, True])
def test_nats_may_be_away_for_a_minute(cluster: Cluster, one: httpx.Client, other: httpx.Client, hangs: bool) -> None:
    nats_away(cluster, one, other, away_s=60, hangs=hangs)


@pytest.mark.slow
def test_callers_with_a_key_are_served_while_nats_is_away(tmp_path: Path) -> None:
    key = "key-of-anna"
    headers = {"X-API-Key": key}
    with (
        Cluster(tmp_path / "cluster", gateways=1, workers=0, api=f'{{"keys": ["{key}"]}}') as cluster,
        cluster.gateways[0].client(headers=headers) as client,
        Viewer(cluster.gateways[0], headers=headers) as viewer,
    ):
        job_id = submit(client, params=QUICK)["id"]
        viewer.ask("subscribe", job_id=job_id)
        cluster.nats.kill()
        gone_at = time.monotonic()
        until(lambda: time.monotonic() - gone_at > 1.5 * KEY_CHECK_S, "the keys of sockets to be looked at again")
        assert viewer.ask("ping")["ok"]
        assert client.get(f"/v1/jobs/{job_id}").json()["status"] == "queued"
        with Viewer(cluster.gateways[0], headers=headers) as late:
            assert late.ask("subscribe", job_id=job_id)["ok"]
        wrong = client.get(f"/v1/jobs/{job_id}", headers={"X-API-Key": "unknown"})
        assert wrong.status_code == 503, "it may have been added a moment ago"
        with Viewer(cluster.gateways[0], headers={"X-API-Key": "unknown"}) as stranger:
            with pytest.raises(ConnectionClosed) as closed:
                stranger.ask("ping")
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012, "likewise"


def test_waiting_work_is_done_after_nats_was_killed(cluster: Cluster, one: httpx.Client, other: httpx.Client) -> None:
    jobs = [submit(one, params=STEADY | {"step_ms": 20})["id"] for _ in range(12)]
    cluster.nats.restart()
    for job_id in jobs:
        finished(other, job_id)
        check_end(facts_of(other, job_id))


# ---- gateways --------------------------------------------------------------------------------------------------


def test_submits_cut_off_by_the_end_of_a_gateway_make_one_job_each_when_repeated_elsewhere(
    cluster: Cluster, other: httpx.Client
) -> None:
    if not CONNECTIONS.exists():
        pytest.skip("needs to see when a connection has been made")
    keys = [f"cut-{number}" for number in range(6)]
    first = cluster.gateways[0]

    def first_try(key: str) -> httpx.Response | None:
        with suppress(httpx.TransportError), first.client() as client:
            return post(client, key)
        return None

    with ThreadPoolExecutor(len(keys)) as threads:
        with frozen(cluster.nats):
            begun = [threads.submit(first_try, key) for key in keys]
            until(lambda: connections(first) >= len(keys), "all to be under way")
            first.kill()
        assert [future.result() for future in begun] == [None] * len(keys)
    first.launch()
    answers = {key: post(other, key) for key in keys}
    assert {answer.status_code for answer in answers.values()} == {202}
    first.until_ready()
    for key, answer in answers.items():
        job_id = answer.json()["id"]
        assert finished(other, job_id)["status"] == "succeeded"
        with first.client() as client:
            assert ids_of(client, key) == ids_of(other, key) == [job_id]


def connections(gateway: Member) -> int:
    """How many there are to it."""
    rows = (line.split() for line in CONNECTIONS.read_text().splitlines()[1:])
    return sum(state == "01" and int(local.partition(":")[2], 16) == gateway.port for _, local, _, state, *_ in rows)


def test_new_gateway_is_ready_when_it_knows_everything_and_answers_like_the_others(
    cluster: Cluster, one: httpx.Client
) -> None:
    jobs = [submit(one, params={**SMALL, "steps": 0, "images": 64})["id"] for _ in range(4)]
    for job_id in jobs:
        finished(one, job_id)
    check_new_gateway(cluster, one, jobs)


def check_new_gateway(cluster: Cluster, one: httpx.Client, jobs: list[str]) -> str:
    """Start a gateway on an empty folder, and compare what it says in its first moment; returns its log."""
    new = cluster.add_gateway()
    lived = len(new.log)
    try:
        new.launch(empty=True)
        until(new.is_ready, "the new gateway to be ready", deadline_s=PATIENCE_S, interval_s=0.001)
        with new.client() as client:
            answers = [client.get(f"/v1/jobs/{job_id}/events") for job_id in reversed(jobs)]
            listed = client.get("/v1/jobs", params={"limit": 200})
            assert [answer.content for answer in answers] == [
                one.get(f"/v1/jobs/{job_id}/events").content for job_id in reversed(jobs)
            ]
            assert listed.content == one.get("/v1/jobs", params={"limit": 200}).content
            output = f"/v1/jobs/{jobs[0]}/outputs/0"
            assert client.get(output).raise_for_status().content == one.get(output).content
        with Viewer(new) as viewer:
            first = facts_of(one, jobs[0])[0]
            assert viewer.ask("subscribe", jobs="mine", cursor=first["cursor"])["ok"]
            assert viewer.next()["cursor"] != first["cursor"]
        assert new.stop() in {0, -15}
    finally:
        if new.is_running:
            new.kill()
        cluster.gateways.remove(new)
    return new.log[lived:]


def test_viewers_of_a_gateway_that_stops_are_told_and_go_on_at_another(
    cluster: Cluster, one: httpx.Client, other: httpx.Client
) -> None:
    first, second = cluster.gateways
    job_id = submit(one, params=STEADY)["id"]
    with Viewer(first) as of_server, Viewer(first) as of_job, Viewer(first) as of_all:
        of_server.ask("subscribe", topic="server")
        of_job.ask("subscribe", job_id=job_id)
        cursor = of_all.ask("subscribe", jobs="mine")["cursor"]
        told = [message for message in of_job.until("output.ready") if message["type"] in FACT_TYPES]
        first.terminate()
        of_server.until("server.draining")
        assert of_server.closed()[0] == RESTARTING
        told += rest_of(of_job)
        seen = [fact for fact in rest_of(of_all) if fact["job_id"] == job_id]
    assert first.until_ended() in {0, -15}
    if told[-1]["type"] not in TERMINAL_TYPES:
        with Viewer(second) as viewer:
            viewer.ask("subscribe", job_id=job_id, after=told[-1]["seq"])
            told += [message for message in viewer.until_end() if message["type"] in FACT_TYPES]
    with Viewer(second) as viewer:
        viewer.ask("subscribe", jobs="mine", cursor=seen[-1]["cursor"] if seen else cursor)
        while not seen or seen[-1]["type"] not in TERMINAL_TYPES:
            seen += [message for message in viewer.until(*FACT_TYPES, job_id=job_id) if message["type"] in FACT_TYPES]
    whole = facts_of(other, job_id)
    check_end(whole)
    assert attempts(whole) == 1, "the worker is not disturbed by it"
    assert told == whole
    assert [fact["seq"] for fact in seen] == list(range(seen[0]["seq"], len(whole) + 1))


def rest_of(viewer: Viewer) -> list[Message]:
    """The facts up to the end of its socket, which says that the server restarts."""
    facts: list[Message] = []
    while True:
        try:
            message = viewer.next()
        except ConnectionClosed as closed:
            if closed.rcvd is None or closed.rcvd.code != RESTARTING:
                raise
            return facts
        if message["type"] in FACT_TYPES:
            facts.append(message)


# ---- workers ---------------------------------------------------------------------------------------------------


def test_worker_that_is_told_to_stop_hands_its_jobs_back_and_others_finish_them(
    cluster: Cluster, one: httpx.Client, other: httpx.Client
) -> None:
    jobs = [submit(one, params={**STEADY, "step_ms": 40})["id"] for _ in range(6)]
    started_running(one, jobs[0])
    stopped = worker_of(cluster, one, jobs[0])
    at = time.monotonic()
    assert stopped.stop() == 0
    assert time.monotonic() - at < 2 * DEADLINE_S
    handed_back = 0
    for job_id in jobs:
        assert finished(other, job_id)["status"] == "succeeded"
        facts = facts_of(other, job_id)
        check_end(facts)
        back = [fact for fact in facts if fact["type"] == "job.requeued"]
        handed_back += bool(back)
        assert len(back) <= 1
        outputs = [fact["data"]["index"] for fact in facts if fact["type"] == "output.ready"]
        assert outputs == list(range(6)), "what was done is not done again"
    assert handed_back


def test_worker_with_time_to_drain_finishes_what_it_has_begun(
    cluster: Cluster, one: httpx.Client, other: httpx.Client
) -> None:
    patient, second = cluster.workers[:2]
    second.stop()
    patient.stop()
    patient.start(drain_s=PATIENCE_S)
    jobs = [submit(one, params=STEADY | {"step_ms": 40})["id"] for _ in range(3)]
    for job_id in jobs:
        started_running(one, job_id)
    patient.terminate()
    until(lambda: '"event":"worker.draining"' in patient.log.rpartition("worker.started")[2], "it to drain")
    late = submit(one, params=QUICK)["id"]
    assert patient.until_ended() == 0
    for job_id in jobs:
        facts = facts_of(other, job_id)
        check_end(facts)
        assert attempts(facts) == 1
    assert other.get(f"/v1/jobs/{late}").json()["status"] == "queued", "one that drains takes nothing more"
    second.start()
    assert finished(other, late)["status"] == "succeeded"


def test_worker_that_hangs_and_wakes_late_changes_nothing(
    cluster: Cluster, one: httpx.Client, other: httpx.Client
) -> None:
    job_id = submit(one, params=STEADY)["id"]
    started_running(one, job_id)
    asleep = worker_of(cluster, one, job_id)
    awake = next(worker for worker in cluster.workers[:2] if worker is not asleep)
    with frozen(asleep):
        assert finished(other, job_id)["status"] == "succeeded"
        facts = facts_of(one, job_id)
        assert worker_of(cluster, one, job_id) is awake
        pictures = [other.get(fact["data"]["url"]).content for fact in facts if fact["type"] == "output.ready"]
    lost = f'"job_id":"{job_id}"'
    until(lambda: any(lost in line and "job.lost" in line for line in asleep.log.splitlines()), "it to notice")
    check_end(facts)
    assert attempts(facts) == 2
    assert facts_of(one, job_id) == facts_of(other, job_id) == facts
    outputs = [fact["data"] for fact in facts if fact["type"] == "output.ready"]
    for output, picture in zip(outputs, pictures, strict=True):
        assert one.get(output["url"]).content == picture
        assert hashlib.sha256(picture).hexdigest() == output["sha256"]
    awake.kill()
    again = submit(other, params=QUICK)["id"]
    assert finished(one, again)["status"] == "succeeded", "it is of use again"
    assert worker_of(cluster, one, again) is asleep


def test_job_that_kills_its_workers_fails_in_the_end_and_no_other_does(
    cluster: Cluster, one: httpx.Client, other: httpx.Client
) -> None:
    with Viewer(cluster.gateways[1]) as viewer:
        poison = submit(one, params={**STEADY, "steps": 1000})["id"]
        viewer.ask("subscribe", job_id=poison)
        for _ in range(MAX_ATTEMPTS):
            started = viewer.until("job.started")[-1]
            victim = cluster.worker_called(started["data"]["worker"])
            victim.kill()
            victim.launch()
        end = viewer.until_end()[-1]
    assert (end["type"], end["data"]["error"]["code"]) == ("job.failed", "attempts_exhausted")
    facts = facts_of(one, poison)
    check_end(facts, "job.failed")
    assert attempts(facts) == MAX_ATTEMPTS
    assert finished(other, submit(one, params=QUICK)["id"])["status"] == "succeeded"


# ---- all of them -----------------------------------------------------------------------------------------------


class Flow(threading.Thread):
    """A client that submits one job after the other, wherever somebody takes it, until it is told to stop."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(daemon=True)
        self._cluster = cluster
        self.is_over = threading.Event()
        self.accepted: dict[str, str] = {}
        self.problem: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            while not self.is_over.is_set():
                key = f"flow-{len(self.accepted)}"
                until(lambda: self._submit(key), "somebody to take a job", interval_s=0.05)  # noqa: B023
                self.is_over.wait(0.05)
        except BaseException as problem:  # noqa: BLE001 - shown by the test
            self.problem = problem

    def _submit(self, key: str) -> bool:
        for gateway in self._cluster.gateways[:2]:
            with suppress(httpx.TransportError), gateway.client() as client:
                answer = post(client, key, images=2, step_ms=20)
                if answer.status_code == 202:
                    self.accepted[key] = answer.json()["id"]
                    return True
                assert answer.status_code == 503, answer.text
        return False

    def end(self) -> None:
        self.is_over.set()
        self.join(PATIENCE_S)
        assert self.problem is None, self.problem


def test_rolling_restart_of_everybody_loses_nothing(cluster: Cluster) -> None:
    flow = Flow(cluster)
    for member in (*cluster.gateways[:2], *cluster.workers[:2]):
        had = len(flow.accepted)
        assert member.stop() in {0, -15}
        member.start()
        until(lambda: len(flow.accepted) >= had + 3 or not flow.is_alive(), "jobs to flow")  # noqa: B023
    flow.end()
    with cluster.gateways[0].client() as one, cluster.gateways[1].client() as other:
        for key, job_id in flow.accepted.items():
            assert finished(one, job_id)["status"] == "succeeded"
            facts = facts_of(one, job_id)
            check_end(facts)
            assert facts_of(other, job_id) == facts
            assert ids_of(other, key) == [job_id]
            assert not [fact for fact in facts if fact["data"].get("reason", "").startswith("the worker was lost")]


def test_new_gateway_begins_with_a_snapshot(cluster: Cluster, one: httpx.Client) -> None:
    jobs = [submit(one, params={**SMALL, "steps": 0, "images": 64})["id"] for _ in range(2)]
    for job_id in jobs:
        finished(one, job_id)
    snapshots = cluster.objects / "snapshots"
    until(lambda: any(snapshots.rglob("*.db")), "a snapshot", deadline_s=PATIENCE_S, interval_s=0.1)
    assert '"event":"snapshot.used"' in check_new_gateway(cluster, one, jobs)
