"""`safelight demo`: a real server, pictures from prompts, a real photograph, and urgent work that overtakes long work.

The photograph shows a Falcon 9 before the launch of DSCOVR; SpaceX gave it to the public domain, and scikit-image
ships it. It is pinned and fetched like a model file.
"""

import asyncio
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from protocol.events import PreviewReady, StepFinished
from safelight.client import AsyncClient
from safelight.demo_pictures import caption, film_strips, side_by_side
from safelight.job import AsyncJob
from safelight.progress import Board, board_for
from safelight.pulling import PullBoard
from safelight.server_process import running_server
from safelight.watching import ExitCode
from safelight.wording import seconds

PHOTOGRAPH: Final = "demo-photograph.jpg"
PHOTOGRAPH_LICENCE: Final = "CC0-1.0"
PROMPTS: Final = ("a red apple", "a blue fish", "a yellow star on a black background")
SEED: Final = 7
MAST: Final = (435, 108, 42, 252)
"""The lightning mast on the right of the rocket: x, y, width, height in pixels of the photograph."""


async def run_demo(console: Console, folder: Path, models_dir: Path, engine: str) -> ExitCode:
    """Show it all, and write the pictures.

    Args:
        folder: of the pictures; made if it is not there.
        models_dir: must hold the models; the photograph is fetched into it.
        engine: for `safelight serve --engine`.
    """
    before = await asyncio.to_thread(_prepare, folder, models_dir, console)
    async with running_server(models_dir, engine) as url:
        console.print(f"server: {url}   (its documentation: {url}/docs)", highlight=False, soft_wrap=True)
        with board_for(console) as board:
            async with AsyncClient(url, on_connection=board.connection) as client:
                return await _show(client, board, before)


def _prepare(folder: Path, models_dir: Path, console: Console) -> Path:
    pull_photograph(models_dir, console)
    folder.mkdir(parents=True, exist_ok=True)
    before = folder / "before.png"
    caption(models_dir / PHOTOGRAPH, before)
    return before


async def _show(client: AsyncClient, board: Board, before: Path) -> ExitCode:
    await _make_pictures(client, board, before.parent)
    await _edit_photograph(client, board, before)
    return ExitCode.OK


async def _make_pictures(client: AsyncClient, board: Board, folder: Path) -> None:
    """A few prompts at once: their steps share forwards, and every step shows what will come."""
    films: dict[str, list[bytes]] = {prompt: [] for prompt in PROMPTS}

    async def make(prompt: str) -> AsyncJob:
        job = await client.submit("text_to_image", prompt=prompt, seed=SEED, previews="all")
        board.add(job.id, prompt)
        async for event in job.events():
            board.update(event)
            if isinstance(event.body, PreviewReady):
                films[prompt].append(event.body.bytes)
        return job

    jobs = await asyncio.gather(*map(make, PROMPTS))
    for prompt, job in zip(PROMPTS, jobs, strict=True):
        written = await _write(job, board, folder / f"{prompt.replace(' ', '-')}.png")
        films[prompt].append(await asyncio.to_thread(written.read_bytes))
    film = folder / "developing.png"
    await asyncio.to_thread(film_strips, films, film)
    board.say(f"wrote {film}", "green")


async def _edit_photograph(client: AsyncClient, board: Board, before: Path) -> None:
    folder = before.parent
    shows: list[asyncio.Task[None]] = []

    async def begin(task: str, **params: Any) -> AsyncJob:
        job = await client.submit(task, **params)
        board.add(job.id, task)
        shows.append(asyncio.create_task(_follow(job, board)))
        return job

    upscale = await begin("upscale", image=before, factor=2.0)
    remove_text = await begin("remove_text", image=before)
    await _first_step(upscale)
    erase = await begin("erase", image=before, regions=[MAST], priority="high", grow_px=2)
    await asyncio.gather(*shows)
    written = {"before": before}
    for name, job in {"erased": erase, "without-text": remove_text, "upscaled": upscale}.items():
        written[name] = await _write(job, board, folder / f"{name}.png")
    labels = {
        "before": before, "erase: the right mast": written["erased"], "remove_text": written["without-text"]
    }  # fmt: skip
    sheet = folder / "side-by-side.jpg"
    await asyncio.to_thread(side_by_side, labels, sheet)
    board.say(f"wrote {sheet}", "green")
    _summarise(board, erase, upscale)


def pull_photograph(folder: Path, console: Console) -> None:
    """Make sure that the photograph is in the models folder. Blocks.

    Raises:
        PullFailed: it could not be had.
    """
    from engine.models.carriers import extract, fetch_wheel, sha256_of
    from engine.models.catalogue import Carrier, ModelFile

    # The wheel of whichever interpreter this is: the photograph is the same in all of them.
    carrier = Carrier(package="scikit-image", version="0.26.0", licence="BSD-3-Clause")
    file = ModelFile(
        name=PHOTOGRAPH,
        member="skimage/data/rocket.jpg",
        size_bytes=112_525,
        sha256="c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
    )
    path = folder / file.name
    with PullBoard(console) as board:
        if path.is_file() and sha256_of(path) == file.sha256:
            return
        board.update(PHOTOGRAPH, "download", 0, file.size_bytes, PHOTOGRAPH_LICENCE)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="safelight-pull-") as empty:
            extract(fetch_wheel(carrier, Path(empty)), file, folder, lambda _count: None)
        board.update(PHOTOGRAPH, "ready", file.size_bytes, file.size_bytes, PHOTOGRAPH_LICENCE)


async def _follow(job: AsyncJob, board: Board) -> None:
    async for event in job.events():
        board.update(event)


async def _first_step(job: AsyncJob) -> None:
    """Wait until a job works, and for its first step if the server tells of one."""
    async for event in job.events():
        if isinstance(event.body, StepFinished) or event.is_terminal:
            return


async def _write(job: AsyncJob, board: Board, path: Path) -> Path:
    (output, *_) = await job.result()
    await output.save(path)
    board.wrote(job.id, path, output.info.size_bytes)
    return path


def _summarise(board: Board, erase: AsyncJob, upscale: AsyncJob) -> None:
    ahead_s = _at(upscale.state.finished_at) - _at(erase.state.finished_at)
    erase_s = _at(erase.state.finished_at) - _at(erase.state.created_at)
    upscale_s = _at(upscale.state.finished_at) - _at(upscale.state.created_at)
    board.say(f"upscale took {seconds(upscale_s)} from submit to end, sharing the machine with the others")
    if ahead_s > 0:
        board.say(f"erase came later, took {seconds(erase_s)}, and was done {seconds(ahead_s)} before the upscale")
    else:
        board.say(f"erase took {seconds(erase_s)}, and was done after the upscale: this machine upscales quickly")


def _at(stamp: str | None) -> float:
    assert stamp is not None, "the job has ended"
    return datetime.fromisoformat(stamp).timestamp()
