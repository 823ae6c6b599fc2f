"""The exported folder is what stock diffusers loads, and makes the pictures of the checkpoint."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from training.spark import export as export_module
from training.spark import unet, vae
from training.spark.export import COMPONENTS, ExportDiffers, export, size_bytes
from training.spark.latents import whiten
from training.spark.pipeline import assemble, generate, load_folder

# diffusers hands tensors to numpy the old way; numpy 2 says so each time.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")


@pytest.fixture
def work_dir(small: None, tmp_path: Path) -> Path:
    """A work folder as after training, the weights random."""
    from safetensors.torch import save_file

    from training.spark.checkpoint import Average, Progress, save

    torch.manual_seed(3)
    modules, model = unet.build(), vae.build()
    whiten(model, torch.zeros(4), torch.ones(4))
    save(tmp_path / "unet.pt", Progress(), average=Average(modules))
    save_file({name: weight.contiguous() for name, weight in model.state_dict().items()}, tmp_path / "vae.safetensors")
    return tmp_path


def test_the_folder_makes_the_pictures_of_the_checkpoint(work_dir: Path) -> None:
    folder = work_dir / "out"
    difference = export(work_dir, folder)
    assert difference <= export_module.ALLOWED
    prompts, seeds = ["a red apple", "qwxz 猫"], [1, 2]
    ours, theirs = generate(assemble(work_dir), prompts, seeds), generate(load_folder(folder), prompts, seeds)
    torch.testing.assert_close(ours, theirs, atol=export_module.ALLOWED, rtol=0)


def test_weights_are_half_precision_and_files_around_them_stay(work_dir: Path) -> None:
    folder = work_dir / "out"
    folder.mkdir()
    (folder / "README.md").write_text("card")
    export(work_dir, folder)
    export(work_dir, folder)
    assert (folder / "README.md").read_text() == "card"
    for component in COMPONENTS:
        (weights,) = (folder / component).glob("*.safetensors")
        assert {weight.dtype for weight in load_file(weights).values() if weight.is_floating_point()} == {torch.float16}
    assert size_bytes(folder) > 4


def test_no_file_says_where_it_was_made(work_dir: Path) -> None:
    folder = work_dir / "out"
    export(work_dir, folder)
    for path in folder.rglob("*.json"):
        assert str(work_dir) not in path.read_text(encoding="utf-8")
        assert "_name_or_path" not in path.read_text(encoding="utf-8")


def test_an_export_that_differs_leaves_the_folder_as_it_was(work_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = work_dir / "out"
    export(work_dir, folder)
    before = size_bytes(folder)
    monkeypatch.setattr(export_module, "ALLOWED", -1.0)
    with pytest.raises(ExportDiffers):
        export(work_dir, folder)
    assert size_bytes(folder) == before


def test_the_same_seed_gives_the_same_picture_in_any_company(work_dir: Path) -> None:
    pipeline = assemble(work_dir)
    alone = generate(pipeline, ["a cat"], [5])
    together = generate(pipeline, ["a dog", "a cat"], [4, 5])
    torch.testing.assert_close(together[1:], alone, atol=1e-3, rtol=0)
    assert not torch.allclose(generate(pipeline, ["a cat"], [6]), alone, atol=1e-3)
