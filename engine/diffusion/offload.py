"""Models on a device that is too small for them: what stays there, and what comes for its calls.

Offloading     of one engine: where each model's weights are to be
Placement      of one model, or of a part that goes with it

The weights are moved inside the device calls they are wanted for (`engine.diffusion.interception`), so all that is
known about calls holds: they are run one at a time, and shared by the jobs of a model.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import structlog
import torch
from torch import nn

from engine.diffusion.guests import Guests, Room
from engine.diffusion.movable import HOME, DeviceMover, Movable, Mover, bytes_of, tensors_of
from engine.diffusion.place import Given
from engine.diffusion.streams import PIECE_BYTES, Stream
from engine.interface import Call
from engine.interface.engine import Offload

logger = structlog.get_logger(__name__)

_HALVES: Final = ("encoder", "decoder")
_GROWTH: Final = 2
"""Weights take this many times their file at most: float16 there, float32 in memory."""


class Offloading:
    """How the models of one engine share its device. For the executor thread.

    On a CPU the device is the machine's memory, and nothing is ever moved.

    Args:
        room: of the budget for weights on the device.
        budget_bytes: all of it.
        asked: how; `auto` decides for each model.
        mover: for a device that torch does not know.
        piece_bytes: of what comes block by block.
    """

    def __init__(
        self,
        device: torch.device,
        room: Room,
        budget_bytes: int,
        asked: Offload = Offload.AUTO,
        *,
        mover: Mover | None = None,
        piece_bytes: int = PIECE_BYTES,
    ) -> None:
        self._piece_bytes = piece_bytes
        self.guests = Guests(room)
        self._device = device
        self._room = room
        self._budget_bytes = budget_bytes
        self._mover = mover or (None if device.type == HOME.type else DeviceMover(device))
        self._asked = asked if self._mover is not None else Offload.NEVER

    def landing(self, file_bytes: int) -> torch.device:
        """Where a model is to be loaded to, before it is known what it takes.

        Args:
            file_bytes: of its files.
        """
        fits = self._asked is Offload.AUTO and file_bytes * _GROWTH <= self._budget_bytes
        return self._device if fits or self._asked is Offload.NEVER else HOME

    def place(self, components: Mapping[str, object]) -> "Placement":
        """A loaded model's place, by what it really takes."""
        modules = {name: each for name, each in components.items() if isinstance(each, nn.Module)}
        sizes = [_size_bytes(module) for module in modules.values()]
        mode = decide(self._asked, sizes, self._budget_bytes)
        if mode is not Offload.NEVER:
            logger.info("model.offloaded", mode=mode, size_bytes=sum(sizes), budget_bytes=self._budget_bytes)
        elif self._mover is not None:
            mover = self._mover
            tensors = (tensor for module in modules.values() for tensor in tensors_of(module))
            self._room.make_room(sum(bytes_of(tensor) for tensor in tensors if not mover.is_there(tensor)))
        return Placement(modules, self._mover, self.guests, mode, piece_bytes=self._piece_bytes)

    def place_beside(self, components: Mapping[str, object], model: "Placement | None") -> "Placement":
        """The place of what goes with a model; like the model's own."""
        modules = {name: each for name, each in components.items() if isinstance(each, nn.Module)}
        mode = Offload.NEVER if model is None else model.mode
        return Placement(modules, self._mover, self.guests, mode, model=model, piece_bytes=self._piece_bytes)


def decide(asked: Offload, sizes: Sequence[int], budget_bytes: int) -> Offload:
    """Never, model or layers.

    Args:
        sizes: bytes of each network of a model.
    """
    if asked is not Offload.AUTO:
        return asked
    if sum(sizes) <= budget_bytes:
        return Offload.NEVER
    return Offload.MODEL if max(sizes) <= budget_bytes else Offload.LAYERS


