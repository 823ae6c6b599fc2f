"""Two gateways of one cluster: what one is told the other knows, and a client may use either at any moment.

The gateways run in a Python that cannot import what models need.
"""

import io
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest
from PIL import Image

from protocol.codec import CODECS, Codec
from tests.cluster.watching import PATIENCE_S
from tests.clusters import Cluster, Member, frozen
from tests.contract.test_layers import IMPORT_WITHOUT, TENSORS
from tests.dialects.receivers import Receiver
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
    watch_by_sse,
)
from tests.servers import REPOSITORY, until

SMALL = {"width": 16, "height": 16}
QUICK = {**SMALL, "steps": 1}
STEADY = {**SMALL, "images": 6, "steps": 4, "step_ms": 20}
"""A job of nine facts that takes half a second."""
LONG = {**SMALL, "images": 2, "steps": 1000, "step_ms": 20}
WITHOUT_MODELS = (
    IMPORT_WITHOUT.partition("MISSING =")[0]
    + f"MISSING = {set(TENSORS)}\n"
    + "sys.meta_path[:] = [Path if finder is importlib.machinery.PathFinder else finder for finder in sys.meta_path]\n"
)


@pytest.fixture(params=CODECS.values(), ids=lambda codec: codec.name)
def codec(request: pytest.FixtureRequest) -> Codec:
    """Each way to write messages into WebSocket frames."""
    chosen: Codec = request.param
    return chosen


@pytest.fixture(scope="module")
def cluster_of_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    program = ("-c", f"{WITHOUT_MODELS}\nfrom safelight.cli import main\nmain()")
    with Cluster(
        tmp_path_factory.mktemp("gateways"), workers=2, program=program, allow_private_urls=True, fake_step_s=0.03
    ) as running:
        yield running


@pytest.fixture
def cluster(cluster_of_module: Cluster) -> Iterator[Cluster]:
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


def told_to(viewer: Viewer, count: int) -> list[Message]:
    """The next facts."""
    facts: list[Message] = []
    while len(facts) < count:
        message = viewer.next()
        if message["type"] in FACT_TYPES:
            facts.append(message)
    return facts


# ---- viewers that move -----------------------------------------------------------------------------------------


def test_viewer_of_a_job_goes_on_at_the_other_gateway_from_its_seq(
    cluster: Cluster, one: httpx.Client, other: httpx.Client, codec: Codec
) -> None:
    first, second = cluster.gateways
    job_id = submit(one, params=STEADY)["id"]
    facts: list[Message] = []
    while not facts or facts[-1]["type"] != "job.succeeded":
        with Viewer((first, second)[len(facts) % 2], codec) as viewer:
            assert viewer.ask("subscribe", job_id=job_id, after=len(facts))["ok"]
            facts += told_to(viewer, 1)
            viewer.cut()
    assert [fact["seq"] for fact in facts] == list(range(1, 10))
    assert facts_of(one, job_id) == facts_of(other, job_id)
    assert [fact["cursor"] for fact in facts] == [fact["cursor"] for fact in facts_of(one, job_id)]


def test_viewer_of_all_jobs_goes_on_at_the_other_gateway_from_its_cursor(cluster: Cluster, one: httpx.Client) -> None:
    first, second = cluster.gateways
    with Viewer(first) as viewer:
        cursor = viewer.ask("subscribe", jobs="mine")["cursor"]
    jobs = {submit(one, params=STEADY)["id"] for _ in range(3)}
    facts: list[Message] = []
    while sum(fact["type"] == "job.succeeded" for fact in facts) < len(jobs):
        with Viewer((second, first)[len(facts) % 2]) as viewer:
            reply = viewer.ask("subscribe", jobs="mine", cursor=cursor)
            assert reply["ok"], reply
            facts += told_to(viewer, 3 if len(facts) < 24 else 1)
            cursor = facts[-1]["cursor"]
    for job_id in jobs:
        assert [fact for fact in facts if fact["job_id"] == job_id] == facts_of(one, job_id)


def test_event_stream_goes_on_at_the_other_gateway_from_its_last_event_id(
    cluster: Cluster, one: httpx.Client, other: httpx.Client
) -> None:
    job_id = submit(one, params=STEADY)["id"]
    seqs: list[int] = []
    while not seqs or seqs[-1] < 9:
        client = (other, one)[len(seqs) % 2]
        for seq, _ in watch_by_sse(client, job_id, seqs[-1] if seqs else 0):
            if seq is not None:
                seqs.append(seq)
                break
    assert seqs == list(range(1, 10))


