"""Control-LoRAs: ControlNets as changes to the upper half of the UNet they work with.

Such a file holds, under the names of single files, small matrices `NAME.down` and `NAME.up` whose product is added to
the weight `NAME.weight` of a model's own UNet, other tensors that stand in the place of the model's, and the layers
that only a ControlNet has. So another ControlNet comes of it for each model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

from torch import Tensor, nn

from engine.diffusion.empty_controlnet import CONTROLNET_PART, empty_controlnet
from engine.diffusion.loaded import LoadedModel
from engine.diffusion.scope import NO_ADAPTERS, switch_adapters
from engine.diffusion.weights import Tensors, fill
from engine.library.headers import BadHeader, read_header
from engine.library.records import FoundModel
from engine.library.sniff import CONTROL_LORA_MARK

T = TypeVar("T")

_PREFIX: Final = "control_model."
_DOWN, _UP = ".down", ".up"
_ENTRANCE: Final = "conv_in.weight"
_SIZES: Final = {"add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2"}
_PATCHED: Final = "conv_in.entrance."
"""Where a UNet with an inpainting patch has its own entrance."""
_NUMBERS: Final[WeakKeyDictionary[nn.Module, int]] = WeakKeyDictionary()
_NEXT: Final = count(1)


@dataclass(slots=True)
class _Change:
    """What a file says of one weight.

    Attributes:
        instead: takes the place of the model's own.
        down, up: (rank, ...) and (..., rank), whose product is added to it.
    """

    instead: Tensor | None = None
    down: Tensor | None = None
    up: Tensor | None = None

    def applied(self, name: str, own: Tensor | None) -> Tensor:
        """
        Raises:
            ValueError: the model has no such weight, or half of its change is missing.
            RuntimeError: it is of another shape.
        """
        weight = own if self.instead is None else self.instead
        if weight is None or (self.down is None) != (self.up is None):
            raise ValueError(f"its change of {name} is not whole, or is for another model")
        if self.down is None or self.up is None:
            return weight
        change = self.up.flatten(1).float() @ self.down.flatten(1).float()
        return (weight.float() + change.to(weight.device).reshape(weight.shape)).to(weight.dtype)


def is_control_lora(found: FoundModel) -> bool:
    """Whether a file is one. Reads its header; may block."""
    if found.is_folder or found.path.suffix != ".safetensors":
        return False
    try:
        return CONTROL_LORA_MARK in read_header(found.path).shapes
    except (OSError, BadHeader):
        return False  # whatever it is: loading it will say


def told_sizes(tensors: Mapping[str, T]) -> dict[str, T]:
    """Of a ControlNet under the names of single files the layers that are told sizes, under diffusers' names.

    The libraries leave them out, and with them all of SDXL's in that layout.
    """
    return {
        f"{ours}.{kind}": tensors[name]
        for ours, theirs in _SIZES.items()
        for kind in ("weight", "bias")
        for name in (f"{theirs}.{kind}", f"{_PREFIX}{theirs}.{kind}")
        if name in tensors
    }


def variant_for(denoiser: nn.Module) -> str:
    """Tells apart what is made of one file for different models in memory. For the executor thread."""
    if denoiser not in _NUMBERS:
        _NUMBERS[denoiser] = next(_NEXT)
    return f"for-{_NUMBERS[denoiser]}"


def build_from_lora(tensors: Tensors, model: LoadedModel) -> Any:
    """The ControlNet for `model`, on its device. A device call: it reads the model's weights.

    Args:
        tensors: of the file, in the model's precision.

    Raises:
        ValueError, RuntimeError: it is for another model, or not whole.
    """
    unet: Any = model.denoiser
    # Layers that carry LoRAs have other names.
    switch_adapters(unet, NO_ADAPTERS)
    changes, own = _named(tensors, unet.config), _own_weights(unet)
    whole = {name: change.instead for name, change in changes.items() if change.instead is not None}
    net = empty_controlnet(unet.config, own[_ENTRANCE].shape[1], whole)
    weights = {
        name: changes.get(name, _Change()).applied(name, own.get(name)).to(model.home, copy=True)
        for name in net.state_dict()
    }
    fill(net, weights, part=CONTROLNET_PART.name)
    return net.to(model.home)


def _named(tensors: Tensors, config: Mapping[str, Any]) -> Mapping[str, _Change]:
    """What is said of each weight, under diffusers' names."""
    from diffusers.loaders.single_file_utils import convert_controlnet_checkpoint

    changes: dict[str, _Change] = {}
    for name, tensor in tensors.items():
        bare = name.removeprefix(_PREFIX)
        if bare == CONTROL_LORA_MARK:
            continue
        if bare.endswith((_DOWN, _UP)):
            layer, _, half = bare.rpartition(".")
            setattr(changes.setdefault(f"{_PREFIX}{layer}.weight", _Change()), half, tensor)
        else:
            changes.setdefault(f"{_PREFIX}{bare}", _Change()).instead = tensor
    convert: Any = convert_controlnet_checkpoint
    named = {name: change for name, change in convert(changes, config).items() if change is not None}
    return {**named, **told_sizes(changes)}


def _own_weights(unet: Any) -> dict[str, Tensor]:
    """Of a UNet; of its entrance the part that sees the latents."""
    own = {name.replace(_PATCHED, "conv_in."): tensor for name, tensor in unet.state_dict().items()}
    own[_ENTRANCE] = own[_ENTRANCE][:, : unet.config.out_channels]
    return own
