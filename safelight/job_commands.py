"""The commands about jobs: `safelight run`, `watch` and `jobs`."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from protocol.ids import is_id
from protocol.jobs import Job as JobState
from protocol.requests import TASKS
from safelight.client import AsyncClient
from safelight.errors import RequestRefused
from safelight.job import AsyncJob
from safelight.progress import Board
from safelight.task_config import read_config
from safelight.watching import Destination, ExitCode, watch_to_end, write_outputs
from safelight.wording import short_id

_MOST_STEM = 48
"""Characters of a prompt in a file name."""
_FINDABLE = 1000
"""Among so many of the newest jobs a short id is looked for."""


class Unusable(ValueError):
    """Something on the command line cannot be used; the message says what is allowed."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What `safelight run` was asked for."""

    task: str
    subject: str | None = None
    """The picture to work on; for a task that needs none, the prompt."""
    mask: str | None = None
    regions: Sequence[str] = ()
    points: Sequence[str] = ()
    settings: Sequence[str] = ()
    output: Path | None = None
    priority: str | None = None
    prompt: str | None = None
    model: str | None = None
    config: Path | None = None
    """A file with parameters; what is said on the command line goes before it."""

    def params(self) -> dict[str, Any]:
        """The task's parameters.

        Raises:
            Unusable, BadConfig: one of the options has the wrong form.
        """
        params: dict[str, Any] = {} if self.config is None else read_config(self.config, self.task)
        if self._image is not None:
            params["image"] = self._image
        elif self.subject is not None:
            params["prompt"] = self.subject
        if self.prompt is not None:
            params["prompt"] = self.prompt
        if self.model is not None:
            params["model"] = self.model
        if self.mask is not None:
            params["mask"] = self.mask
        if self.points:
            params["points"] = [_point(text) for text in self.points]
        if self.regions and self.task == "segment":
            if len(self.regions) > 1:
                raise Unusable("--region: segment takes one")
            params["box"] = _region(self.regions[0])
        elif self.regions:
            params["regions"] = [_region(text) for text in self.regions]
        for text in self.settings:
            name, equals, value = text.partition("=")
            if not equals or not name:
                raise Unusable(f"--set: expected name=value, got {text!r}")
            params[name] = _value(value)
        return params

    @property
    def title(self) -> str:
        """How the job is called on the terminal."""
        return f"{self.task} {(self._image_name or self.subject or '')[:_MOST_STEM]}".strip()

    @property
    def destination(self) -> Destination:
        stem = Path(self._image_name).stem or _words(self.subject if self._image is None else None)
        return Destination(self.output, f"{stem}-{self.task}" if stem else self.task)

    @property
    def _image_name(self) -> str:
        if self._image is None or self._image.startswith(("data:", "upload:", "job:")):
            return ""
        return self._image.split("?")[0].rstrip("/").rsplit("/", 1)[-1]

    @property
    def _image(self) -> str | None:
        spec = next((spec for name, spec in TASKS.items() if name == self.task), None)
        takes_prompt_alone = spec is not None and "image" not in spec.params.model_fields
        return None if takes_prompt_alone else self.subject


def _words(prompt: str | None) -> str:
    """The first words of a prompt, as part of a file name."""
    return "-".join(re.findall(r"\w+", prompt or ""))[:_MOST_STEM].strip("-")


async def run_job(client: AsyncClient, board: Board, options: RunOptions) -> ExitCode:
    """Submit a job, show it, and write its outputs."""
    job = await client.submit(options.task, priority=options.priority, **options.params())
    code = await watch_to_end(job, board, options.title, cancels=True)
    if job.status.is_terminal:
        await write_outputs(job, board, options.destination)
        _print_findings(job, board)
    return code


async def watch_job(client: AsyncClient, board: Board, job_id: str, output: Path | None) -> ExitCode:
    """Show a job from its first event on; with `output`, write what it made."""
    job = await find_job(client, job_id)
    code = await watch_to_end(job, board, job.task.value, cancels=False)
    if job.status.is_terminal and output is not None:
        await write_outputs(job, board, Destination(output, f"{job.task}-{short_id(job.id)}"))
    return code


async def list_jobs(
    client: AsyncClient, console: Console, *, status: str | None, task: str | None, search: str | None, limit: int
) -> ExitCode:
    """Print the newest jobs: a table for people, tab-separated lines for pipes."""
    rows = [_row(job.state) async for job in client.jobs(status=status, task=task, search=search, limit=limit)]
    if console.is_terminal:
        table = Table(box=None, pad_edge=False)
        for heading in ("id", "task", "status", "submitted", "outputs"):
            table.add_column(heading, no_wrap=True)
        table.add_column("what went wrong", overflow="fold")
        for row in rows:
            table.add_row(*row)
        console.print(table if rows else "no jobs")
    else:
        for row in rows:
            console.file.write("\t".join(row) + "\n")  # rich would make spaces of the tabs
    return ExitCode.OK


async def find_job(client: AsyncClient, text: str) -> AsyncJob:
    """The job with this id, or whose id ends with it: what the terminal shows of it is enough.

    Raises:
        RequestRefused: `not_found`.
        Unusable: several ids end so.
    """
    if is_id(text):
        return await client.get(text)
    found = [job async for job in client.jobs(limit=_FINDABLE) if job.id.endswith(text)] if text else []
    if len(found) > 1:
        raise Unusable(f"{text}: several jobs end with it; give the whole id")
    if not found:
        raise RequestRefused("not_found", f"no job of yours has an id that ends with {text!r}")
    return found[0]


def _row(job: JobState) -> tuple[str, ...]:
    error = f"{job.error.code}: {job.error.message}" if job.error else ""
    return (job.id, job.task.value, job.status.value, job.created_at[:19] + "Z", str(len(job.outputs)), error)


def _print_findings(job: AsyncJob, board: Board) -> None:
    """What a job found, where that is its answer; a picture speaks for itself."""
    for output in job.outputs:
        if not output.media_type.startswith("image/") and output.data:
            board.say(json.dumps(output.data, ensure_ascii=False, indent=2))


def _value(text: str) -> Any:
    """JSON where it is JSON (numbers, true, lists), else the text itself."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _region(text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 4:
        raise Unusable(f"--region: expected X,Y,WIDTH,HEIGHT in pixels, got {text!r}")
    return numbers


def _point(text: str) -> tuple[float, float, bool]:
    parts = text.split(",")
    try:
        x, y = float(parts[0]), float(parts[1])
        include = {"1": True, "0": False}[parts[2]] if len(parts) > 2 else True
        if len(parts) > 3:
            raise IndexError
    except (ValueError, IndexError, KeyError):
        raise Unusable(f"--point: expected X,Y or X,Y,1 or X,Y,0 (not the object), got {text!r}") from None
    return x, y, include
