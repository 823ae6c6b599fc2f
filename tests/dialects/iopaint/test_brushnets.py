"""BrushNets, PowerPaint's among them, as IOPaint's clients ask for them, with real ones of a few thousand weights."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.dialects.golden import ERROR_KEYS
from tests.dialects.iopaint.callers import WIDER, ask, newest, repainting_server
from tests.servers import ThreadServer

RANDOM = "Sanster/brushnet_random_mask"
SHAPES = "Sanster/brushnet_segmentation_mask"
XL = "Regulus0725/random_mask_brushnet_ckpt_sdxl_regulus_v1"
BRUSH = {"enable_brushnet": True}
POWERPAINT = {"enable_powerpaint_v2": True}


@pytest.fixture(scope="module")
def brushed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    """Three models, and BrushNets: those the original knows, one of our own name, and PowerPaint's with its encoder."""
    pytest.importorskip("diffusers")
    from engine.diffusion.quiet import quieten

    quieten()
    from tests import tiny_brushnets
    from tests.tiny_brushnets import make_brushnet
    from tests.tiny_editors import with_task_words
    from tests.tiny_models import make_controlnet, make_sd1, make_sdxl, make_text_encoder, make_tokenizer, seeded

    folder = tmp_path_factory.mktemp("brushed")
    models = folder / "models"
    make_sd1().save_pretrained(models / "checkpoints" / "tiny")
    make_sd1(is_inpaint=True).save_pretrained(models / "checkpoints" / "nine")
    make_sdxl().save_pretrained(models / "checkpoints" / "large")
    make_controlnet().save_pretrained(models / "controlnet" / "my-canny")
    for seed, name in enumerate(("mine", "brushnet_segmentation_mask", "brushnet_random_mask")):
        make_brushnet(seed=seed).save_pretrained(models / "brushnet" / name)
    make_brushnet(tiny_brushnets.XL).save_pretrained(models / "brushnet" / XL.rpartition("/")[2])
    powerpaint = models / "PowerPaint_v2"
    tokenizer = with_task_words(make_tokenizer())
    with seeded(6):
        encoder = make_text_encoder()
        encoder.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    make_brushnet(tiny_brushnets.ATTENDING).save_pretrained(powerpaint / "PowerPaint_Brushnet")
    encoder.save_pretrained(powerpaint / "text_encoder_brushnet")
    tokenizer.save_pretrained(powerpaint / "tokenizer")
    with repainting_server(folder, "tiny") as server:
        yield server


@pytest.fixture
def client(brushed: ThreadServer) -> Iterator[httpx.Client]:
    with brushed.client() as client:
        yield client
        client.post("/api/v1/model", json={"name": "tiny"})


def params_of(client: httpx.Client, **fields: Any) -> dict[str, Any]:
    """What a request that is served comes to."""
    answer = ask(client, **fields)
    assert answer.status_code == 200, answer.text
    params: dict[str, Any] = newest(client)["params"]
    return params


def test_a_model_is_listed_with_the_brushnets_of_its_family_by_the_names_clients_know(client: httpx.Client) -> None:
    told = {model["name"]: model for model in client.get("/api/v1/server-config").json()["modelInfos"]}
    assert told["tiny"]["brushnets"] == [SHAPES, RANDOM, "mine"] or told["tiny"]["brushnets"] == [
        RANDOM,
        SHAPES,
        "mine",
    ]
    assert told["large"]["brushnets"] == [XL]
    supported = {name: (told[name]["support_brushnet"], told[name]["support_powerpaint_v2"]) for name in told}
    assert supported["tiny"] == (True, True)
    assert supported["large"] == (True, False)
    assert supported["nine"] == supported["cv2"] == (False, False)
    assert told["nine"]["brushnets"] == told["cv2"]["brushnets"] == []


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({}, "brushnet_random_mask"),
        ({"brushnet_method": RANDOM}, "brushnet_random_mask"),
        ({"brushnet_method": "brushnet_segmentation_mask"}, "brushnet_segmentation_mask"),
        ({"brushnet_method": "mine"}, "mine"),
    ],
    ids=str,
)
def test_a_brushnet_is_taken_and_changes_the_picture(client: httpx.Client, fields: dict[str, str], name: str) -> None:
    plain = ask(client)
    answer = ask(client, **BRUSH, **fields)
    assert answer.status_code == 200, answer.text
    assert newest(client)["params"]["brushnet"].items() >= {"model": name, "scale": 1.0}.items()
    assert answer.content != plain.content