def test_gateway_that_is_behind_catches_up_for_who_has_seen_more_elsewhere(
    cluster: Cluster, one: httpx.Client, other: httpx.Client, codec: Codec
) -> None:
    behind = cluster.gateways[1]
    with Viewer(behind, codec) as of_job, Viewer(behind, codec) as of_all, ThreadPoolExecutor(3) as threads:
        job_id = submit(one, params=STEADY)["id"]
        started_running(other, job_id)
        with frozen(behind):
            finished(one, job_id)
            facts = facts_of(one, job_id)
            of_job.say("subscribe", job_id=job_id, after=8)
            of_all.say("subscribe", jobs="mine", cursor=facts[-2]["cursor"])
            streamed = threads.submit(lambda: list(watch_by_sse(other, job_id, 8)))
        reply = of_job.next()
        assert reply.get("ok"), reply
        assert told_to(of_job, 1) == told_to(of_all, 1) == [facts[-1]]
        assert [seq for seq, _ in streamed.result() if seq is not None] == [9]


def test_job_is_known_at_the_other_gateway_as_soon_as_it_was_accepted(one: httpx.Client, other: httpx.Client) -> None:
    for _ in range(20):
        job_id = submit(one, params=QUICK)["id"]
        assert other.get(f"/v1/jobs/{job_id}/events").status_code == 200
        finished(other, job_id)


def test_steps_and_previews_reach_a_viewer_at_the_gateway_that_did_not_take_the_job_in(
    cluster: Cluster, one: httpx.Client, codec: Codec
) -> None:
    job_id = submit(one, params={**STEADY, "images": 12}, previews="all")["id"]
    with Viewer(cluster.gateways[1], codec) as viewer:
        assert viewer.ask("subscribe", job_id=job_id)["ok"]
        told = viewer.until_end()
    steps = [message for message in told if message["type"] == "step.finished"]
    previews = [message for message in told if message["type"] == "preview.ready"]
    assert len(steps) > 3
    assert previews
    assert all(step["data"]["steps"] == 4 for step in steps)
    counted = [message["n"] for message in told if "n" in message]
    assert counted == sorted(set(counted)), "the counter of hints rises"


def test_who_comes_in_the_middle_of_a_job_is_shown_its_latest_step(cluster: Cluster, one: httpx.Client) -> None:
    job_id = submit(one, params=LONG | {"steps": 40, "step_ms": 100}, previews="latest")["id"]
    try:
        started_running(one, job_id)
        for gateway in cluster.gateways:
            with Viewer(gateway) as viewer:
                viewer.ask("subscribe", job_id=job_id)
                viewer.until("step.finished")
                viewer.until("preview.ready")
    finally:
        one.delete(f"/v1/jobs/{job_id}")


# ---- what is asked of a job ------------------------------------------------------------------------------------


def test_running_job_is_cancelled_from_the_other_gateway(one: httpx.Client, other: httpx.Client) -> None:
    job_id = submit(one, params=LONG)["id"]
    started_running(other, job_id)
    assert other.delete(f"/v1/jobs/{job_id}").status_code == 202
    assert finished(one, job_id)["status"] == "cancelled"
    assert [other.delete(f"/v1/jobs/{job_id}").status_code, one.delete(f"/v1/jobs/{job_id}").status_code] == [409, 409]
    assert facts_of(one, job_id) == facts_of(other, job_id)


def test_image_is_skipped_from_the_other_gateway(one: httpx.Client, other: httpx.Client) -> None:
    job_id = submit(one, params={**LONG, "images": 2, "steps": 50})["id"]
    started_running(other, job_id)
    assert other.post(f"/v1/jobs/{job_id}/skip").status_code == 202
    job = finished(one, job_id)
    assert (job["status"], [output["index"] for output in job["outputs"]]) == ("succeeded", [1])


