"""A batch in the terminal: how far all of it is, and what each picture that is being worked on is doing."""

import time
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from protocol.events import Event, JobWarning, StepFinished
from safelight.progress import PLAIN_INTERVAL_S
from safelight.wording import describe

_BAR: Final = 28


class BatchBoard(ABC):
    """Shows a batch. `batch_board_for` makes the one that suits where the output goes.

    Args:
        total: how many pictures there are to be worked on.
    """

    def __init__(self, console: Console, title: str, total: int) -> None:
        self.console = console
        self.title = title
        self.total = total
        self._ended = 0
        self._names: dict[str, str] = {}

    def started(self, job_id: str, name: str) -> None:
        """A picture has been submitted."""
        self._names[job_id] = name

    def update(self, event: Event) -> None:
        """Show what happened to a job that was started here."""
        name, text = self._names.get(event.job_id or ""), describe(event)
        if name is None or text is None or event.is_terminal:
            return
        if isinstance(event.body, JobWarning):
            self.say(f"{name}  {text}", "yellow")
        else:
            self._show(event, name, text)

    def ended(self, name: str, words: str, style: str = "", *, job_id: str | None = None) -> None:
        """A picture is through, one way or the other; `words` say which."""
        self._ended += 1
        self.gone(job_id or "")
        self.say(f"{self._ended}/{self.total}  {name}  {words}", style)

    def gone(self, job_id: str) -> None:
        """Show no more of a job, of which there is nothing to say."""
        self._names.pop(job_id, None)

    @abstractmethod
    def say(self, text: str, style: str = "") -> None:
        """A line of its own."""

    @abstractmethod
    def _show(self, event: Event, name: str, text: str) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:  # noqa: B027 - lines that are out need no closing
        """Show nothing more."""


def batch_board_for(console: Console, title: str, total: int) -> BatchBoard:
    """Live bars on a terminal, plain lines without control codes elsewhere."""
    kind = LiveBatchBoard if console.is_terminal else PlainBatchBoard
    return kind(console, title, total)


class PlainBatchBoard(BatchBoard):
    """A line for each picture when it is through; for one that takes long, now and then one of how far it is."""

    def __init__(self, console: Console, title: str, total: int) -> None:
        super().__init__(console, title, total)
        self._told_at: dict[str, float] = {}

    def started(self, job_id: str, name: str) -> None:
        super().started(job_id, name)
        self._told_at[job_id] = time.monotonic()

    def say(self, text: str, style: str = "") -> None:  # noqa: ARG002 - plain means without style
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _show(self, event: Event, name: str, text: str) -> None:
        job_id, now = event.job_id or "", time.monotonic()
        if isinstance(event.body, StepFinished) and now - self._told_at[job_id] >= PLAIN_INTERVAL_S:
            self._told_at[job_id] = now
            self.say(f"{name}  {text}")


class LiveBatchBoard(BatchBoard):
    """A bar for the batch, and below it one for each picture that is being worked on."""

    def __init__(self, console: Console, title: str, total: int) -> None:
        super().__init__(console, title, total)
        self._whole = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=_BAR),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._whole_line = self._whole.add_task(title, total=total)
        self._pictures = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=_BAR),
            TextColumn("{task.fields[detail]}", markup=False),
            console=console,
        )
        self._lines: dict[str, TaskID] = {}
        self._live = Live(Group(self._whole, self._pictures), console=console, refresh_per_second=12, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def close(self) -> None:
        self._live.stop()

    def started(self, job_id: str, name: str) -> None:
        super().started(job_id, name)
        self._lines[job_id] = self._pictures.add_task(name, total=1.0, detail="queued")

    def ended(self, name: str, words: str, style: str = "", *, job_id: str | None = None) -> None:
        super().ended(name, words, style, job_id=job_id)
        self._whole.update(self._whole_line, completed=self._ended)

    def gone(self, job_id: str) -> None:
        super().gone(job_id)
        line = self._lines.pop(job_id, None)
        if line is not None:
            self._pictures.remove_task(line)

    def say(self, text: str, style: str = "") -> None:
        self.console.print(Text(text, style=style), soft_wrap=True)

    def _show(self, event: Event, name: str, text: str) -> None:  # noqa: ARG002 - the line has the name
        line = self._lines[event.job_id or ""]
        if isinstance(event.body, StepFinished):
            self._pictures.update(line, completed=event.body.progress, detail=text)
        else:
            self._pictures.update(line, detail=text)
