"""Every recording of FooocusAPI, replayed; what is answered otherwise on purpose says why.

The recordings were made with a stub in the place of the engine; here it is the fake engine. Ids, times, names of files
and what is in the pictures are not compared.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from service.dialects.fooocus_engine.routes import ROUTES
from tests.dialects.fooocus_api.callers import local, mask
from tests.dialects.fooocus_engine.callers import CONTROL, GENERATE, PROFILE, TASKS, begin, job_id, messages, task
from tests.dialects.golden import FOLDER
from tests.dialects.jobs import ended, failing, until
from tests.dialects.pictures import b64, opened, png
from tests.servers import ThreadServer, thread_server

CASES: Final[list[dict[str, Any]]] = json.loads((FOLDER / "fooocus" / "new_apikey.json").read_text("utf-8"))
SLOW: Final[list[tuple[float, str]]] = json.loads((FOLDER / "fooocus" / "new_stream_slow.json").read_text("utf-8"))
KEY: Final = "secret-of-the-test"
_SUBSTITUTES: Final = (
    (re.compile(r"http://127\.0\.0\.1:\d+"), "(base)"),
    (re.compile(r"/outputs/\d{4}-\d{2}-\d{2}/[\w-]+\.(\w+)"), r"/outputs/(date)/(name).\1"),
    (re.compile(r"/inputs/[0-9a-f]{64}\.png"), "/inputs/(hash).png"),
    (re.compile(r"^[0-9a-f]{32}$"), "(task)"),
)
_RECEIVER: Final = re.compile(r"^http://127\.0\.0\.1:\d+/h$")
WHY: Final = {
    "noslash": "both paths are served, without a redirection",
    "control-slash": "both paths are served, without a redirection",
    "binary-jpg": "image/jpg is a JPEG",
    "422 lora": "a LoRA without `enabled` is taken, as clients send it",
    "bad b64": "a mistake of the caller is a 4xx",
    "sync-fail": "a task that has failed says so",
    "hist-range-noend": "a range without an end goes on until now",
    "task-skipped": "a task that was skipped has ended, and says so",
    "task-stopped": "a task that was stopped has ended, and says so",
}
"""Cases that are answered otherwise -> why."""
STUBS: Final = {"fail-off"}
"""Of the recording itself: they set up its engine."""


def recorded(name: str) -> dict[str, Any]:
    return next(case for case in CASES if case["name"] == name)


def plain(value: Any, name: str = "") -> Any:
    """A JSON value without what changes from run to run."""
    if isinstance(value, dict):
        return {key: plain(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item, name) for item in value]
    if isinstance(value, int) and (name.endswith("_mills") or name == "id"):
        return "(number)" if value >= 0 else value
    if isinstance(value, str):
        if name == "webhook_url" and _RECEIVER.match(value):
            return ""  # the recording's own, which tells nobody here
        for pattern, substitute in _SUBSTITUTES:
            value = pattern.sub(substitute, value)
    return value


def check(case: dict[str, Any], answer: httpx.Response) -> None:
    """Compare an answer with a recorded one."""
    assert answer.status_code == case["status"], answer.text[:500]
    assert answer.headers.get("content-type", "") == case["ctype"]
    if case["ctype"] == "application/json":
        assert plain(answer.json()) == plain(case["body"])
    elif case["ctype"].startswith("image/"):
        assert opened(answer.content).get_format_mimetype() == case["ctype"]
    else:
        assert repr(answer.content) == case["body"]


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    """As the original was started with `--apikey`."""
    folder = tmp_path_factory.mktemp("keyed")
    with thread_server(folder / "data", listen=PROFILE, api={"keys": [KEY]}) as running:
        yield running


@pytest.fixture
def caller(keyed: ThreadServer) -> Iterator[httpx.Client]:
    with keyed.client(headers={"X-API-KEY": KEY}) as client:
        yield client


@pytest.fixture
def slow_caller(tmp_path: Path) -> Iterator[httpx.Client]:
    keys = {"keys": [KEY]}
    with (
        thread_server(tmp_path / "data", listen=PROFILE, api=keys, fake_step_s=0.1, max_live_jobs=1) as running,
        running.client(headers={"X-API-KEY": KEY}) as client,
    ):
        yield client


_CAT: Final[dict[str, Any]] = {"prompt": "a cat", "image_seed": 5, "performance_selection": "Lightning"}
REQUESTS: Final[dict[str, dict[str, Any]]] = {
    "task-unknown": {},
    "control-bad": {},
    "sync": {"json": _CAT},
    "binary": {"json": _CAT, "headers": {"Accept": "image/png"}},
    "axios-accept": {"json": _CAT, "headers": {"Accept": "application/json, text/plain, */*"}},
    "422 type": {"json": {"prompt": 5}},
    "bad aspect": {"json": {**_CAT, "aspect_ratios_selection": "512*512"}},
    "inpaint": {
        "json": {**_CAT, "inpaint_input_image": b64(png()), "inpaint_mask_image_upload": b64(mask())},
    },
    "preset bad": {"json": {**_CAT, "preset": "zzz"}},
    "require_base64": {"json": {**_CAT, "require_base64": True}},
}
"""By name of the case: what was sent; ours may be another picture."""


@pytest.mark.parametrize("name", REQUESTS)
def test_a_recorded_request_is_answered_as_recorded(caller: httpx.Client, name: str) -> None:
    case = recorded(name)
    check(case, caller.request(case["method"], case["path"], **REQUESTS[name]))


@pytest.mark.parametrize("name", [case["name"] for case in CASES if case["name"].startswith("nokey")])
def test_without_a_key_it_is_as_recorded(keyed: ThreadServer, name: str) -> None:
    case = recorded(name)
    with keyed.client() as client:
        answer = client.request(case["method"], case["path"], json={} if case["method"] == "POST" else None)
        wrong = client.request(case["method"], case["path"], headers={"X-API-KEY": "another"})
    for each in (answer, wrong):
        assert each.status_code == case["status"]
        if "openapi" in name:
            continue
        check(case, each)
        if case["status"] == 307:
            assert each.headers["location"] == "/docs"


def test_every_recorded_path_is_there_with_its_methods() -> None:
    paths = recorded("nokey /openapi.json")["body"]["paths"]
    served = {
        (re.sub(r"{\w+}", "{}", route.path), method)  # type: ignore[attr-defined] # all are Routes
        for route in ROUTES
        for method in route.methods  # type: ignore[attr-defined] # as above
    }
    wanted = {(re.sub(r"{\w+}", "{}", path), method.upper()) for path, methods in paths.items() for method in methods}
    assert {(path, method) for path, method in wanted if not path.startswith("/_")} <= served


def test_a_picture_beside_the_prompt_is_told_as_recorded_but_for_one_that_has_no_effect(caller: httpx.Client) -> None:
    """There is no model for faces here, so the picture is none of the job's, and has no address."""
    case = recorded("ip")
    body = {**_CAT, "controlnet_image": [{"cn_img": b64(png()), "cn_type": "FaceSwap"}]}
    answer = caller.post(GENERATE, json=body)
    expected = plain(case["body"])
    expected["req_params"]["controlnet_image"][0]["cn_img"] = ""
    assert plain(answer.json()) == expected