def test_job_removed_at_one_gateway_is_gone_at_the_other_with_its_facts_and_pictures(
    cluster: Cluster, one: httpx.Client, other: httpx.Client
) -> None:
    job_id = submit(one, "upscale", params={"image": inline(png())})["id"]
    finished(other, job_id)
    assert other.get(f"/v1/jobs/{job_id}/outputs/0").status_code == 200
    folder = next(cluster.objects.glob(f"jobs/*/{job_id}"))
    with Viewer(cluster.gateways[1]) as viewer:
        viewer.ask("subscribe", jobs="mine")
        assert one.delete(f"/v1/jobs/{job_id}/record").status_code == 204
        removed = viewer.until("job.removed", job_id=job_id)[-1]
    assert removed["job_id"] == job_id
    for client in (one, other):
        for path in ("", "/events", "/outputs/0"):
            assert client.get(f"/v1/jobs/{job_id}{path}").status_code == 404, path
    assert job_id not in [job["id"] for job in other.get("/v1/jobs").json()["jobs"]]
    until(lambda: not any(folder.rglob("*.*")), "its pictures to be removed")


# ---- pictures --------------------------------------------------------------------------------------------------


def test_upload_made_at_one_gateway_is_used_at_the_other(one: httpx.Client, other: httpx.Client) -> None:
    picture = png(32, 24)
    made = one.post("/v1/uploads", content=picture, headers={"Content-Type": "image/png"})
    assert made.status_code == 201, made.text
    upload = made.json()["id"].removeprefix("upload:")
    assert other.get(f"/v1/uploads/{upload}", headers={"Accept": "image/png"}).content == picture
    job = finished(other, submit(other, "upscale", params={"image": f"upload:{upload}", "factor": 2.0})["id"])
    assert job["status"] == "succeeded"
    assert (job["outputs"][0]["width"], job["outputs"][0]["height"]) == (64, 48)


def test_outputs_thumbnails_and_archives_come_from_both(one: httpx.Client, other: httpx.Client) -> None:
    job = finished(one, submit(one, params={"width": 128, "height": 64, "images": 2})["id"])
    outputs = [f"/v1/jobs/{job['id']}/outputs/{n}" for n in range(2)]
    for path in outputs:
        contents = {client.get(path).raise_for_status().content for client in (one, other)}
        assert len(contents) == 1
        small = {client.get(path, params={"max_side_px": 64}).raise_for_status().content for client in (one, other)}
        assert len(small) == 1
        with Image.open(io.BytesIO(*small)) as picture:
            assert picture.size == (64, 32)
    for client in (one, other):
        answer = client.post("/v1/archives", json={"outputs": [{"job_id": job["id"]}]}).raise_for_status()
        with ZipFile(io.BytesIO(answer.content)) as archive:
            assert [archive.read(name) for name in archive.namelist()] == [other.get(path).content for path in outputs]


def test_output_of_a_job_is_the_picture_of_another_at_the_other_gateway(one: httpx.Client, other: httpx.Client) -> None:
    first = finished(one, submit(one, params=QUICK)["id"])
    second = finished(other, submit(other, "upscale", params={"image": f"job:{first['id']}/0", "factor": 2.0})["id"])
    assert second["outputs"][0]["width"] == 32


# ---- idempotency keys ------------------------------------------------------------------------------------------


def test_idempotency_key_holds_across_gateways(one: httpx.Client, other: httpx.Client) -> None:
    headers, body = {"Idempotency-Key": "held-by-both"}, {"task": "test_pattern", "params": QUICK}
    first = one.post("/v1/jobs", json=body, headers=headers)
    again = other.post("/v1/jobs", json=body, headers=headers)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == first.json()
    different = other.post("/v1/jobs", json={**body, "params": {**QUICK, "seed": 3}}, headers=headers)
    assert (different.status_code, different.json()["code"]) == (422, "idempotency_mismatch")


def test_twenty_submits_at_once_with_one_key_over_both_gateways_make_one_job(
    one: httpx.Client, other: httpx.Client
) -> None:
    def post(number: int) -> httpx.Response:
        client = (one, other)[number % 2]
        body = {"task": "test_pattern", "params": QUICK, "labels": {"of": "twenty"}}
        return client.post("/v1/jobs", json=body, headers={"Idempotency-Key": "twenty-at-once"})

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(post, range(20)))
    assert {answer.status_code for answer in answers} == {202}, [answer.text for answer in answers]
    assert len({answer.json()["id"] for answer in answers}) == 1
    for client in (one, other):
        listed = client.get("/v1/jobs", params={"label": "of:twenty"}).json()["jobs"]
        assert [job["id"] for job in listed] == [answers[0].json()["id"]]


# ---- webhooks --------------------------------------------------------------------------------------------------


def told_up_to(receiver: Receiver, job_id: str) -> list[str]:
    """The jobs that webhooks came of, as they came, up to one of this job."""
    told: list[str] = []
    while job_id not in told:
        told.append(receiver.next().body["data"]["job_id"])
    return told


