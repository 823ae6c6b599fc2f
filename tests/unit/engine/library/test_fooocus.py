"""The models folder that somebody has from Fooocus, used as our own or beside it."""

from pathlib import Path

import pytest
import torch

from engine.library import fooocus
from engine.library.layouts import Layout, Root, recognise
from engine.library.library import Library, own_root
from tests.unit.engine.library.model_files import IP_ADAPTER, LORA_SD1, write, write_json


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An installation: models of several kinds, files of Fooocus' own, and checkpoints on another disk."""
    models = tmp_path / "Fooocus" / "models"
    for folder in ("checkpoints", "loras", "prompt_expansion/fooocus_expansion", "inpaint", "vae_approx", "sam"):
        (models / folder).mkdir(parents=True)
    write(models / "loras" / "ink.safetensors", LORA_SD1)
    for own in ("inpaint/fooocus_inpaint_head.pth", "vae_approx/xlvaeapp.pth", "sam/sam_vit_b_01ec64.pth"):
        torch.save({"weight": torch.zeros(2)}, models / own)
    torch.save({"h": torch.zeros(2)}, models / "prompt_expansion" / "fooocus_expansion" / "pytorch_model.bin")
    write_json(
        models / "prompt_expansion" / "fooocus_expansion" / "config.json", {"architectures": ["GPT2LMHeadModel"]}
    )
    disk = tmp_path / "disk"
    disk.mkdir()
    write(disk / "chalk.safetensors", LORA_SD1)
    write_json(models.parent / "config.txt", {"path_loras": ["models/loras", str(disk)]})
    return models.parent


def found(*roots: Root) -> dict[str, str | None]:
    library = Library(roots)
    library.refresh()
    return {f"{model.kind}:{model.name}": model.problem for model in library.models}


def test_its_models_folder_as_our_own_has_its_models_and_those_its_settings_name(home: Path) -> None:
    assert set(found(own_root(home / "models"))) == {"lora:ink", "lora:chalk"}


def test_a_model_of_a_kind_only_we_have_a_folder_for_is_seen_there_too(home: Path) -> None:
    (home / "models" / "ip_adapter").mkdir()
    write(home / "models" / "ip_adapter" / "style.safetensors", IP_ADAPTER)
    assert "ip_adapter:style" in found(own_root(home / "models"))


@pytest.mark.parametrize("named", [".", "models"])
def test_the_installation_and_its_models_folder_are_the_same_beside_our_own(home: Path, named: str) -> None:
    assert recognise(home / named) is Layout.FOOOCUS
    assert set(found(Root(path=home / named))) == {"lora:ink", "lora:chalk"}


def test_without_the_installation_a_folder_called_models_is_a_plain_one(home: Path) -> None:
    (home / "config.txt").unlink()
    moved = home.parent / "elsewhere" / "models"
    moved.parent.mkdir()
    (home / "models").rename(moved)
    (moved / "prompt_expansion").rename(moved / "other")
    assert recognise(moved) is Layout.FOLDER
    assert fooocus.home_of(moved) is None
    assert "lora:ink" in found(own_root(moved))


def test_only_the_top_of_its_models_has_folders_of_fooocus_own(home: Path) -> None:
    deep = home / "models" / "loras" / "inpaint"
    deep.mkdir()
    write(deep / "deep.safetensors", LORA_SD1)
    assert "lora:deep" in found(own_root(home / "models"))


def test_installations_are_told_once_each(home: Path) -> None:
    assert fooocus.homes([home / "models", home, home.parent]) == [home]
