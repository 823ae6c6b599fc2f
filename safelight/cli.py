"""The command line: `safelight serve | demo | run | watch | jobs | models | keys | version`.

Heavy imports are made inside the commands: `safelight --help` loads neither the server nor the engine, nor torch.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer
from rich.console import Console

from safelight.address import DEFAULT_URL
from safelight.version import VERSION

if TYPE_CHECKING:
    from safelight.client import AsyncClient
    from safelight.progress import Board
    from service.settings import Settings

_USAGE_CODES: Final = frozenset(
    {"invalid_params", "unknown_task", "model_missing", "malformed", "bad_image", "image_too_large"}
)
"""Refusals that are about what was typed."""

app: Final = typer.Typer(
    name="safelight",
    help="Submit image jobs, and watch them develop.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class ViaChoice(StrEnum):
    """The values of `--via`; see `safelight.transport.TransportName`."""

    WEBSOCKET = "websocket"
    SSE = "sse"
    POLL = "poll"


class EngineChoice(StrEnum):
    """The values of `--engine`; `service.settings.EngineKind` has them too, and is not loaded for `--help`."""

    TORCH = "torch"
    FAKE = "fake"


class LogChoice(StrEnum):
    """The values of `--log-format`."""

    CONSOLE = "console"
    JSON = "json"


Via = Annotated[ViaChoice, typer.Option("--via", help="How events come; sse and poll pass where WebSockets do not.")]
models_app: Final = typer.Typer(
    help="Models: which there are, fetching, loading and unloading them.", no_args_is_help=True
)
keys_app: Final = typer.Typer(help="API keys of a server on this machine, running or not.", no_args_is_help=True)
app.add_typer(models_app, name="models")
app.add_typer(keys_app, name="keys")

Url = Annotated[str, typer.Option("--url", envvar="SAFELIGHT_URL", help="Where the server is.")]
RunUrl = Annotated[
    str | None, typer.Option("--url", envvar="SAFELIGHT_URL", help="Where the server is.", show_default=False)
]
ApiKey = Annotated[str | None, typer.Option("--key", envvar="SAFELIGHT_API_KEY", help="API key.", show_default=False)]

ModelsDir = Annotated[Path | None, typer.Option(help="Folder of the model files.", show_default=False)]
DataDir = Annotated[Path | None, typer.Option(help="The server's data folder.", show_default=False)]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="YAML file with settings.", show_default=False)]


def main() -> None:
    """Run the command line; ends the process with 0, 1 job failed, 2 usage, 3 not reachable or 130 interrupted."""
    app()


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default=False)] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.", show_default=False)] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Database and pictures.", show_default=False)] = None,
    models_dir: ModelsDir = None,
    config: ConfigFile = None,
    engine: Annotated[EngineChoice | None, typer.Option(help="What runs the jobs.", show_default=False)] = None,
    log_format: Annotated[LogChoice | None, typer.Option(help="For people or machines.", show_default=False)] = None,
) -> None:
    """Start the server. Flags go before SAFELIGHT_* variables, those before the file."""
    from service import main as server

    flags: Mapping[str, object] = {
        "host": host,
        "port": port,
        "data_dir": data_dir,
        "models_dir": models_dir,
        "engine": engine and engine.value,
        "log_format": log_format and log_format.value,
    }
    server.serve(_settings(config, flags))


@app.command()
def demo(
    models_dir: ModelsDir = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the pictures.")] = Path("demo-output"),
    engine: Annotated[EngineChoice, typer.Option(help="What runs the jobs.")] = EngineChoice.TORCH,
) -> None:
    """Start a server, work on a photograph, and show how urgent work overtakes long work."""
    from engine.models.carriers import PullFailed
    from safelight.demo import run_demo

    try:
        code = _finish(run_demo(Console(), output, _models_dir(None, models_dir), engine.value))
    except PullFailed as error:
        fail(str(error), 1)
    _end(code)


@app.command()
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
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File or folder.", show_default=False)] = None,
    priority: Annotated[str | None, typer.Option(help="high, normal or low.", show_default=False)] = None,
    url: RunUrl = None,
    key: ApiKey = None,
    via: Via = ViaChoice.WEBSOCKET,
) -> None:
    """Submit a job, watch it, and write what it makes. Ctrl-C cancels it; a second one leaves.

    Without --url, and if no server answers on this machine, one is started for this job.
    """
    from safelight.job_commands import RunOptions, run_job

    options = RunOptions(task, subject, mask, region or (), point or (), set_ or (), output, priority, prompt)

    async def work(client: "AsyncClient", board: "Board") -> int:
        return await run_job(client, board, options)

    _with_client(work, url, key, via)


@app.command()
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

    _with_client(work, url, key, via)


@app.command()
def jobs(
    status: Annotated[str | None, typer.Option(help="Only with this status.", show_default=False)] = None,
    task: Annotated[str | None, typer.Option(help="Only of this task.", show_default=False)] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    url: Url = DEFAULT_URL,
    key: ApiKey = None,
) -> None:
    """List your jobs, newest first."""
    from safelight.job_commands import list_jobs

    async def work(client: "AsyncClient", board: "Board") -> int:
        return await list_jobs(client, board.console, status=status, task=task, limit=limit)

    _with_client(work, url, key, ViaChoice.WEBSOCKET, live=False)


@app.command()
def version() -> None:
    """Print the version of the software and of the protocol."""
    from protocol.version import PROTOCOL_VERSION

    Console().print(f"safelight {VERSION}, protocol {PROTOCOL_VERSION}", highlight=False)


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
    """Show the packaged models: what for, licence, size, whether they are here. With --server all of a server's."""
    if server:
        from safelight.model_commands import list_server_models

        async def work(client: "AsyncClient", board: "Board") -> int:
            return await list_server_models(client, board.console, kind=kind, task=task)

        _with_client(work, url, key, ViaChoice.WEBSOCKET, live=False)
        return
    from rich.table import Table

    from engine.models.files import status
    from safelight.wording import size

    console = Console()
    folder = _models_dir(config, models_dir)
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

    folder = _models_dir(config, models_dir)
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

    _with_client(work, url, key, via)


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

    _with_client(work, url, key, ViaChoice.WEBSOCKET, live=False)


