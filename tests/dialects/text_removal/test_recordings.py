"""Every recording of the text-removal service, replayed; what is answered otherwise on purpose says why.

The recordings were made with a stand-in for LaMa that paints the hole in one colour; here it is the same.
"""

import base64
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.dialects.golden import FOLDER, Case, differences, send
from tests.dialects.text_removal.callers import FINAL, ProgressSocket, order
from tests.dialects.text_removal.conftest import PROFILE
from tests.servers import ThreadServer, thread_server
from tests.unit.engine.inpainting.stand_ins import SizeTeller, save_script

ASYNC: Final = "/api/v1/inpaint-regions-async"
CLIENT_FAULT: Final = "a mistake of the caller is a 4xx"
TRUE_LABEL: Final = "what is labelled PNG is PNG"
GREY_WORKS: Final = "tasks take every picture that the other endpoints take"
NO_REWRITING: Final = "the end of a task stays what it was"


@dataclass(frozen=True)
class Deviation:
    """An answer that is not the recorded one, on purpose; `why` is also a row of docs/dialects/text_removal.md."""

    status: int
    why: str


DEVIATIONS: Final = {
    "regions_empty_list": Deviation(400, CLIENT_FAULT),
    "regions_data_url": Deviation(400, CLIENT_FAULT),
    "regions_json_empty": Deviation(400, CLIENT_FAULT),
    "async_empty_image": Deviation(400, CLIENT_FAULT),
    "inpaint_jpeg_in": Deviation(200, TRUE_LABEL),
    "status_grayscale": Deviation(200, GREY_WORKS),
    "status_bad_image": Deviation(400, CLIENT_FAULT),
    "status_6s_after_cancel": Deviation(200, NO_REWRITING),
    "status_after_cancel_completed": Deviation(409, NO_REWRITING),
}
"""By name of the case."""
_WORDS: Final[dict[str, tuple[type, ...]]] = {
    "(float)": (float, int),
    "(int)": (int, float),
    "(str)": (str,),
    "(volatile)": (str,),
}
"""What a recording has in the place of a value that changes -> of what type that is."""


ALL: Final[list[dict[str, Any]]] = json.loads((FOLDER / "iopaint" / "wrapper.json").read_text("utf-8"))["cases"]
RECORDED: Final = {
    case["name"]: Case("wrapper", case["name"], case["request"], case["response"])
    for case in ALL
    if "method" in case.get("request", {})
}
(TALK,) = [case["messages"] for case in ALL if case["name"] == "ws_general_transcript"]
STATES: Final = {name for name in RECORDED if name.startswith(("status_", "cancel_"))}
"""Cases that need a task in a certain state."""
PLAIN: Final = [case for name, case in RECORDED.items() if name not in STATES]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    """Our server with the stand-in, as the original had it."""
    folder = tmp_path_factory.mktemp("wrapper")
    (folder / "models").mkdir()
    save_script(SizeTeller(), folder / "models" / "big-lama.pt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAMA_MODEL_MD5", "")  # any file of that name is trusted
        with thread_server(
            folder / "data", engine="torch", device="cpu", models_dir=folder / "models", listen=PROFILE
        ) as server:
            with ProgressSocket(server.ports[0], "warm") as socket, server.client() as client:
                client.post(ASYNC, json=order(task_id="warm")).raise_for_status()
                assert socket.until(*FINAL)["type"] == "task_completed"
            yield server


@pytest.fixture
def caller(original: ThreadServer) -> Iterator[httpx.Client]:
    with original.client() as client:
        yield client


def like(recorded: Any, given: Any, ignoring: frozenset[str] = frozenset()) -> list[str]:
    """Where a JSON value differs from a recorded one: in its keys, or in a value that is not volatile."""
    if isinstance(recorded, dict):
        if not isinstance(given, dict) or set(recorded) != set(given):
            return [f"keys {sorted(given)}, recorded {sorted(recorded)}"]
        return [
            f"{key}: {line}"
            for key, value in recorded.items()
            if key not in ignoring
            for line in like(value, given[key])
        ]
    if isinstance(recorded, str) and recorded in _WORDS:
        return [] if isinstance(given, _WORDS[recorded]) else [f"{given!r}, recorded a value of {recorded}"]
    return [] if recorded == given else [f"{given!r}, recorded {recorded!r}"]


@pytest.mark.parametrize("case", PLAIN, ids=lambda case: case.name)
def test_a_recorded_request_is_answered_as_recorded(caller: httpx.Client, case: Case) -> None:
    deviation = DEVIATIONS.get(case.name)
    answer = send(caller, case)
    if deviation is None:
        ignoring = ("task_id",) if case.name == "async_no_id" else ()
        if case.name == "tasks_empty":
            ignoring = ("total_tasks", "completed_tasks")  # the other tests' tasks
        assert differences(case, answer, ignoring=ignoring) == []
        if "body_json" in case.response and answer.status_code == 200:
            assert set(answer.json()) == set(case.response["body_json"])
        told = {"content-disposition", "x-regions-count", "x-total-area", "x-processing-time", "x-timestamp"}
        for name in told & set(case.response["headers"]):
            recorded = case.response["headers"][name]
            assert answer.headers[name] == recorded or recorded == "(volatile)", name
        return
    assert answer.status_code == deviation.status
    if deviation.status >= 400:
        assert set(answer.json()) == {"detail"}


