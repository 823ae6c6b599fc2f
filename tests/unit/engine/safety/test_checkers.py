"""What looks at pictures: that it sees them as it was trained to, and judges as the originals do."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPConfig

from engine.interface import EngineError
from engine.models.residency import Residency
from engine.plugins.files import PluginFiles
from engine.safety.checkers import SafetyChecker, bring_checker
from engine.safety.clip_checker import ClipChecker, load_clip_checker
from engine.safety.open_nsfw import OpenNsfw
from engine.steps import run_through
from protocol.errors import ErrorCode
from tests.servers import MODELS_DIR
from tests.tiny_models import seeded
from tests.unit.engine.safety.stand_in import lay_stand_in

SIDE = 32
PICTURES = np.random.default_rng(3).integers(0, 256, (12, 40, 56, 3), np.uint8)


class Input:
    name = "pixels"

    def __init__(self, *shape: int) -> None:
        self.shape = shape


class Answering:
    """A session that keeps what it was asked and answers with one likelihood."""

    def __init__(self, likelihood: float, *shape: int) -> None:
        self.likelihood = likelihood
        self.told = Input(*shape)

    def get_inputs(self) -> list[Input]:
        return [self.told]

    def get_providers(self) -> list[str]:
        return []

    def run(self, _outputs: Any, inputs: Any) -> list[Any]:
        self.seen = inputs["pixels"]
        return [np.array([[1 - self.likelihood, self.likelihood]], np.float32)]


def bring(folder: Path) -> SafetyChecker:
    return run_through(bring_checker(PluginFiles(models_dir=folder), Residency(folder, "cpu")))


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A folder with a small safety checker in the published layout; half its concepts are near half of the pictures."""
    vision = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2, "num_hidden_layers": 2}
    config = CLIPConfig(vision_config={**vision, "image_size": SIDE, "patch_size": 8}, projection_dim=8)
    with seeded(4):
        network: Any = StableDiffusionSafetyChecker(config)
        network.concept_embeds.data = torch.randn(17, 8)
        network.special_care_embeds.data = torch.randn(3, 8)
        network.concept_embeds_weights.data = torch.full((17,), 0.75)
        network.special_care_embeds_weights.data = torch.full((3,), 0.3)
    folder = tmp_path / "stable-diffusion-safety-checker"
    network.save_pretrained(folder)
    return folder


def test_open_nsfw_sees_the_middle_in_blue_green_red_less_the_means() -> None:
    image = np.full((300, 500, 3), (10, 20, 30), np.uint8)
    session = Answering(0.5, 1, 224, 224, 3)
    OpenNsfw(session).score(image)
    assert session.seen.shape == (1, 224, 224, 3)
    assert session.seen[0, 0, 0].tolist() == [30 - 104, 20 - 117, 10 - 123]


def test_open_nsfw_is_given_channels_first_where_it_was_exported_so() -> None:
    session = Answering(0.5, 1, 3, 224, 224)
    OpenNsfw(session).score(PICTURES[0])
    assert session.seen.shape == (1, 3, 224, 224)


@pytest.mark.parametrize(("likelihood", "is_unsafe"), [(0.0, False), (0.79, False), (0.81, True)])
def test_open_nsfw_finds_unsafe_what_its_authors_do(likelihood: float, is_unsafe: bool) -> None:
    assert OpenNsfw(Answering(likelihood, 1, 224, 224, 3)).is_unsafe(PICTURES[0]) is is_unsafe


def test_the_file_of_open_nsfw_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_stand_in(tmp_path, monkeypatch)
    checker = bring(tmp_path)
    assert isinstance(checker, OpenNsfw)
    white = np.full((8, 8, 3), 255, np.uint8)
    assert checker.score(white) == pytest.approx(255 - (104 + 117 + 123) / 3, abs=0.01)


@pytest.mark.models
def test_the_packaged_network_tells_an_ordinary_picture_from_bare_skin() -> None:
    checker = bring(MODELS_DIR)
    assert isinstance(checker, OpenNsfw)
    with Image.open(MODELS_DIR / "demo-photograph.jpg") as photograph:
        assert checker.score(np.asarray(photograph.convert("RGB"))) < 0.01
    # 0.214 by the preparation of the package it comes from.
    assert checker.score(np.full((300, 300, 3), (224, 172, 140), np.uint8)) == pytest.approx(0.214, abs=0.02)


def test_the_safety_checker_judges_as_that_of_diffusers(published: Path) -> None:
    checker = bring(published.parent)
    assert isinstance(checker, ClipChecker)
    stock: Any = StableDiffusionSafetyChecker.from_pretrained(published)
    found = []
    for image in PICTURES:
        scaled = Image.fromarray(image).resize((45, SIDE), Image.Resampling.BICUBIC)
        middle = np.asarray(scaled.crop((6, 0, 6 + SIDE, SIDE)), np.float32) / 255
        mean, deviation = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
        seen = torch.tensor((middle - mean) / deviation, dtype=torch.float32).permute(2, 0, 1)[None]
        _, (is_unsafe,) = stock(clip_input=seen, images=[np.zeros((1, 1, 3))])
        assert checker.is_unsafe(image) is is_unsafe
        found.append(is_unsafe)
    assert {True, False} == set(found)


def test_a_file_of_fooocus_is_found_where_fooocus_puts_it(tmp_path: Path) -> None:
    place = tmp_path / "fooocus" / "models" / "safety_checker" / "stable-diffusion-safety-checker.bin"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"x")
    plugins = PluginFiles(models_dir=tmp_path, folders=[tmp_path / "fooocus"])
    assert plugins.find("stable-diffusion-safety-checker") == place


def test_a_file_that_holds_no_safety_checker_is_refused(published: Path) -> None:
    file = published / "model.safetensors"
    state = load_file(file)
    state.pop("concept_embeds")
    save_file(state, file)
    with pytest.raises(EngineError, match="1 weights are missing") as refused:
        load_clip_checker(file, "cpu")
    assert refused.value.code is ErrorCode.BAD_MODEL


def test_without_any_file_it_is_said_which_one_is_missing(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="safelight models pull open-nsfw") as refused:
        bring(tmp_path)
    assert refused.value.code is ErrorCode.MODEL_MISSING
