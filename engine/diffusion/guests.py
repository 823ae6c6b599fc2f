"""What of offloaded models is on the device now: it came for its calls, and leaves when others need the room."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol
from weakref import WeakKeyDictionary

from engine.diffusion.movable import Movable, bytes_of


class Room(Protocol):
    """What is left of the budget for weights. `engine.models.residency.Residency` is one."""

    @property
    def room_bytes(self) -> int:
        """Of the budget, with all that is on the device; below 0 if that is more."""
        ...

    def make_room(self, size_bytes: int) -> None:
        """Have guests go that are not at work, then models that nobody uses, until there is room for this much."""
        ...


class Guests:
    """Of all offloaded models of one device. For the executor thread. Implements `engine.models.visitors.Visitors`."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._here: WeakKeyDictionary[Movable, None] = WeakKeyDictionary()
        """The least recently used first."""
        self._working: Counter[Movable] = Counter()

    @property
    def present_bytes(self) -> int:
        """Of all that is here."""
        return sum(part.present_bytes for part in self._here)

    @property
    def here(self) -> tuple[Movable, ...]:
        """The least recently used first."""
        return tuple(self._here)

    @contextmanager
    def at_work(self, part: Movable) -> Iterator[None]:
        """Within it the part is on the device. It stays when it has worked, until others need the room."""
        try:
            self.enter(part)
            yield
        finally:
            self.leave(part)

    def enter(self, part: Movable) -> None:
        """Have a part here and keep it here.

        Others go for it: first the parts that are not at work, since they come back in a moment, then models that no
        job uses. If that is not enough it comes all the same: the budget leaves room for other things than weights.

        Raises:
            RuntimeError: the device ran out of memory. `leave` is to be called all the same.
        """
        self._working[part] += 1
        self._here.pop(part, None)
        missing = part.missing()
        self._room.make_room(sum(map(bytes_of, missing)))
        self._here[part] = None
        part.bring(missing)

    def leave(self, part: Movable, *, needed_bytes: int | None = None) -> None:
        """Let a part go, if others want its room.

        Args:
            needed_bytes: it goes at once where less room than this is left; None lets it stay until then.
        """
        self._working[part] -= 1
        if self._working[part] <= 0:
            del self._working[part]
            if needed_bytes is not None and self._room.room_bytes < needed_bytes:
                self._send_home(part)

    def make_way(self, size_bytes: int) -> None:
        """Let the least recently used go until there is room for this much, or only those at work are left."""
        for part in self.here:
            if self._room.room_bytes >= size_bytes:
                return
            if part not in self._working:
                self._send_home(part)

    def send_all_home(self) -> None:
        """All that is not working."""
        for part in self.here:
            if part not in self._working:
                self._send_home(part)

    def _send_home(self, part: Movable) -> None:
        self._here.pop(part, None)
        part.send_home()
