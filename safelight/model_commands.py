"""The commands about a server's models: `safelight models list --server`, `load`, `unload`, `download`, `cancel`."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

from protocol.models import Arrived, ModelDownloadState, ModelInfo
from safelight.client import AsyncClient
from safelight.errors import RequestRefused
from safelight.progress import Board
from safelight.pulling import PullBoard
from safelight.watching import ExitCode, Interrupts, watch_to_end
from safelight.wording import size

_DISCARDED: Final = "cancelled; nothing of it stays"


@dataclass(frozen=True, slots=True)
class DownloadOptions:
    """What `safelight models download` was asked for."""

    url: str
    kind: str
    name: str | None = None
    sha256: str | None = None


async def list_server_models(client: AsyncClient, console: Console, *, kind: str | None, task: str | None) -> ExitCode:
    """Print the models of a server: a table for people, tab-separated lines for pipes."""
    rows = [_row(model) for model in await client.models(kind=kind, task=task)]
    if console.is_terminal:
        table = Table(box=None, pad_edge=False)
        for heading in ("id", "family", "size", "from", "state"):
            table.add_column(heading, no_wrap=heading != "state", overflow="fold")
        for row in rows:
            table.add_row(*row)
        console.print(table if rows else "no models")
    else:
        for row in rows:
            console.file.write("\t".join(row) + "\n")  # rich would make spaces of the tabs
    return ExitCode.OK


async def load_model(client: AsyncClient, board: Board, name: str) -> ExitCode:
    """Load a model, and show the job that does."""
    job = await client.load_model(name)
    return await watch_to_end(job, board, f"load {name}", cancels=True)


async def unload_model(client: AsyncClient, console: Console, name: str) -> ExitCode:
    """Ask that a model leave memory."""
    model = await client.unload_model(name)
    words = "is asked to leave memory" if model.is_loaded else "is not in memory"
    _say(console, model, words)
    return ExitCode.OK


async def download_model(client: AsyncClient, console: Console, options: DownloadOptions) -> ExitCode:
    """Have the server download a model, and show how far it is. Ctrl-C cancels it; a second one leaves.

    Raises:
        DownloadFailed: nothing came of it.
    """
    title = options.name or urlsplit(options.url).path.rsplit("/", 1)[-1] or options.url
    begun: list[ModelInfo] = []
    with Interrupts() as interrupts, PullBoard(console) as board:

        def show(state: ModelDownloadState) -> None:
            board.update(title, "fetch", state.done_bytes, state.total_bytes, options.kind)

        downloading = asyncio.create_task(
            client.download_model(
                options.url,
                options.kind,
                name=options.name,
                sha256=options.sha256,
                on_begun=begun.append,
                on_progress=show,
            )
        )
        if not await _ends_first(downloading, interrupts):
            await _cancel_begun(client, console, begun, interrupts)
            return ExitCode.INTERRUPTED
        model = await downloading
        board.update(title, "ready", model.size_bytes, model.size_bytes, options.kind)
    _say(console, model, "can be used")
    return ExitCode.OK


async def cancel_download(client: AsyncClient, console: Console, name: str, *, discards: bool) -> ExitCode:
    """End a download of the server's."""
    model = await client.cancel_download(name, arrived=Arrived.DISCARD if discards else Arrived.KEEP)
    _say(console, model, _DISCARDED if discards else _what_stays(model))
    return ExitCode.OK


async def _cancel_begun(
    client: AsyncClient, console: Console, begun: Sequence[ModelInfo], interrupts: Interrupts
) -> None:
    """End the download the user has left, if the server has agreed to it; the next Ctrl-C leaves that, too."""
    if not begun:
        console.print("left before the server had answered", markup=False)
        return
    name = begun[0].id or begun[0].name
    cancelling = asyncio.create_task(client.cancel_download(name))
    if not await _ends_first(cancelling, interrupts):
        _say(console, begun[0], f"left; see it with: safelight models list --server --kind {begun[0].kind}")
        return
    try:
        _say(console, begun[0], _what_stays(await cancelling))
    except RequestRefused as refusal:
        _say(console, begun[0], f"not cancelled: {refusal.message}")


async def _ends_first(work: asyncio.Task[Any], interrupts: Interrupts) -> bool:
    """Wait for `work` to end, or for Ctrl-C: then it is cancelled."""
    interrupt = asyncio.create_task(interrupts.next())
    await asyncio.wait([work, interrupt], return_when=asyncio.FIRST_COMPLETED)
    has_ended = work.done()
    (interrupt if has_ended else work).cancel()
    await asyncio.wait([work, interrupt])
    return has_ended


def _what_stays(model: ModelInfo) -> str:
    done = model.download.done_bytes if model.download is not None else 0
    if not done:
        return "cancelled"
    name = model.id or model.name
    return f"cancelled; {size(done)} stay, to go on with; remove them with: safelight models cancel {name} --discard"


def _say(console: Console, model: ModelInfo, words: str) -> None:
    console.print(f"{model.id or model.name}: {words}", markup=False, highlight=False, soft_wrap=True)


def _row(model: ModelInfo) -> tuple[str, ...]:
    return (model.id or model.name, model.family or "", size(model.size_bytes), model.source or "", _state(model))


def _state(model: ModelInfo) -> str:
    words = []
    if model.download is not None:
        words.append(
            f"download failed: {model.download.problem}" if model.download.problem else f"arriving{_share(model)}"
        )
    elif model.problem is not None:
        words.append(f"cannot be used: {model.problem}")
    else:
        words.append("in memory" if model.is_loaded else "here" if model.is_present else "missing")
    if model.is_default:
        words.append("default")
    return ", ".join(words)


def _share(model: ModelInfo) -> str:
    state = model.download
    if state is None or not state.total_bytes:
        return ""
    return f", {state.done_bytes / state.total_bytes:.0%}"
