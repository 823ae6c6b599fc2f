"""`safelight run erase|inpaint --image FOLDER ...`: the same job for many pictures, several at a time.

Results are written whole or not at all, so a batch that was interrupted goes on where it stopped.
"""

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from protocol.errors import ErrorCode
from protocol.params import OutputFormat
from protocol.requests import TaskName
from safelight.advice import advice_for
from safelight.backoff import Backoff
from safelight.batch_board import BatchBoard, batch_board_for
from safelight.client import AsyncClient
from safelight.errors import JobCancelled, JobFailed, OutputDamaged, PictureUnreadable, RequestRefused, SafelightError
from safelight.folders import FolderProblem, Item, Plan, format_named, make_plan
from safelight.job import AsyncJob
from safelight.mask_fitting import fitted, side_by_side
from safelight.output import write_whole
from safelight.watching import ExitCode, Interrupts
from safelight.wording import seconds, size

BATCH_TASKS: Final = (TaskName.ERASE.value, TaskName.INPAINT.value)
MOST_JOBS: Final = 64

_OF_ONE_PICTURE: Final = frozenset(
    {ErrorCode.BAD_IMAGE, ErrorCode.IMAGE_TOO_LARGE, ErrorCode.TOO_LARGE, ErrorCode.NOT_FOUND}
)
_PICTURE_FIELDS: Final = frozenset({"$.params.image", "$.params.mask"})
_OF_ALL: Final = frozenset({ErrorCode.MODEL_MISSING, ErrorCode.BAD_MODEL, ErrorCode.FORBIDDEN})
"""Why a job fails that will not end otherwise for the next picture."""
_PATIENCE_S: Final = 600.0
"""How long to wait for room in the server's queue."""


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """What `safelight run --image ...` was asked for.

    Attributes:
        image, mask, output: see `safelight.folders.make_plan`.
        params: of the task, without the pictures.
        jobs: how many pictures are worked on at a time.
        overwrites: also pictures whose results are there.
        concatenates: write picture, mask and result side by side, as PNG.
    """

    task: str
    image: Path
    mask: Path | None
    output: Path
    params: Mapping[str, Any] = field(default_factory=dict)
    jobs: int = 4
    overwrites: bool = False
    concatenates: bool = False
    priority: str | None = None

    def all_params(self) -> dict[str, Any]:
        """The parameters with what a batch has other defaults for: results keep format and metadata.

        Raises:
            FolderProblem: such a task has no batches, or there is nothing to say where to work.
        """
        if self.task not in BATCH_TASKS:
            raise FolderProblem(f"--image: expected the task {' or '.join(BATCH_TASKS)}, got {self.task}")
        if self.mask is None and not self.params.get("regions"):
            raise FolderProblem("--mask: expected a picture or a folder, or --region")
        is_one_file = self.image.is_file() and not self.output.is_dir()
        named = format_named(self.output) if is_one_file else OutputFormat.SOURCE
        defaults: dict[str, Any] = {"format": named.value, "keep_metadata": True}
        if self.task == TaskName.INPAINT:
            defaults["prompt"] = ""
        return {**defaults, **{name: each for name, each in self.params.items() if name not in {"image", "mask"}}}

    def plan(self) -> Plan:
        """What is to be done; looks at the folders.

        Raises:
            FolderProblem.
        """
        written = OutputFormat.PNG.value if self.concatenates else self.all_params()["format"]
        # What is no format is refused with the first picture.
        known = next((each for each in OutputFormat if each.value == written), OutputFormat.SOURCE)
        return make_plan(self.image, self.mask, self.output, output_format=known, overwrites=self.overwrites)


@dataclass(slots=True)
class Tally:
    """What became of the pictures of a plan."""

    waiting: deque[Item]
    """Not begun."""
    written: int = 0
    cancelled: int = 0
    failures: list[tuple[Item, str]] = field(default_factory=list)


