"""InstructPix2Pix, Paint by Example and PowerPaint as IOPaint's clients ask for them, with tiny ones of each."""

import io
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.dialects.golden import ERROR_KEYS
from tests.dialects.iopaint.callers import HOLE, PHOTO, WIDER, ask, newest, picture, repainting_server
from tests.servers import ThreadServer

PIX2PIX = "timbrooks/instruct-pix2pix"
BY_EXAMPLE = "Fantasy-Studio/Paint-by-Example"
POWERPAINT = "Sanster/PowerPaint-V1-stable-diffusion-inpainting"
EXAMPLE = np.random.default_rng(4).integers(0, 256, (40, 40, 3), np.uint8)


@pytest.fixture(scope="module")
def editors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    """One model of each family, and a second one of the first."""
    pytest.importorskip("diffusers")
    from engine.diffusion.quiet import quieten

    quieten()
    from tests.tiny_editors import make_paint_by_example, make_pix2pix, make_powerpaint

    folder = tmp_path_factory.mktemp("editors")
    checkpoints = folder / "models" / "checkpoints"
    make_pix2pix(1).save_pretrained(checkpoints / "another-editor")
    make_pix2pix().save_pretrained(checkpoints / "instruct-pix2pix")
    make_paint_by_example().save_pretrained(checkpoints / "example")
    make_powerpaint().save_pretrained(checkpoints / "powerpaint")
    with repainting_server(folder, "cv2") as server:
        yield server


@pytest.fixture
def client(editors: ThreadServer) -> Iterator[httpx.Client]:
    with editors.client() as client:
        yield client


def ask_of(client: httpx.Client, model: str, **fields: Any) -> httpx.Response:
    assert client.post("/api/v1/model", json={"name": model}).status_code == 200
    return ask(client, **{"prompt": "" if model == BY_EXAMPLE else "a cat", "sd_mask_blur": 0, **fields})


def made(answer: httpx.Response) -> np.ndarray[Any, Any]:
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))


def asked_for(client: httpx.Client) -> dict[str, Any]:
    params: dict[str, Any] = newest(client)["params"]
    return params


def told(client: httpx.Client) -> list[str]:
    """The codes of the newest job's warnings."""
    address = f"/v1/jobs/{newest(client)['id']}/events"
    events = client.get(address, headers={"accept": "application/json"}).json()["events"]
    return [event["data"]["code"] for event in events if event["type"] == "job.warning"]


@pytest.mark.parametrize(
    ("name", "need_prompt", "support_strength", "support_outpainting"),
    [
        (PIX2PIX, True, False, False),
        ("another-editor", True, False, False),
        (BY_EXAMPLE, False, False, True),
        (POWERPAINT, True, True, True),
    ],
)
def test_a_model_is_listed_by_the_name_its_fields_are_shown_for_with_what_it_can_do(
    client: httpx.Client, name: str, need_prompt: bool, support_strength: bool, support_outpainting: bool
) -> None:
    listed = {model["name"]: model for model in client.get("/api/v1/server-config").json()["modelInfos"]}
    expected = {
        "model_type": "diffusers_other",
        "need_prompt": need_prompt,
        "support_strength": support_strength,
        "support_outpainting": support_outpainting,
        "support_controlnet": False,
    }
    assert expected.items() <= listed[name].items()


def test_a_model_may_be_switched_to_by_our_name_too(client: httpx.Client) -> None:
    answer = client.post("/api/v1/model", json={"name": "instruct-pix2pix"})
    assert (answer.status_code, answer.json()["name"]) == (200, PIX2PIX)
    assert client.get("/api/v1/model").json()["name"] == PIX2PIX


def test_a_picture_is_changed_where_it_is_masked(client: httpx.Client) -> None:
    changed = made(ask_of(client, PIX2PIX)).copy()
    params = asked_for(client)
    assert (params["model"], params["image_guidance_scale"]) == ("instruct-pix2pix", 1.5)
    assert told(client) == []
    assert not np.array_equal(changed[HOLE], PHOTO[HOLE])
    changed[HOLE] = PHOTO[HOLE]
    assert np.array_equal(changed, PHOTO)


def test_all_of_a_picture_is_changed_if_what_is_not_masked_need_not_be_kept(client: httpx.Client) -> None:
    changed = made(ask_of(client, PIX2PIX))
    everywhere = made(ask_of(client, PIX2PIX, sd_keep_unmasked_area=False))
    assert np.array_equal(everywhere[HOLE], changed[HOLE])
    assert not np.array_equal(everywhere[:16], PHOTO[:16])


def test_image_guidance_counts_and_below_1_there_is_no_guidance(client: httpx.Client) -> None:
    usual, more, none = (made(ask_of(client, PIX2PIX, p2p_image_guidance_scale=scale)) for scale in (1.5, 4.0, 0.5))
    assert asked_for(client)["guidance_scale"] == 1.0
    assert not np.array_equal(usual, more)
    assert not np.array_equal(usual, none)
    assert told(client) == []


def test_a_model_that_changes_pictures_refuses_to_extend_them(client: httpx.Client) -> None:
    answer = ask_of(client, PIX2PIX, **WIDER)
    assert answer.status_code == 422
    assert answer.json().keys() >= ERROR_KEYS
    assert "use_extender" in answer.json()["errors"]


def test_an_example_is_painted_into_the_mask(client: httpx.Client) -> None:
    one, other = (
        made(ask_of(client, BY_EXAMPLE, paint_by_example_example_image=picture(pixels)))
        for pixels in (EXAMPLE, EXAMPLE[::-1])
    )
    assert told(client) == []
    assert not np.array_equal(one[HOLE], other[HOLE])
    assert np.array_equal(one[:16], PHOTO[:16])


@pytest.mark.parametrize("example", [None, "", "bm8="], ids=["missing", "empty", "no picture"])
def test_a_missing_or_broken_example_is_the_callers_mistake(client: httpx.Client, example: str | None) -> None:
    answer = ask_of(client, BY_EXAMPLE, paint_by_example_example_image=example)
    assert answer.status_code == 400
    assert answer.json().keys() >= ERROR_KEYS
    assert "example" in answer.json()["errors"]


def test_an_example_for_another_model_is_told_to_have_no_effect(client: httpx.Client) -> None:
    made(ask_of(client, POWERPAINT, paint_by_example_example_image=picture(EXAMPLE)))
    assert told(client) == ["example_unused"]


def test_powerpaints_task_and_fitting_degree_count(client: httpx.Client) -> None:
    fields: tuple[dict[str, Any], ...] = (
        {},
        {"powerpaint_task": "object-remove"},
        {"powerpaint_task": "shape-guided"},
        {"powerpaint_task": "shape-guided", "fitting_degree": 0.3},
    )
    pictures = [made(ask_of(client, POWERPAINT, **more)) for more in fields]
    assert {"repaint_task": "shape-guided", "fitting_degree": 0.3}.items() <= asked_for(client).items()
    assert told(client) == []
    assert len({pixels.tobytes() for pixels in pictures}) == len(fields)


def test_powerpaint_extends_a_picture(client: httpx.Client) -> None:
    wider = made(ask_of(client, POWERPAINT, powerpaint_task="outpainting", **WIDER))
    assert wider.shape[:2] == (64, 72)
    assert (newest(client)["task"], asked_for(client)["repaint_task"]) == ("outpaint", "outpainting")