def test_a_stream_has_the_recorded_headers_and_messages(caller: httpx.Client) -> None:
    case = recorded("stream")
    body = {**_CAT, "stream_output": True, "image_number": 2, "disable_preview": True}
    with caller.stream("POST", GENERATE, json=body) as answer:
        raw = answer.read()
    for name in ("cache-control", "x-accel-buffering", "content-type"):
        assert answer.headers[name] == case["headers"][name]
    assert answer.status_code == case["status"]
    expected = list(messages(iter(case["body"].split("\r\n"))))
    got = list(messages(iter(raw.decode().split("\r\n"))))
    for message in got:
        assert message.pop("task_id")
    texts = [message["message"] for message in got]
    for message in expected:
        assert plain(message) in plain(got), f"{message['message']!r} is not among {texts}"
    assert raw.endswith(b"\r\ndata: \r\n\r\n")


def test_a_stream_is_written_as_recorded_line_by_line(slow_caller: httpx.Client) -> None:
    expected = [line for _, line in SLOW]
    with slow_caller.stream("POST", GENERATE, json={**_CAT, "stream_output": True}) as answer:
        raw = answer.read().decode()
    lines = [f"{line}\r\n" for line in raw.split("\r\n")[:-1]]
    shapes = {_shape(line) for line in lines if not line.startswith(":")}
    assert {_shape(line) for line in expected} <= shapes
    assert shapes <= {_shape(line) for line in expected} | {'data: {"progress","preview":null,"message","images"}'}


def _shape(line: str) -> str:
    """What kind of line it is; of a message its fields, and the beginning of its preview."""
    if not line.startswith("data: {"):
        return line
    message = json.loads(line.removeprefix("data: "))
    preview = "null" if message["preview"] is None else message["preview"][:35]
    assert list(message)[:4] == ["progress", "preview", "message", "images"]
    return f'data: {{"progress","preview":{preview},"message","images"}}'


def test_the_numbers_of_steps_are_the_recorded_ones() -> None:
    for _, line in SLOW:
        if line.startswith("data: {"):
            message = json.loads(line.removeprefix("data: "))
            step, steps, image, images = map(int, re.findall(r"\d+", message["message"]))
            done = ((image - 1) * steps + step) / (steps * images)
            assert message["progress"] == int(6 + 94 * done), "our formula is the recorded one"


