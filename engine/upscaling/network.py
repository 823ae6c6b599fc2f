"""From weight files to a network on a device."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeAlias

import torch
from torch import nn

from engine.upscaling.compact import CHANNELS, CompactNet
from engine.upscaling.ncnn import BadNcnnModel, Convolution, Layer, PRelu, read_layers
from engine.upscaling.published import network_of, read_state
from engine.upscaling.rrdb import CONVOLUTIONS_OUTSIDE_BLOCKS, CONVOLUTIONS_PER_BLOCK, NEGATIVE_SLOPE, RrdbNet

UpscaleNet: TypeAlias = CompactNet | RrdbNet

_SLOPE_TOLERANCE: Final = 1e-4


def load_network(weights: Path, device: str) -> UpscaleNet:
    """Read `weights` and put the network on `device`.

    Half precision on CUDA; single elsewhere, where half is many times slower.

    Args:
        weights: an ncnn `.bin`, with its `.param` beside it, or a published `.pth`.

    Raises:
        BadNcnnModel: the files hold neither of the two networks.
        EngineError: `bad_model`: likewise, of a `.pth`.
    """
    network: UpscaleNet
    if weights.suffix == ".pth":
        network = network_of(read_state(weights), weights.name)
    else:
        network = network_from(read_layers(weights.with_suffix(".param"), weights))
    dtype = torch.float16 if torch.device(device).type == "cuda" else torch.float32
    return network.to(device=device, dtype=dtype, memory_format=torch.channels_last).eval()  # type: ignore[call-overload, no-any-return]  # the stubs know no memory_format beside dtype


def network_from(layers: Sequence[Layer]) -> UpscaleNet:
    """The network that `layers` are the weights of: compact if there are PReLUs, else RRDB.

    Raises:
        BadNcnnModel: they fit neither, in number, shape or activation.
    """
    if not layers or not isinstance(layers[0], Convolution) or not isinstance(layers[-1], Convolution):
        raise BadNcnnModel("expected a network that begins and ends with a convolution")
    network = _empty_compact(layers) if any(isinstance(layer, PRelu) for layer in layers) else _empty_rrdb(layers)
    modules = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.PReLU)]
    if len(modules) != len(layers):
        raise BadNcnnModel(f"expected {len(modules)} layers with weights, got {len(layers)}")
    # The modules are registered in the order they run in, and so are the layers of the file.
    for number, (module, layer) in enumerate(zip(modules, layers, strict=True)):
        if isinstance(module, nn.Conv2d) and isinstance(layer, Convolution):
            _fill(module.weight, layer.weight, number)
            assert module.bias is not None
            _fill(module.bias, layer.bias, number)
        elif isinstance(module, nn.PReLU) and isinstance(layer, PRelu):
            _fill(module.weight, layer.slope, number)
        else:
            raise BadNcnnModel(f"layer {number}: expected {type(module).__name__}, got {type(layer).__name__}")
    return network.requires_grad_(False)


def _empty_compact(layers: Sequence[Layer]) -> CompactNet:
    first, last = layers[0], layers[-1]
    assert isinstance(first, Convolution)
    assert isinstance(last, Convolution)
    scale = round((last.weight.shape[0] / CHANNELS) ** 0.5)
    return CompactNet(width=first.weight.shape[0], depth=max((len(layers) - 3) // 2, 0), scale=max(scale, 1))


def _empty_rrdb(layers: Sequence[Layer]) -> RrdbNet:
    first, second = layers[0], layers[1]
    assert isinstance(first, Convolution)
    if not isinstance(second, Convolution) or second.negative_slope is None:
        raise BadNcnnModel("expected a dense block after the first convolution")
    slopes = {layer.negative_slope for layer in layers if isinstance(layer, Convolution)} - {None}
    if any(slope is not None and abs(slope - NEGATIVE_SLOPE) > _SLOPE_TOLERANCE for slope in slopes):
        raise BadNcnnModel(f"expected leaky ReLUs of slope {NEGATIVE_SLOPE}, got {sorted(map(str, slopes))}")
    blocks = (len(layers) - CONVOLUTIONS_OUTSIDE_BLOCKS) // CONVOLUTIONS_PER_BLOCK
    return RrdbNet(width=first.weight.shape[0], growth=second.weight.shape[0], blocks=max(blocks, 0))


def _fill(parameter: torch.Tensor, values: object, number: int) -> None:
    numbers = torch.as_tensor(values)
    if numbers.shape != parameter.shape:
        expected, got = tuple(parameter.shape), tuple(numbers.shape)
        raise BadNcnnModel(f"layer {number}: expected weights of shape {expected}, got {got}")
    with torch.no_grad():
        parameter.copy_(numbers)
