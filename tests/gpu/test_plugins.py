"""Networks of published models on a GPU. Their weights are random: the GPU is to make of them what the CPU does."""

from pathlib import Path

import numpy as np
import pytest
import torch

from engine.plugins.gfpgan import GfpGan
from engine.plugins.isnet import IsNet, load_isnet
from engine.plugins.restoreformer import RestoreFormer
from engine.plugins.restorers import load_restorer, restore
from tests.unit.engine.pictures import texture

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("kind", [GfpGan, RestoreFormer])
def test_a_restored_face_is_that_of_the_cpu(kind: type[GfpGan | RestoreFormer], device: str, tmp_path: Path) -> None:
    torch.manual_seed(4)
    network = GfpGan(width=1 / 8) if kind is GfpGan else RestoreFormer(width=32, words=16, length=32)
    torch.save({"params": network.state_dict()}, tmp_path / "a.pth")
    face = texture(512, 512)
    made, expected = (restore(load_restorer(tmp_path / "a.pth", where), face) for where in (device, "cpu"))
    # Where two words of the dictionary are equally near, another may be taken.
    assert np.abs(made - expected).mean() < 0.01


def test_a_subject_is_that_of_the_cpu(device: str, tmp_path: Path) -> None:
    torch.manual_seed(5)
    torch.save(IsNet(width=1 / 8).state_dict(), tmp_path / "a.pth")
    planes = np.random.default_rng(1).random((1, 3, 256, 256), np.float32)
    made, expected = (load_isnet(tmp_path / "a.pth", where)(planes) for where in (device, "cpu"))
    assert np.abs(made - expected).max() < 0.01
