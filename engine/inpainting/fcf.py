"""`fcf`: structure and texture by mixing coarse features over the whole picture, at 512 by 512 px.

Two calls: encoding and decoding. The network is built on one that is for research only: see `published`.

Source: J. Jain et al., Keys to better image inpainting: Structure and texture go hand in hand, WACV 2023.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from engine.images import Bytes
from engine.inpainting.descriptor import EraseModelSpec, EraseOptions, Filling
from engine.inpainting.fcf_network import SIDE_PX, FcfNetwork, FcfWidths
from engine.inpainting.published import FILES, LICENCES, TITLES
from engine.inpainting.script_weights import read_weights
from engine.inpainting.state_dicts import fill, size_bytes
from engine.inpainting.tensors import mask_tensor, picture_tensor, rounded_picture
from engine.interface import Call
from protocol.erasing import EraseModel


class FcfEraser:
    """See the module. Implements `engine.inpainting.descriptor.EraseNetwork`. It draws no lots."""

    def __init__(self, network: FcfNetwork, device: str) -> None:
        self._network = network.to(device)
        self._device = device

    @property
    def size_bytes(self) -> int:
        return size_bytes(self._network)

    def __call__(self, image: Bytes, mask: Bytes, options: EraseOptions) -> Filling:
        whole, features = yield Call(partial(self._encoded, image, mask), stage="encode")
        if options.on_step is not None:
            options.on_step(1, 2)
        result: Bytes = yield Call(partial(self._decoded, whole, features), stage="fill")
        if options.on_step is not None:
            options.on_step(2, 2)
        return result

    @torch.no_grad()
    def _encoded(self, image: Bytes, mask: Bytes) -> tuple[Tensor, list[Tensor]]:
        hole = mask_tensor(mask, self._device)
        picture = picture_tensor(image, self._device) * 2 - 1
        return self._network.encode(torch.cat((0.5 - hole, picture * (1 - hole)), 1))

    @torch.no_grad()
    def _decoded(self, whole: Tensor, features: list[Tensor]) -> Bytes:
        return rounded_picture(self._network.decode(whole, features))


def _is_unused(name: str) -> bool:
    """The decoder's noise, which is off, and the biases of its convolutions, which were never added."""
    *place, kind = name.split(".")
    is_convolution = place[:1] == ["synthesis"] and place[-1].startswith("conv") and "ffc_skip" not in place
    return kind in {"noise_const", "noise_strength"} or (kind == "bias" and is_convolution)


def _load(paths: Sequence[Path], device: str, dtype: torch.dtype) -> FcfEraser:  # noqa: ARG001 - spectra need float32
    weights = read_weights(paths[0])
    with torch.device("meta"):
        network = FcfNetwork(FcfWidths.of(weights))
    fill(network, weights, "fcf", is_left_out=_is_unused)
    return FcfEraser(network.requires_grad_(False).eval().float(), device)


FCF: Final = EraseModelSpec(
    name=EraseModel.FCF,
    title=TITLES[EraseModel.FCF],
    source="Jain et al., Keys to better image inpainting, 2023",
    licence=LICENCES[EraseModel.FCF].name,
    is_commercial=LICENCES[EraseModel.FCF].is_commercial,
    load=_load,
    files=FILES[EraseModel.FCF],
    pad_multiple=SIDE_PX,
    min_px=SIDE_PX,
    is_square=True,
    crops_itself=True,
)