async def run_batch(client: AsyncClient, console: Console, options: BatchOptions, plan: Plan) -> ExitCode:
    """Work on every picture of the plan, and tell of each.

    Ctrl-C cancels what runs, and nothing more is begun; a second one leaves.

    Raises:
        RequestRefused: what is asked for cannot be done for any picture. ConnectionLost, ServerUnreachable.
        OSError: results cannot be written.
    """
    began_at = time.monotonic()
    with batch_board_for(console, options.task, len(plan.items)) as board:
        batch = _Batch(client, board, options, plan)
        await batch.run()
    sum_up(console, options.task, plan, batch.tally, time.monotonic() - began_at)
    if batch.error is not None and not batch.was_interrupted:
        raise batch.error
    if batch.tally.waiting or batch.tally.cancelled or batch.tally.failures:
        console.print("the same command goes on with what is not done", markup=False, highlight=False)
    return ExitCode.INTERRUPTED if batch.was_interrupted else exit_code(plan, batch.tally)


def exit_code(plan: Plan, tally: Tally) -> ExitCode:
    """Whether every picture has its result now."""
    is_done = not (tally.failures or tally.waiting or tally.cancelled or plan.unmasked)
    return ExitCode.OK if is_done else ExitCode.JOB_FAILED


def sum_up(console: Console, task: str, plan: Plan, tally: Tally, duration_s: float) -> None:
    """Say what became of every picture: counts first, then those that are not done, with the reason."""
    counts = (
        (tally.written, "written"),
        (len(plan.present), "there already"),
        (len(tally.failures), "failed"),
        (len(plan.unmasked), "without a mask"),
        (tally.cancelled, "cancelled"),
        (len(tally.waiting), "not begun"),
    )
    said = ", ".join(f"{count} {words}" for count, words in counts if count or words == "written")
    lines = [f"{task}: {said}, in {seconds(duration_s)}"]
    lines += [f"  failed: {item.name}: {reason}" for item, reason in tally.failures]
    lines += [f"  without a mask: {picture.name}" for picture in plan.unmasked]
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


