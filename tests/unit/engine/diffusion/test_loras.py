"""LoRAs by name, with weights per job, and none left behind."""

import gc
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from safetensors.torch import save_file

from engine.diffusion.loras import Loras
from engine.diffusion.studio import ReadyModel, Studio
from engine.interface import EngineError
from engine.models.resident import Key
from protocol.errors import ErrorCode
from tests import tiny_adapters
from tests.unit.engine.diffusion.conftest import FOLDERS, TinyFolder
from tests.unit.engine.diffusion.studios import Pixels, draw, draw_at_once, make, studio_of

ALONE = {"deterministic": True, "guidance_scale": 3.0}


def torn(pipeline: Any) -> dict[str, Any]:
    """A LoRA whose text encoder cannot be told what it changes: it fails when the denoiser is adapted already."""
    tensors = tiny_adapters.diffusers_lora(pipeline)
    return {name: tensor for name, tensor in tensors.items() if name.startswith("unet.")} | {
        name: torch.randn(3, 3) for name in tensors if name.startswith("text_encoder.")
    }


@pytest.fixture(scope="module")
def loras(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("with-loras") / "loras"
    folder.mkdir()
    sd1, sdxl = FOLDERS["sd1"](), FOLDERS["sdxl"]()
    save_file(tiny_adapters.kohya_lora(sd1), folder / "ink.safetensors")
    save_file(tiny_adapters.kohya_lora(sd1, seed=8), folder / "wool.safetensors")
    save_file(tiny_adapters.diffusers_lora(sd1, seed=9), folder / "clay.safetensors")
    save_file(tiny_adapters.kohya_lora(sd1, seed=10, text=False), folder / "denoiser.safetensors")
    save_file(tiny_adapters.kohya_lora(sdxl), folder / "large.safetensors")
    save_file(torn(sd1), folder / "torn.safetensors")
    torch.save(tiny_adapters.kohya_lora(sd1, seed=11), folder / "pickled.pt")
    return folder


@pytest.fixture
def studio(tiny_folder: TinyFolder, loras: Path) -> Studio:
    tiny_folder("sdxl")
    return studio_of(tiny_folder("sd1").parent, loras.parent)


def stock(folder: Path, files: dict[Path, float]) -> Pixels:
    """What diffusers draws with LoRAs, in the usual way."""
    pipeline = DiffusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    for file in files:
        pipeline.load_lora_weights(file.parent, weight_name=file.name, adapter_name=file.stem)
    pipeline.set_adapters([file.stem for file in files], list(files.values()))
    generator = torch.Generator().manual_seed(5)
    drawn = pipeline("a cat", num_inference_steps=3, guidance_scale=3.0, generator=generator, output_type="np")
    return np.asarray(drawn.images[0])


def told(**weights: float) -> list[dict[str, Any]]:
    return [{"name": name, "weight": weight} for name, weight in weights.items()]


def loaded(studio: Studio, name: str = "sd1") -> ReadyModel:
    ready = studio._residency._residents[Key(f"checkpoint:{name}")].network
    assert isinstance(ready, ReadyModel)
    return ready


@pytest.mark.parametrize(
    ("model", "weights"),
    [
        ("sd1", {"ink": 0.7}),
        ("sd1", {"clay": 1.0}),
        ("sd1", {"ink": 0.7, "wool": -0.4}),
        ("sd1", {"denoiser": 2.0, "clay": 0.5, "wool": 0.1}),
        ("sd1", {"pickled": 0.6}),
        ("sdxl", {"large": 0.8}),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Already found a `peft_config` attribute:UserWarning")
def test_loras_draw_what_a_stock_pipeline_with_them_draws(
    studio: Studio, tiny_folder: TinyFolder, loras: Path, model: str, weights: dict[str, float]
) -> None:
    files = {next(loras.glob(f"{name}.*")): weight for name, weight in weights.items()}
    made = draw(studio, {**ALONE, "model": model, "loras": told(**weights)})
    assert np.abs(made / 255 - stock(tiny_folder(model), files)).max() < 0.51 / 255
    assert not np.array_equal(made, draw(studio, {**ALONE, "model": model}))


@pytest.mark.parametrize("weight", [0.3, 0.8, -1.0])
def test_the_weight_of_a_lora_counts(studio: Studio, weight: float) -> None:
    usual = draw(studio, {**ALONE, "loras": told(ink=1.0)})
    assert not np.array_equal(draw(studio, {**ALONE, "loras": told(ink=weight)}), usual)


def test_none_is_left_behind(studio: Studio) -> None:
    before = draw(studio, ALONE)
    unet = loaded(studio).loaded.denoiser
    kinds = [type(module) for module in unet.modules()]
    draw(studio, {**ALONE, "loras": told(ink=1.0, clay=2.0)})
    assert np.array_equal(draw(studio, ALONE), before)
    assert [type(module) for module in unet.modules()] == kinds


def test_a_model_that_a_lora_was_over_is_let_go_when_it_is_dropped(studio: Studio) -> None:
    draw(studio, {**ALONE, "loras": told(ink=1.0), "freeu": {}})
    unet = weakref.ref(loaded(studio).loaded.denoiser)
    assert studio._residency.unload("checkpoint:sd1", "for the test")
    gc.collect()
    assert unet() is None


def test_a_lora_of_weight_zero_changes_nothing(studio: Studio) -> None:
    assert np.array_equal(draw(studio, {**ALONE, "loras": told(ink=0.0)}), draw(studio, ALONE))


def test_a_lora_in_the_prompt_is_one_in_the_list(studio: Studio) -> None:
    listed = draw(studio, {**ALONE, "loras": told(ink=0.7, wool=1.0)})
    assert np.array_equal(draw(studio, {**ALONE, "prompt": "a cat <lora:ink:0.7><lora:wool>"}), listed)
    assert np.array_equal(draw(studio, {**ALONE, "prompt": "a cat <lora:wool>", "loras": told(ink=0.7)}), listed)


def test_a_lora_named_twice_counts_with_both_weights(studio: Studio) -> None:
    twice = draw(studio, {**ALONE, "prompt": "a cat <lora:ink:0.25>", "loras": told(ink=0.5)})
    assert np.array_equal(twice, draw(studio, {**ALONE, "loras": told(ink=0.75)}))


@pytest.mark.parametrize("alone", [True, False], ids=["interleaved", "batched"])
def test_jobs_with_different_loras_at_once_draw_what_they_draw_alone(studio: Studio, alone: bool) -> None:
    jobs = [
        {"loras": told(ink=0.7)},
        {},
        {"loras": told(ink=0.2)},
        {"loras": told(clay=1.0, wool=0.5)},
        {"loras": told(ink=0.7), "seed": 6, "steps": 5},
    ]
    asked = [{**ALONE, "deterministic": alone, **job} for job in jobs]
    expected = [draw(studio, job) for job in asked]
    for made, wanted in zip(draw_at_once(studio, *asked), expected, strict=True):
        assert np.abs(made.astype(int) - wanted).max() <= (0 if alone else 1)


def test_loras_that_nobody_uses_go_when_there_are_too_many(studio: Studio) -> None:
    before = draw(studio, {**ALONE, "loras": told(ink=1.0)})
    ready = loaded(studio)
    ready.loras._most_bytes = ready.loras.size_bytes + 1
    draw(studio, {**ALONE, "loras": told(wool=1.0)})
    draw(studio, {**ALONE, "loras": told(clay=1.0)})
    assert len(ready.loras.adapters) == 1
    assert np.array_equal(draw(studio, {**ALONE, "loras": told(ink=1.0)}), before)


def test_loras_that_are_used_stay_whatever_their_size(studio: Studio) -> None:
    draw(studio, ALONE)
    ready = loaded(studio)
    ready.loras._most_bytes = 1
    both = {**ALONE, "loras": told(ink=1.0, wool=1.0)}
    drawn = draw(studio, both)
    assert ready.loras.adapters == ()
    ready.loras._most_bytes = 1 << 30
    assert np.array_equal(draw(studio, both), drawn)


def test_when_the_last_lora_has_gone_the_model_is_as_it_was_loaded(studio: Studio) -> None:
    draw(studio, ALONE)
    ready = loaded(studio)
    before = {name: (set(vars(part)), list(part.state_dict())) for name, part in ready.loaded.modules()}
    ready.loras._most_bytes = 0
    draw(studio, {**ALONE, "loras": told(ink=1.0)})
    after = {name: (set(vars(part)), list(part.state_dict())) for name, part in ready.loaded.modules()}
    assert after == before


def test_a_lora_that_fails_to_load_leaves_the_model_as_it_was(studio: Studio) -> None:
    with_ink, before = draw(studio, {**ALONE, "loras": told(ink=1.0)}), draw(studio, ALONE)
    ready = loaded(studio)
    kinds = {name: [type(each) for each in part.modules()] for name, part in ready.loaded.modules()}
    held = ready.loras.size_bytes
    for _ in range(2):
        with pytest.raises(EngineError, match="'torn' cannot be used") as error:
            draw(studio, {**ALONE, "loras": told(torn=1.0)})
        assert error.value.code is ErrorCode.BAD_MODEL
    assert {name: [type(each) for each in part.modules()] for name, part in ready.loaded.modules()} == kinds
    assert ready.loras.size_bytes == held
    assert np.array_equal(draw(studio, ALONE), before)
    assert np.array_equal(draw(studio, {**ALONE, "loras": told(ink=1.0)}), with_ink)


def test_a_lora_that_fails_first_of_all_leaves_nothing(studio: Studio) -> None:
    before = draw(studio, ALONE)
    parts = {name: set(vars(part)) for name, part in loaded(studio).loaded.modules()}
    with pytest.raises(EngineError, match="'torn' cannot be used"):
        draw(studio, {**ALONE, "loras": told(torn=1.0)})
    assert {name: set(vars(part)) for name, part in loaded(studio).loaded.modules()} == parts
    assert np.array_equal(draw(studio, ALONE), before)


def test_a_lora_that_is_not_there_is_named(studio: Studio) -> None:
    for params in ({"loras": told(inc=1.0)}, {"prompt": "a cat <lora:inc>"}):
        with pytest.raises(EngineError, match="no lora 'inc' in the library; close to it: 'ink'") as error:
            draw(studio, params)
        assert error.value.code is ErrorCode.MODEL_MISSING


def test_a_lora_for_another_family_is_refused(studio: Studio) -> None:
    with pytest.raises(EngineError, match="'large' is made for sdxl") as error:
        draw(studio, {"loras": told(large=1.0)})
    assert error.value.code is ErrorCode.INVALID_PARAMS


def test_a_lora_with_no_layer_of_the_model_is_warned_of(studio: Studio, loras: Path) -> None:
    other = {f"transformer.blocks.0.attn.to_q.lora_{side}.weight": torch.ones(2, 2) for side in "AB"}
    save_file(other, loras / "elsewhere.safetensors")
    studio.library.refresh()
    for _ in range(2):
        assert make(studio, {**ALONE, "loras": told(elsewhere=1.0)}).warnings == ["lora_without_effect"]


def test_weights_and_numbers_of_loras_in_the_prompt_are_checked(studio: Studio) -> None:
    with pytest.raises(EngineError, match=r"expected a weight of -4..4 for the lora 'ink', got 5"):
        draw(studio, {"prompt": "a cat <lora:ink:5>"})
    with pytest.raises(EngineError, match="expected at most 16 loras, got 17"):
        draw(studio, {"prompt": "a cat" + "<lora:ink:0.1>" * 16, "loras": told(ink=1.0)})


def test_a_replaced_file_is_read_again(studio: Studio, loras: Path) -> None:
    save_file(tiny_adapters.kohya_lora(FOLDERS["sd1"](), seed=20), loras / "mine.safetensors")
    studio.library.refresh()
    first = draw(studio, {**ALONE, "loras": told(mine=1.0)})
    save_file(tiny_adapters.kohya_lora(FOLDERS["sd1"](), seed=21, rank=3), loras / "mine.safetensors")
    studio.library.refresh()
    assert not np.array_equal(draw(studio, {**ALONE, "loras": told(mine=1.0)}), first)


def test_a_model_knows_the_size_of_its_loras(studio: Studio, loras: Path) -> None:
    draw(studio, {**ALONE, "loras": told(ink=1.0)})
    held = loaded(studio).loras
    assert isinstance(held, Loras)
    tensors = tiny_adapters.kohya_lora(FOLDERS["sd1"]())
    assert held.size_bytes == sum(t.numel() * 4 for name, t in tensors.items() if not name.endswith("alpha"))
