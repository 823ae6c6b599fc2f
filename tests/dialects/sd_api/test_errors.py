"""Mistakes are told of in the documented forms, and cost nobody else anything."""

from pathlib import Path

import httpx
import pytest

from engine.interface.engine import EngineState, EngineStatus
from tests.dialects.jobs import ended
from tests.dialects.pictures import png
from tests.dialects.sd_api.callers import GENERATE, KEY, asked, begin, data_url
from tests.dialects.sd_api.conftest import PROFILE
from tests.servers import ThreadServer, thread_server

NO_KEY = {"detail": "认证失败：API Key无效或缺失"}


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": "wrong"}, {"X-API-Key": ""}, {"api-key": KEY}])
def test_without_a_key_that_counts_everything_but_health_is_a_401(
    server: ThreadServer, headers: dict[str, str]
) -> None:
    with server.client(headers=headers) as client:
        for answer in (client.post(GENERATE, json=asked()), client.get("/api/v1/tasks/x")):
            assert (answer.status_code, answer.json()) == (401, NO_KEY)
        for path in ("/health", "/api/health"):
            answer = client.get(path)
            assert (answer.status_code, answer.json()) == (200, {"status": "ok", "model_loaded": True})


def test_the_header_of_the_key_is_the_one_in_the_configuration(tmp_path: Path) -> None:
    api = {"keys": ["one", "two"], "key_header": "X-Token"}
    with thread_server(tmp_path / "data", listen=PROFILE, api=api) as server:
        for headers, status in (({"X-Token": "two"}, 200), ({"x-token": "one"}, 200), ({"X-API-Key": "one"}, 401)):
            with server.client(headers=headers) as client:
                assert client.post(GENERATE, json=asked()).status_code == status


def test_health_tells_that_nothing_can_be_done(server: ThreadServer, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[EngineStatus] = []

    def state() -> EngineState:
        return EngineState(status=told[0], device="cpu", live_jobs=0, live_bytes=0, budget_bytes=1)

    monkeypatch.setattr(server.services.engine, "state", state)
    with server.client() as client:
        told[:] = [EngineStatus.LOADING]
        assert client.get("/health").json() == {"status": "ok", "model_loaded": False}
        told[:] = [EngineStatus.FAILED]
        answer = client.get("/health")
        assert (answer.status_code, answer.json()) == (503, {"status": "error", "model_loaded": False})


def test_a_missing_prompt_is_the_documented_422(client: httpx.Client) -> None:
    answer = client.post(GENERATE, json={"width": 64})
    assert answer.status_code == 422
    assert answer.json() == {
        "detail": [{"loc": ["body", "prompt"], "msg": "field required", "type": "value_error.missing"}]
    }


@pytest.mark.parametrize(
    ("field", "value", "kind", "said"),
    [
        ("prompt", 5, "type_error.str", "str type expected"),
        ("prompt", "x" * 20_001, "value_error.any_str.max_length", "at most 20000 characters"),
        ("width", "wide", "type_error.integer", "not a valid integer"),
        ("width", 5000, "value_error.number.not_le", "less than or equal to 4096"),
        ("height", 63.5, "type_error.integer", "not a valid integer"),
        ("num_images", 0, "value_error.number.not_ge", "greater than or equal to 1"),
        ("num_images", 11, "value_error.number.not_le", "less than or equal to 10"),
        ("num_inference_steps", 0, "value_error.number.not_ge", "greater than or equal to 1"),
        ("guidance_scale", "high", "type_error.float", "not a valid float"),
        ("strength", 1.5, "value_error.number.not_le", "less than or equal to 1"),
        ("strength", -0.1, "value_error.number.not_ge", "greater than or equal to 0"),
        ("scheduler", "EulerScheduler", "type_error.enum", "'DPMSolverMultistepScheduler'"),
        ("output_format", "webp", "type_error.enum", "'png'"),
        ("callback_url", "nonsense", "value_error", "url"),
        ("callback_url", "file:///etc/passwd", "value_error", "url"),
    ],
)
def test_a_field_that_is_wrong_is_named_with_what_is_allowed(
    client: httpx.Client, field: str, value: object, kind: str, said: str
) -> None:
    answer = client.post(GENERATE, json=asked(**{field: value}))
    assert answer.status_code == 422
    (told,) = answer.json()["detail"]
    assert (told["loc"], told["type"]) == (["body", field], kind)
    assert said in told["msg"]
    assert set(told) == {"loc", "msg", "type"}


@pytest.mark.parametrize(
    ("content", "kind"), [(b"{", "value_error.jsondecode"), (b"[]", "type_error.dict"), (b"", "value_error.missing")]
)
def test_a_body_that_cannot_be_read_is_a_422(client: httpx.Client, content: bytes, kind: str) -> None:
    answer = client.post(GENERATE, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert [told["type"] for told in answer.json()["detail"]] == [kind]


@pytest.mark.parametrize(
    ("init_image", "status"),
    [
        ("data:image/png;base64,iVBORw0KGgoAAAANS...", 400),
        ("not base64 at all!", 400),
        (data_url(b"no picture"), 400),
        (data_url(png()[:100]), 400),
        ("http://127.0.0.1:1/x.png", 400),
        ("http://no-such-host.invalid/x.png", 400),
    ],
)
def test_a_picture_that_is_none_is_refused_before_there_is_a_task(
    client: httpx.Client, init_image: str, status: int
) -> None:
    before = client.get("/v1/jobs").json()["jobs"]
    answer = client.post(GENERATE, json=asked(init_image=init_image))
    assert answer.status_code == status
    assert isinstance(answer.json()["detail"], str)
    assert answer.json()["detail"].startswith("init_image: ")
    assert "$." not in answer.json()["detail"]
    assert client.get("/v1/jobs").json()["jobs"] == before
    assert ended(client, begin(client))["status"] == "succeeded"


def test_an_upload_that_is_not_there_is_a_mistake_in_its_field(client: httpx.Client) -> None:
    answer = client.post(GENERATE, json=asked(init_image="upload:019ab1e2-0000-7000-8000-000000000000"))
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "init_image"]


def test_pictures_inside_the_operators_network_are_not_fetched(tmp_path: Path) -> None:
    with thread_server(tmp_path / "data", listen=PROFILE) as server, server.client() as client:
        answer = client.post(GENERATE, json=asked(init_image=f"{server.url}/sd-images/x.png"))
        assert answer.status_code == 400
        assert client.get("/v1/jobs").json()["jobs"] == []


def test_a_full_queue_is_a_429_that_says_when_to_come_again(tmp_path: Path) -> None:
    settings = {"listen": PROFILE, "max_queued_jobs": 1, "max_live_jobs": 1, "fake_step_s": 0.05}
    with thread_server(tmp_path / "data", **settings) as server, server.client() as client:
        answers = [client.post(GENERATE, json=asked(num_inference_steps=100)) for _ in range(4)]
        refused = answers[-1]
        assert refused.status_code == 429
        assert "queue" in refused.json()["detail"]
        assert int(refused.headers["retry-after"]) >= 1


def test_paths_and_methods_nobody_answers_have_a_detail_too(client: httpx.Client) -> None:
    assert client.get("/api/v1/nothing").json() == {"detail": "Not Found"}
    answer = client.get(GENERATE)
    assert (answer.status_code, answer.json()) == (405, {"detail": "Method Not Allowed"})