def test_a_task_is_told_as_recorded_while_it_waits_and_while_it_runs(slow_caller: httpx.Client) -> None:
    body = {"prompt": "a cat", "image_seed": 5, "async_process": True}
    answer = slow_caller.post(GENERATE, json=body)
    check(recorded("async2"), answer)
    running = answer.json()["task_id"]
    until(slow_caller, job_id(running), "job.started")
    waiting = slow_caller.post(GENERATE, json={**body, "performance_selection": "Lightning"}).json()["task_id"]
    current = slow_caller.get(recorded("tasks-current")["path"]).json()
    assert [each["task_id"] for each in current["current"]] == [running]
    progress, preview = current["current"][0]["progress"], current["current"][0]["preview"]
    assert isinstance(progress, float)
    assert preview == "" or preview.startswith("iVBORw0KGgo"), "a PNG without a prefix"
    current["current"][0] |= {"progress": 0.0, "preview": ""}
    assert plain(current) == plain(recorded("tasks-current")["body"])
    check(recorded("tasks-history"), slow_caller.get(recorded("tasks-history")["path"]))
    check(recorded("task-pend"), slow_caller.get(f"{TASKS}/{waiting}"))
    for each in (running, waiting):
        slow_caller.post(CONTROL, params={"action": "stop", "task_id": each}).raise_for_status()


def test_a_failure_is_told_as_recorded_but_for_saying_so(caller: httpx.Client) -> None:
    with failing():
        expected = plain(recorded("sync-fail")["body"])
        got = plain(caller.post(GENERATE, json=_CAT).json())
        assert got.pop("error")["message"]
        assert got == {**expected, "task_status": "failed"}
        check(recorded("bin-fail"), caller.post(GENERATE, json=_CAT, headers={"Accept": "image/png"}))
    check(recorded("sync"), caller.post(GENERATE, json=_CAT))


def test_pictures_are_had_in_the_recorded_formats(caller: httpx.Client) -> None:
    url = caller.post(GENERATE, json=_CAT).json()["result"][0]
    for media_type in ("image/jpeg", "image/webp"):
        check(recorded(f"file {media_type}"), caller.get(local(url), headers={"Accept": media_type}))


def test_the_tools_answer_as_recorded(caller: httpx.Client) -> None:
    case = recorded("describe-json")
    described = caller.post(case["path"], json={"image": b64(png()), "image_type": "Anime"})
    assert described.status_code == case["status"]
    assert set(described.json()) == set(case["body"])
    masked = caller.post(recorded("mask")["path"], json={"image": b64(png())})
    assert masked.json()[:20] == recorded("mask")["body"][:20], "a PNG as a text"


def test_deleting_a_range_leaves_nothing_as_recorded(tmp_path: Path) -> None:
    with thread_server(tmp_path / "data", listen=PROFILE) as server, server.client() as client:
        url = client.post(GENERATE, json=_CAT).json()["result"][0]
        assert client.get(local(url)).status_code == 200
        deleted = client.get(TASKS, params={"action": "delete", "start_at": "2020-01-01T00:00:00"})
        assert (deleted.status_code, deleted.json()) == (200, None)
        check(recorded("after-del"), client.get(recorded("after-del")["path"]))
        assert client.get(local(url)).status_code == 404


def test_what_is_answered_otherwise_is_answered_better(caller: httpx.Client) -> None:
    for name in ("noslash", "binary-jpg"):
        assert recorded(name)["status"] in {307, 500}
    assert caller.post(recorded("noslash")["path"], json=_CAT).json()["task_status"] == "finished"
    assert caller.post(recorded("control-slash")["path"]).json() == {"message": "No task running"}
    jpeg = caller.post(GENERATE, json=_CAT, headers={"Accept": "image/jpg"})
    assert opened(jpeg.content).format == "JPEG"

    lora = caller.post(GENERATE, json={**_CAT, "loras": [{"model_name": "x"}]}).json()
    assert lora["req_params"]["loras"][:3] == [True, "x", 0.5]

    bad = caller.post(GENERATE, json={**_CAT, "uov_input_image": "not base64!"})
    assert bad.status_code == 400
    assert "uov_input_image" in bad.json()["detail"]

    found = caller.get(recorded("hist-range-noend")["path"]).json()
    assert found["history"], "until now"


def test_a_task_that_was_stopped_says_so_unlike_the_recorded_one(slow_caller: httpx.Client) -> None:
    stopped = begin(slow_caller, image_number=2)
    until(slow_caller, job_id(stopped), "step.finished")
    assert slow_caller.post(CONTROL, params={"action": "stop"}).json() == {"message": "task stoped"}
    ended(slow_caller, job_id(stopped))
    told = task(slow_caller, stopped)
    assert recorded("task-stopped")["body"]["task_status"] is None
    assert (told["task_status"], told["progress"], told["result"]) == ("stop", 100, [])
    assert set(told) == set(recorded("task-stopped")["body"])


def test_every_recording_is_replayed() -> None:
    elsewhere = {
        "stream", "async2", "async3", "tasks-current", "tasks-history", "task-pend", "ip", "bin-fail", "describe-json",
        "mask", "file image/jpeg", "file image/webp", "after-del",
    }  # fmt: skip
    there = {case["name"] for case in CASES if not case["name"].startswith("nokey")}
    assert there == set(REQUESTS) | set(WHY) | elsewhere | STUBS