def test_a_recorded_jpeg_has_the_recorded_pixels_in_a_better_file(caller: httpx.Client) -> None:
    case = RECORDED["inpaint_jpeg_in"]
    answer = send(caller, case)
    assert answer.headers["content-type"] == case.response["headers"]["content-type"] == "image/png"
    with Image.open(io.BytesIO(answer.content)) as made, _picture(case) as recorded:
        assert (made.format, recorded.format) == ("PNG", "JPEG")
        distance = np.abs(np.asarray(made, np.int16) - np.asarray(recorded.convert("RGB"), np.int16))
    assert distance.mean() < 2


def _picture(case: Case) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(case.response["body_base64"])))


def test_a_task_that_is_done_says_so_as_recorded(original: ThreadServer, caller: httpx.Client) -> None:
    _done(original, caller, "task-A")
    answer = send(caller, RECORDED["status_completed"])
    assert like(RECORDED["status_completed"].response["body_json"], answer.json()) == []
    refused = caller.post("/api/v1/cancel-task/task-A")
    assert refused.status_code == DEVIATIONS["status_after_cancel_completed"].status
    again = send(caller, RECORDED["status_after_cancel_completed"])
    assert like(RECORDED["status_completed"].response["body_json"], again.json()) == []


def test_grey_pictures_and_what_is_none_end_better_than_recorded(original: ThreadServer, caller: httpx.Client) -> None:
    picture = io.BytesIO()
    Image.linear_gradient("L").save(picture, "PNG")
    grey = base64.b64encode(picture.getvalue()).decode()
    _done(original, caller, "gray", image=grey)
    recorded = RECORDED["status_grayscale"]
    told = send(caller, recorded).json()
    assert set(told) == set(recorded.response["body_json"])
    assert (told["status"], recorded.response["body_json"]["status"]) == ("completed", "error")
    refused = caller.post(ASYNC, json=order(task_id="bad", image=base64.b64encode(b"nothing").decode()))
    assert refused.status_code == DEVIATIONS["status_bad_image"].status
    assert send(caller, RECORDED["status_bad_image"]).status_code == 404


def test_a_cancelled_task_says_so_as_recorded_and_goes_on_saying_it(
    slow_server: ThreadServer, slow_client: httpx.Client
) -> None:
    with ProgressSocket(slow_server.ports[0], "cx") as socket:
        regions = [{"x": number, "y": number, "width": 5, "height": 5} for number in range(25)]
        slow_client.post(ASYNC, json=order(task_id="cx", regions=regions)).raise_for_status()
        socket.until("progress_update", status="processing")
        answer = send(slow_client, RECORDED["cancel_running"])
        assert answer.json() == RECORDED["cancel_running"].response["body_json"]
        socket.until(*FINAL)
    for name in ("status_right_after_cancel", "status_6s_after_cancel"):
        told = send(slow_client, RECORDED[name]).json()
        assert set(told) == set(RECORDED[name].response["body_json"])
        assert (told["status"], told["message"], told["total_regions"]) == ("cancelled", "Task cancelled by user", 25)
        assert (told["completed_at"] is None, told["error_message"]) == (False, None)


def test_the_recorded_talk_on_the_general_socket_goes_the_same_way(
    original: ThreadServer, caller: httpx.Client
) -> None:
    """Up to the story of the task `cx`, which each server tells as its work goes."""
    _done(original, caller, "task-A")
    stories = [index for index, (way, message) in enumerate(TALK) if way == "recv" and "session_id" in message]
    with ProgressSocket(original.ports[0]) as socket:
        for way, message in TALK[: stories[0]]:
            if way == "send":
                if isinstance(message, dict) and message.get("timestamp") == "(int)":
                    message = {**message, "timestamp": 1}
                socket.send(message)
            else:
                assert like(message, socket.next()) == []


def test_the_messages_of_a_task_have_the_recorded_keys(slow_server: ThreadServer, slow_client: httpx.Client) -> None:
    update = next(message for _, message in TALK if isinstance(message, dict) and "session_id" in message)
    cancelled = TALK[-1][1]
    with ProgressSocket(slow_server.ports[0]) as socket:
        socket.send({"type": "subscribe_task", "task_id": "cx"})
        socket.until("task_subscribed")
        slow_client.post(ASYNC, json=order(task_id="cx")).raise_for_status()
        first = socket.next()
        assert like(update, first, frozenset({"total_regions"})) == []
        socket.until("progress_update", status="processing")
        socket.send({"type": "cancel_task", "task_id": "cx"})
        assert like(cancelled, socket.until(*FINAL)) == []
    assert {frozenset(message) for message in socket.seen if message["type"] == "progress_update"} == {
        frozenset(update)
    }


def test_every_recording_is_replayed_and_every_deviation_has_one() -> None:
    elsewhere = {"callback_received", "ws_general_transcript"}  # test_callbacks, and above
    assert {case["name"] for case in ALL} == set(RECORDED) | elsewhere
    assert set(DEVIATIONS) <= set(RECORDED)
    assert len(ALL) == 24


def _done(server: ThreadServer, client: httpx.Client, task_id: str, **fields: Any) -> None:
    with ProgressSocket(server.ports[0], task_id) as socket:
        client.post(ASYNC, json=order(task_id=task_id, **fields)).raise_for_status()
        assert socket.until(*FINAL)["type"] == "task_completed"
