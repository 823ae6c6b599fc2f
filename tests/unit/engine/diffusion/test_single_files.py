"""Single files in the LDM and SGM layouts: equal to their diffusers twins, whatever precision they were saved in."""

import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
import torch

from engine.diffusion.families import FAMILIES, PipelineKind, config_folder
from engine.diffusion.folders import read_index
from engine.diffusion.loaded import LoadedModel
from engine.diffusion.single_files import SingleFile
from engine.library.records import Family, Prediction
from tests.tiny_files import VAE, single_file, write_configs, write_single_file
from tests.tiny_models import make_tokenizer
from tests.unit.engine.diffusion.conftest import FOLDERS, TinyFolder
from tests.unit.engine.diffusion.found import found_at, load_model
from tests.unit.engine.diffusion.test_folders import latents

KIND: Final = {
    "sd1": PipelineKind.TEXT_TO_IMAGE,
    "sd1_inpaint": PipelineKind.INPAINT,
    "instruct_pix2pix": PipelineKind.IMAGE_TO_IMAGE,
    "sd2": PipelineKind.TEXT_TO_IMAGE,
    "sdxl": PipelineKind.TEXT_TO_IMAGE,
    "sdxl_inpaint": PipelineKind.INPAINT,
    "sdxl_refiner": PipelineKind.IMAGE_TO_IMAGE,
}


def load(path: Path, name: str, config_dir: Path, **more: Any) -> LoadedModel:
    return load_model(found_at(path, Family(name), **more), "cpu", torch.float32, config_dir=config_dir)


def drawn(model: LoadedModel, kind: PipelineKind) -> torch.Tensor:
    return latents(model.pipeline(kind, model.components["scheduler"]), kind)


@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt"])
@pytest.mark.parametrize("name", KIND)
def test_a_single_file_gives_the_same_latents_bit_for_bit_as_its_diffusers_twin(
    tmp_path: Path, name: str, suffix: str
) -> None:
    twin: Any = FOLDERS[name]()
    file = write_single_file(single_file(twin), tmp_path / f"mine{suffix}")
    model = load(file, name, write_configs(twin, tmp_path / "configs"))
    assert torch.equal(drawn(model, KIND[name]), latents(twin, KIND[name]))