def test_webhooks_are_delivered_once_with_two_gateways(one: httpx.Client, other: httpx.Client) -> None:
    with Receiver(200).running() as receiver:
        hook = {"url": receiver.url, "events": ["job.succeeded"]}
        jobs = [submit((one, other)[n % 2], params=QUICK, webhook=hook)["id"] for n in range(6)]
        for job_id in jobs:
            finished(other, job_id)
        for client in (one, other):
            jobs.append(submit(client, params=QUICK, webhook=hook)["id"])
            finished(client, jobs[-1])
        told: list[str] = []
        while set(told) != set(jobs):
            told.append(receiver.next().body["data"]["job_id"])
        assert len(told) == len(jobs)


# ---- the dialects ----------------------------------------------------------------------------------------------


def polled(client: httpx.Client, path: str, ends: Mapping[str, object], **params: str) -> list[Message]:
    """What a client that polls sees of a job, until its fields are as given."""
    seen: list[Message] = []

    def has_ended() -> bool:
        seen.append(client.get(path, params=params).raise_for_status().json())
        return all(seen[-1].get(name) == value for name, value in ends.items())

    until(has_ended, f"{path} to end", deadline_s=PATIENCE_S)
    return seen


def test_iopaint_answers(one: httpx.Client) -> None:
    picture, mask = inline(png(32, 24)), inline(png(32, 24, seed=1))
    answer = one.post("/api/v1/inpaint", json={"image": picture, "mask": mask})
    assert answer.status_code == 200, answer.text
    with Image.open(io.BytesIO(answer.content)) as made:
        assert made.size == (32, 24)
    assert one.get("/api/v1/server-config").status_code == 200


def test_text_removal_answers_and_shows_its_progress_at_the_other_gateway(
    one: httpx.Client, other: httpx.Client
) -> None:
    order = {"image": inline(png(64, 48)), "regions": [{"x": 10, "y": 8, "width": 20, "height": 6}], "task_id": "doc-1"}
    one.post("/api/v1/inpaint-regions-async", json=order).raise_for_status()
    seen = polled(other, "/api/v1/task-status/doc-1", {"status": "completed"})
    progress = [task["overall_progress"] for task in seen]
    assert progress == sorted(progress)
    assert any(0 < value < 100 for value in progress), progress
    assert progress[-1] == 100
    assert other.get("/api/v1/task-result/doc-1").status_code == 200


def test_fooocus_api_answers_and_shows_its_progress_at_the_other_gateway(
    one: httpx.Client, other: httpx.Client
) -> None:
    asked = {"prompt": "a cat", "image_seed": 5, "aspect_ratios_selection": "128*96", "image_number": 4}
    begun = one.post("/v1/generation/text-to-image", json={**asked, "async_process": True}).raise_for_status()
    seen = polled(other, "/v1/generation/query-job", {"job_stage": "SUCCESS"}, job_id=begun.json()["job_id"])
    progress = [job["job_progress"] for job in seen]
    assert progress == sorted(progress)
    assert any(0 < value < 100 for value in progress), progress
    whole = other.post("/v1/generation/text-to-image", json=asked).raise_for_status().json()
    assert len(whole) == 4


def test_fooocus_engine_answers_and_shows_its_task_at_the_other_gateway(one: httpx.Client, other: httpx.Client) -> None:
    asked = {"prompt": "a cat", "image_seed": 5, "aspect_ratios_selection": "128*96", "image_number": 4}
    begun = one.post("/v1/engine/generate/", json={**asked, "async_process": True})
    assert begun.is_success, begun.text
    seen: list[float] = []

    def has_ended() -> bool:
        groups = other.get("/tasks").raise_for_status().json()
        seen.extend(task["progress"] for task in groups["current"])
        return bool(other.get(f"/tasks/{begun.json()['task_id']}").json()["result"])

    until(has_ended, "the task to end")
    assert any(0 < value < 100 for value in seen), seen


def test_stable_diffusion_api_answers_and_shows_its_task_at_the_other_gateway(
    one: httpx.Client, other: httpx.Client
) -> None:
    asked = {"prompt": "a cat", "width": 64, "height": 48, "num_inference_steps": 2}
    begun = one.post("/api/v1/generate", json=asked)
    assert begun.status_code == 200, begun.text
    task = polled(other, f"/api/v1/tasks/{begun.json()['task_id']}", {"status": "completed"})[-1]
    assert task


# ---- what they say of the cluster ------------------------------------------------------------------------------