@models_app.command("download")
def download_model(
    source: Annotated[str, typer.Argument(help="URL of the file, as the server reaches it.", metavar="FILE_URL")],
    kind: Annotated[str, typer.Option(help="checkpoint, lora, vae, controlnet, upscaler, embedding, ...")],
    name: Annotated[str | None, typer.Option(help="Of the file on the server.", show_default=False)] = None,
    sha256: Annotated[str | None, typer.Option(help="Checked; needed for pickles.", show_default=False)] = None,
    url: Url = DEFAULT_URL,
    key: ApiKey = None,
    via: Via = ViaChoice.WEBSOCKET,
) -> None:
    """Have a running server download a model file, and show how far it is. Ctrl-C cancels it."""
    from safelight import model_commands

    options = model_commands.DownloadOptions(source, kind, name, sha256)

    async def work(client: "AsyncClient", board: "Board") -> int:
        return await model_commands.download_model(client, board.console, options)

    _with_client(work, url, key, via, live=False)


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

    _with_client(work, url, key, ViaChoice.WEBSOCKET, live=False)


@keys_app.command("add")
def add_key(
    name: Annotated[str, typer.Argument(help="Who the key is for.")],
    scope: Annotated[list[str] | None, typer.Option(help="jobs:read, jobs:write, models:write or admin.")] = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Make an API key and print it, once; a running server knows it at once."""
    from service import auth

    known = {str(item): item for item in auth.Scope}
    unknown = [item for item in scope or () if item not in known]
    if unknown:
        fail(f"--scope: expected one of {', '.join(known)}, got {unknown[0]!r}", 2)
    scopes = [known[item] for item in scope] if scope else auth.CONFIGURED_SCOPES
    try:
        secret = auth.add_key(_data_dir(config, data_dir), name, scopes)
    except auth.KeyProblem as error:
        fail(str(error), 2)
    Console(stderr=True).print("This key is shown once, and stored only as a hash:", highlight=False)
    typer.echo(secret)


@keys_app.command("list")
def list_keys(data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """Show the keys there are, without their secrets."""
    from service import auth

    for record in auth.list_keys(_data_dir(config, data_dir)):
        state = f"revoked {record.revoked_at}" if record.revoked_at else "in use"
        typer.echo("\t".join((record.id, record.name, ",".join(sorted(record.scopes)), record.created_at, state)))


@keys_app.command("revoke")
def revoke_key(
    id_or_name: Annotated[str, typer.Argument(help="As `safelight keys list` shows it.")],
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Take a key back; a running server refuses it within a few seconds."""
    from service import auth

    try:
        record = auth.revoke_key(_data_dir(config, data_dir), id_or_name)
    except auth.KeyProblem as error:
        fail(str(error), 2)
    typer.echo(f"revoked {record.name} ({record.id})")


def fail(message: str, code: int) -> NoReturn:
    """Print what went wrong and what to do, and end with `code`."""
    Console(stderr=True).print(f"error: {message}", style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code)


def _with_client(
    work: "Callable[[AsyncClient, Board], Coroutine[Any, Any, int]]",
    url: str | None,
    key: str | None,
    via: ViaChoice,
    *,
    live: bool = True,
) -> None:
    """Do `work` with a client and a board, and end with the code it returns.

    Args:
        url: None takes the server on this machine, and starts one for this work if there is none.
    """
    from safelight.client import AsyncClient
    from safelight.progress import PlainBoard, board_for

    console = Console()

    async def connect() -> int:
        async with AsyncExitStack() as stack:
            address = url or await _local_server(console, stack)
            board = stack.enter_context(board_for(console) if live else PlainBoard(console))
            client = AsyncClient(address, key, transport=via.value, on_connection=board.connection)
            return await work(await stack.enter_async_context(client), board)

    _end(_finish(connect()))


async def _local_server(console: Console, stack: AsyncExitStack) -> str:
    """The address of the server on this machine; of one started for as long as `stack` is open if there is none."""
    from safelight.client import AsyncClient
    from safelight.errors import ServerUnreachable
    from safelight.server_process import running_server

    try:
        async with AsyncClient(DEFAULT_URL) as client:
            await client.health()
    except ServerUnreachable:
        console.print(f"no server answers at {DEFAULT_URL}: starting one for this job", highlight=False)
        return await stack.enter_async_context(running_server(_models_dir(None, None), EngineChoice.TORCH.value))
    return DEFAULT_URL


def _finish(work: Coroutine[Any, Any, int]) -> int:
    """Run `work`; what goes wrong becomes a message that says what to do, and an exit code."""
    from safelight import errors
    from safelight.advice import advice_for
    from safelight.watching import ExitCode

    try:
        return asyncio.run(work)
    except (errors.ServerUnreachable, errors.ConnectionLost) as error:
        fail(str(error), ExitCode.NOT_REACHABLE)
    except errors.RequestRefused as error:
        advice = advice_for(error.code)
        code = ExitCode.USAGE if error.code in _USAGE_CODES else ExitCode.JOB_FAILED
        fail(f"{error}; {advice}" if advice else str(error), code)
    except (errors.PictureUnreadable, ValueError) as error:
        fail(str(error), ExitCode.USAGE)
    except (errors.SafelightError, OSError) as error:
        fail(str(error), ExitCode.JOB_FAILED)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED


def _end(code: int) -> None:
    if code:
        raise typer.Exit(code)


def _models_dir(config: Path | None, flag: Path | None) -> Path:
    return _settings(config, {"models_dir": flag}).models_dir


def _data_dir(config: Path | None, flag: Path | None) -> Path:
    return _settings(config, {"data_dir": flag}).data_dir


def _settings(config: Path | None, flags: Mapping[str, object]) -> "Settings":
    from service import settings

    try:
        return settings.load(config, {name: value for name, value in flags.items() if value is not None})
    except settings.SettingsError as error:
        fail(str(error), 2)
