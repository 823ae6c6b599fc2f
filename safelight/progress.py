"""Jobs in the terminal: one line each, with a bar where there is a person to look at it."""

import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.text import Text

from protocol.events import (
    Event,
    JobCancelled,
    JobFailed,
    JobQueued,
    JobRequeued,
    JobStarted,
    JobSucceeded,
    JobWarning,
    PreviewReady,
    QueueMoved,
    StepFinished,
)
from safelight.thumbnails import half_blocks
from safelight.transport import ConnectionState
from safelight.wording import describe, short_id, size

PLAIN_INTERVAL_S: Final = 5.0
"""Without a terminal, a job tells of its steps at most this often."""

_PREVIEW_COLUMNS: Final = 28
_PREVIEW_ROWS: Final = 14

_STYLES: Final = {"succeeded": "green", "failed": "bold red", "cancelled": "yellow", "running": "cyan"}


class Board(ABC):
    """Shows jobs. `board_for` makes the one that suits where the output goes."""

    def __init__(self, console: Console) -> None:
        self.console = console

    @abstractmethod
    def add(self, job_id: str, title: str) -> None:
        """Begin to show a job."""

    @abstractmethod
    def update(self, event: Event) -> None:
        """Show what happened to a job that was added."""

    @abstractmethod
    def say(self, text: str, style: str = "") -> None:
        """A line of its own."""

    def wrote(self, job_id: str, path: Path, size_bytes: int) -> None:
        """An output has been written."""
        self.say(f"{short_id(job_id)}  wrote {path} ({size(size_bytes)})", "green")

    def connection(self, state: ConnectionState, reason: str) -> None:
        """For `on_connection`: tell when the connection is lost."""
        if state is ConnectionState.LOST:
            self.say(f"connection lost ({reason}); trying again, the job goes on meanwhile", "yellow")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Show nothing more."""


def board_for(console: Console) -> Board:
    """Live bars on a terminal, plain lines without control codes elsewhere."""
    return LiveBoard(console) if console.is_terminal else PlainBoard(console)


class PlainBoard(Board):
    """A line for what matters, for log files and pipes."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._titles: dict[str, str] = {}
        self._told_at: dict[str, float] = {}

    def add(self, job_id: str, title: str) -> None:
        self._titles[job_id] = title
        self.say(f"{short_id(job_id)}  {title}  submitted")

    def update(self, event: Event) -> None:
        if event.job_id not in self._titles:
            return
        text = describe(event)
        if text is None or not (event.is_fact or self._is_due(event.job_id)):
            return
        self.say(f"{short_id(event.job_id)}  {self._titles[event.job_id]}  {text}")

    def say(self, text: str, style: str = "") -> None:  # noqa: ARG002 - plain means without style
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        pass  # every line is out already

    def _is_due(self, job_id: str) -> bool:
        now = time.monotonic()
        if now - self._told_at.get(job_id, 0.0) < PLAIN_INTERVAL_S:
            return False
        self._told_at[job_id] = now
        return True


class LiveBoard(Board):
    """One live line per job: id, task, status, bar, step of steps, ETA or place in the queue.

    Below them the latest previews of the jobs that are running, where the terminal has the colours and the room.
    """

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._progress = Progress(
            SpinnerColumn(finished_text=" "),
            TextColumn("[dim]{task.fields[short]}"),
            TextColumn("[bold]{task.description}"),
            _StatusColumn(),
            BarColumn(bar_width=28),
            TextColumn("{task.fields[detail]}"),
            console=console,
        )
        self._lines: dict[str, TaskID] = {}
        self._previews: dict[str, Text] = {}
        """Of the jobs that are running, in the order of their first previews."""
        self._live = Live(get_renderable=self._shown, console=console, refresh_per_second=12)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def close(self) -> None:
        self._live.stop()

    def add(self, job_id: str, title: str) -> None:
        self._lines[job_id] = self._progress.add_task(
            title, total=1.0, short=short_id(job_id), status="queued", detail=""
        )

    def update(self, event: Event) -> None:
        line = self._lines.get(event.job_id or "")
        if line is None:
            return
        if event.is_terminal:
            self._previews.pop(event.job_id or "", None)
        detail = describe(event) or ""
        match event.body:
            case StepFinished(progress=share):
                self._progress.update(line, completed=share, detail=detail)
            case PreviewReady(bytes=picture):
                self._preview(event.job_id or "", picture)
            case QueueMoved():
                self._progress.update(line, detail=detail)
            case JobQueued():
                self._progress.update(line, status="queued")
            case JobStarted():
                self._progress.update(line, status="running", detail=detail)
            case JobRequeued():
                self._progress.update(line, status="queued", completed=0.0, detail=detail)
            case JobSucceeded():
                self._progress.update(line, status="succeeded", completed=1.0, detail=detail)
            case JobFailed():
                self._progress.update(line, status="failed", detail=event.body.error.code)
                self.say(f"{short_id(event.job_id or '')}  {detail}", "red")
            case JobCancelled():
                self._progress.update(line, status="cancelled", detail=detail)
            case JobWarning():
                self.say(f"{short_id(event.job_id or '')}  {detail}", "yellow")

    def say(self, text: str, style: str = "") -> None:
        self.console.print(Text(text, style=style), soft_wrap=True)

    def _preview(self, job_id: str, picture: bytes) -> None:
        has_room = self.console.width >= _PREVIEW_COLUMNS and self.console.height >= 2 * _PREVIEW_ROWS
        if not has_room or self.console.color_system not in {"256", "truecolor"}:
            return
        shown = half_blocks(picture, columns=_PREVIEW_COLUMNS, rows=_PREVIEW_ROWS)
        if shown is not None:
            self._previews[job_id] = shown

    def _shown(self) -> RenderableType:
        if not self._previews:
            return self._progress
        most = self.console.width // (_PREVIEW_COLUMNS + 2)
        return Group(self._progress, Columns(list(self._previews.values())[: max(1, most)], padding=(0, 2)))


class _StatusColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        status = str(task.fields["status"])
        return Text(f"{status:<9}", style=_STYLES.get(status, ""))