class _Batch:
    """A batch that runs. For the event loop's thread only."""

    def __init__(self, client: AsyncClient, board: BatchBoard, options: BatchOptions, plan: Plan) -> None:
        self.tally = Tally(deque(plan.items))
        self.error: Exception | None = None
        self.was_interrupted = False
        self._client = client
        self._board = board
        self._options = options
        self._params = options.all_params()
        self._stops = False
        self._jobs: dict[str, AsyncJob] = {}

    async def run(self) -> None:
        """Work until nothing waits, or it is of no use to go on, or the user has left."""
        workers = [asyncio.create_task(self._work()) for _ in range(min(self._options.jobs, len(self.tally.waiting)))]
        if not workers:
            return
        working = asyncio.gather(*workers)
        cancelling: asyncio.Task[None] | None = None
        with Interrupts() as interrupts:
            while not working.done():
                interrupt = asyncio.ensure_future(interrupts.next())
                awaited: list[asyncio.Future[Any]] = [working, interrupt]
                await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
                if not interrupt.done():
                    interrupt.cancel()
                elif cancelling is None:
                    self.was_interrupted = self._stops = True
                    # Beside this loop: a server that does not answer must not keep a second Ctrl-C waiting.
                    cancelling = asyncio.create_task(self._cancel_all())
                else:
                    working.cancel()
                    cancelling.cancel()
                    awaited = [working, cancelling]
                    await asyncio.wait(awaited)
                    self._board.say("left; what runs ends at its next step", "yellow")
                    return
        await working
        if cancelling is not None:
            await cancelling

    async def _cancel_all(self) -> None:
        count = len(self._jobs)
        self._board.say(f"cancelling {count} running; press Ctrl-C again to leave without waiting", "yellow")
        await asyncio.gather(*(self._cancel(job) for job in tuple(self._jobs.values())))

    async def _cancel(self, job: AsyncJob) -> None:
        try:
            await job.cancel()
        except RequestRefused as refusal:
            if refusal.code != ErrorCode.ALREADY_ENDED:
                self._board.say(f"not cancelled: {refusal.message}", "yellow")
        except SafelightError as error:
            self._stop(error)

    async def _work(self) -> None:
        while self.tally.waiting and not self._stops:
            await self._one(self.tally.waiting.popleft())

    async def _one(self, item: Item) -> None:
        began_at = time.monotonic()
        job: AsyncJob | None = None
        try:
            mask = None if item.mask is None else await asyncio.to_thread(fitted, item.mask, item.picture)
            job = await self._submit(item, mask)
            self._jobs[job.id] = job
            self._board.started(job.id, item.name)
            if self._stops and self.was_interrupted:  # Ctrl-C came while the server had not answered
                await self._cancel(job)
            async for event in job.events():
                self._board.update(event)
            size_bytes = await self._write(item, mask, job)
        except JobCancelled as end:
            if self.was_interrupted:
                self.tally.cancelled += 1
                self._end(item, job, "cancelled", "yellow")
            else:
                self._fail(item, job, f"cancelled: {end.reason}")
        except JobFailed as end:
            if end.code in _OF_ALL:
                self._give_back(item, job, RequestRefused(end.code, end.message))
            else:
                self._fail(item, job, f"{end.message} [{end.code}]", advice_for(end.code))
        except (PictureUnreadable, OutputDamaged) as error:
            self._fail(item, job, str(error))
        except RequestRefused as refusal:
            if refusal.code in _OF_ONE_PICTURE or refusal.field in _PICTURE_FIELDS:
                self._fail(item, job, str(refusal), advice_for(refusal.code))
            else:
                self._give_back(item, job, refusal)
        except (SafelightError, OSError) as error:
            # The connection, or the folder for the results: the next picture would fare no better.
            self._give_back(item, job, error)
        else:
            self.tally.written += 1
            took = seconds(time.monotonic() - began_at)
            self._end(item, job, f"wrote {item.target} ({size(size_bytes)}) in {took}", "green")
        finally:
            if job is not None:
                self._jobs.pop(job.id, None)

    async def _submit(self, item: Item, mask: Path | bytes | None) -> AsyncJob:
        """Submit, once there is room in the queue.

        Raises:
            What `AsyncClient.submit` raises.
        """
        backoff = Backoff(_PATIENCE_S)
        params: dict[str, Any] = {**self._params, "image": item.picture, "mask": mask}
        while True:
            try:
                return await self._client.submit(
                    self._options.task, priority=self._options.priority, previews="none", **params
                )
            except RequestRefused as refusal:
                backoff.failed()
                if refusal.code != ErrorCode.QUEUE_FULL or backoff.is_exhausted or self._stops:
                    raise
                await asyncio.sleep(backoff.delay_s())

    async def _write(self, item: Item, mask: Path | bytes | None, job: AsyncJob) -> int:
        """Write what a job made; whole, or not at all.

        Raises:
            JobFailed, JobCancelled, OutputDamaged, ConnectionLost, OSError.
        """
        (output,) = (await job.result())[:1]
        content = await output.read()
        if self._options.concatenates:
            shown = _rectangles(self._params.get("regions", ())) if mask is None else mask
            content = await asyncio.to_thread(side_by_side, item.picture, shown, content)
        await asyncio.to_thread(write_whole, item.target, content)
        return len(content)

    def _fail(self, item: Item, job: AsyncJob | None, reason: str, advice: str = "") -> None:
        words = f"{reason}; {advice}" if advice else reason
        self.tally.failures.append((item, words))
        self._end(item, job, f"failed: {words}", "red")

    def _give_back(self, item: Item, job: AsyncJob | None, error: Exception) -> None:
        """It was not this picture's fault: it is still to be done, and the batch ends."""
        self.tally.waiting.append(item)
        self._board.gone(job.id if job is not None else "")
        self._stop(error)

    def _stop(self, error: Exception) -> None:
        self._stops = True
        self.error = self.error or error

    def _end(self, item: Item, job: AsyncJob | None, words: str, style: str) -> None:
        self._board.ended(item.name, words, style, job_id=job.id if job is not None else None)


def _rectangles(regions: Sequence[Any]) -> list[tuple[int, ...]]:
    """Regions as (x, y, width, height), whether they came from the command line or from a file."""
    names = ("x", "y", "width", "height")
    return [tuple(each[name] for name in names) if isinstance(each, Mapping) else tuple(each) for each in regions]
