"""A second place for tensors on a machine that has one, so that what moves can be watched."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.device import Device
from engine.diffusion.guests import Guests
from engine.diffusion.movable import bytes_of
from engine.diffusion.offload import Offloading
from engine.diffusion.studio import Studio
from engine.interface.engine import Offload
from engine.models.residency import Residency
from tests.unit.engine.diffusion.studios import studio_of

_OFFSET = 64
"""Elements before those of a tensor that is on the device; it keeps them at an address as even as before."""


class PretendedMover:
    """Tensors on its device are known by where they begin in their memory. Implements `Mover`.

    Attributes:
        peak_bytes: the most that offloaded models had there at once.
        came: bytes of each tensor that came.
    """

    def __init__(self) -> None:
        self.device = torch.device("cpu")
        self.guests: Guests | None = None
        self.peak_bytes = 0
        self.came: list[int] = []
        self.left: list[int] = []
        self.room: int | None = None

    def is_there(self, tensor: Tensor) -> bool:
        return tensor.storage_offset() == _OFFSET

    def there(self, tensor: Tensor) -> Tensor:
        present = 0 if self.guests is None else self.guests.present_bytes
        if self.room is not None and present + bytes_of(tensor) > self.room:
            raise MemoryError("the pretended device is full")
        self.peak_bytes = max(self.peak_bytes, present + bytes_of(tensor))
        self.came.append(bytes_of(tensor))
        held = torch.empty(_OFFSET + tensor.numel(), dtype=tensor.dtype)
        there = held[_OFFSET:].view(tensor.shape)
        return there.copy_(tensor)

    def home(self, tensor: Tensor) -> Tensor:
        self.left.append(bytes_of(tensor))
        return tensor.clone()


def offloading_studio(
    *folders: Any,
    asked: Offload,
    budget_bytes: int,
    home_budget_bytes: int | None = None,
    piece_bytes: int = 1 << 30,
    tell: Any = None,
) -> tuple[Studio, PretendedMover, Residency]:
    """A studio whose device is pretended, and has room for so many bytes of weights."""
    more = {} if tell is None else {"tell": tell}
    residency = Residency(Path(), "cpu", budget_bytes=budget_bytes, home_budget_bytes=home_budget_bytes, **more)
    mover = PretendedMover()
    offloading = Offloading(
        Device(torch.device("cpu")).torch_device, residency, budget_bytes, asked, mover=mover, piece_bytes=piece_bytes
    )
    mover.guests = residency.visitors = offloading.guests
    studio = studio_of(*folders, residency=residency)
    studio.offloading = offloading
    return studio, mover, residency


@contextmanager
def held_to(mover: PretendedMover, *modules: nn.Module) -> Iterator[list[str]]:
    """Within it a layer that calculates with weights that are not on the device fails.

    Yields:
        The classes of the layers that calculated.
    """
    worked: list[str] = []

    def check(layer: nn.Module, _given: Any) -> None:
        tensors = [tensor for tensor in (*layer._parameters.values(), *layer._buffers.values()) if tensor is not None]
        assert all(map(mover.is_there, tensors)), f"{type(layer).__name__} is at home"
        if tensors:
            worked.append(type(layer).__name__)

    # After whatever brings the weights: hooks run in the order they were made.
    hooks = [layer.register_forward_pre_hook(check) for module in modules for layer in module.modules()]
    try:
        yield worked
    finally:
        for hook in hooks:
            hook.remove()
