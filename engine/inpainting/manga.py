"""`manga`: for black and white comics. What it paints is grey, whatever the colours around.

Two TorchScript files: one finds the lines of a drawing, the other continues drawing and lines into the hole.

Source: Xie et al., Seamless manga inpainting with semantics awareness, SIGGRAPH 2021; Li et al., Deep extraction of
manga structural lines, SIGGRAPH 2017.
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
    from torch import Tensor

    from engine.inpainting.torchscript import Script

_MIDDLE: Final = 127.5


class MangaNetwork:
    """See the module. Implements `EraseNetwork`.

    Args:
        inpaintor: grey and lines in [-1, 1], mask, noise and ones, (1, 1, H, W) each, to grey (1, 1, H, W) in [-1, 1].
        lines: grey (1, 1, H, W) in 0..255 to lines of that size and range.
    """

    def __init__(self, inpaintor: "Script", lines: "Script", device: str) -> None:
        self._inpaintor = inpaintor
        self._lines = lines
        self._device = device
        self.size_bytes = inpaintor.size_bytes + lines.size_bytes

    def __call__(self, image: Bytes, mask: Bytes, options: EraseOptions) -> Filling:
        grey, lines = yield from twice(Call(partial(self._find_lines, image), stage="lines"))
        made: Bytes = yield from twice(Call(partial(self._fill, grey, lines, mask, options.seed), stage="fill"))
        return made

    def _find_lines(self, image: Bytes) -> "tuple[Tensor, Tensor]":
        import cv2
        import torch

        from engine.inpainting.tensors import of_shape

        grey = torch.from_numpy(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)).to(self._device)[None, None].float()
        lines = of_shape(self._lines(grey), tuple(grey.shape), "manga, lines")
        return grey, lines.clamp(0, 255)

    def _fill(self, grey: "Tensor", lines: "Tensor", mask: Bytes, seed: int) -> Bytes:
        import torch

        from engine.inpainting.tensors import mask_tensor, of_shape, truncated_picture

        hole = mask_tensor(mask, self._device)
        # On the CPU, whatever the device: a seed means the same picture everywhere.
        noise = torch.randn(hole.shape, generator=torch.Generator().manual_seed(seed)).to(self._device)
        made = self._inpaintor(grey / _MIDDLE - 1, lines / _MIDDLE - 1, hole, noise, torch.ones_like(hole))
        painted = of_shape(made, tuple(hole.shape), "manga, inpaintor")
        return truncated_picture((painted.expand(-1, 3, -1, -1) + 1) / 2)


def _load(paths: Sequence[Path], device: str, _dtype: "torch.dtype") -> MangaNetwork:
    import torch

    from engine.inpainting.torchscript import open_scripts

    inpaintor, lines = open_scripts(paths, device, torch.float32)
    return MangaNetwork(inpaintor, lines, device)


MANGA: Final = EraseModelSpec(
    name=EraseModel.MANGA,
    title=TITLES[EraseModel.MANGA],
    source="Xie et al., Seamless manga inpainting with semantics awareness, 2021",
    licence=LICENCES[EraseModel.MANGA].name,
    is_commercial=LICENCES[EraseModel.MANGA].is_commercial,
    load=_load,
    files=FILES[EraseModel.MANGA],
    pad_multiple=16,
)
