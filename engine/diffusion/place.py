"""Where a module's weights are when it is called: what an intercepted call asks, and the answer for most models."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, Protocol, TypeAlias

from torch.nn import Module

Given: TypeAlias = tuple[Sequence[Any], Mapping[str, Any]]
"""Arguments by position and by name."""


class Place(Protocol):
    """Of the networks of a model. For the executor thread. See `engine.diffusion.offload.Placement`."""

    def at_work(
        self, module: Module, args: Sequence[Any], kwargs: Mapping[str, Any], /
    ) -> AbstractContextManager[Given]:
        """Within it, in a device call, `module` can calculate with the arguments that are yielded."""
        ...

    @property
    def can_step_down(self) -> bool:
        """Whether fewer weights could be on the device at once."""
        ...

    def step_down(self) -> None:
        """Have fewer there from now on. In a device call."""
        ...


class _AllThere:
    """Every weight is on the device, always. Implements `Place`."""

    can_step_down = False

    @contextmanager
    def at_work(self, _module: Module, args: Sequence[Any], kwargs: Mapping[str, Any], /) -> Iterator[Given]:
        yield args, kwargs

    def step_down(self) -> None: ...


ALL_THERE: Final = _AllThere()