def test_gateways_tell_of_the_workers_and_their_models(
    cluster: Cluster, one: httpx.Client, other: httpx.Client
) -> None:
    for client in (one, other):
        server = client.get("/v1/server").raise_for_status().json()
        assert (server["engine"]["status"], server["engine"]["detail"]) == ("ready", "2 of 2 workers are ready")
        ready = client.get("/v1/health/ready").json()
        assert (ready["ready"], ready["problems"]) == (True, [])
    models = [client.get("/v1/models").raise_for_status().json()["models"] for client in (one, other)]
    assert models[0]
    assert models[0] == models[1]


def test_gateways_and_workers_have_metrics(cluster: Cluster, one: httpx.Client) -> None:
    finished(one, submit(one, params=QUICK)["id"])
    of_gateway = one.get("/metrics").raise_for_status().text
    assert "safelight_jobs_total" in of_gateway or "safelight_events" in of_gateway
    for worker in cluster.workers:
        with worker.client() as client:
            assert client.get("/v1/health/live").json()["status"] == "ok"
            ready = client.get("/v1/health/ready").json()
            assert (ready["ready"], ready["worker"].startswith(worker.name)) == (True, True)
            assert "safelight_" in client.get("/metrics").raise_for_status().text


def test_gateways_ran_all_this_where_no_model_library_can_be_imported(cluster: Cluster) -> None:
    for library in ("torch", "cv2", "diffusers", "onnxruntime"):
        tried = subprocess.run(
            [sys.executable, "-c", f"{WITHOUT_MODELS}\nimport {library}"],
            cwd=REPOSITORY,
            capture_output=True,
            check=False,
        )
        assert b"ModuleNotFoundError" in tried.stderr
    assert all(gateway.is_running for gateway in cluster.gateways)


# ---- clusters of their own -------------------------------------------------------------------------------------


def keys(cluster: Cluster, *arguments: str) -> str:
    command = [sys.executable, "-m", "safelight", "keys", *arguments, "--nats", cluster.nats.url]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_key_that_was_added_to_the_cluster_opens_all_gateways_and_closes_them_to_others(tmp_path: Path) -> None:
    with Cluster(tmp_path / "cluster", workers=0) as cluster:
        first, second = (gateway.client() for gateway in cluster.gateways)
        with first, second:
            assert first.get("/v1/jobs").status_code == 200, "without a key anybody on this machine may come in"
            anna, bert = keys(cluster, "add", "anna"), keys(cluster, "add", "bert")
            until(lambda: first.get("/v1/jobs").status_code == second.get("/v1/jobs").status_code == 401, "all to know")
            mine, hers = {"X-API-Key": anna}, {"X-API-Key": bert}
            made = first.post("/v1/jobs", json={"task": "test_pattern", "params": QUICK}, headers=mine)
            path = f"/v1/jobs/{made.json()['id']}"
            assert (second.get(path, headers=mine).status_code, second.get(path, headers=hers).status_code) == (
                200,
                404,
            )
            keys(cluster, "revoke", "anna")
            until(lambda: second.get(path, headers=mine).status_code == 401, "the key to be refused")


@pytest.mark.slow  # a lease has to run out, twice
def test_webhooks_are_delivered_once_after_the_gateway_in_charge_was_killed(tmp_path: Path) -> None:
    with Cluster(tmp_path / "cluster", workers=1, allow_private_urls=True) as cluster:
        until(lambda: any(map(is_in_charge, cluster.gateways)), "one to be in charge")
        in_charge, other = sorted(cluster.gateways, key=is_in_charge, reverse=True)
        with Receiver(200).running() as receiver, other.client() as http:
            hook = {"url": receiver.url, "events": ["job.succeeded"]}
            jobs = [submit(http, params=QUICK, webhook=hook)["id"]]
            assert told_up_to(receiver, jobs[0]) == jobs
            jobs.append(submit(http, params={**STEADY, "step_ms": 100}, webhook=hook)["id"])
            started_running(http, jobs[1])
            in_charge.kill()
            finished(http, jobs[1])
            assert told_up_to(receiver, jobs[1]) == jobs[1:]
            in_charge.start()
            with in_charge.client() as back:
                jobs.append(submit(back, params=QUICK, webhook=hook)["id"])
            assert told_up_to(receiver, jobs[2]) == jobs[2:]


def is_in_charge(gateway: Member) -> bool:
    return '"event":"gateway.in_charge"' in gateway.log
