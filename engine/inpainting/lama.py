"""`lama` and `anime-lama`: one network with a view of the whole picture, for photographs and for drawings.

The published files are TorchScript. Their weights are read without running them and put into the network of
`lama_network`; a file with another network in it works too, if its code is trusted.

Source: Suvorov et al., Resolution-robust large mask inpainting with Fourier convolutions, 2022.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from engine.images import Bytes
from engine.inpainting.descriptor import EraseModelSpec, EraseOptions, Filling
from engine.inpainting.published import FILES, LICENCES, TITLES
from engine.interface import Call, EngineError
from engine.steps import twice
from protocol.erasing import EraseModel
from protocol.errors import ErrorCode

if TYPE_CHECKING:
    import torch

    from engine.inpainting.lama_network import Lama
    from engine.inpainting.torchscript import Script

_SOURCE: Final = "Suvorov et al., Resolution-robust large mask inpainting with Fourier convolutions, 2022"


class LamaNetwork:
    """See the module. Implements `EraseNetwork`.

    Args:
        network: a picture (1, 3, H, W) in [0, 1] and a mask (1, 1, H, W), int64, 1 repaints, to (1, 3, H, W) in [0, 1].
        size_bytes: of its weights.
    """

    def __init__(self, network: "Lama | Script", size_bytes: int, device: str) -> None:
        self._network = network
        self._device = device
        self.size_bytes = size_bytes

    def __call__(self, image: Bytes, mask: Bytes, options: EraseOptions) -> Filling:  # noqa: ARG002 - it has no options
        made: Bytes = yield from twice(Call(partial(self._fill, image, mask), stage="fill"))
        return made

    def _fill(self, image: Bytes, mask: Bytes) -> Bytes:
        import torch

        from engine.inpainting.tensors import mask_tensor, of_shape, picture_tensor, truncated_picture

        pixels, hole = picture_tensor(image, self._device), mask_tensor(mask, self._device, torch.int64)
        with torch.no_grad():
            return truncated_picture(of_shape(self._network(pixels, hole), tuple(pixels.shape), "lama"))


def _load_weights(paths: Sequence[Path], device: str, _dtype: "torch.dtype") -> LamaNetwork:
    """Of the weights alone; in single precision, since half has no spectra."""
    network = _of_weights(paths[0], device)
    if network is None:
        message = (
            f"{paths[0].name}: its weights are not LaMa's, and its code runs only if the file is the published one or "
            "its checksum is set"
        )
        raise EngineError(ErrorCode.BAD_MODEL, message)
    return network


def _load(paths: Sequence[Path], device: str, _dtype: "torch.dtype") -> LamaNetwork:
    import torch

    from engine.inpainting.torchscript import open_scripts

    network = _of_weights(paths[0], device)
    if network is not None:
        return network
    (script,) = open_scripts(paths, device, torch.float32)
    return LamaNetwork(script, script.size_bytes, device)


def _of_weights(path: Path, device: str) -> LamaNetwork | None:
    from engine.inpainting.lama_network import build
    from engine.inpainting.script_weights import read_weights

    network = build(read_weights(path))
    if network is None:
        return None
    held = (*network.parameters(), *network.buffers())
    return LamaNetwork(network.to(device), sum(each.numel() * each.element_size() for each in held), device)


LAMA: Final = EraseModelSpec(
    name=EraseModel.LAMA,
    title=TITLES[EraseModel.LAMA],
    source=_SOURCE,
    licence=LICENCES[EraseModel.LAMA].name,
    is_commercial=LICENCES[EraseModel.LAMA].is_commercial,
    load=_load,
    load_untrusted=_load_weights,
    files=FILES[EraseModel.LAMA],
    pad_multiple=8,
)
ANIME_LAMA: Final = EraseModelSpec(
    name=EraseModel.ANIME_LAMA,
    title=TITLES[EraseModel.ANIME_LAMA],
    source=f"{_SOURCE}; trained by dreMaz",
    licence=LICENCES[EraseModel.ANIME_LAMA].name,
    is_commercial=LICENCES[EraseModel.ANIME_LAMA].is_commercial,
    load=_load,
    load_untrusted=_load_weights,
    files=FILES[EraseModel.ANIME_LAMA],
    pad_multiple=8,
)
