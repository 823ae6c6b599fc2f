"""Wrong and hostile requests: a clear answer in the dialect's words, and a server that goes on."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.dialects.fooocus_api.callers import mask
from tests.dialects.fooocus_engine.callers import GENERATE, PROFILE, asked, generated, job_id
from tests.dialects.jobs import ended, warnings_of
from tests.dialects.pictures import b64, png
from tests.servers import ThreadServer, thread_server


@pytest.fixture(autouse=True)
def _goes_on(client: httpx.Client) -> Iterator[None]:
    """Whatever was sent, the next request is done."""
    yield
    assert generated(client)["task_status"] == "finished"


@pytest.mark.parametrize(
    ("fields", "kind", "loc"),
    [
        ({"prompt": 5}, "string_type", ["prompt"]),
        ({"image_number": 33}, "less_than_equal", ["image_number"]),
        ({"image_number": 0}, "greater_than_equal", ["image_number"]),
        ({"overwrite_switch": 1.5}, "int_from_float", ["overwrite_switch"]),
        ({"metadata_scheme": "a11"}, "enum", ["metadata_scheme"]),
        ({"uov_method": "none"}, "enum", ["uov_method"]),
        ({"performance_selection": "Fast"}, "enum", ["performance_selection"]),
        ({"output_format": "tiff"}, "enum", ["output_format"]),
        ({"adm_scaler_positive": 3.5}, "less_than_equal", ["adm_scaler_positive"]),
        ({"upscale_multiple": 6}, "less_than_equal", ["upscale_multiple"]),
        ({"aspect_ratios_selection": "wide"}, "value_error", ["aspect_ratios_selection"]),
        ({"loras": [{"enabled": True}]}, "missing", ["loras", 0, "model_name"]),
        ({"controlnet_image": [{"cn_stop": 2}]}, "less_than_equal", ["controlnet_image", 0, "cn_stop"]),
        ({"outpaint_selections": ["Up"]}, "enum", ["outpaint_selections", 0]),
    ],
)
def test_mistakes_are_told_with_their_place_and_nothing_else(
    client: httpx.Client, fields: dict[str, Any], kind: str, loc: list[str | int]
) -> None:
    answer = client.post(GENERATE, json=asked(**fields))
    assert answer.status_code == 422
    (detail,) = answer.json()["detail"]
    assert (detail["type"], detail["loc"]) == (kind, ["body", *loc])
    assert set(answer.json()) == {"detail"}


@pytest.mark.parametrize(
    ("field", "documented", "read"),
    [
        ("uov_method", "disable", "Disabled"),
        ("enhance_uov_method", "disable", "Disabled"),
        ("metadata_scheme", "a111", "a1111"),
        ("metadata_scheme", "foocus", "fooocus"),
        ("overwrite_switch", 0.5, 0.5),
        ("inpaint_additional_prompt", "None", ""),
        ("inpaint_additional_prompt", None, ""),
        ("refiner_model_name", None, "None"),
    ],
)
def test_what_the_documents_spell_otherwise_than_the_program_is_read_too(
    client: httpx.Client, field: str, documented: object, read: object
) -> None:
    record = generated(client, **{field: documented})
    assert record["req_params"][field] == read
    assert warnings_of(client, job_id(record["task_id"])) == []


@pytest.mark.parametrize("content", ["", "{bad", "[]", "5", '"text"', "null"])
def test_what_is_no_request_is_told_so(client: httpx.Client, content: str) -> None:
    answer = client.post(GENERATE, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["detail"]


def test_names_that_are_not_known_are_passed_over(client: httpx.Client) -> None:
    assert generated(client, no_such_field=1)["task_status"] == "finished"


def test_long_texts_of_a_mistake_come_back_cut_short(client: httpx.Client) -> None:
    answer = client.post(GENERATE, json=asked(uov_input_image=b64(png()) * 500, loras="x" * 100_000))
    assert answer.status_code == 422
    assert len(answer.content) < 2000


def test_unknown_names_are_replaced_with_a_warning(client: httpx.Client) -> None:
    unknown = {
        "style_selections": ["Fooocus V2", "No such style"],
        "base_model_name": "no-such-model.safetensors",
        "sampler_name": "no-such-sampler",
        "scheduler_name": "no-such-schedule",
        "loras": [{"enabled": True, "model_name": "no-such-lora", "weight": 1}],
        "vae_name": "no-such-vae",
        "inpaint_engine": "v9",
        "refiner_swap_method": "never",
    }
    record = generated(client, **unknown)
    assert record["task_status"] == "finished"
    told = " ".join(warnings_of(client, job_id(record["task_id"])))
    for name in (
        "No such style",
        "no-such-model",
        "no-such-sampler",
        "no-such-schedule",
        "no-such-lora",
        "no-such-vae",
    ):
        assert name in told


def test_a_mask_of_another_size_is_fitted(client: httpx.Client) -> None:
    record = generated(client, inpaint_input_image=b64(png()), inpaint_mask_image_upload=b64(mask(20, 10)))
    assert (record["task_status"], len(record["result"])) == ("finished", 1)
    assert ended(client, job_id(record["task_id"]))["params"]["fit_mask"] is True


@pytest.mark.parametrize("picture", ["not base64!", "data:image/png,x", b64(b"no picture"), b64(b"")])
@pytest.mark.parametrize(
    "fields",
    [
        {"uov_method": "Vary (Subtle)", "uov_input_image": None},
        {"inpaint_input_image": None, "outpaint_selections": ["Left"]},
        {"inpaint_input_image": b64(png()), "inpaint_mask_image_upload": None},
    ],
    ids=["vary", "outpaint", "mask"],
)
def test_a_picture_that_is_none_is_refused_with_a_reason(
    client: httpx.Client, fields: dict[str, Any], picture: str
) -> None:
    body = {name: picture if value is None else value for name, value in fields.items()}
    if picture == b64(b""):
        assert generated(client, **body)["task_status"] == "finished", "an empty text is no picture"
        return
    answer = client.post(GENERATE, json=asked(**body))
    assert answer.status_code == 400
    assert isinstance(answer.json()["detail"], str)


def test_addresses_inside_the_operators_network_are_not_fetched(tmp_path: Path) -> None:
    with thread_server(tmp_path / "data", listen=PROFILE) as server, server.client() as client:
        for url in (
            f"{server.url}/v1/jobs",
            "http://169.254.169.254/latest",
            "http://[::1]/x",
            "http://no.invalid/x.png",
        ):
            answer = client.post(GENERATE, json=asked(uov_input_image=url, uov_method="Vary (Subtle)"))
            assert answer.status_code == 400
        webhook = client.post(GENERATE, json=asked(webhook_url="file:///etc/passwd"))
        assert webhook.status_code == 400


def test_too_much_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with thread_server(tmp_path / "data", listen=PROFILE, max_body_bytes=10_000) as server, server.client() as client:
        answer = client.post(GENERATE, json=asked(uov_input_image="A" * 20_000))
        assert answer.status_code == 413
        assert isinstance(answer.json()["detail"], str)


def test_a_full_queue_is_told_with_when_to_come_back(tmp_path: Path) -> None:
    limits = {"fake_step_s": 0.5, "max_queued_jobs": 1, "max_live_jobs": 1}
    with thread_server(tmp_path / "data", listen=PROFILE, **limits) as server, server.client() as client:
        answers = [client.post(GENERATE, json=asked(async_process=True)) for _ in range(4)]
        refused = answers[-1]
        assert (refused.status_code, set(refused.json())) == (429, {"detail"})
        assert int(refused.headers["retry-after"]) > 0
        for each in answers[:-1]:
            if each.status_code == 200:
                client.post("/v1/engine/control", params={"action": "stop", "task_id": each.json()["task_id"]})


def test_what_nobody_answers_is_refused_in_its_words(client: httpx.Client) -> None:
    for method, path, status in (
        ("GET", "/ping", 404),
        ("GET", GENERATE, 405),
        ("DELETE", "/tasks", 405),
        ("GET", "/outputs/x", 404),
        ("GET", "/v1/engine/nope", 404),
    ):
        answer = client.request(method, path)
        assert (answer.status_code, set(answer.json())) == (status, {"detail"})


def test_pages_of_every_origin_may_call_the_dialect_and_not_our_own_api(client: httpx.Client) -> None:
    headers = {"Origin": "https://elsewhere.example"}
    answer = client.post(GENERATE, json=asked(), headers=headers)
    assert answer.headers["access-control-allow-origin"] in {"*", headers["Origin"]}
    assert "x-job-id" in answer.headers["access-control-expose-headers"].lower()
    assert client.get("/v1/jobs", headers=headers).status_code == 403


def test_beside_the_others_its_paths_answer_too(tmp_path: Path) -> None:
    with thread_server(tmp_path / "data") as server, server.client() as client:
        assert client.post(GENERATE, json=asked()).json()["task_status"] == "finished"
        assert client.get("/tasks").json()["pending"] == []
        described = [
            client.post("/v1/tools/describe-image", json={"image": b64(png())}),
            client.post("/v1/tools/describe-image", files={"image": png()}),
        ]
        assert described[0].json() == described[1].json()
        assert client.get("/tasks/x/y").json() == {"detail": "Not Found"}
        assert "/docs" in client.get("/", headers={"Accept": "text/html"}).text


def test_numbers_that_json_cannot_say_are_refused(server: ThreadServer, client: httpx.Client) -> None:
    for text in ("NaN", "Infinity", "1e999"):
        content = json.dumps(asked()).removesuffix("}") + f', "sharpness": {text}}}'
        answer = client.post(GENERATE, content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == 422
