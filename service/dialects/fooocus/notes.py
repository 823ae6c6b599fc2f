"""What of a request has no effect, or less than asked, as warnings of the job to be."""

from collections.abc import Iterable, Iterator

from protocol.events import JobWarning


class Notes:
    """Warnings, each once."""

    def __init__(self) -> None:
        self._notes: list[JobWarning] = []

    def __iter__(self) -> Iterator[JobWarning]:
        return iter(self._notes)

    def add(self, code: str, message: str) -> None:
        self.extend([JobWarning(code=code, message=message)])

    def extend(self, notes: Iterable[JobWarning]) -> None:
        self._notes += [note for note in notes if note not in self._notes]
