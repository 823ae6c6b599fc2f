"""The weights in the repository as one file: the loader for single files makes the folder's model of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from engine.diffusion.families import PipelineKind
from engine.diffusion.loading import loading
from engine.diffusion.schedulers import make_scheduler
from engine.library.records import Family
from tests.unit.engine.diffusion.found import found_at
from training.spark.__main__ import FOLDER
from training.spark.single_file import write_single_file

# diffusers hands tensors to numpy the old way; numpy 2 says so each time.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_single_file(FOLDER, tmp_path_factory.mktemp("single") / "spark.safetensors")


def test_it_holds_the_folders_weights_and_says_what_they_predict(file: Path) -> None:
    with safe_open(file, framework="pt") as opened:
        names = set(opened.keys())
        assert opened.metadata()["modelspec.prediction_type"] == "v"
        dtypes = {opened.get_tensor(name).dtype for name in names}
    assert dtypes == {torch.float16, torch.int64}
    for part in ("unet", "vae", "text_encoder"):
        (weights,) = (FOLDER / part).glob("*.safetensors")
        with safe_open(weights, framework="pt") as opened:
            prefix = {"unet": "model.", "vae": "first_stage_model.", "text_encoder": "cond_stage_model."}[part]
            more = 1 if part == "text_encoder" else 0
            assert sum(name.startswith(prefix) for name in names) == len(list(opened.keys())) + more
    assert abs(file.stat().st_size - sum(weights.stat().st_size for weights in FOLDER.glob("[tuv]*/*tensors"))) < 1e5


def test_it_makes_the_folders_pictures_bit_for_bit(file: Path) -> None:
    from_file, from_folder = (
        picture(found_at(path, Family.SD1), {"config_dir": FOLDER} if path == file else {}) for path in (file, FOLDER)
    )
    assert torch.equal(from_file, from_folder)
    assert from_file.std() > 0.05


def picture(found: Any, options: Mapping[str, Any]) -> Tensor:
    """(3, H, W), with what is left open as the folder was saved."""
    steps, value = loading(found, "cpu", torch.float32, **options), None
    while True:
        try:
            value = steps.send(value).run()
        except StopIteration as stop:
            model = stop.value
            break
    saved = json.loads((FOLDER / "scheduler" / "scheduler_config.json").read_text("utf-8"))
    assert model.scheduler_config["prediction_type"] == saved["prediction_type"]
    scheduler = make_scheduler(saved, warn=lambda _code, message: pytest.fail(message))
    pipeline = model.pipeline(PipelineKind.TEXT_TO_IMAGE, scheduler)
    with torch.no_grad():
        made: Tensor = pipeline(
            "a red apple",
            num_inference_steps=4,
            guidance_scale=3.0,
            generator=torch.Generator().manual_seed(1),
            output_type="pt",
        ).images
    return made[0]
