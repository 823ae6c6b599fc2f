"""LoRAs on one shared module: the layers that carry them, which stand in the module only while they are wanted.

peft puts a layer with room for adapters around each layer a LoRA changes. Those are kept here, and laid over the module
and lifted off again for a forward: while none is wanted the module has its own layers and no others, so it is neither
slower nor rounds differently for a LoRA that some other job uses.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """Where a layer of the module can be replaced by one that carries LoRAs."""

    parent: nn.Module
    name: str
    own: nn.Module
    carrier: Any

    def lay_over(self) -> None:
        self.parent._modules[self.name] = self.carrier

    def lift_off(self) -> None:
        self.parent._modules[self.name] = self.own


class LoraLayers:
    """The LoRAs of one module. For the executor thread.

    Every method but `show` and within `open` finds and leaves the module with its own layers only.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._places: list[_Place] = []

    def has(self, adapter: str) -> bool:
        """Whether this LoRA changes anything in the module."""
        return any(_carries(place.carrier, adapter) for place in self._places)

    def size_bytes(self, adapter: str) -> int:
        """Of its weights in this module."""
        tensors = (
            tensor
            for place in self._places
            for name, tensor in place.carrier.named_parameters()
            if f".{adapter}." in f".{name}."
        )
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Within it all carrying layers are in the module, so that the libraries can add a LoRA to them."""
        for place in self._places:
            place.lay_over()
        try:
            yield
        finally:
            self._places = [
                _Place(parent, name, _own_layer(child), child)
                for parent in _without_carriers(self._module)
                for name, child in parent.named_children()
                if _is_carrier(child)
            ]
            self.hide()
            self._forget_settings()

    def show(self, weights: Mapping[str, float]) -> None:
        """Have these LoRAs over the module, added up in this order; those it does not have are left out."""
        names = list(weights)
        for place in self._places:
            there = [name for name in names if _carries(place.carrier, name)]
            if not there:
                continue
            place.carrier.set_adapter(there, inference_mode=True)
            for name in there:
                place.carrier.set_scale(name, weights[name])
            place.lay_over()

    def hide(self) -> None:
        """Have none over it."""
        for place in self._places:
            place.lift_off()

    def delete(self, adapter: str) -> None:
        """Forget a LoRA; its memory is free then. One that is not there, or only half, is no error."""
        kept = []
        for place in self._places:
            # First of all none is active, or the libraries would choose another one in its place.
            place.carrier.set_adapter([], inference_mode=True)
            place.carrier.delete_adapter(adapter)
            if place.carrier._all_available_adapter_names():
                kept.append(place)
        self._places = kept

    def _forget_settings(self) -> None:
        # Nothing that is kept here needs them; the libraries would take the module for one that has a LoRA in it.
        for name in ("peft_config", "_hf_peft_config_loaded"):
            vars(self._module).pop(name, None)


def _is_carrier(module: nn.Module) -> bool:
    from peft.tuners.tuners_utils import BaseTunerLayer

    return isinstance(module, BaseTunerLayer)


def _own_layer(carrier: Any) -> nn.Module:
    own: nn.Module = carrier.get_base_layer()
    return own


def _carries(carrier: Any, adapter: str) -> bool:
    return any(adapter in getattr(carrier, place) for place in carrier.adapter_layer_names)


def _without_carriers(module: nn.Module) -> Iterator[nn.Module]:
    """The module and everything in it, but nothing that is inside a carrying layer."""
    yield module
    for child in module.children():
        if not _is_carrier(child):
            yield from _without_carriers(child)
