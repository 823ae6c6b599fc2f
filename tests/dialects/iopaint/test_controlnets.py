"""ControlNets as IOPaint's clients ask for them, with real ones of a few thousand weights."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.dialects.golden import ERROR_KEYS
from tests.dialects.iopaint.callers import WIDER, ask, newest, repainting_server
from tests.servers import ThreadServer

CANNY = "lllyasviel/control_v11p_sd15_canny"
DEPTH = "lllyasviel/control_v11f1p_sd15_depth"
HOLE = "lllyasviel/control_v11p_sd15_inpaint"
FULL = {"enable_controlnet": True, "controlnet_conditioning_scale": 1.0}


@pytest.fixture(scope="module")
def controlled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    """A model, and ControlNets: three the original knows, one of our own name, one whose pictures nobody makes."""
    pytest.importorskip("diffusers")
    from engine.diffusion.quiet import quieten

    quieten()
    from tests.tiny_models import make_controlnet, make_sd1, make_sdxl

    folder = tmp_path_factory.mktemp("controlled")
    models = folder / "models"
    make_sd1().save_pretrained(models / "checkpoints" / "tiny")
    make_sdxl().save_pretrained(models / "checkpoints" / "large")
    from tests.unit.engine.preprocessing.test_depth_network import put

    put(folder / "own" / "plugins" / "dpt-large", "dpt-large", side=32)
    names = ("control_v11p_sd15_canny", "control_v11p_sd15_inpaint_fp16", "my-canny")
    names += ("control_v11f1p_sd15_depth", "control_v11p_sd15_openpose")
    for seed, name in enumerate(names):
        make_controlnet(seed=seed).save_pretrained(models / "controlnet" / name)
    with repainting_server(folder, "tiny") as server:
        yield server


@pytest.fixture
def client(controlled: ThreadServer) -> Iterator[httpx.Client]:
    with controlled.client() as client:
        yield client


def test_a_model_is_listed_with_the_controlnets_of_its_family_by_the_names_clients_know(client: httpx.Client) -> None:
    told = {model["name"]: model for model in client.get("/api/v1/server-config").json()["modelInfos"]}
    assert told["tiny"]["support_controlnet"] is True
    assert sorted(told["tiny"]["controlnets"]) == [DEPTH, CANNY, HOLE, "my-canny"]
    assert (told["large"]["support_controlnet"], told["large"]["controlnets"]) == (False, [])
    assert (told["cv2"]["support_controlnet"], told["cv2"]["controlnets"]) == (False, [])


@pytest.mark.parametrize(
    ("method", "name", "preprocess"),
    [
        (CANNY, "control_v11p_sd15_canny", "canny"),
        ("control_v11p_sd15_canny", "control_v11p_sd15_canny", "canny"),
        (HOLE, "control_v11p_sd15_inpaint_fp16", "inpaint"),
        ("my-canny", "my-canny", "canny"),
        (DEPTH, "control_v11f1p_sd15_depth", "depth"),
    ],
)
def test_a_controlnet_is_a_control_whose_picture_is_made_of_the_jobs_own(
    client: httpx.Client, method: str, name: str, preprocess: str
) -> None:
    plain = ask(client)
    answer = ask(client, controlnet_method=method, **FULL)
    assert answer.status_code == 200, answer.text
    (control,) = newest(client)["params"]["controls"]
    assert {"model": name, "preprocess": preprocess, "scale": 1.0}.items() <= control.items()
    assert answer.content != plain.content


def test_a_controlnet_that_is_not_named_is_the_originals_default_with_its_default_weight(client: httpx.Client) -> None:
    assert ask(client, enable_controlnet=True).status_code == 200
    (control,) = newest(client)["params"]["controls"]
    assert (control["model"], control["scale"]) == ("control_v11p_sd15_canny", 0.4)


@pytest.mark.parametrize(
    "fields",
    [
        {"controlnet_conditioning_scale": 0},
        WIDER,
    ],
    ids=["no weight", "extender"],
)
def test_a_controlnet_without_weight_is_none(client: httpx.Client, fields: dict[str, Any]) -> None:
    assert ask(client, enable_controlnet=True, **fields).status_code == 200
    assert not newest(client)["params"].get("controls")


@pytest.mark.parametrize(
    ("method", "told"),
    [
        ("lllyasviel/control_v11p_sd15_openpose", "take body_pose_model on the server"),
        ("diffusers/controlnet-canny-sdxl-1.0", CANNY),
        ("", "my-canny"),
    ],
)
def test_a_controlnet_that_cannot_be_used_is_a_422_that_says_why(client: httpx.Client, method: str, told: str) -> None:
    before = newest(client)["id"] if client.get("/v1/jobs").json()["jobs"] else None
    answer = ask(client, controlnet_method=method, **FULL)
    assert (answer.status_code, set(answer.json())) == (422, ERROR_KEYS)
    assert "controlnet_method" in answer.json()["errors"]
    assert told in answer.json()["errors"]
    jobs = client.get("/v1/jobs").json()["jobs"]
    assert (jobs[0]["id"] if jobs else None) == before