class Placement:
    """Where the networks of a model are. For the executor thread. Implements `engine.diffusion.place.Place`.

    Of a VAE the encoder and the decoder come each on its own, and the few weights beside them stay on the device: they
    are used between calls, where pictures are cut in tiles.

    Args:
        modules: by the names diffusers gives them.
        mover: None if there is only one place.
        mode: never, model or layers.
        model: the place of the model that these go with.
    """

    def __init__(
        self,
        modules: Mapping[str, nn.Module],
        mover: Mover | None,
        guests: Guests,
        mode: Offload,
        *,
        model: "Placement | None" = None,
        piece_bytes: int = PIECE_BYTES,
    ) -> None:
        self._modules = modules
        self._mover = mover
        self._guests = guests
        self._mode = mode
        self._model = model
        self._piece_bytes = piece_bytes
        self._size_bytes = sum(map(_size_bytes, modules.values()))
        self._wholes: dict[nn.Module, Movable] = {}
        self._streams: dict[nn.Module, Stream] = {}
        if mover is not None:
            for name, module in modules.items():
                # Whatever asks a pipeline or a module where it works is told this, not where its weights are.
                _tell_device(module, mover.device)
                for part in _parts(name, module):
                    self._wholes[part] = Movable(part, mover)
            if mode is Offload.LAYERS:
                self._cut()

    @property
    def mode(self) -> Offload:
        return self._mode

    def is_there(self) -> bool:
        """Whether all of it is on the device, at any time."""
        return self._mode is Offload.NEVER

    @property
    def home(self) -> torch.device | None:
        """Where weights are put that are made for these networks; None means on their device."""
        return None if self._mode is Offload.NEVER else HOME

    @property
    def fixed_bytes(self) -> int:
        """Of what is always on the device."""
        return self._size_bytes if self._mode is Offload.NEVER else sum(map(bytes_of, self._stays()))

    @property
    def present_bytes(self) -> int:
        """Of all that is on the device now."""
        return self.fixed_bytes + sum(part.present_bytes for part in self._movables())

    @property
    def home_bytes(self) -> int:
        """Of what the machine's memory holds for these networks."""
        return 0 if self._mode is Offload.NEVER else self._size_bytes

    def settle(self) -> Generator[Call, Any, None]:
        """Have all that stays on the device there, wherever it was loaded to, in device calls."""
        if self._mover is None:
            return
        stays = [list(tensors_of(module)) for module in self._modules.values()]
        if self._mode is not Offload.NEVER:
            stays = [self._stays()]
        for tensors in stays:
            missing = [tensor for tensor in tensors if not self._mover.is_there(tensor)]
            if missing:
                yield Call(partial(self._fix, missing), stage="load")

    @contextmanager
    def at_work(self, module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], /) -> Iterator[Given]:
        """Within it, in a device call, a network can calculate with what is yielded: its arguments on the device."""
        if self._mode is Offload.NEVER or self._mover is None:
            yield args, kwargs
            return
        from accelerate.utils import send_to_device

        given = send_to_device(list(args), self._mover.device), send_to_device(dict(kwargs), self._mover.device)
        stream, whole = self._streams.get(module), self._wholes.get(module)
        if stream is not None:
            with self._guests.at_work(stream.frame):
                yield given
        elif whole is not None:
            with self._guests.at_work(whole):
                yield given
        else:
            yield given

    @property
    def can_step_down(self) -> bool:
        """Whether less of it, or of the model it goes with, could be on the device."""
        mine = self._mover is not None and self._mode is not Offload.LAYERS
        return mine or (self._model is not None and self._model.can_step_down)

    def step_down(self) -> None:
        """Have less of it on the device from now on, for want of memory. In a device call."""
        if self._model is not None and self._model.can_step_down:
            self._model.step_down()
        if self._mover is None or self._mode is Offload.LAYERS:
            return
        for part in self._wholes.values():
            part.send_home()
        self._mode = Offload.MODEL if self._mode is Offload.NEVER else Offload.LAYERS
        if self._mode is Offload.LAYERS:
            self._cut()
        # A loud one: from now on each call of the model takes longer.
        logger.warning("model.stepped_down", mode=self._mode, size_bytes=self._size_bytes)

    def _cut(self) -> None:
        assert self._mover is not None
        for name, module in self._modules.items():
            if name == "vae":
                vae: Any = module
                if hasattr(vae, "enable_tiling"):
                    vae.enable_tiling()
            elif _size_bytes(module) > self._piece_bytes:
                self._streams[module] = Stream(module, self._mover, self._guests, self._piece_bytes)

    def _movables(self) -> Iterator[Movable]:
        yield from self._wholes.values()
        for stream in self._streams.values():
            yield from stream.all()

    def _stays(self) -> list[torch.Tensor]:
        return [
            tensor
            for module in self._modules.values()
            if module not in self._wholes
            for tensor in tensors_of(module, self._wholes)
        ]

    def _fix(self, tensors: Sequence[torch.Tensor]) -> None:
        assert self._mover is not None
        for tensor in tensors:
            tensor.data = self._mover.there(tensor.data)


@dataclass(frozen=True, slots=True)
class _WorksOn:
    """What accelerate's hooks tell by the name they have on a module."""

    execution_device: torch.device


def _tell_device(module: nn.Module, device: torch.device) -> None:
    vars(module)["_hf_hook"] = _WorksOn(device)


def _parts(name: str, module: nn.Module) -> list[nn.Module]:
    halves = [getattr(module, half, None) for half in _HALVES] if name == "vae" else []
    found = [half for half in halves if isinstance(half, nn.Module)]
    return found if len(found) == len(_HALVES) else [module]


def _size_bytes(module: nn.Module) -> int:
    return sum(map(bytes_of, tensors_of(module)))
