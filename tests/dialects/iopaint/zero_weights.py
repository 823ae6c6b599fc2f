"""Weights of nothing but zeros in the files of published models: what a network then answers needs no download.

What is in the models folder is used as it is, as there: a checksum is compared when something is downloaded. Only the
packaged MobileSAM is known by its size as well.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from engine.models.catalogue import find
from engine.plugins.isnet import IsNet
from engine.plugins.published import PLUGIN_MODELS
from engine.segmentation.sam import MobileSam
from engine.upscaling.compact import CompactNet

_UPSCALER_DEPTH: Final = 32
_SUBJECT_WIDTH: Final = 1 / 16
"""Of the channels; zeros give the same with fewer, in less time."""


def write_zero_weights(folder: Path) -> None:
    """Put `realesr-general-x4v3`, `isnetis` and `mobile_sam` into a models folder, each in its file's own layout."""
    folder.mkdir(parents=True, exist_ok=True)
    upscaler = CompactNet(depth=_UPSCALER_DEPTH)
    torch.save({"params": zeros(upscaler)}, folder / PLUGIN_MODELS["realesr-general-x4v3"].files[0])
    torch.save(zeros(IsNet(width=_SUBJECT_WIDTH)), folder / PLUGIN_MODELS["isnetis"].files[0])
    (file,) = find("mobile_sam").files
    path = folder / file.name
    # The older layout does not mind what follows its end.
    torch.save(zeros(MobileSam()), path, _use_new_zipfile_serialization=False)
    assert path.stat().st_size <= file.size_bytes
    with path.open("r+b") as opened:
        opened.truncate(file.size_bytes)


def zeros(network: nn.Module) -> Mapping[str, Tensor]:
    """The state dict of a network, all zero."""
    return {name: torch.zeros_like(value) for name, value in network.state_dict().items()}
