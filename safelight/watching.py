"""What `safelight run` and `safelight watch` do once there is a job: show it, obey Ctrl-C, write what it made."""

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from types import TracebackType
from typing import Self

from protocol.jobs import JobStatus
from safelight.errors import RequestRefused
from safelight.job import AsyncJob
from safelight.output import AsyncOutput
from safelight.progress import Board


class ExitCode(IntEnum):
    """How the command line ends."""

    OK = 0
    JOB_FAILED = 1
    USAGE = 2
    NOT_REACHABLE = 3
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Destination:
    """Where outputs go.

    Attributes:
        asked: what `--output` said: a file, or a folder; None names files after the picture and the task.
        stem: of the name that is made up then.
    """

    asked: Path | None
    stem: str

    def paths(self, outputs: list[AsyncOutput]) -> Iterator[Path]:
        """A path for each output; several get numbers. Nothing is overwritten that was not named."""
        for output in outputs:
            number = f"-{output.index}" if len(outputs) > 1 else ""
            if self.asked is not None and not self.asked.is_dir():
                suffix = self.asked.suffix or output.suffix
                yield self.asked.with_name(f"{self.asked.stem}{number}{suffix}")
            else:
                yield _free(self.asked or Path(), f"{self.stem}{number}", output.suffix)


class Interrupts:
    """Counts Ctrl-C, and wakes who waits for it."""

    def __init__(self) -> None:
        self._pressed = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> Self:
        with contextlib.suppress(NotImplementedError):  # on Windows Ctrl-C ends the program, as it does everywhere else
            self._loop.add_signal_handler(signal.SIGINT, self._pressed.set)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(NotImplementedError):
            self._loop.remove_signal_handler(signal.SIGINT)

    async def next(self) -> None:
        """Wait for the next Ctrl-C."""
        await self._pressed.wait()
        self._pressed.clear()


async def watch_to_end(job: AsyncJob, board: Board, title: str, *, cancels: bool) -> ExitCode:
    """Show a job until it has ended, or until the user leaves.

    Args:
        cancels: the first Ctrl-C cancels the job, the second leaves; otherwise the first leaves.

    Raises:
        ConnectionLost, RequestRefused.
    """
    board.add(job.id, title)
    with Interrupts() as interrupts:
        showing = asyncio.create_task(_show(job, board))
        was_interrupted = False
        while not showing.done():
            interrupt = asyncio.create_task(interrupts.next())
            try:
                await asyncio.wait([showing, interrupt], return_when=asyncio.FIRST_COMPLETED)
                if not interrupt.done():
                    continue
            finally:
                interrupt.cancel()
            if was_interrupted or not cancels:
                showing.cancel()
                fate = "ends at its next step" if was_interrupted else "goes on"
                board.say(f"left; the job {fate}. See it with: safelight watch {job.id}", "yellow")
                return ExitCode.INTERRUPTED
            was_interrupted = True
            board.say("cancelling; press Ctrl-C again to leave without waiting", "yellow")
            await _cancel(job, board)
        await showing
    return _exit_code(job.status, was_interrupted=was_interrupted)


async def write_outputs(job: AsyncJob, board: Board, destination: Destination) -> None:
    """Write every output that is ready, also of a job that did not get to its end."""
    outputs = job.outputs
    for output, path in zip(outputs, destination.paths(outputs), strict=True):
        board.wrote(job.id, await output.save(path), output.info.size_bytes)


async def _show(job: AsyncJob, board: Board) -> None:
    async for event in job.events():
        board.update(event)


async def _cancel(job: AsyncJob, board: Board) -> None:
    try:
        await job.cancel()
    except RequestRefused as refusal:
        board.say(f"not cancelled: {refusal.message}", "yellow")


def _exit_code(status: JobStatus, *, was_interrupted: bool) -> ExitCode:
    if status is JobStatus.SUCCEEDED:
        return ExitCode.OK
    return ExitCode.INTERRUPTED if was_interrupted else ExitCode.JOB_FAILED


def _free(folder: Path, stem: str, suffix: str) -> Path:
    path, number = folder / f"{stem}{suffix}", 2
    while path.exists():
        path, number = folder / f"{stem}-{number}{suffix}", number + 1
    return path
