"""Where the files of published models are looked for, and what lists say of them."""

from pathlib import Path

import pytest

from engine.interface import EngineError
from engine.models.catalogue import CATALOGUE
from engine.plugins.files import find_file, is_there, listed, locate_file
from engine.plugins.published import PLUGIN_MODELS
from protocol.errors import ErrorCode
from protocol.requests import TASKS


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


@pytest.mark.parametrize("folder", ["", "plugins", "upscalers", "torch/hub/checkpoints"])
def test_a_file_is_found_in_each_of_the_folders(folder: str, tmp_path: Path) -> None:
    path = put(tmp_path / folder / "silueta.onnx")
    assert find_file(PLUGIN_MODELS["silueta"], tmp_path) == path
    assert is_there("silueta", tmp_path)
    assert not is_there("isnetis", tmp_path)


@pytest.mark.parametrize("hub", ["", "huggingface/hub"])
def test_a_model_of_the_hub_is_found_in_its_cache(hub: str, tmp_path: Path) -> None:
    path = put(tmp_path / hub / "models--briaai--RMBG-2.0" / "snapshots" / "abc" / "onnx" / "model.onnx")
    assert locate_file("rmbg-2.0", tmp_path) == path


def test_the_best_of_several_files_is_taken(tmp_path: Path) -> None:
    put(tmp_path / "RMBG-1.4.onnx")
    best = put(tmp_path / "plugins" / "RMBG-1.4" / "model.pth")
    assert locate_file("rmbg-1.4", tmp_path) == best


def test_a_missing_model_says_what_to_put_where_and_names_no_path_of_the_machine(tmp_path: Path) -> None:
    with pytest.raises(EngineError) as refused:
        locate_file("GFPGANv1.4", tmp_path)
    assert refused.value.code is ErrorCode.MODEL_MISSING
    assert "put GFPGANv1.4.pth from https://" in refused.value.message
    assert str(tmp_path) not in refused.value.message


def test_lists_say_which_are_there(tmp_path: Path) -> None:
    put(tmp_path / "isnetis.pth")
    infos = {info.name: info for info in listed(tmp_path)}
    assert set(infos) == set(PLUGIN_MODELS)
    assert [name for name, info in infos.items() if info.is_present] == ["isnetis"]


def test_names_are_not_those_of_packaged_models_and_tasks_are_tasks() -> None:
    assert not set(PLUGIN_MODELS) & set(CATALOGUE)
    for model in PLUGIN_MODELS.values():
        assert set(model.tasks) <= set(TASKS)
        assert model.md5 == "" or len(model.md5) == 32
