"""Models whose weights come to the GPU for their calls only: the same pictures, with less of its memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel

from engine.interface.engine import Offload
from engine.library.layouts import Root
from engine.library.library import Library
from engine.torch_backend import TorchBackend
from protocol.requests import TaskName
from tests.gpu.card import Work, drive, pixels
from tests.tiny_models import make_sd1, seeded

pytestmark = pytest.mark.gpu

MIB = 1 << 20
ACTIVATIONS = 256 * MIB
"""More than a picture of 64 x 64 px and the libraries' workspaces take."""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """`wide`: a denoiser of 210 million random weights between a tiny VAE and a tiny text encoder."""
    model: Any = make_sd1()
    config = {
        **model.unet.config,
        "block_out_channels": (160, 320, 640, 640),
        "layers_per_block": 2,
        "norm_num_groups": 32,
        "down_block_types": (*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"),
        "up_block_types": ("UpBlock2D", *["CrossAttnUpBlock2D"] * 3),
    }
    with seeded(3):
        unet: Any = UNet2DConditionModel.from_config(config)
    model.register_modules(unet=unet)
    folder = tmp_path_factory.mktemp("models") / "wide"
    model.save_pretrained(folder)
    made = Library([Root(path=folder)])
    made.refresh()
    return made


@contextmanager
def backend(device: str, folder: Path, library: Library, offload: Offload) -> Iterator[TorchBackend]:
    threads, gradients = torch.get_num_threads(), torch.is_grad_enabled()
    made = TorchBackend(folder, library=library, device=device, offload=offload, model_budget_bytes=256 * MIB)
    made.load()
    try:
        yield made
    finally:
        made.close()
        torch.set_num_threads(threads)
        torch.set_grad_enabled(gradients)


def work(**params: Any) -> Work:
    usual = {"prompt": "a cat", "model": "wide", "steps": 4, "seed": 5, "width": 64, "height": 64}
    return Work(TaskName.TEXT_TO_IMAGE, {**usual, "deterministic": True, **params}, None)


@pytest.mark.parametrize("offload", [Offload.MODEL, Offload.LAYERS])
def test_an_offloaded_model_makes_the_same_picture(
    device: str, tmp_path: Path, library: Library, offload: Offload
) -> None:
    with backend(device, tmp_path, library, Offload.NEVER) as whole:
        expected = pixels(drive(whole, work(clip_skip=1)).outputs[0].content)
    with backend(device, tmp_path, library, offload) as made:
        got = pixels(drive(made, work(clip_skip=1)).outputs[0].content)
    # cuDNN may choose other kernels where memory lies otherwise.
    assert np.abs(got - expected).mean() < 0.5


def test_in_layers_the_denoiser_is_never_on_the_gpu_as_a_whole(
    cuda: torch.device, tmp_path: Path, library: Library
) -> None:
    peaks = {}
    for offload in (Offload.NEVER, Offload.LAYERS):
        with backend(str(cuda), tmp_path, library, offload) as made:
            drive(made, work())
            torch.cuda.reset_peak_memory_stats(cuda)
            drive(made, work(prompt="a dog"))
            peaks[offload] = torch.cuda.max_memory_allocated(cuda)
    assert peaks[Offload.LAYERS] < peaks[Offload.NEVER] - 100 * MIB
    assert peaks[Offload.LAYERS] < 256 * MIB + ACTIVATIONS


def test_memory_that_is_freed_takes_offloaded_weights_off_the_gpu(
    cuda: torch.device, tmp_path: Path, library: Library
) -> None:
    with backend(str(cuda), tmp_path, library, Offload.MODEL) as made:
        before = torch.cuda.memory_allocated(cuda)
        drive(made, work())
        assert torch.cuda.memory_allocated(cuda) > before + 100 * MIB
        made.free_memory()
        assert torch.cuda.memory_allocated(cuda) < before + 32 * MIB


def test_what_fits_no_budget_is_offloaded_unasked(cuda: torch.device, tmp_path: Path, library: Library) -> None:
    with backend(str(cuda), tmp_path, library, Offload.AUTO) as made:
        drive(made, work())
        # In half precision the denoiser is larger than the budget of 256 MiB.
        assert torch.cuda.memory_allocated(cuda) < 256 * MIB + ACTIVATIONS
