"""`safelight run erase|inpaint --image FOLDER ...`, as it is typed; `safelight.batch` does it."""

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from safelight.commands.failing import fail
from safelight.commands.options import ViaChoice
from safelight.commands.session import end, with_client

if TYPE_CHECKING:
    from safelight.client import AsyncClient
    from safelight.job_commands import RunOptions
    from safelight.progress import Board

_PANEL = "Many pictures (erase, inpaint)"

BatchImage = Annotated[
    Path | None,
    typer.Option("--image", help="Folder of pictures, or one.", show_default=False, rich_help_panel=_PANEL),
]
BatchJobs = Annotated[int, typer.Option("--jobs", min=1, max=64, help="Pictures at a time.", rich_help_panel=_PANEL)]
BatchConcat = Annotated[
    bool,
    typer.Option("--concat", help="Write picture, mask and result side by side, as PNG.", rich_help_panel=_PANEL),
]
BatchOverwrite = Annotated[
    bool, typer.Option("--overwrite", help="Also pictures whose results are there.", rich_help_panel=_PANEL)
]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchFlags:
    """How to go through the pictures; see `safelight.batch.BatchOptions`."""

    jobs: int
    concatenates: bool
    overwrites: bool


def run_over_pictures(
    options: "RunOptions", image: Path, flags: BatchFlags, url: str | None, key: str | None, via: ViaChoice
) -> None:
    """Work on every picture in a folder, and end with the code that says whether all of it is done."""
    from safelight.batch import BatchOptions, Tally, exit_code, run_batch, sum_up

    if options.subject is not None:
        fail(f"--image names the pictures; what is {options.subject!r} for?", 2)
    if options.output is None:
        fail("--image needs --output, a folder for the results", 2)
    try:
        batch = BatchOptions(
            task=options.task,
            image=image,
            mask=None if options.mask is None else Path(options.mask),
            output=options.output,
            params=options.params(),
            jobs=flags.jobs,
            overwrites=flags.overwrites,
            concatenates=flags.concatenates,
            priority=options.priority,
        )
        plan = batch.plan()  # before a server is started for what cannot be done
    except (ValueError, OSError) as error:
        fail(str(error), 2)

    if not plan.items:
        tally = Tally(deque())
        sum_up(Console(), batch.task, plan, tally, 0.0)
        end(exit_code(plan, tally))
        return

    async def work(client: "AsyncClient", board: "Board") -> int:
        return await run_batch(client, board.console, batch, plan)

    with_client(work, url, key, via, live=False)
