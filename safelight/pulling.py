"""Model files on their way, in the terminal."""

from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TaskID, TextColumn

from safelight.wording import size

_WORDS: Final = {
    "present": "here already",
    "download": "fetching its package",
    "fetch": "downloading",
    "write": "writing",
    "ready": "fetched",
}
_ENDS: Final = ("present", "ready")


class PullBoard:
    """One line per model: a bar on a terminal, else a line for the beginning and one for the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lines: dict[str, TaskID] = {}
        self._told: set[tuple[str, str]] = set()
        self._progress: Progress | None = None
        if console.is_terminal:
            self._progress = Progress(
                SpinnerColumn(finished_text=" "),
                TextColumn("[bold]{task.description}"),
                BarColumn(bar_width=28),
                DownloadColumn(),
                TextColumn("{task.fields[phase]}"),
                TextColumn("[dim]{task.fields[note]}"),
                console=console,
            )

    def __enter__(self) -> Self:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def update(self, name: str, phase: str, done_bytes: int, total_bytes: int | None, note: str) -> None:
        """Show how far a model is.

        Args:
            phase: present, download, fetch, write or ready.
            total_bytes: None if it is not known yet.
            note: its licence, or what else is worth knowing of it.
        """
        words = _WORDS.get(phase, phase)
        if self._progress is not None:
            if name not in self._lines:
                self._lines[name] = self._progress.add_task(name, total=total_bytes, phase=words, note=note)
            self._progress.update(self._lines[name], completed=done_bytes, total=total_bytes, phase=words)
        elif (name, phase) not in self._told and phase != "write":
            self._told.add((name, phase))
            detail = f" ({size(total_bytes or done_bytes)}, {note})" if phase in _ENDS else ""
            self._console.print(f"{name}: {words}{detail}", markup=False, highlight=False, soft_wrap=True)
