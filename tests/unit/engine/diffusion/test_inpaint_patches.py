"""Of `engine.diffusion.inpaint_patches`: Fooocus' form of an inpainting model, on a tiny SDXL."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from engine.diffusion.inpaint_patches import FILES, HEAD, apply_patch, find_patch, read_tensors
from engine.diffusion.studio import Studio
from engine.diffusion.unusable import ModelUnusable
from engine.models.residency import Residency
from protocol.events import StepFinished
from protocol.holes import InpaintPatch
from protocol.requests import TaskName
from tests.tiny_files import unet_tensors
from tests.tiny_models import make_unet, make_xl_unet, seeded
from tests.unit.engine.diffusion.conftest import TinyFolder
from tests.unit.engine.diffusion.studios import make, pixels, studio_of
from tests.unit.engine.pictures import save

Patch = dict[str, tuple[Tensor, Tensor, Tensor]]

LEAST, MOST = -0.25, 0.5
PHOTO: Final = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
HOLE: Final = {"regions": [{"x": 16, "y": 16, "width": 30, "height": 30}], "mask_blur_px": 0, "crop": False}


def patch_of(unet: Any, *parts: str, seed: int = 3) -> Patch:
    """A patch for the weights whose names, as in single files, begin so; for all without any."""
    with seeded(seed):
        return {
            f"diffusion_model.{name}": (
                torch.randint(0, 256, tensor.shape, dtype=torch.uint8),
                torch.tensor(LEAST),
                torch.tensor(MOST),
            )
            for name, tensor in unet_tensors(unet).items()
            if not parts or name.startswith(parts)
        }


def head_of(unet: Any, seed: int = 4) -> dict[str, Tensor]:
    with seeded(seed):
        return {"head": torch.randn(unet.conv_in.out_channels, 5, 3, 3)}


@pytest.mark.parametrize("parts", [(), ("middle_block.1", "output_blocks.2", "time_embed.0")])
def test_the_weights_are_the_models_own_and_the_change_between_its_bounds(parts: tuple[str, ...]) -> None:
    with seeded(1):
        unet = make_xl_unet()
    before = {name: tensor.clone() for name, tensor in unet_tensors(unet).items()}
    patch = patch_of(unet, *parts)
    apply_patch(unet, patch, head_of(unet), "the patch")
    renamed = {name.replace("conv_in.entrance", "conv_in"): each for name, each in unet.named_parameters()}
    del renamed["conv_in.head"]
    after = unet_tensors(unet, renamed)
    for name, tensor in before.items():
        change = patch.get(f"diffusion_model.{name}")
        wanted = tensor if change is None else tensor + (change[0] / 255 * (MOST - LEAST) + LEAST)
        assert torch.allclose(after[name], wanted, atol=1e-5), name


def test_mask_and_masked_picture_are_read_by_the_head_with_their_edges_repeated() -> None:
    with seeded(1):
        unet = make_xl_unet()
        shown = torch.randn(2, 9, 8, 8)
    plain, head = unet.conv_in, head_of(unet)
    apply_patch(unet, patch_of(unet, "out.2"), head, "the patch")
    edges = functional.pad(shown[:, 4:], (1, 1, 1, 1), mode="replicate")
    assert torch.equal(unet.conv_in(shown), plain(shown[:, :4]) + functional.conv2d(edges, head["head"]))
    assert unet.config.in_channels == 9


@pytest.mark.parametrize(
    ("patch", "head", "said"),
    [
        ({}, None, "it changes nothing"),
        ({"diffusion_model.out.9.weight": None}, None, "it changes nothing"),
        (None, {"head": torch.zeros(7, 5, 3, 3)}, r"its head is not of the shape \(8, 5, 3, 3\)"),
        (None, {}, "its head is not of the shape"),
    ],
)
def test_a_patch_that_does_not_fit_is_refused(patch: Patch | None, head: dict[str, Tensor] | None, said: str) -> None:
    unet = make_xl_unet()
    before = unet.conv_in
    with pytest.raises(ModelUnusable, match=said):
        apply_patch(unet, patch_of(unet) if patch is None else patch, head_of(unet) if head is None else head, "it")
    assert unet.conv_in is before


def test_a_patch_of_a_model_of_another_shape_is_refused() -> None:
    other, unet = make_unet(linear=True), make_xl_unet()
    with pytest.raises(ModelUnusable, match="the patch is for another model"):
        apply_patch(unet, patch_of(other), head_of(unet), "it")


def write(folder: Path, patch: Mapping[str, Any], head: Mapping[str, Any], name: InpaintPatch) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(dict(patch), folder / FILES[name])
    torch.save(dict(head), folder / HEAD)


def test_the_files_are_found_in_our_own_folder_and_in_that_of_fooocus(tmp_path: Path) -> None:
    write(tmp_path / "ours" / "inpaint", {}, {}, InpaintPatch.V1)
    write(tmp_path / "Fooocus" / "models" / "inpaint", {}, {}, InpaintPatch.V2_6)
    roots = [tmp_path / "ours", tmp_path / "Fooocus"]
    found = find_patch(InpaintPatch.V2_6, roots)
    assert found is not None
    assert found.patch == tmp_path / "Fooocus" / "models" / "inpaint" / "inpaint_v26.fooocus.patch"
    assert find_patch(InpaintPatch.V2_5, roots) is None
    (tmp_path / "ours" / "inpaint" / HEAD).unlink()
    assert find_patch(InpaintPatch.V1, roots[:1]) is None


def test_no_code_in_a_file_is_run(tmp_path: Path) -> None:
    torch.save({"x": Path("/")}, tmp_path / "bad.patch")
    with pytest.raises(Exception, match=r"(?i)weights.only"):
        read_tensors(tmp_path / "bad.patch")
    torch.save([torch.zeros(1)], tmp_path / "list.patch")
    with pytest.raises(ValueError, match="expected tensors by name"):
        read_tensors(tmp_path / "list.patch")


@pytest.fixture(scope="module")
def patched(tiny_folder: TinyFolder, tmp_path_factory: pytest.TempPathFactory) -> Studio:
    models_dir = tmp_path_factory.mktemp("models")
    with seeded(1):
        unet = make_xl_unet()
    write(models_dir / "inpaint", patch_of(unet), head_of(unet), InpaintPatch.V2_6)
    write(models_dir / "inpaint", {"diffusion_model.nothing": 1}, head_of(unet), InpaintPatch.V2_5)
    for name in ("sdxl", "sd1"):
        tiny_folder(name)
    return studio_of(tiny_folder("sd1").parent, residency=Residency(models_dir, "cpu"))


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    return {"image": save(tmp_path / "photo.png", PHOTO)}


def test_a_patched_model_paints_otherwise_and_keeps_the_rest(patched: Studio, inputs: dict[str, Path]) -> None:
    about = {**HOLE, "model": "sdxl"}
    plain, changed, again = (
        make(patched, {**about, **more}, task=TaskName.INPAINT, inputs=inputs)
        for more in ({}, {"inpaint_patch": "v2.6"}, {})
    )
    assert changed.warnings == []
    assert changed.outputs[0].content != plain.outputs[0].content
    assert plain.outputs[0].content == again.outputs[0].content, "the model itself is as it was"
    kept = np.ones((64, 64), np.bool_)
    kept[16:46, 16:46] = False
    assert np.array_equal(pixels(changed.outputs[0].content)[kept], PHOTO[kept])


def test_the_model_without_the_patch_can_make_the_last_steps(patched: Studio, inputs: dict[str, Path]) -> None:
    about = {**HOLE, "model": "sdxl", "inpaint_patch": "v2.6", "steps": 10}
    alone, refined = (
        make(patched, {**about, **more}, task=TaskName.INPAINT, inputs=inputs) for more in ({}, {"refiner": "sdxl"})
    )
    assert refined.warnings == []
    assert [each.step for each in refined.of_type(StepFinished)] == list(range(1, 11))
    assert refined.outputs[0].content != alone.outputs[0].content


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"model": "sd1", "inpaint_patch": "v2.6"}, "is of the family sd1, not sdxl"),
        ({"model": "sdxl", "inpaint_patch": "v1"}, "inpaint.fooocus.patch and fooocus_inpaint_head.pth are not both"),
    ],
)
def test_a_patch_that_cannot_be_used_is_told_and_changes_nothing(
    patched: Studio, inputs: dict[str, Path], params: dict[str, Any], said: str
) -> None:
    told = make(patched, {**HOLE, **params}, task=TaskName.INPAINT, inputs=inputs)
    assert told.warnings == ["inpaint_patch_unused"]
    assert said in str(told.events)
    bare = make(patched, {**HOLE, "model": params["model"]}, task=TaskName.INPAINT, inputs=inputs)
    assert told.outputs[0].content == bare.outputs[0].content


def test_a_patch_for_another_model_fails_the_job_that_asked_for_it(patched: Studio, inputs: dict[str, Path]) -> None:
    with pytest.raises(ModelUnusable, match=r"inpaint_v25\.fooocus\.patch"):
        make(patched, {**HOLE, "model": "sdxl", "inpaint_patch": "v2.5"}, task=TaskName.INPAINT, inputs=inputs)