def test_its_weight_counts(client: httpx.Client) -> None:
    whole, none, plain = (ask(client, **fields) for fields in (BRUSH, {**BRUSH, "brushnet_conditioning_scale": 0}, {}))
    assert whole.content != plain.content
    assert none.content == plain.content


def test_a_brushnet_switches_the_controlnet_and_the_lcm_lora_off(client: httpx.Client) -> None:
    params = params_of(client, **BRUSH, enable_controlnet=True, controlnet_method="my-canny", sd_lcm_lora=True)
    assert params["brushnet"]["model"] == "brushnet_random_mask"
    assert not params.get("controls")
    assert not params.get("loras")


def test_the_extender_works_with_a_brushnet(client: httpx.Client) -> None:
    params = params_of(client, **BRUSH, **WIDER)
    assert (params["left"], params["brushnet"]["scale"]) == (8, 1.0)


def test_an_sdxl_model_takes_its_own_whatever_the_default_is_called(client: httpx.Client) -> None:
    client.post("/api/v1/model", json={"name": "large"})
    assert params_of(client, **BRUSH)["brushnet"]["model"] == XL.rpartition("/")[2]
    assert params_of(client, **BRUSH, brushnet_method="")["brushnet"]["model"] == XL.rpartition("/")[2]


def test_powerpaints_second_version_reads_its_task_and_fitting_degree(client: httpx.Client) -> None:
    asked: list[dict[str, Any]] = [
        {},
        POWERPAINT,
        {**POWERPAINT, "powerpaint_task": "object-remove"},
        {**POWERPAINT, "powerpaint_task": "shape-guided"},
        {**POWERPAINT, "powerpaint_task": "shape-guided", "fitting_degree": 0.3},
    ]
    answers = [ask(client, **fields) for fields in asked]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == len(asked)
    params = newest(client)["params"]
    assert params["brushnet"]["model"] == "PowerPaint_Brushnet"
    assert (params["repaint_task"], params["fitting_degree"]) == ("shape-guided", 0.3)


def test_powerpaints_second_version_extends_a_picture(client: httpx.Client) -> None:
    params = params_of(client, **POWERPAINT, **WIDER, powerpaint_task="outpainting")
    assert (params["left"], params["repaint_task"]) == (8, "outpainting")


def test_of_both_a_brushnet_comes_first(client: httpx.Client) -> None:
    params = params_of(client, **BRUSH, **POWERPAINT)
    assert params["brushnet"]["model"] == "brushnet_random_mask"
    assert not params.get("repaint_task")


@pytest.mark.parametrize(
    ("model", "fields", "told"),
    [
        ("tiny", {**BRUSH, "brushnet_method": "nobody/knows"}, RANDOM),
        ("tiny", {**BRUSH, "brushnet_method": XL}, RANDOM),
        ("nine", BRUSH, "none that can be used"),
        ("nine", POWERPAINT, "no BrushNet of PowerPaint for 'nine'"),
        ("large", POWERPAINT, "no BrushNet of PowerPaint for 'large'"),
        ("tiny", {**BRUSH, "brushnet_conditioning_scale": 2}, "brushnet_conditioning_scale"),
    ],
)
def test_a_brushnet_that_cannot_be_used_is_a_422_that_says_why(
    client: httpx.Client, model: str, fields: dict[str, Any], told: str
) -> None:
    client.post("/api/v1/model", json={"name": model})
    before = len(client.get("/v1/jobs").json()["jobs"])
    answer = ask(client, **fields)
    assert answer.status_code == 422
    assert told in answer.text
    if "brushnet_conditioning_scale" not in fields:
        assert set(answer.json()) == ERROR_KEYS
    assert len(client.get("/v1/jobs").json()["jobs"]) == before
