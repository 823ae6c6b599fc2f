"""Corrupt, truncated, unknown and hostile models: an error that names them, and nothing of them left in memory."""

import gc
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.diffusion.loading import loading
from engine.interface import EngineError
from engine.library.records import Family, ModelKind
from protocol.errors import ErrorCode
from tests.tiny_files import UNET, VAE, Tensors, single_file, write_configs, write_single_file
from tests.tiny_models import make_sd1
from tests.unit.engine.diffusion.conftest import TinyFolder
from tests.unit.engine.diffusion.found import found_at, load_model

Damage = Callable[[Path], object]


class Hostile:
    """Unpickled, it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.fixture(scope="module")
def tiny_tensors() -> Tensors:
    return single_file(make_sd1())


@pytest.fixture(scope="module")
def configs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_configs(make_sd1(), tmp_path_factory.mktemp("configs"))


def tensors_in_memory() -> int:
    gc.collect()
    return sum(issubclass(type(each), torch.Tensor) for each in gc.get_objects())


def refusal(path: Path, configs: Path | None = None, family: Family = Family.SD1, **more: Any) -> str:
    """What loading says; checks that it names the model and that nothing is left."""
    before = tensors_in_memory()
    with pytest.raises(EngineError) as refused:
        load_model(found_at(path, family, **more), "cpu", torch.float32, config_dir=configs)
    assert refused.value.code is ErrorCode.BAD_MODEL
    assert repr(path.stem) in refused.value.message
    assert str(path.parent) not in refused.value.message
    # Also while the error is still being held.
    assert tensors_in_memory() == before
    return refused.value.message


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])


def cut_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def garble_header(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[8:40] = b"\xff" * 32
    path.write_bytes(content)


def claim_a_huge_header(path: Path) -> None:
    path.write_bytes((1 << 62).to_bytes(8, "little") + path.read_bytes()[8:])


def write_a_web_page(path: Path) -> None:
    path.write_bytes(b"<!DOCTYPE html><html>404 not found</html>" * 50)


@pytest.mark.parametrize("damage", [truncate, cut_header, empty, garble_header, claim_a_huge_header, write_a_web_page])
@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt"])
def test_a_damaged_file_is_refused_by_name(
    tmp_path: Path, tiny_tensors: Tensors, configs: Path, damage: Damage, suffix: str
) -> None:
    if suffix == ".ckpt" and damage in (garble_header, claim_a_huge_header):
        damage = truncate
    file = write_single_file(tiny_tensors, tmp_path / f"broken{suffix}")
    damage(file)
    refusal(file, configs)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol 5:UserWarning")
@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_a_bare_pickle_that_would_run_code_is_refused_and_runs_none(
    tmp_path: Path, configs: Path, protocol: int
) -> None:
    touched, file = tmp_path / "touched", tmp_path / "evil.ckpt"
    file.write_bytes(pickle.dumps({"state_dict": Hostile(touched)}, protocol))
    refusal(file, configs)
    assert not touched.exists()


def test_a_checkpoint_that_would_run_code_is_refused_and_runs_none(
    tmp_path: Path, tiny_tensors: Tensors, configs: Path
) -> None:
    touched, file = tmp_path / "touched", tmp_path / "evil.ckpt"
    torch.save({"state_dict": tiny_tensors, "callbacks": Hostile(touched)}, file)
    assert "run code" in refusal(file, configs)
    assert not touched.exists()


def test_a_folder_whose_weights_would_run_code_is_refused_and_runs_none(
    tmp_path: Path, tiny_folder: TinyFolder
) -> None:
    touched, folder = tmp_path / "touched", tmp_path / "evil"
    shutil.copytree(tiny_folder("sd1"), folder)
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    torch.save({"conv_in.weight": Hostile(touched)}, folder / "unet" / "diffusion_pytorch_model.bin")
    refusal(folder)
    assert not touched.exists()


def test_a_text_encoder_whose_weights_would_run_code_is_refused_and_runs_none(
    tmp_path: Path, tiny_folder: TinyFolder
) -> None:
    touched, folder = tmp_path / "touched", tmp_path / "evil"
    shutil.copytree(tiny_folder("sd1"), folder)
    (folder / "text_encoder" / "model.safetensors").unlink()
    torch.save({"a": Hostile(touched)}, folder / "text_encoder" / "pytorch_model.bin")
    refusal(folder)
    assert not touched.exists()


def test_a_folder_with_pickled_weights_of_nothing_but_tensors_loads(tmp_path: Path, tiny_folder: TinyFolder) -> None:
    folder = tmp_path / "old"
    shutil.copytree(tiny_folder("sd1"), folder)
    for place, name in (("unet", "diffusion_pytorch_model"), ("text_encoder", "model")):
        file = folder / place / f"{name}.safetensors"
        pickled = "pytorch_model.bin" if place == "text_encoder" else f"{name}.bin"
        torch.save(load_file(file), file.with_name(pickled))
        file.unlink()
    model = load_model(found_at(folder, Family.SD1), "cpu", torch.float32)
    assert torch.equal(model.components["unet"].conv_in.weight, make_sd1().unet.conv_in.weight)


@pytest.mark.parametrize("prefix", [f"{UNET}input_blocks.1.0.in_layers.2.weight", f"{VAE}decoder.conv_out.weight"])
def test_a_file_that_lacks_one_weight_is_refused(
    tmp_path: Path, tiny_tensors: Tensors, configs: Path, prefix: str
) -> None:
    file = write_single_file({n: t for n, t in tiny_tensors.items() if n != prefix}, tmp_path / "most.safetensors")
    assert "missing" in refusal(file, configs)


@pytest.mark.parametrize("prefix", [UNET, VAE, "cond_stage_model."])
def test_a_file_that_lacks_a_component_says_which(
    tmp_path: Path, tiny_tensors: Tensors, configs: Path, prefix: str
) -> None:
    left = {name: tensor for name, tensor in tiny_tensors.items() if not name.startswith(prefix)}
    part = {UNET: "unet", VAE: "vae"}.get(prefix, "text_encoder")
    assert f"it has no {part}" in refusal(write_single_file(left, tmp_path / "most.safetensors"), configs)


def test_a_file_whose_weights_have_another_shape_is_refused(
    tmp_path: Path, tiny_tensors: Tensors, configs: Path
) -> None:
    name = f"{UNET}out.2.weight"
    wide = tiny_tensors | {name: torch.cat([tiny_tensors[name]] * 2)}
    assert "size" in refusal(write_single_file(wide, tmp_path / "wide.safetensors"), configs)


def test_a_file_of_another_family_than_it_looked_like_is_refused(tmp_path: Path, tiny_tensors: Tensors) -> None:
    # The tiny tensors against the published sizes of SD 1.
    refusal(write_single_file(tiny_tensors, tmp_path / "small.safetensors"))


def test_a_checkpoint_that_holds_no_weights_is_refused(tmp_path: Path, configs: Path) -> None:
    file = tmp_path / "notes.ckpt"
    torch.save({"epoch": 3, "losses": [1.0, 0.5]}, file)
    assert "no tensors" in refusal(file, configs)


@pytest.mark.parametrize("family", [Family.FLUX, Family.SD3, Family.OTHER])
def test_a_single_file_of_a_family_that_needs_a_folder_says_so(
    tmp_path: Path, tiny_tensors: Tensors, family: Family
) -> None:
    assert "folder" in refusal(write_single_file(tiny_tensors, tmp_path / "flux.safetensors"), family=family)


def test_what_the_library_found_wrong_is_said_without_loading(tmp_path: Path) -> None:
    said = refusal(tmp_path / "gone.safetensors", problem="it is truncated")
    assert "it is truncated" in said


def test_what_cannot_be_told_is_not_tried(tmp_path: Path) -> None:
    assert "cannot be told" in refusal(tmp_path / "odd.safetensors", family=Family.UNKNOWN)


def test_only_checkpoints_are_loaded_as_models(tmp_path: Path) -> None:
    assert "lora" in refusal(tmp_path / "style.safetensors", kind=ModelKind.LORA)


def test_a_file_that_is_gone_is_refused(tmp_path: Path, configs: Path) -> None:
    refusal(tmp_path / "gone.safetensors", configs)


def in_index(**lines: Any) -> Damage:
    def damage(folder: Path) -> None:
        index = folder / "model_index.json"
        index.write_text(json.dumps(json.loads(index.read_text()) | lines))

    return damage


def without(name: str) -> Damage:
    return lambda folder: (folder / name).unlink()


def lacking_a_weight(place: str, name: str) -> Damage:
    def damage(folder: Path) -> None:
        file = next((folder / place).glob("*.safetensors"))
        tensors = load_file(file)
        del tensors[name]
        save_file(tensors, file, metadata={"format": "pt"})

    return damage


def with_a_wider_weight(place: str, name: str) -> Damage:
    def damage(folder: Path) -> None:
        file = next((folder / place).glob("*.safetensors"))
        tensors = load_file(file)
        tensors[name] = torch.cat([tensors[name]] * 2)
        save_file(tensors, file, metadata={"format": "pt"})

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(without("model_index.json"), id="no index"),
        pytest.param(lambda folder: (folder / "model_index.json").write_text("[]"), id="index is a list"),
        pytest.param(lambda folder: (folder / "model_index.json").write_text("{"), id="index is no JSON"),
        pytest.param(in_index(_class_name=["my_pipeline", "Mine"]), id="a pipeline of its own"),
        pytest.param(in_index(unet=["os", "system"]), id="another library"),
        pytest.param(in_index(unet=["transformers", "pipeline"]), id="a function for a class"),
        pytest.param(in_index(unet=["diffusers", "Nothing"]), id="no such class"),
        pytest.param(in_index(unet=["diffusers", 3]), id="a number for a class"),
        pytest.param(without("unet/config.json"), id="no configuration"),
        pytest.param(lambda folder: (folder / "unet/config.json").write_text("{"), id="configuration is no JSON"),
        pytest.param(without("unet/diffusion_pytorch_model.safetensors"), id="no weights of the denoiser"),
        pytest.param(without("text_encoder/model.safetensors"), id="no weights of the text encoder"),
        pytest.param(lambda folder: truncate(folder / "unet/diffusion_pytorch_model.safetensors"), id="truncated unet"),
        pytest.param(lambda folder: truncate(folder / "text_encoder/model.safetensors"), id="truncated text encoder"),
        pytest.param(lambda folder: truncate(folder / "vae/diffusion_pytorch_model.safetensors"), id="truncated vae"),
        pytest.param(lacking_a_weight("unet", "conv_in.weight"), id="unet lacks a weight"),
        pytest.param(lacking_a_weight("vae", "decoder.conv_in.weight"), id="vae lacks a weight"),
        pytest.param(lacking_a_weight("text_encoder", "final_layer_norm.weight"), id="text encoder lacks a weight"),
        pytest.param(with_a_wider_weight("unet", "conv_in.weight"), id="unet of another width"),
        pytest.param(
            with_a_wider_weight("text_encoder", "final_layer_norm.weight"), id="text encoder of another width"
        ),
        pytest.param(lambda folder: shutil.rmtree(folder / "scheduler"), id="no scheduler"),
        pytest.param(lambda folder: shutil.rmtree(folder / "tokenizer"), id="no tokenizer"),
        pytest.param(without("tokenizer/tokenizer.json"), id="tokenizer without words"),
        pytest.param(lambda folder: shutil.rmtree(folder / "vae"), id="no vae"),
    ],
)
def test_a_damaged_folder_is_refused_by_name(tmp_path: Path, tiny_folder: TinyFolder, damage: Damage) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(tiny_folder("sd1"), folder)
    damage(folder)
    refusal(folder)


def test_code_in_a_folder_is_not_run(tmp_path: Path, tiny_folder: TinyFolder) -> None:
    touched, folder = tmp_path / "touched", tmp_path / "evil"
    shutil.copytree(tiny_folder("sd1"), folder)
    for name in ("pipeline.py", "my_pipeline.py", "text_encoder/mine.py"):
        (folder / name).write_text(f"open({str(touched)!r}, 'w')")
    in_index(_class_name=["my_pipeline", "Mine"])(folder)
    refusal(folder)
    config = folder / "text_encoder" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"auto_map": {"AutoModel": "mine.Mine"}}))
    in_index(_class_name="StableDiffusionPipeline", text_encoder=["transformers", "AutoModel"])(folder)
    refusal(folder)
    assert not touched.exists()


def test_loading_that_is_broken_off_leaves_nothing_in_memory(tiny_folder: TinyFolder) -> None:
    before = tensors_in_memory()
    steps = loading(found_at(tiny_folder("sd1"), Family.SD1), "cpu", torch.float32)
    call = next(steps)
    for _ in range(5):
        call = steps.send(call.run())
    assert tensors_in_memory() > before
    steps.close()
    del steps, call
    assert tensors_in_memory() == before


def test_running_out_of_memory_is_not_taken_for_a_fault_of_the_model(tiny_folder: TinyFolder) -> None:
    steps = loading(found_at(tiny_folder("sd1"), Family.SD1), "cpu", torch.float32)
    next(steps)
    with pytest.raises(torch.OutOfMemoryError):
        steps.throw(torch.OutOfMemoryError("CUDA out of memory"))
    steps = loading(found_at(tiny_folder("sd1"), Family.SD1), "cpu", torch.float32)
    next(steps)
    with pytest.raises(RuntimeError, match="allocate memory"):
        steps.throw(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"))
