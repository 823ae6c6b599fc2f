"""The heavier erase models on a GPU against the same networks on the CPU; small ones in the published formats."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.inpainting.descriptor import EraseModelSpec, EraseOptions
from engine.inpainting.fcf import FCF
from engine.inpainting.ldm import LDM
from engine.inpainting.mat import MAT
from engine.inpainting.zits import ZITS
from tests.unit.engine.inpainting.going_through import go_through
from tests.unit.engine.inpainting.ldm_stand_ins import Denoise, Enlarge, Shrink
from tests.unit.engine.inpainting.published_files import NARROW_FCF, NARROW_MAT, drawn, fcf_shapes, mat_shapes
from tests.unit.engine.inpainting.stand_ins import save_script
from tests.unit.engine.inpainting.test_mat import scene
from tests.unit.engine.inpainting.zits_stand_ins import Paint, Structure, Twice, TwoLines

pytestmark = pytest.mark.gpu
SCRIPTS = {LDM.name: (Shrink, Enlarge, Denoise), ZITS.name: (TwoLines, Structure, Twice, Paint)}
MEAN_IN_SINGLE = 0.5
"""Mean difference in levels that other kernels, and sums in another order, may make."""
MEAN_IN_HALF = 4.0


def files(spec: EraseModelSpec, folder: Path) -> Sequence[Path]:
    paths = [folder / file.name for file in spec.files]
    if spec.name in SCRIPTS:
        return [save_script(part(), path) for part, path in zip(SCRIPTS[spec.name], paths, strict=True)]
    shapes = mat_shapes(NARROW_MAT) if spec is MAT else fcf_shapes(NARROW_FCF)
    torch.save(drawn(shapes), paths[0])
    return paths


@pytest.mark.parametrize("spec", [LDM, ZITS, MAT, FCF], ids=lambda spec: spec.name.value)
def test_picture_is_that_of_the_cpu(device: str, tmp_path: Path, spec: EraseModelSpec) -> None:
    paths = files(spec, tmp_path)
    image, mask = scene()
    options = EraseOptions(ldm_steps=5, seed=5)
    there = go_through(spec.load(paths, device, torch.float32), image, mask, options).picture
    here = go_through(spec.load(paths, "cpu", torch.float32), image, mask, options).picture
    assert np.abs(there.astype(int) - here).mean() < MEAN_IN_SINGLE


@pytest.mark.parametrize("spec", [LDM, MAT], ids=lambda spec: spec.name.value)
def test_half_precision_makes_nearly_the_same_picture(device: str, tmp_path: Path, spec: EraseModelSpec) -> None:
    assert spec.is_half_on_cuda
    paths = files(spec, tmp_path)
    image, mask = scene()
    options = EraseOptions(ldm_steps=5, seed=5)
    half = go_through(spec.load(paths, device, torch.float16), image, mask, options).picture
    single = go_through(spec.load(paths, device, torch.float32), image, mask, options).picture
    assert np.abs(half.astype(int) - single).mean() < MEAN_IN_HALF
