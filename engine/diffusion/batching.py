"""Forwards of several jobs as one: their rows concatenated, run through the module once, and cut again."""

import time
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Protocol, TypeAlias

from engine.diffusion.rows import Arguments, join, split

Forward: TypeAlias = Callable[..., Any]
"""A module's forward under the adapters of the group, which returns when the device is done."""


class RowLimit(Protocol):
    """Says how many rows to run at once, and hears how it went. See `engine.diffusion.pace.Pace`."""

    def most_rows(self, rows: int) -> int: ...

    def record(self, rows: int, seconds: float) -> None: ...

    def fail(self, rows: int) -> None: ...


class ForwardGroup:
    """The calls of one module that may share a forward. Implements `engine.interface.CallGroup`.

    Equal to another by `key`. The payload of its calls is their `Arguments`.

    Args:
        key: module, adapters and the key of the arguments.
        rows: of the call this group came with.
        forward: of the module.
        pace: of the module with arguments of this shape.
    """

    def __init__(self, key: Hashable, rows: int, forward: Forward, pace: RowLimit) -> None:
        self._key = key
        self._hash = hash(key)
        self._rows = rows
        self._forward = forward
        self._pace = pace

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ForwardGroup) and self._hash == other._hash and self._key == other._key

    def __hash__(self) -> int:
        return self._hash

    @property
    def limit(self) -> int:
        """Calls of as many rows as this one has; of larger ones `run` makes several forwards."""
        return max(1, self._pace.most_rows(self._rows) // self._rows)

    def run_alone(self, run: Callable[[], Any]) -> Any:
        """Run one call as its job made it, and note how long it takes."""
        started_at = time.perf_counter()
        result = run()
        self._pace.record(self._rows, time.perf_counter() - started_at)
        return result

    def run(self, payloads: Sequence[object]) -> Sequence[object]:
        parts = [payload for payload in payloads if isinstance(payload, Arguments)]
        assert len(parts) == len(payloads)
        return [result for some in self._forwards(parts) for result in self._run_as_one(some)]

    def _forwards(self, parts: Sequence[Arguments]) -> list[list[Arguments]]:
        """The calls in lots that have no more rows than one forward should take."""
        most = self._pace.most_rows(self._rows)
        lots: list[list[Arguments]] = []
        room = 0
        for part in parts:
            if part.rows > room:
                lots.append([])
                room = most
            lots[-1].append(part)
            room -= part.rows
        return lots

    def _run_as_one(self, parts: Sequence[Arguments]) -> Sequence[Any]:
        rows = [part.rows for part in parts]
        started_at = time.perf_counter()
        try:
            if len(parts) == 1:
                results = [self._forward(**parts[0].as_given())]
            else:
                results = split(self._forward(**join(parts)), rows)
        except Exception:
            if len(parts) > 1:
                self._pace.fail(sum(rows))
            raise
        self._pace.record(sum(rows), time.perf_counter() - started_at)
        return results
