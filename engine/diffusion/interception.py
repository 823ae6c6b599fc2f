"""Makes a module's expensive methods calls that a job waits for, so that the executor decides when each is run.

It is done once per module, on the instance: a stock pipeline notices nothing. Outside of jobs the methods just run.
"""

import inspect
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial, wraps
from typing import Any, Final, TypeAlias

import greenlet
import structlog
from torch.nn import Module

from engine.diffusion.batching import ForwardGroup, RowLimit
from engine.diffusion.pace import Pace
from engine.diffusion.place import ALL_THERE, Place
from engine.diffusion.rows import read_arguments, single_rows, stacked
from engine.diffusion.scope import Around, JobScope, current_scope, job_scope, switch_adapters
from engine.interface import Call, OutOfMemory
from engine.steps import await_call

logger = structlog.get_logger(__name__)

Spare: TypeAlias = Callable[[Module], AbstractContextManager[None]]
"""Within it a module needs less memory at once."""
Wait = Callable[[], None]
"""Returns when the device has nothing left to do, and raises what went wrong there."""

_MOST_PACES: Final = 64
"""Shapes of arguments per module whose times are remembered."""


def never() -> bool:
    return False


def settled() -> None:
    """A CPU is done when a function returns."""


class Interception:
    """One method of one module, intercepted.

    Inside a job, which is a greenlet within `job_scope`, it becomes a `Call`. Elsewhere, in the run of such a call
    above all, it runs at once, without adapters if no scope names any.
    """

    _is_active: bool = False

    def __init__(
        self,
        module: Module,
        name: str,
        *,
        stage: str,
        group: bool,
        wait: Wait = settled,
        pace: Callable[[], RowLimit] = Pace,
        is_inline: Callable[[], bool] = never,
        spare: Spare | None = None,
        place: Place = ALL_THERE,
    ) -> None:
        self._module = module
        self._name = name
        self._stage = stage
        self._wait = wait
        self._make_pace = pace
        self._is_inline = is_inline
        self._spare = spare
        self._place = place
        self._paces: OrderedDict[Hashable, RowLimit] = OrderedDict()
        # Whatever is there now is run inside: accelerate's hooks move weights, and that belongs to the call.
        self._inner = getattr(module, name)
        earlier = getattr(self._inner, "interception", None)
        if isinstance(earlier, Interception) and earlier._is_active:
            raise ValueError(f"{type(module).__name__}.{name} is intercepted already")
        self._signature = _groupable_signature(self._inner) if group else None
        self._replaced = vars(module).get(name)
        self._is_active = True

        @wraps(self._inner)
        def intercepted(*args: Any, **kwargs: Any) -> Any:
            return self._came(args, kwargs)

        vars(intercepted)["interception"] = self
        self._outer = intercepted
        setattr(module, name, intercepted)

    def undo(self) -> None:
        """Leave the module as it was found. What was wrapped around the method since stays, now around the original."""
        self._is_active = False
        if vars(self._module).get(self._name) is not self._outer:
            return
        if self._replaced is None:
            delattr(self._module, self._name)
        else:
            setattr(self._module, self._name, self._replaced)

    def _came(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not self._is_active:
            return self._inner(*args, **kwargs)
        scope = current_scope()
        if scope is None or greenlet.getcurrent().parent is None:
            return self._run(scope or JobScope(), args, kwargs)
        if self._is_inline():
            return self._inner(*args, **kwargs)
        if scope.around and self._signature is not None:
            return self._go_around(scope, scope.around, self._signature.bind(*args, **kwargs).arguments)
        return self._ask(scope, args, kwargs)

    def _go_around(self, scope: JobScope, around: Sequence[Around], given: Mapping[str, Any]) -> Any:
        if not around:
            # One of them may have laid other adapters over it.
            return self._ask(current_scope() or scope, (), dict(given))
        return around[0](self._module, given, partial(self._go_around, scope, around[1:]))

    def _ask(self, scope: JobScope, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Have the executor make the call."""
        for attempt in self._attempts(scope, args, kwargs):
            try:
                return await_call(attempt)
            except OutOfMemory as error:
                failed = error
        raise failed

    def _attempts(self, scope: JobScope, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Call]:
        """The call; then, each time it runs out of memory, the same with less of it at once."""
        yield self._call(scope, args, kwargs)
        run: Callable[[], object] = partial(self._run, scope, args, kwargs)
        again = partial(Call, stage=self._stage, deadline_s=scope.deadline_s)
        if (smaller := self._smaller(scope, args, kwargs)) is not None:
            run = smaller
            logger.info("call.made_smaller", stage=self._stage, module=type(self._module).__name__)
            yield again(run)
        while self._place.can_step_down:
            yield again(partial(self._run_stepped_down, run))

    def _run_stepped_down(self, run: Callable[[], object]) -> object:
        self._place.step_down()
        return run()

    def _run(self, scope: JobScope, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        # What else is intercepted and runs inside this has the same adapters.
        with job_scope(scope):
            # First: what an adapter brings has to be there as well.
            switch_adapters(self._module, scope.adapters)
            with self._place.at_work(self._module, args, kwargs) as (given, named):
                result = self._inner(*given, **named)
                self._wait()
                return result

    def _call(self, scope: JobScope, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        run = partial(self._run, scope, args, kwargs)
        call = partial(Call, stage=self._stage, deadline_s=scope.deadline_s)
        if self._signature is None or scope.deterministic:
            return call(run)
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        arguments = read_arguments(bound.arguments)
        if arguments is None:
            return call(run)
        group = ForwardGroup(
            (self, scope.adapters, arguments.key),
            arguments.rows,
            partial(self._run_named, scope),
            self._pace(arguments.shape),
        )
        return call(partial(group.run_alone, run), group=group, payload=arguments)

    def _smaller(self, scope: JobScope, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[], object] | None:
        """The same result with less memory at once; None if there is no way."""
        if self._spare is not None:
            return partial(self._run_sparely, self._spare, scope, args, kwargs)
        if self._signature is None:
            return None
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        arguments = read_arguments(bound.arguments)
        if arguments is None or arguments.rows == 1:
            return None
        rows = single_rows(arguments)
        return lambda: stacked([self._run(scope, (), row) for row in rows])

    def _run_sparely(self, spare: Spare, scope: JobScope, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        with spare(self._module):
            return self._run(scope, args, kwargs)

    def _run_named(self, scope: JobScope, **kwargs: Any) -> Any:
        return self._run(scope, (), kwargs)

    def _pace(self, shape: Hashable) -> RowLimit:
        if (pace := self._paces.get(shape)) is None:
            pace = self._paces[shape] = self._make_pace()
            if len(self._paces) > _MOST_PACES:
                self._paces.popitem(last=False)
        self._paces.move_to_end(shape)
        return pace


def _groupable_signature(method: Callable[..., Any]) -> inspect.Signature | None:
    """None if arguments may come without a name of their own, so that nothing is known about them."""
    signature = inspect.signature(method)
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return signature if all(each.kind in named for each in signature.parameters.values()) else None
