"""`safelight models ...`, as it is typed; `safelight.model_commands` does what concerns a server."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console

from safelight.address import DEFAULT_URL
from safelight.commands.failing import fail
from safelight.commands.options import ApiKey, ConfigFile, ModelsDir, Url, Via, ViaChoice
from safelight.commands.session import with_client
from safelight.commands.settings import load_settings, models_folder

if TYPE_CHECKING:
    from safelight.client import AsyncClient
    from safelight.progress import Board

models_app: Final = typer.Typer(
    help="Models: which there are, fetching, loading and unloading them.", no_args_is_help=True
)


@models_app.command("list")
def list_models(
    models_dir: ModelsDir = None,
    config: ConfigFile = None,
    server: Annotated[bool, typer.Option("--server", help="All models of the running server at --url.")] = False,
    kind: Annotated[str | None, typer.Option(help="With --server: only this kind.", show_default=False)] = None,
    task: Annotated[str | None, typer.Option(help="With --server: only for this task.", show_default=False)] = None,
    url: Url = DEFAULT_URL,
    key: ApiKey = None,
) -> None:
    """Show packaged and erase models: what for, size, licence, whether they are here. --server: all of a server's."""
    if server:
        from safelight.model_commands import list_server_models

        async def work(client: "AsyncClient", board: "Board") -> int:
            return await list_server_models(client, board.console, kind=kind, task=task)

        with_client(work, url, key, ViaChoice.WEBSOCKET, live=False)
        return
    from rich.table import Table

    from engine.inpainting.listing import listed
    from engine.inpainting.weights import Weights
    from engine.models.files import status
    from protocol.requests import TaskName
    from safelight.wording import size

    console = Console()
    folder = models_folder(config, models_dir)
    rows = [
        (
            model.name,
            ", ".join(model.tasks),
            size(model.size_bytes),
            model.licence,
            f"{model.carrier} ({model.carrier_licence})",
            "here" if model.is_present else "missing" if model.is_default else "optional",
        )
        for model in status(folder)
    ]
    rows += [
        (
            model.name,
            TaskName.ERASE.value,
            size(model.size_bytes),
            model.licence,
            "a download",
            "here" if model.is_present else "when first named",
        )
        for model in listed(Weights(models_dir=folder))
    ]
    if not console.is_terminal:
        for row in rows:
            typer.echo("\t".join(row))
        return
    table = Table("model", "for", "size", "licence", "comes in", "", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console.print(table)
    console.print(f"\nin {folder}", highlight=False)


@models_app.command("pull")
def pull_models(
    names: Annotated[list[str] | None, typer.Argument(help="Models; the default ones if none is named.")] = None,
    models_dir: ModelsDir = None,
    config: ConfigFile = None,
) -> None:
    """Fetch model files, each checked against its checksum; also the photograph of the demo if no name is given."""
    from engine.models.carriers import PullFailed
    from engine.models.catalogue import CATALOGUE, UnknownModel, default_names
    from engine.models.pull import pull
    from safelight.demo import pull_photograph
    from safelight.pulling import PullBoard

    folder = models_folder(config, models_dir)
    console = Console()
    try:
        with PullBoard(console) as board:
            pull(
                names or default_names(),
                folder,
                lambda at: board.update(at.model, at.phase, at.done_bytes, at.total_bytes, CATALOGUE[at.model].licence),
            )
        if not names:
            pull_photograph(folder, console)
    except UnknownModel as error:
        fail(str(error), 2)
    except (PullFailed, OSError) as error:
        fail(str(error), 1)


@models_app.command("load")
def load_model(
    name: Annotated[str, typer.Argument(help="Name or id, as `safelight models list --server` shows it.")],
    url: Url = DEFAULT_URL,
    key: ApiKey = None,
    via: Via = ViaChoice.WEBSOCKET,
) -> None:
    """Load a model of a running server into memory. Ctrl-C cancels it; a second one leaves."""
    from safelight import model_commands

    async def work(client: "AsyncClient", board: "Board") -> int:
        return await model_commands.load_model(client, board, name)

    with_client(work, url, key, via)


@models_app.command("unload")
def unload_model(
    name: Annotated[str, typer.Argument(help="Name or id, as `safelight models list --server` shows it.")],
    url: Url = DEFAULT_URL,
    key: ApiKey = None,
) -> None:
    """Ask that a model leave the memory of a running server; one that jobs use goes when they have ended."""
    from safelight import model_commands

    async def work(client: "AsyncClient", board: "Board") -> int:
        return await model_commands.unload_model(client, board.console, name)

    with_client(work, url, key, ViaChoice.WEBSOCKET, live=False)


@models_app.command("download")
def download_model(
    source: Annotated[
        str,
        typer.Argument(
            help="URL of a file, as the server reaches it; or the name of a packaged or erase model.",
            metavar="FILE_URL|NAME",
        ),
    ],
    kind: Annotated[
        str | None,
        typer.Option(help="checkpoint, lora, vae, controlnet, upscaler, embedding, ...", show_default=False),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the file on the server.", show_default=False)] = None,
    sha256: Annotated[str | None, typer.Option(help="Checked; needed for pickles.", show_default=False)] = None,
    models_dir: ModelsDir = None,
    config: ConfigFile = None,
    url: Url = DEFAULT_URL,
    key: ApiKey = None,
    via: Via = ViaChoice.WEBSOCKET,
) -> None:
    """Have a running server download a model file, and show how far it is. Ctrl-C cancels it.

    With the NAME of a model that `safelight models list` shows, its files come to the models folder of this machine.
    """
    if kind is None:
        _download_named(source, models_dir, config)
        return
    from safelight import model_commands

    options = model_commands.DownloadOptions(source, kind, name, sha256)

    async def work(client: "AsyncClient", board: "Board") -> int:
        return await model_commands.download_model(client, board.console, options)

    with_client(work, url, key, via, live=False)


def _download_named(name: str, models_dir: Path | None, config: Path | None) -> None:
    from engine.models.catalogue import CATALOGUE
    from protocol.erasing import EraseModel
    from safelight.commands.erasers import download_eraser

    if name in set(EraseModel):
        download_eraser(EraseModel(name), load_settings(config, {"models_dir": models_dir}))
    elif name in CATALOGUE:
        pull_models([name], models_dir, config)
    else:
        names = ", ".join((*EraseModel, *CATALOGUE))
        fail(f"expected the URL of a file with --kind, or one of {names}; got {name!r}", 2)


@models_app.command("cancel")
def cancel_download(
    name: Annotated[str, typer.Argument(help="Name or id, as `safelight models list --server` shows it.")],
    discard: Annotated[bool, typer.Option("--discard", help="Remove what has arrived.")] = False,
    url: Url = DEFAULT_URL,
    key: ApiKey = None,
) -> None:
    """Cancel a download of a running server; what has arrived stays, to go on with."""
    from safelight import model_commands

    async def work(client: "AsyncClient", board: "Board") -> int:
        return await model_commands.cancel_download(client, board.console, name, discards=discard)

    with_client(work, url, key, ViaChoice.WEBSOCKET, live=False)