@pytest.mark.parametrize("name", ["sd1", "sdxl"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_file_of_half_precision_loads_as_fp32(tmp_path: Path, name: str, dtype: torch.dtype) -> None:
    twin: Any = FOLDERS[name]()
    file = write_single_file(single_file(twin), tmp_path / "half.safetensors", dtype)
    model = load(file, name, write_configs(twin, tmp_path / "configs"))
    assert {weight.dtype for _, part in model.modules() for weight in part.parameters()} == {torch.float32}
    rounded = twin.unet.conv_in.weight.to(dtype).float()
    assert torch.equal(model.components["unet"].conv_in.weight, rounded)


def test_the_vae_decodes_as_its_twin_does(tmp_path: Path) -> None:
    twin: Any = FOLDERS["sd1"]()
    file = write_single_file(single_file(twin), tmp_path / "mine.safetensors")
    model = load(file, "sd1", write_configs(twin, tmp_path / "configs"))
    given = torch.randn(1, 4, 8, 8)
    assert torch.equal(model.vae.decode(given).sample, twin.vae.decode(given).sample)
    picture = torch.rand(1, 3, 64, 64)
    assert torch.equal(model.vae.encode(picture).latent_dist.mean, twin.vae.encode(picture).latent_dist.mean)


def test_weights_for_other_programs_in_the_file_are_left_out(tmp_path: Path) -> None:
    twin: Any = FOLDERS["sd1"]()
    more = {"model_ema.decay": torch.ones(1), "betas": torch.ones(1000), "cond_stage_model.logit_scale": torch.ones(1)}
    file = write_single_file(single_file(twin) | more, tmp_path / "mine.safetensors")
    model = load(file, "sd1", write_configs(twin, tmp_path / "configs"))
    assert torch.equal(drawn(model, KIND["sd1"]), latents(twin, KIND["sd1"]))


def test_a_text_encoder_saved_without_the_outer_level_of_names_loads(tmp_path: Path) -> None:
    twin: Any = FOLDERS["sd1"]()
    tensors = {name.replace(".text_model.", "."): tensor for name, tensor in single_file(twin).items()}
    file = write_single_file(tensors, tmp_path / "mine.safetensors")
    model = load(file, "sd1", write_configs(twin, tmp_path / "configs"))
    assert torch.equal(drawn(model, KIND["sd1"]), latents(twin, KIND["sd1"]))


@pytest.mark.parametrize(
    ("marks", "known", "prediction"),
    [((), None, "epsilon"), (("v_pred",), None, "v_prediction"), ((), Prediction.V, "v_prediction")],
)
def test_what_a_file_says_it_predicts_goes_before_its_family(
    tmp_path: Path, marks: tuple[str, ...], known: Prediction | None, prediction: str
) -> None:
    twin: Any = FOLDERS["sdxl"]()
    marked = single_file(twin) | {mark: torch.zeros(0) for mark in marks}
    file = write_single_file(marked, tmp_path / "mine.safetensors")
    model = load(file, "sdxl", write_configs(twin, tmp_path / "configs"), prediction=known)
    assert model.scheduler_config["prediction_type"] == prediction
    assert model.components["scheduler"].config.prediction_type == prediction


def test_a_file_trained_up_to_pure_noise_is_sampled_from_it(tmp_path: Path) -> None:
    twin: Any = FOLDERS["sdxl"]()
    marked = single_file(twin) | {"v_pred": torch.zeros(0), "ztsnr": torch.zeros(0)}
    file = write_single_file(marked, tmp_path / "mine.safetensors")
    config = load(file, "sdxl", write_configs(twin, tmp_path / "configs")).scheduler_config
    assert config["rescale_betas_zero_snr"] is True
    assert config["timestep_spacing"] == "trailing"


def test_no_component_keeps_memory_mapped_from_the_file(tmp_path: Path) -> None:
    twin: Any = FOLDERS["sd1"]()
    file = write_single_file(single_file(twin), tmp_path / "mine.safetensors")
    model = load(file, "sd1", write_configs(twin, tmp_path / "configs"))
    before = drawn(model, KIND["sd1"])
    file.write_bytes(b"\0" * file.stat().st_size)
    assert torch.equal(drawn(model, KIND["sd1"]), before)


@pytest.mark.parametrize("form", ["file", "folder"])
def test_loading_asks_no_network(
    tmp_path: Path, tiny_folder: TinyFolder, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    twin: Any = FOLDERS["sdxl"]()
    file = write_single_file(single_file(twin), tmp_path / "mine.safetensors")
    configs = write_configs(twin, tmp_path / "configs")
    asked: list[object] = []

    def ask(*where: object, **_: object) -> None:
        asked.append(where)
        raise OSError("no network here")

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    monkeypatch.setattr(socket.socket, "connect", ask)
    load(file if form == "file" else tiny_folder("sdxl"), "sdxl", configs)
    assert not asked


def test_a_file_has_its_familys_scheduler_as_default(tmp_path: Path) -> None:
    twin: Any = FOLDERS["sd1"]()
    file = write_single_file(single_file(twin), tmp_path / "mine.safetensors")
    model = load(file, "sd1", write_configs(twin, tmp_path / "configs"))
    assert model.defaults.scheduler is not None


def test_a_tiny_tokenizer_is_the_one_of_the_configurations(tmp_path: Path) -> None:
    twin: Any = FOLDERS["sd2"]()
    file = write_single_file(single_file(twin), tmp_path / "mine.safetensors")
    tokenizer = load(file, "sd2", write_configs(twin, tmp_path / "configs")).components["tokenizer"]
    padded = tokenizer("a", padding="max_length", max_length=5).input_ids
    assert padded == make_tokenizer("!")("a", padding="max_length", max_length=5).input_ids
    assert padded[-1] == 0


def test_a_vae_within_a_file_is_found_under_its_prefix_alone(tmp_path: Path) -> None:
    twin: Any = FOLDERS["sd1"]()
    tensors = {name: tensor for name, tensor in single_file(twin).items() if not name.startswith(VAE)}
    file = write_single_file(tensors, tmp_path / "mine.safetensors")
    with pytest.raises(Exception, match=r"'mine'.*it has no vae"):
        load(file, "sd1", write_configs(twin, tmp_path / "configs"))


@pytest.mark.parametrize("family", [family for family, spec in FAMILIES.items() if spec.config is not None])
def test_every_weight_of_a_model_in_its_published_size_is_found_under_its_name(family: Family, tmp_path: Path) -> None:
    config_dir = config_folder(family, None)
    assert config_dir is not None
    index = read_index(config_dir, family)
    file = SingleFile(
        path=tmp_path, family=family, prediction=None, config_dir=config_dir, models_dir=None, index=index
    )
    networks = [part for part in index.parts if (config_dir / part.name / "config.json").exists()]
    # Without memory: names and shapes are all there is to it.
    empty = {part.name: file.empty(part) for part in networks}
    pipeline = SimpleNamespace(**({"text_encoder": None} | empty))
    with torch.device("meta"):
        written = single_file(pipeline)
    for part in networks:
        own = {name: tensor for name, tensor in written.items() if name.startswith(file.prefixes(part))}
        renamed = file.renamed(part, empty[part.name], own)
        expected = {name: tensor.shape for name, tensor in empty[part.name].state_dict().items()}
        assert {name: renamed[name].shape for name in expected} == expected
