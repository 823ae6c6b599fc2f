"""Models on their way into memory: each once, for all the jobs that wait for it."""

from collections import Counter
from collections.abc import Callable, Generator, Hashable
from dataclasses import dataclass
from typing import Any

from engine.interface import Call, OutOfMemory, Steps
from engine.models.resident import Key, Resident
from engine.models.shared_load import Loading, SharedLoad


@dataclass(frozen=True, slots=True)
class Want:
    """One state of one model's files."""

    key: Key
    stamp: Hashable


class JointLoads:
    """The loads of one residency. For the executor thread."""

    def __init__(self) -> None:
        self._loads: dict[Want, SharedLoad] = {}
        self._waiting: Counter[Want] = Counter()
        """Jobs that wait for each model on its way."""

    def join(
        self, want: Want, found: Callable[[Want], Resident | None], begin: Callable[[], Loading[None]]
    ) -> Generator[Call, Any, object]:
        """Go on with the loading of a model, whoever began it, until it is done. Use with `yield from`.

        A load is given up when the last job that waits for it has gone.

        Args:
            found: what is in memory of what is wanted, once it is there.
            begin: the load, for whoever comes first.

        Returns:
            The network.

        Raises:
            OutOfMemory: to the job that made the call; the load begins anew for whoever else waits for it.
        """
        self._waiting[want] += 1
        try:
            while (resident := found(want)) is None:
                if want not in self._loads:
                    self._loads[want] = SharedLoad(begin())
                yield from self._advance(want, self._loads[want])
            return resident.network
        finally:
            self._waiting[want] -= 1
            if not self._waiting[want]:
                del self._waiting[want]
                if want in self._loads:
                    self._loads.pop(want).give_up()

    def _advance(self, want: Want, load: SharedLoad) -> Steps:
        """Make one call of a load. If it fails, it begins anew for whoever else waits for it, and fails there too."""
        try:
            call = load.next_call()
            if call is not None:
                yield call
                return
        except OutOfMemory:
            self._forget(want, load)
            load.give_up()
            raise
        except Exception as error:  # noqa: BLE001 - the loader says what it means
            self._forget(want, load)
            load.fail(error)
        self._forget(want, load)

    def _forget(self, want: Want, load: SharedLoad) -> None:
        if self._loads.get(want) is load:
            del self._loads[want]
