"""`migan`: a small and fast generator that sees 512 x 512 px around each part of the mask.

One TorchScript file. What it takes is (1, 4, 512, 512): one half less the mask, then the picture in [-1, 1], grey where
it is masked.

Source: Sargsyan et al., MI-GAN, a simple baseline for image inpainting on mobile devices, ICCV 2023.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from engine.images import Bytes
from engine.inpainting.descriptor import EraseModelSpec, EraseOptions, Filling
from engine.inpainting.published import FILES, LICENCES, TITLES
from engine.interface import Call
from engine.steps import twice
from protocol.erasing import EraseModel

if TYPE_CHECKING:
    import torch

    from engine.inpainting.torchscript import Script

_SIDE_PX: Final = 512


class MiganNetwork:
    """See the module. Implements `EraseNetwork`."""

    def __init__(self, generator: "Script", device: str) -> None:
        self._generator = generator
        self._device = device
        self.size_bytes = generator.size_bytes

    def __call__(self, image: Bytes, mask: Bytes, options: EraseOptions) -> Filling:  # noqa: ARG002 - it has no options
        made: Bytes = yield from twice(Call(partial(self._fill, image, mask), stage="fill"))
        return made

    def _fill(self, image: Bytes, mask: Bytes) -> Bytes:
        import torch

        from engine.inpainting.tensors import mask_tensor, of_shape, picture_tensor, rounded_picture

        pixels, hole = picture_tensor(image, self._device) * 2 - 1, mask_tensor(mask, self._device)
        made = self._generator(torch.cat((0.5 - hole, pixels * (1 - hole)), 1))
        return rounded_picture(of_shape(made, tuple(pixels.shape), "migan"))


def _load(paths: Sequence[Path], device: str, _dtype: "torch.dtype") -> MiganNetwork:
    import torch

    from engine.inpainting.torchscript import open_scripts

    (generator,) = open_scripts(paths, device, torch.float32)
    return MiganNetwork(generator, device)


MIGAN: Final = EraseModelSpec(
    name=EraseModel.MIGAN,
    title=TITLES[EraseModel.MIGAN],
    source="Sargsyan et al., MI-GAN, 2023",
    licence=LICENCES[EraseModel.MIGAN].name,
    is_commercial=LICENCES[EraseModel.MIGAN].is_commercial,
    load=_load,
    files=FILES[EraseModel.MIGAN],
    pad_multiple=_SIDE_PX,
    min_px=_SIDE_PX,
    is_square=True,
    crops_itself=True,
)
