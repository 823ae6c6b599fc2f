"""Every recording of Fooocus-API 0.5, replayed; what is answered otherwise on purpose says why.

The recordings were made with a stub in the place of the engine; here it is the fake engine. Ids, times and what is in
the pictures are not compared, and neither are seeds nobody chose.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from service.dialects.fooocus_api.routes import ROUTES
from tests.dialects.fooocus_api.callers import HISTORY, QUERY, SIZE, STOP, TEXT, begin, local, mask, queried
from tests.dialects.fooocus_api.conftest import PROFILE
from tests.dialects.golden import FOLDER
from tests.dialects.jobs import ended, events, failing, until
from tests.dialects.pictures import b64, opened, png
from tests.dialects.receivers import Receiver
from tests.servers import ThreadServer, thread_server

PLAIN: Final[list[dict[str, Any]]] = json.loads((FOLDER / "fooocus" / "old_nopersist.json").read_text("utf-8"))
PERSISTENT: Final[list[dict[str, Any]]] = json.loads(
    (FOLDER / "fooocus" / "old_persist_apikey.json").read_text("utf-8")
)
KEY: Final = "secret-of-the-test"
_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_BASE: Final = re.compile(r"http://127\.0\.0\.1:\d+")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}(?: \d{2}:\d{2}:\d{2})?")
_MILLS: Final = re.compile(r"_mills$")
_LONG_SEED: Final = 10**6
STUBS: Final = {"stubfail", "stubok", "stub", "alive"}
"""Of the recording itself: they set up its engine, or look into it."""
WHY: Final = {
    "refresh": "clients still call refresh-models",
    "sync-after-idle-stop": "stop while idle harms nobody",
    "sync-b64": "save_extension jpg works with require_base64",
    "v1-uov-nofile": "a mistake of the caller is a 4xx",
    "v2-uov-badb64": "a mistake of the caller is a 4xx",
    "save_name": "no name leaves the folder",
    "file 404": "a file that is not there is a 404",
    "describe-type": "type is taken as image_type",
}
"""Cases that are answered otherwise -> why."""


def recorded(name: str, cases: list[dict[str, Any]] = PLAIN) -> dict[str, Any]:
    return next(case for case in cases if case["name"] == name)


def plain(value: Any, name: str = "") -> Any:
    """A JSON value without what changes from run to run."""
    if isinstance(value, dict):
        return {key: plain(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item, name) for item in value]
    if isinstance(value, int) and _MILLS.search(name):
        return "(time)" if value else 0
    if name == "seed" and isinstance(value, str) and value.isdigit():
        return "(seed)" if int(value) > _LONG_SEED else value
    if isinstance(value, str):
        value = _DATE.sub("(date)", _BASE.sub("(base)", _ID.sub("(id)", value)))
    return value


def check(case: dict[str, Any], answer: httpx.Response) -> None:
    """Compare an answer with a recorded one."""
    assert answer.status_code == case["status"], answer.text[:500]
    assert answer.headers.get("content-type", "") == case["ctype"]
    if case["ctype"] == "application/json":
        given, expected = plain(answer.json()), plain(case["body"])
        if isinstance(expected, list) and '"(seed)"' in json.dumps(expected):
            assert answer.json()[0]["seed"].isdigit()  # one that nobody chose
            given[0]["seed"] = "(seed)"
        assert given == expected
    elif case["ctype"].startswith("image/"):
        assert opened(answer.content).get_format_mimetype() == case["ctype"]


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver(200).running() as running:
        yield running


REQUESTS: Final[dict[str, dict[str, Any]]] = {
    "ping": {},
    "styles": {},
    "history-empty": {},
    "query-missing": {},
    "accept-query": {"json": {"prompt": "a cat", "image_seed": 5, "aspect_ratios_selection": SIZE}},
    "async": {"json": {"prompt": "a cat", "image_seed": 5, "async_process": True}},
    "422-range": {"json": {"image_number": 99}},
    "422-badjson": {"content": "{bad", "headers": {"Content-Type": "application/json"}},
    "unknown-style": {
        "json": {"image_seed": 5, "aspect_ratios_selection": SIZE, "style_selections": ["No such style"]}
    },
    "v1-uov": {"data": {"uov_method": "Upscale (2x)"}, "files": {"input_image": png()}},
    "v1-uov-badadv": {
        "data": {"uov_method": "Vary (Subtle)", "advanced_params": '{"overwrite_step": 999}'},
        "files": {"input_image": png()},
    },
    "v1-uov-1.5": {"data": {"uov_method": "Upscale (1.5x)"}, "files": {"input_image": png()}},
    "v1-outpaint": {"data": {"outpaint_selections": "Left,Right"}, "files": {"input_image": png()}},
    "v1-ip": {"data": {"prompt": "a cat", "aspect_ratios_selection": SIZE}, "files": {"cn_img1": png()}},
    "v2-uov": {"json": {"image_seed": 5, "input_image": b64(png()), "uov_method": "Upscale (2x)"}},
    "v2-inpaint": {"json": {"image_seed": 5, "input_image": b64(png()), "input_mask": b64(mask())}},
    "v2-ip": {"json": {"image_seed": 5, "aspect_ratios_selection": SIZE, "image_prompts": [{"cn_img": b64(png())}]}},
    "v2-t2i-ip": {
        "json": {"image_seed": 5, "aspect_ratios_selection": SIZE, "image_prompts": [{"cn_img": b64(png())}]}
    },
    "sync2": {"json": {"prompt": "a cat", "image_seed": 5, "aspect_ratios_selection": SIZE}},
}
"""By name of the case: what was sent; ours may be another picture."""


@pytest.mark.parametrize("name", REQUESTS)
def test_a_recorded_request_is_answered_as_recorded(name: str, tmp_path: Path, server: ThreadServer) -> None:
    case = recorded(name)
    if name == "history-empty":
        with thread_server(tmp_path / "data", listen=PROFILE) as fresh, fresh.client() as client:
            check(case, client.request(case["method"], case["path"], **REQUESTS[name]))
        return
    with server.client() as client:
        check(case, client.request(case["method"], case["path"], **REQUESTS[name]))


def test_a_picture_is_had_in_the_recorded_formats(client: httpx.Client) -> None:
    url = client.post(TEXT, json={"prompt": "a cat", "image_seed": 5}).json()[0]["url"]
    for media_type in ("image/jpeg", "image/webp"):
        check(recorded(f"file {media_type}"), client.get(local(url), headers={"Accept": media_type}))
    case = recorded("file 404ext")
    answer = client.get(case["path"])
    assert (answer.status_code, answer.headers.get("content-type", ""), answer.content) == (404, case["ctype"], b"")


def test_a_job_goes_through_the_recorded_stages_and_reports_running(
    slow_server: ThreadServer, slow_client: httpx.Client
) -> None:
    """RUNNING is not in the recording: 0.5 had lost it. The numbers and texts of its steps are."""
    trace = recorded("async-trace")
    sampling = {(progress, text) for _, progress, text, _ in trace["trace"] if text and text.startswith("Step")}
    for progress, text in sampling:
        number, steps, image = map(int, re.findall(r"\d+", text))
        assert progress == int(15 + 85 * ((image - 1) * steps + number) / steps), "our formula is the recorded one"
    job_id = begin(slow_client, image_number=2)
    seen = [
        queried(slow_client, job_id, require_step_preview=True)
        for event in events(slow_client, job_id)
        if event["type"] == "step.finished"
    ]
    assert {job["job_stage"] for job in seen[:4]} == {"RUNNING"}
    for job in seen:
        if job["job_status"].startswith("Step"):
            number, steps, image = map(int, re.findall(r"\d+", job["job_status"]))
            assert job["job_progress"] == int(15 + 85 * ((image - 1) * steps + number) / (2 * steps))
    assert [job["job_progress"] for job in seen] == sorted(job["job_progress"] for job in seen)
    assert any(job["job_step_preview"] for job in seen)
    final = queried(slow_client, job_id, require_step_preview=True)
    expected = trace["final"]
    assert set(final) == set(expected)
    assert (final["job_stage"], final["job_progress"], final["job_status"]) == ("SUCCESS", 100, "Finished")
    assert final["job_step_preview"].startswith(expected["job_step_preview"][:20]), "a PNG without a prefix"
    assert plain(final["job_result"][0]) == plain(expected["job_result"][0])


def test_waiting_and_ended_jobs_are_in_the_history_as_recorded(tmp_path: Path) -> None:
    case = recorded("history-queued")
    with (
        thread_server(tmp_path / "data", listen=PROFILE, fake_step_s=0.2) as server,
        server.client() as client,
    ):
        done = begin(client)
        ended(client, done)
        waiting = [begin(client) for _ in range(2)]
        until(client, waiting[0], "job.started")
        told = client.get(case["path"]).json()
    assert list(told) == list(case["body"])
    assert [entry["job_id"] for entry in told["queue"]] == waiting, "the oldest first"
    assert [entry["job_id"] for entry in told["history"]] == [done]
    for group in ("queue", "history"):
        assert list(told[group][0]) == list(case["body"][group][0])
        assert {entry["is_finished"] for entry in told[group]} == {group == "history"}


def test_a_stop_ends_the_running_job_and_its_webhook_says_so_as_recorded(tmp_path: Path, receiver: Receiver) -> None:
    with (
        thread_server(tmp_path / "data", listen=PROFILE, fake_step_s=0.2, allow_private_urls=True) as server,
        server.client() as client,
    ):
        job_id = begin(client, webhook_url=receiver.url)
        until(client, job_id, "step.finished")
        check(recorded("stop"), client.post(STOP))
        (body,) = recorded("webhook-stopped")["bodies"]
        assert plain(receiver.next().body) == plain(json.loads(body))
        assert ended(client, job_id)["status"] == "cancelled"


def test_a_failure_is_told_as_recorded(server: ThreadServer, client: httpx.Client, receiver: Receiver) -> None:
    with failing():
        (body,) = recorded("webhook-fail")["bodies"]
        assert client.post(TEXT, json={"webhook_url": receiver.url}).json() == []
        assert plain(receiver.next().body) == plain(json.loads(body))
        case = recorded("png-fail")
        answer = client.post(TEXT, json={}, headers={"Accept": "image/png"})
        assert (answer.status_code, answer.headers.get("content-type", "")) == (case["status"], case["ctype"])
        assert answer.content == b""
    assert client.post(TEXT, json={}).json()[0]["finish_reason"] == "SUCCESS", "the next job is done"


def test_what_is_answered_otherwise_is_answered_better(server: ThreadServer, client: httpx.Client) -> None:
    refreshed = client.post(recorded("refresh")["path"])
    assert refreshed.status_code == 200
    assert set(refreshed.json()) == {"model_filenames", "lora_filenames"}

    client.post(STOP).raise_for_status()
    (after_idle_stop,) = client.post(TEXT, json={"image_seed": 5}).json()
    assert after_idle_stop["finish_reason"] == "SUCCESS"

    (with_base64,) = client.post(TEXT, json={"require_base64": True, "save_extension": "jpg"}).json()
    assert with_base64["base64"].startswith("data:image/jpeg;base64,")

    case = recorded("v1-uov-nofile")
    no_file = client.post(case["path"], data={"uov_method": "Upscale (2x)"})
    assert no_file.status_code == 422
    assert no_file.json()["detail"][0]["loc"] == ["body", "input_image"]

    bad = client.post(recorded("v2-uov-badb64")["path"], json={"input_image": "not base64!"})
    assert bad.status_code == 400
    assert "input_image" in bad.json()["detail"]

    (named,) = client.post(TEXT, json={"image_seed": 5, "save_name": "../name"}).json()
    assert plain(named["url"]) == "(base)/files/(date)/name-0.png"
    assert client.get(local(named["url"])).status_code == 200

    missing = client.get(recorded("file 404")["path"], headers={"Accept": "image/png"})
    assert (missing.status_code, missing.content) == (404, b"")

    described = client.post(recorded("describe-type")["path"], files={"image": png()})
    assert set(described.json()) == set(recorded("describe-type")["body"])


# ---- with a key, and a history that is kept -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def persistent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    """As the original was started with `--apikey` and `--persistent`."""
    folder = tmp_path_factory.mktemp("persistent")
    with thread_server(
        folder / "data", listen=PROFILE, api={"keys": [KEY]}, fooocus_api_persistent=True, fake_step_s=0.1
    ) as running:
        yield running


@pytest.fixture
def caller(persistent: ThreadServer) -> Iterator[httpx.Client]:
    with persistent.client(headers={"X-API-KEY": KEY}) as client:
        yield client


@pytest.mark.parametrize("name", [case["name"] for case in PERSISTENT if case["name"].startswith("nokey")])
def test_without_a_key_it_is_as_recorded(persistent: ThreadServer, name: str) -> None:
    case = recorded(name, PERSISTENT)
    with persistent.client() as client:
        answer = client.request(case["method"], case["path"])
        wrong = client.request(case["method"], case["path"], headers={"X-API-KEY": "another"})
    for each in (answer, wrong):
        assert (each.status_code, each.headers["content-type"]) == (case["status"], case["ctype"])
        if "openapi" not in name:
            assert each.json() == case["body"]


def test_every_recorded_path_is_there_with_its_methods(persistent: ThreadServer) -> None:
    paths = recorded("nokey /openapi.json", PERSISTENT)["body"]["paths"]
    served = {(route.path, method) for route in ROUTES for method in route.methods}  # type: ignore[attr-defined] # all are Routes
    wanted = {(path, method.upper()) for path, methods in paths.items() for method in methods}
    assert {(path, method) for path, method in wanted if not path.startswith("/_")} <= served


@pytest.mark.parametrize("name", ["lowerkey", "key"])
def test_the_header_of_the_key_may_be_written_in_any_letters(persistent: ThreadServer, name: str) -> None:
    header = "x-api-key" if name == "lowerkey" else "X-API-KEY"
    with persistent.client() as client:
        check(recorded(name, PERSISTENT), client.get("/ping", headers={header: KEY}))


def test_a_full_queue_is_told_as_recorded(tmp_path: Path) -> None:
    with (
        thread_server(tmp_path / "data", listen=PROFILE, fake_step_s=0.5, max_queued_jobs=1, max_live_jobs=1) as server,
        server.client() as client,
    ):
        first = client.post(TEXT, json={"prompt": "a cat", "async_process": True})
        check(recorded("full-1", PERSISTENT), first)
        until(client, first.json()["job_id"], "job.started")
        begin(client)
        check(recorded("full-sync", PERSISTENT), client.post(TEXT, json={}))
        refused = client.post(TEXT, json={"async_process": True}).json()
        assert (refused["job_id"], refused["job_stage"]) == ("", "ERROR")
        assert refused["job_result"] == recorded("full-sync", PERSISTENT)["body"]
        picture = client.post(TEXT, json={}, headers={"Accept": "image/png"})
        assert (picture.status_code, picture.text) == (409, "QUEUE_IS_FULL")


def test_the_history_with_parameters_is_as_recorded(caller: httpx.Client) -> None:
    check(recorded("s", PERSISTENT), caller.post(TEXT, json={"prompt": "a cat", "image_seed": 5}))
    caller.post(
        TEXT, json={"prompt": "a cat", "image_seed": 5, "performance_selection": "Lightning"}
    ).raise_for_status()
    (newest, older) = (page := caller.get(recorded("hist0", PERSISTENT)["path"])).json()["history"]
    lightning, speed = recorded("hist0", PERSISTENT)["body"]["history"][0], recorded("hist-id", PERSISTENT)
    compared = _comparable(newest), _comparable(lightning)
    assert compared[0] == compared[1]
    assert _comparable(older) == _comparable(speed["body"]["history"][0])
    assert page.json()["queue"] == []
    job_id = older["task_info"]["task_id"]
    (one,) = caller.get(HISTORY, params={"job_id": job_id}).json()["history"]
    assert one == older
    assert [
        entry["task_info"]["task_id"]
        for entry in caller.get(HISTORY, params={"page": 1, "page_size": 1}).json()["history"]
    ] == [job_id]


def test_a_running_job_is_in_the_queue_of_the_history_with_parameters(caller: httpx.Client) -> None:
    case = recorded("hist-running", PERSISTENT)
    job_id = begin(caller)
    until(caller, job_id, "step.finished")
    told = caller.get(case["path"]).json()
    assert [entry["job_id"] for entry in told["queue"]] == [job_id]
    assert list(told["queue"][0]) == list(case["body"]["queue"][0])
    ended(caller, job_id)


def test_deleting_a_job_removes_it_and_its_files_and_answers_as_recorded(caller: httpx.Client) -> None:
    (made,) = caller.post(TEXT, json={"image_seed": 5}).json()
    job_id = caller.get(HISTORY, params={"page_size": 1}).json()["history"][0]["task_info"]["task_id"]
    assert caller.get(local(made["url"])).status_code == 200
    answer = caller.get(HISTORY, params={"delete": "true", "job_id": job_id})
    check(recorded("hist-del2", PERSISTENT), answer)
    assert caller.get(HISTORY, params={"job_id": job_id}).json()["history"] == []
    assert caller.get(local(made["url"])).status_code == 404
    assert caller.get(QUERY, params={"job_id": job_id}).status_code == 404


def test_a_failed_job_is_told_as_recorded_and_the_next_is_done(caller: httpx.Client) -> None:
    with failing():
        check(recorded("fail-persist", PERSISTENT), caller.post(TEXT, json={}))
    assert caller.post(TEXT, json={}).json()[0]["finish_reason"] == "SUCCESS"


def test_every_recording_is_replayed() -> None:
    elsewhere = {"async-trace", "history-queued", "stop", "webhook-stopped", "webhook-fail", "png-fail", "file 404ext"}
    elsewhere |= {"file image/jpeg", "file image/webp"}
    assert {case["name"] for case in PLAIN} == set(REQUESTS) | set(WHY) | elsewhere | {"stubfail", "stubok", "alive"}
    there = {case["name"] for case in PERSISTENT if not case["name"].startswith("nokey")}
    assert there == {
        "lowerkey", "key", "full-1", "full-sync", "hist-running", "s", "hist0", "hist-id", "hist-del2", "alive",
        "fail-persist", "stub",
    }  # fmt: skip


def _comparable(entry: dict[str, Any]) -> Any:
    """An entry of the history, without the LoRAs' order of defaults, which the recording had of another preset."""
    shown = plain(entry)
    shown["task_info"]["task_start_mills"] = "(time)"  # always 0 in the original, which had lost it
    shown["params"]["loras"][0][1] = "(the default LoRA)"
    return shown
