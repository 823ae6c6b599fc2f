"""The commands about a server's models: `safelight models list --server`, `load`, `unload` and `download`."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

from protocol.models import ModelDownloadState, ModelInfo
from safelight.client import AsyncClient
from safelight.progress import Board
from safelight.pulling import PullBoard
from safelight.watching import ExitCode, watch_to_end
from safelight.wording import size


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
    console.print(f"{model.id or model.name}: {words}", markup=False, highlight=False, soft_wrap=True)
    return ExitCode.OK


async def download_model(client: AsyncClient, console: Console, options: DownloadOptions) -> ExitCode:
    """Have the server download a model, and show how far it is. Ctrl-C leaves; the server goes on."""
    title = options.name or urlsplit(options.url).path.rsplit("/", 1)[-1] or options.url
    with PullBoard(console) as board:

        def show(state: ModelDownloadState) -> None:
            board.update(title, "fetch", state.done_bytes, state.total_bytes, options.kind)

        model = await client.download_model(
            options.url, options.kind, name=options.name, sha256=options.sha256, on_progress=show
        )
        board.update(title, "ready", model.size_bytes, model.size_bytes, options.kind)
    console.print(f"{model.id or model.name}: can be used", markup=False, highlight=False, soft_wrap=True)
    return ExitCode.OK


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
