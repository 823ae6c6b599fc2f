"""`mat`: a mask-aware transformer for large holes, at 512 px or multiples of it.

Two calls: the structure of the hole, then the picture. The weights are for research only: see `published`.

Source: W. Li et al., MAT: Mask-aware transformer for large hole image inpainting, CVPR 2022. The random point is the
one of IOPaint 1.6.0; what else is drawn by lot is drawn from the seed of the request.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from engine.images import Bytes
from engine.inpainting.descriptor import EraseModelSpec, EraseOptions, Filling
from engine.inpainting.mat_network import MatNetwork, MatWidths
from engine.inpainting.published import FILES, LICENCES, TITLES
from engine.inpainting.script_weights import read_weights
from engine.inpainting.state_dicts import fill, size_bytes
from engine.inpainting.tensors import mask_tensor, picture_tensor, rounded_picture
from engine.interface import Call
from protocol.erasing import EraseModel

_SEED: Final = 240
_COMPUTED: Final = "attn_mask"


class MatEraser:
    """See the module. Implements `engine.inpainting.descriptor.EraseNetwork`."""

    def __init__(self, network: MatNetwork, device: str, dtype: torch.dtype) -> None:
        self._network = network.to(device, dtype)
        self._device = device
        self._dtype = dtype
        width = network.mapping.w_avg.shape[0]
        # numpy's old generator, whose numbers are the same in every version.
        self._point = torch.from_numpy(np.random.RandomState(_SEED).randn(1, width)).to(device, dtype)

    @property
    def size_bytes(self) -> int:
        return size_bytes(self._network)

    def __call__(self, image: Bytes, mask: Bytes, options: EraseOptions) -> Filling:
        generator = torch.Generator().manual_seed(options.seed)
        structure: Tensor = yield Call(partial(self._structure, image, mask, generator), stage="structure")
        if options.on_step is not None:
            options.on_step(1, 2)
        result: Bytes = yield Call(partial(self._refined, image, mask, structure, generator), stage="fill")
        if options.on_step is not None:
            options.on_step(2, 2)
        return result

    @torch.no_grad()
    def _structure(self, image: Bytes, mask: Bytes, generator: torch.Generator) -> Tensor:
        picture, kept = self._tensors(image, mask)
        return self._network.structure(picture, kept, self._network.mapping(self._point), generator)

    @torch.no_grad()
    def _refined(self, image: Bytes, mask: Bytes, structure: Tensor, generator: torch.Generator) -> Bytes:
        picture, kept = self._tensors(image, mask)
        style = self._network.mapping(self._point)
        return rounded_picture(self._network.refine(picture, kept, structure, style, generator))

    def _tensors(self, image: Bytes, mask: Bytes) -> tuple[Tensor, Tensor]:
        """The picture in [-1, 1], and 1 where it is kept."""
        picture = picture_tensor(image, self._device) * 2 - 1
        return picture.to(self._dtype), 1 - mask_tensor(mask, self._device, self._dtype)


def _load(paths: Sequence[Path], device: str, dtype: torch.dtype) -> MatEraser:
    weights = read_weights(paths[0])
    with torch.device("meta"):
        network = MatNetwork(MatWidths.of(weights))
    # Which tokens the seam keeps apart depends on the picture's size, and is computed.
    fill(network, weights, "mat", is_left_out=lambda name: name.endswith(f".{_COMPUTED}"))
    return MatEraser(network.requires_grad_(False).eval(), device, dtype)


MAT: Final = EraseModelSpec(
    name=EraseModel.MAT,
    title=TITLES[EraseModel.MAT],
    source="Li et al., MAT: Mask-aware transformer for large hole image inpainting, 2022",
    licence=LICENCES[EraseModel.MAT].name,
    is_commercial=LICENCES[EraseModel.MAT].is_commercial,
    load=_load,
    files=FILES[EraseModel.MAT],
    pad_multiple=512,
    min_px=512,
    is_square=True,
    is_half_on_cuda=True,
)
