"""What a job wants of the shared modules while it runs: its adapters, and whether it may share a forward."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from weakref import WeakKeyDictionary

from torch.nn import Module


def _leave_as_it_is(_module: Module) -> None:
    """What a module without adapters needs."""


@dataclass(frozen=True, slots=True)
class AdapterState:
    """What is laid over a shared module: a LoRA set with weights, adapter scales, FreeU. Equal by `key` alone.

    Attributes:
        key: tells apart what gives other results; () is the module as it was loaded.
        activate: lays it over a module that has nothing over it. Takes any intercepted module, also one it has nothing
            for. If it raises, it has left the module as it was.
        deactivate: the opposite.
    """

    key: Hashable = ()
    activate: Callable[[Module], None] = field(default=_leave_as_it_is, compare=False)
    deactivate: Callable[[Module], None] = field(default=_leave_as_it_is, compare=False)


NO_ADAPTERS: Final = AdapterState()


def all_of(*states: AdapterState) -> AdapterState:
    """Several of them, laid one over the other in this order."""
    laid = tuple(state for state in states if state != NO_ADAPTERS)
    if len(laid) < 2:
        return laid[0] if laid else NO_ADAPTERS

    def activate(module: Module) -> None:
        done: list[AdapterState] = []
        try:
            for state in laid:
                state.activate(module)
                done.append(state)
        except BaseException:
            for state in reversed(done):
                state.deactivate(module)
            raise

    def deactivate(module: Module) -> None:
        for state in reversed(laid):
            state.deactivate(module)

    return AdapterState(tuple(state.key for state in laid), activate, deactivate)


Proceed: TypeAlias = Callable[[Mapping[str, Any]], Any]
"""Makes a forward with these arguments, by name, and returns what comes of it."""
Around: TypeAlias = Callable[[Module, Mapping[str, Any], Proceed], Any]
"""(module, arguments by name, how to go on) -> what the job gets for a forward it asked for.

It runs in the job's own greenlet, before its rows are laid with those of others and after they were cut out again, so
it changes nothing for anybody else. It may go on with other arguments, give back something else than what came of it,
ask another module instead, or go on within a `job_scope` of its own, with other adapters.
"""


@dataclass(frozen=True, slots=True)
class JobScope:
    """What holds for every intercepted call of a job.

    Attributes:
        adapters: over each intercepted module while a call of this job runs.
        deterministic: never run with other jobs: other numbers of rows are rounded differently.
        deadline_s: of each call; None takes the executor's.
        around: each forward that the job asks for goes through these, the first one outermost.
    """

    adapters: AdapterState = NO_ADAPTERS
    deterministic: bool = False
    deadline_s: float | None = None
    around: tuple[Around, ...] = field(default=(), compare=False)


_CURRENT: ContextVar[JobScope | None] = ContextVar("job_scope", default=None)
"""A greenlet has context variables of its own, so this is the job's alone."""
_ACTIVE: Final[WeakKeyDictionary[Module, AdapterState]] = WeakKeyDictionary()


@contextmanager
def job_scope(scope: JobScope) -> Iterator[None]:
    """Inside a job's greenlet: intercepted calls in this block wait for the executor, under `scope`.

    On the executor's own stack, where no job is, it names the adapters of what is run there.
    """
    token = _CURRENT.set(scope)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def current_scope() -> JobScope | None:
    """The scope this code runs in, if any."""
    return _CURRENT.get()


def switch_adapters(module: Module, wanted: AdapterState) -> None:
    """Have exactly `wanted` over `module`; nothing is done if that is so already. On the executor thread.

    Call it with `NO_ADAPTERS` before the weights of an adapter are removed.

    Raises:
        Exception: what `activate` or `deactivate` raised. The module has nothing over it after the first, and what it
            had before after the second.
    """
    active = _ACTIVE.get(module, NO_ADAPTERS)
    if active == wanted:
        return
    active.deactivate(module)
    _ACTIVE.pop(module, None)
    wanted.activate(module)
    _ACTIVE[module] = wanted


def lift_off(state: AdapterState) -> None:
    """Have `state` over no module any more. On the executor thread, when a job that wanted it ends.

    What is laid over a module is known by it, and holds the model it belongs to in memory.
    """
    for module in [module for module, active in _ACTIVE.items() if active == state]:
        switch_adapters(module, NO_ADAPTERS)
