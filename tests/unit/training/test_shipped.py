"""The weights in the repository, and the page about them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from training.spark import preview_decoder, tokenizer
from training.spark.__main__ import FOLDER
from training.spark.export import COMPONENTS, size_bytes
from training.spark.pipeline import generate, load_folder
from training.spark.stock import AutoencoderTiny
from training.spark.words import BACKGROUNDS, COLOURS, NOUNS

PAGE = Path(__file__).parents[3] / "docs" / "spark.md"

# diffusers hands tensors to numpy the old way; numpy 2 says so each time.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")


@pytest.fixture(scope="module")
def pipeline() -> Any:
    return load_folder(FOLDER)


def test_the_folder_is_small_and_in_half_precision() -> None:
    assert size_bytes(FOLDER) < 40e6
    for component in COMPONENTS:
        (weights,) = (FOLDER / component).glob("*.safetensors")
        assert {weight.dtype for weight in load_file(weights).values() if weight.is_floating_point()} == {torch.float16}


def test_the_shipped_tokenizer_is_the_one_the_words_make(pipeline: Any) -> None:
    assert pipeline.tokenizer.get_vocab() == tokenizer.tables()[0]
    assert pipeline.tokenizer.model_max_length == tokenizer.LENGTH


@pytest.mark.parametrize(
    ("colour", "noun"), [("red", "apple"), ("blue", "heart"), ("yellow", "star"), ("green", "book")]
)
def test_an_object_has_the_colour_asked_for(pipeline: Any, colour: str, noun: str) -> None:
    picture = generate(pipeline, [f"a {colour} {noun}"], [1], steps=12)[0]
    middle = picture[:, 26:38, 26:38].mean(dim=(1, 2)) * 255
    nearest = min(COLOURS, key=lambda name: float((middle - torch.tensor(COLOURS[name])).square().sum()))
    assert nearest == colour


def test_the_background_is_the_one_asked_for(pipeline: Any) -> None:
    blue, none = generate(pipeline, ["a red heart on a blue background", "a red heart"], [1, 1], steps=12)
    assert float((blue[:, 2, 2] * 255 - torch.tensor(BACKGROUNDS["blue"])).abs().max()) < 40
    assert float(none[:, 2, 2].min()) > 0.85


def test_the_preview_decoder_shows_what_the_full_one_would(pipeline: Any) -> None:
    tiny = AutoencoderTiny.from_pretrained(FOLDER / preview_decoder.FOLDER, dtype=torch.float32)
    prompts = ["a red apple", "a blue car on a yellow background", "a panda", "a purple ghost on a black background"]
    with torch.no_grad():
        pictures = generate(pipeline, prompts, [1, 2, 3, 4], steps=8) * 2 - 1
        latents = pipeline.vae.encode(pictures).latent_dist.mean
        full, shown = (vae.decode(latents).sample.clamp(-1, 1) for vae in (pipeline.vae, tiny))
        errors = ((full - shown) / 2).square().mean(dim=(1, 2, 3))
    assert float((-10 * errors.log10()).min()) > 22
    size = sum(path.stat().st_size for path in (FOLDER / preview_decoder.FOLDER).iterdir())
    assert size < 200_000


def test_the_page_names_every_word() -> None:
    page = PAGE.read_text("utf-8")
    for name in [noun.name for noun in NOUNS] + [*COLOURS, *BACKGROUNDS]:
        assert name in page, name
