"""`safelight run`, `watch` and `jobs`, as they are typed; `safelight.job_commands` does them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from safelight.address import DEFAULT_URL
from safelight.commands.batch import (
    BatchConcat,
    BatchFlags,
    BatchImage,
    BatchJobs,
    BatchOverwrite,
    run_over_pictures,
)
from safelight.commands.failing import fail
from safelight.commands.options import ApiKey, RunUrl, Url, Via, ViaChoice
from safelight.commands.session import with_client

if TYPE_CHECKING:
    from safelight.client import AsyncClient
    from safelight.progress import Board


def run(
    task: Annotated[str, typer.Argument(help="text_to_image, inpaint, erase, remove_text, upscale, ...")],
    subject: Annotated[
        str | None,
        typer.Argument(
            help="A picture: file, URL, upload:ID or job:ID/N. For text_to_image the prompt.", show_default=False
        ),
    ] = None,
    prompt: Annotated[str | None, typer.Option("--prompt", "-p", help="What to see.", show_default=False)] = None,
    mask: Annotated[str | None, typer.Option(help="White is worked on.", show_default=False)] = None,
    region: Annotated[list[str] | None, typer.Option(help="X,Y,WIDTH,HEIGHT; may be repeated.")] = None,
    point: Annotated[list[str] | None, typer.Option(help="X,Y or X,Y,0 to exclude; may be repeated.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="name=value; may be repeated.")] = None,
    model: Annotated[str | None, typer.Option(help="Which model does it.", show_default=False)] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="JSON file with parameters of the task.", show_default=False)
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File or folder.", show_default=False)] = None,
    priority: Annotated[str | None, typer.Option(help="high, normal or low.", show_default=False)] = None,
    image: BatchImage = None,
    jobs: BatchJobs = 4,
    concat: BatchConcat = False,
    overwrite: BatchOverwrite = False,
    url: RunUrl = None,
    key: ApiKey = None,
    via: Via = ViaChoice.WEBSOCKET,
) -> None:
    """Submit a job, watch it, and write what it makes. Ctrl-C cancels it; a second one leaves.

    With --image FOLDER, erase and inpaint work on every picture in it: --mask is a picture for all, or a folder of
    masks with the same names; results go to the folder --output, in the format of each picture, with its metadata. The
    same command again goes on where it stopped. It ends with 1 if a picture failed or had no mask.

    Without --url, and if no server answers on this machine, one is started for this job.
    """
    from safelight.job_commands import RunOptions, run_job

    options = RunOptions(
        task, subject, mask, region or (), point or (), set_ or (), output, priority, prompt, model, config
    )
    if image is not None:
        how = BatchFlags(jobs=jobs, concatenates=concat, overwrites=overwrite)
        run_over_pictures(options, image, how, url, key, via)
        return
    if concat or overwrite:
        fail("--concat and --overwrite are for pictures that --image names", 2)

    async def work(client: "AsyncClient", board: "Board") -> int:
        return await run_job(client, board, options)

    with_client(work, url, key, via)


def watch(
    job_id: Annotated[str, typer.Argument(help="The id, or its end as the terminal shows it.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File or folder.", show_default=False)] = None,
    url: Url = DEFAULT_URL,
    key: ApiKey = None,
    via: Via = ViaChoice.WEBSOCKET,
) -> None:
    """Watch a job from its first event on. Ctrl-C leaves; the job goes on."""
    from safelight.job_commands import watch_job

    async def work(client: "AsyncClient", board: "Board") -> int:
        return await watch_job(client, board, job_id, output)

    with_client(work, url, key, via)


def jobs(
    status: Annotated[
        str | None, typer.Option(help="Only with this status; several with commas.", show_default=False)
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="Only of this task; several with commas.", show_default=False)
    ] = None,
    search: Annotated[str | None, typer.Option(help="Only with these words in the prompt.", show_default=False)] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    url: Url = DEFAULT_URL,
    key: ApiKey = None,
) -> None:
    """List your jobs, newest first."""
    from safelight.job_commands import list_jobs

    async def work(client: "AsyncClient", board: "Board") -> int:
        return await list_jobs(client, board.console, status=status, task=task, search=search, limit=limit)

    with_client(work, url, key, ViaChoice.WEBSOCKET, live=False)
