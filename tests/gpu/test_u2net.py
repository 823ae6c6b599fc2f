"""Removing backgrounds on a GPU, through onnxruntime."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from structlog.testing import capture_logs

from engine.models.onnx_session import open_session
from protocol.requests import TaskName
from tests.gpu.card import Card, Work, on_cpu, pixels
from tests.unit.engine.networks import ball, overlap

pytestmark = pytest.mark.gpu

CUDA = "CUDAExecutionProvider"


def test_the_mask_is_that_of_the_cpu(card: Card, models_dir: Path, scene: Path) -> None:
    work = Work(TaskName.REMOVE_BACKGROUND, {"result": "mask"}, scene)
    made, expected = pixels(card.make(work)), pixels(on_cpu(models_dir, work).outputs[0].content)
    assert np.abs(made - expected).mean() < 2
    assert overlap(made > 127, ball()[1]) > 0.9


def test_onnxruntime_uses_the_gpu_if_it_was_built_for_it(cuda: torch.device, models_dir: Path) -> None:
    if CUDA not in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has no CUDA: install onnxruntime-gpu instead")
    with capture_logs() as logs:
        session = open_session(models_dir / "u2netp.onnx", str(cuda))
    assert session.get_providers()[0] == CUDA, "it was built for CUDA and could not load it; see docs/gpu.md"
    assert logs == []


def test_an_onnxruntime_without_cuda_works_on_the_cpu_and_says_so(cuda: torch.device, models_dir: Path) -> None:
    if CUDA in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    with capture_logs() as logs:
        session = open_session(models_dir / "u2netp.onnx", str(cuda))
    assert session.get_providers() == ["CPUExecutionProvider"]
    assert [log["event"] for log in logs] == ["onnx.runs_on_cpu"]
