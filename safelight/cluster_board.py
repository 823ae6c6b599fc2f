"""A cluster in the terminal: who is alive, which worker has which job, and where each job is watched."""

import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from protocol.events import (
    Event,
    JobCancelled,
    JobFailed,
    JobRequeued,
    JobStarted,
    JobSucceeded,
    QueueMoved,
    StepFinished,
)
from safelight.local_cluster import LocalCluster, Member
from safelight.progress import PLAIN_INTERVAL_S
from safelight.wording import describe, seconds

_BAR: Final = 10
_TITLE: Final = 20
_STYLES: Final = {"done": "green", "failed": "bold red", "cancelled": "bold red"}
"""Of what has ended, by how its detail begins."""


@dataclass(slots=True)
class _Line:
    """What is shown of a job."""

    title: str
    gateway: Member
    worker: str = ""
    detail: str = "queued"
    progress: float = 0.0
    attempt: int = 1


class ClusterBoard(ABC):
    """Shows a cluster at work. `cluster_board_for` makes the one that suits where the output goes."""

    def __init__(self, console: Console, cluster: LocalCluster) -> None:
        self.console = console
        self.cluster = cluster
        self.lines: dict[str, _Line] = {}

    def add(self, job_id: str, title: str, gateway: Member) -> None:
        """Begin to show a job that is watched at `gateway`."""
        self.lines[job_id] = _Line(title, gateway)
        self._added(self.lines[job_id])

    def moved(self, job_id: str, gateway: Member, after: int) -> None:
        """Its viewer has gone on at another gateway, after fact `after`."""
        line = self.lines[job_id]
        self.say(f"{line.title}: watched at {gateway.name} from now on, after fact {after}", "cyan")
        line.gateway = gateway

    def update(self, event: Event) -> None:
        """Show what happened to a job that was added."""
        line = self.lines.get(event.job_id or "")
        if line is None:
            return
        match event.body:
            case JobStarted(worker=told, attempt=attempt):
                worker = self.cluster.worker(told)
                line.worker, line.attempt = worker.name if worker else told, attempt
                line.detail = "running"
            case StepFinished() as step:
                line.progress = step.progress
                line.detail = f"image {step.image + 1}, {step.step}/{step.steps}"
            case QueueMoved(position=position):
                line.detail = f"{position} ahead" if position else "next"
            case JobRequeued():
                line.worker, line.detail = "", "lost its worker"
            case JobSucceeded(duration_s=duration_s):
                line.progress, line.detail = 1.0, f"done, {seconds(duration_s)}"
            case JobFailed(error=error):
                line.detail = f"failed: {error.code}"
            case JobCancelled():
                line.detail = "cancelled"
        self._updated(event, line)

    @abstractmethod
    def say(self, text: str, style: str = "") -> None:
        """A line of its own."""

    @abstractmethod
    def _added(self, line: _Line) -> None: ...

    @abstractmethod
    def _updated(self, event: Event, line: _Line) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:  # noqa: B027 - lines that are out need no closing
        """Show nothing more."""


def cluster_board_for(console: Console, cluster: LocalCluster) -> ClusterBoard:
    """A live table on a terminal, plain lines without control codes elsewhere."""
    kind = LiveClusterBoard if console.is_terminal else PlainClusterBoard
    return kind(console, cluster)


class PlainClusterBoard(ClusterBoard):
    """A line for each fact, and now and then one of how far a job is."""

    def __init__(self, console: Console, cluster: LocalCluster) -> None:
        super().__init__(console, cluster)
        self._told_at: dict[str, float] = {}

    def say(self, text: str, style: str = "") -> None:  # noqa: ARG002 - plain means without style
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _added(self, line: _Line) -> None:
        self.say(f"{line.title}: submitted, watched at {line.gateway.name}")

    def _updated(self, event: Event, line: _Line) -> None:
        text = describe(event)
        if text is None or not (event.is_fact or self._is_due(event.job_id or "")):
            return
        where = f"{line.worker} " if line.worker else ""
        self.say(f"{line.title}: {where}{text} (by {line.gateway.name})")

    def _is_due(self, job_id: str) -> bool:
        now = time.monotonic()
        if now - self._told_at.get(job_id, 0.0) < PLAIN_INTERVAL_S:
            return False
        self._told_at[job_id] = now
        return True


class LiveClusterBoard(ClusterBoard):
    """A table with a line for each job, and above it one for the processes."""

    def __init__(self, console: Console, cluster: LocalCluster) -> None:
        super().__init__(console, cluster)
        self._live = Live(get_renderable=self._shown, console=console, refresh_per_second=10)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def close(self) -> None:
        self._live.stop()

    def say(self, text: str, style: str = "") -> None:
        self.console.print(Text(text, style=style))

    def _added(self, line: _Line) -> None:
        """It is shown with the next look."""

    def _updated(self, event: Event, line: _Line) -> None:
        """It is shown with the next look."""

    def _shown(self) -> RenderableType:
        dead = {member.name for member in self.cluster.members if not member.is_alive}
        return Group(Text(), _members(self.cluster.members), _jobs(list(self.lines.values()), dead))


def _members(members: Sequence[Member]) -> Text:
    text = Text()
    for member in members:
        if text:
            text.append("  ")
        mark, style = ("+", "green") if member.is_alive else ("x", "bold red")
        text.append(f"{mark} {member.name}", style)
    return text


def _jobs(lines: Sequence[_Line], dead: Collection[str]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("job", max_width=_TITLE, no_wrap=True)
    table.add_column("worker", min_width=8, no_wrap=True)
    table.add_column("", width=_BAR, no_wrap=True)
    table.add_column("", min_width=15, no_wrap=True)
    table.add_column("try", no_wrap=True, justify="right")
    table.add_column("watched at", no_wrap=True)
    for line in lines:
        style = next((style for word, style in _STYLES.items() if line.detail.startswith(word)), "")
        is_orphan = line.worker in dead and not style
        table.add_row(
            line.title,
            Text(line.worker, style="bold red" if is_orphan else ""),
            ProgressBar(total=1.0, completed=line.progress, width=_BAR),
            Text("stands still" if is_orphan else line.detail, style="yellow" if is_orphan else style),
            Text(str(line.attempt), style="yellow" if line.attempt > 1 else "dim"),
            line.gateway.name,
        )
    return table
