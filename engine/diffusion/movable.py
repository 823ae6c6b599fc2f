"""Weights that come to the device and leave it again."""

from collections.abc import Collection, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Final, Protocol, cast

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

HOME: Final = torch.device("cpu")


class Mover(Protocol):
    """Carries tensors between the machine's memory, their home, and a device."""

    @property
    def device(self) -> torch.device: ...

    def is_there(self, tensor: Tensor) -> bool:
        """Whether it is on the device."""
        ...

    def there(self, tensor: Tensor) -> Tensor:
        """A copy on the device of one that is at home."""
        ...

    def home(self, tensor: Tensor) -> Tensor:
        """A copy at home of one that is on the device."""
        ...


@dataclass(frozen=True, slots=True)
class DeviceMover:
    """Between the machine's memory and one device of torch. Implements `Mover`."""

    device: torch.device

    def is_there(self, tensor: Tensor) -> bool:
        return tensor.device == self.device

    def there(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.device)

    def home(self, tensor: Tensor) -> Tensor:
        return tensor.to(HOME)


class Movable:
    """The parameters and buffers of a module. For the executor thread.

    What came from home stays there as well, so that leaving costs no copy: nothing here is trained. Adapters that lie
    over the module come and go with it.

    Args:
        without: modules within it that come on their own.
    """

    def __init__(self, module: nn.Module, mover: Mover, without: Collection[nn.Module] = ()) -> None:
        self.module = module
        self._mover = mover
        self._without = frozenset(without)
        self._homes: MutableMapping[Tensor, Tensor] = cast("MutableMapping[Tensor, Tensor]", WeakTensorKeyDictionary())

    @property
    def size_bytes(self) -> int:
        """Of all of it, wherever it is."""
        return sum(bytes_of(tensor) for tensor in self._tensors())

    @property
    def present_bytes(self) -> int:
        """Of what came to the device and has not left it since."""
        return sum(map(bytes_of, list(self._homes)))

    def missing(self) -> list[Tensor]:
        """What is not on the device."""
        return [tensor for tensor in self._tensors() if not self._mover.is_there(tensor)]

    def bring(self, missing: list[Tensor]) -> None:
        """Have these on the device.

        Raises:
            RuntimeError: there is no room; what has come by then is on the device, and `send_home` takes it back.
        """
        for tensor in missing:
            home = tensor.data
            tensor.data = self._mover.there(home)
            self._homes[tensor] = home

    def send_home(self) -> None:
        """Have nothing of it on the device."""
        for tensor, home in list(self._homes.items()):
            tensor.data = home
        self._homes.clear()
        # What was made there: adapters, or all of a module that was to stay.
        for tensor in self._tensors():
            if self._mover.is_there(tensor):
                tensor.data = self._mover.home(tensor.data)

    def _tensors(self) -> Iterator[Tensor]:
        return tensors_of(self.module, self._without)


def tensors_of(module: nn.Module, without: Collection[nn.Module] = ()) -> Iterator[Tensor]:
    """Each parameter and buffer of a module once.

    Args:
        without: modules within it to leave out.
    """
    seen: set[int] = set()
    ahead = [module]
    while ahead:
        each = ahead.pop()
        for tensor in (*each._parameters.values(), *each._buffers.values()):
            if tensor is not None and id(tensor) not in seen:
                seen.add(id(tensor))
                yield tensor
        ahead += [child for child in each._modules.values() if child is not None and child not in without]


def bytes_of(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
