"""Captions by a network in the published format."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import BlipForConditionalGeneration

from engine.describing.captioner import Captioner, load_captioner
from engine.interface import EngineError
from protocol.errors import ErrorCode
from tests.tiny_captioner import SIDE_PX, WORDS, save_captioner

PICTURE = np.random.default_rng(2).integers(0, 256, (40, 56, 3), np.uint8)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_captioner(tmp_path_factory.mktemp("models") / "blip-image-captioning-base")


@pytest.fixture(scope="module")
def captioner(weights: Path) -> Captioner:
    return load_captioner(weights, "cpu")


class Asked(torch.nn.Module):
    """A network that only notes what it is asked."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.config = network.config
        self.device = network.device

    def generate(self, **asked: Any) -> torch.Tensor:
        self.asked = asked
        return torch.tensor([[len(WORDS), WORDS.index("a"), WORDS.index("cat"), WORDS.index("##s"), 3]])


def test_a_caption_is_the_same_for_the_same_seed_and_another_for_another(captioner: Captioner) -> None:
    captions = [captioner.caption(PICTURE, seed) for seed in (1, 1, 2, 3)]
    assert captions[0] == captions[1] != ""
    assert len(set(captions)) > 1


def test_a_caption_has_at_most_75_tokens_of_the_likeliest_nine_tenths(weights: Path) -> None:
    network = Asked(BlipForConditionalGeneration.from_pretrained(weights.parent))
    loaded: Any = load_captioner(weights, "cpu")
    caption = Captioner(network, loaded._tokenizer).caption(PICTURE, 0)
    assert caption == "a cats"
    asked = {name: network.asked[name] for name in ("do_sample", "top_p", "top_k", "num_beams", "max_length")}
    assert asked == {"do_sample": True, "top_p": 0.9, "top_k": 0, "num_beams": 1, "max_length": 75}


def test_all_of_the_picture_is_seen_as_clip_sees_pictures(weights: Path) -> None:
    network = Asked(BlipForConditionalGeneration.from_pretrained(weights.parent))
    loaded: Any = load_captioner(weights, "cpu")
    Captioner(network, loaded._tokenizer).caption(PICTURE, 0)
    scaled = np.asarray(Image.fromarray(PICTURE).resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC), np.float64)
    mean, deviation = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    wanted = ((scaled / 255 - mean) / deviation).transpose(2, 0, 1)
    assert np.allclose(network.asked["pixel_values"][0].numpy(), wanted, atol=1e-5)


def test_captions_leave_the_random_numbers_of_others_alone(captioner: Captioner) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    captioner.caption(PICTURE, 8)
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json"])
def test_a_folder_that_is_not_whole_is_refused_by_name(tmp_path: Path, missing: str) -> None:
    weights = save_captioner(tmp_path / "blip-image-captioning-base")
    for file in weights.parent.glob("tokenizer*" if missing == "tokenizer.json" else missing):
        file.unlink()
    with pytest.raises(EngineError, match="'blip-image-captioning-base' cannot be used") as refused:
        load_captioner(weights, "cpu")
    assert refused.value.code is ErrorCode.BAD_MODEL
    assert str(tmp_path) not in refused.value.message
