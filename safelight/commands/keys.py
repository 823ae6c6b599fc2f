"""`safelight keys ...`."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias, TypeVar

import typer
from rich.console import Console

from safelight.commands.failing import fail
from safelight.commands.options import ConfigFile, DataDir
from safelight.commands.settings import load_settings

if TYPE_CHECKING:
    from service.cluster.shared_keys import SharedKeys
    from service.settings import Settings

keys_app: Final = typer.Typer(
    help="API keys of a server on this machine, running or not; or with --nats, of a cluster.", no_args_is_help=True
)

Nats: TypeAlias = Annotated[
    str | None, typer.Option(help="nats://HOST:PORT of a cluster, whose keys they are.", show_default=False)
]
T = TypeVar("T")


@keys_app.command("add")
def add_key(
    name: Annotated[str, typer.Argument(help="Who the key is for.")],
    scope: Annotated[list[str] | None, typer.Option(help="jobs:read, jobs:write, models:write or admin.")] = None,
    data_dir: DataDir = None,
    nats: Nats = None,
    config: ConfigFile = None,
) -> None:
    """Make an API key and print it, once; a running server knows it at once."""
    from service import auth

    known = {str(item): item for item in auth.Scope}
    unknown = [item for item in scope or () if item not in known]
    if unknown:
        fail(f"--scope: expected one of {', '.join(known)}, got {unknown[0]!r}", 2)
    scopes = [known[item] for item in scope] if scope else auth.CONFIGURED_SCOPES
    secret = _with_keys(
        _settings(config, data_dir, nats),
        lambda folder: auth.add_key(folder, name, scopes),
        lambda shared: shared.add(name, scopes),
    )
    Console(stderr=True).print("This key is shown once, and stored only as a hash:", highlight=False)
    typer.echo(secret)


@keys_app.command("list")
def list_keys(data_dir: DataDir = None, nats: Nats = None, config: ConfigFile = None) -> None:
    """Show the keys there are, without their secrets."""
    from service import auth

    for record in _with_keys(_settings(config, data_dir, nats), auth.list_keys, lambda shared: shared.load()):
        state = f"revoked {record.revoked_at}" if record.revoked_at else "in use"
        typer.echo("\t".join((record.id, record.name, ",".join(sorted(record.scopes)), record.created_at, state)))


@keys_app.command("revoke")
def revoke_key(
    id_or_name: Annotated[str, typer.Argument(help="As `safelight keys list` shows it.")],
    data_dir: DataDir = None,
    nats: Nats = None,
    config: ConfigFile = None,
) -> None:
    """Take a key back; a running server refuses it within a few seconds."""
    from service import auth

    record = _with_keys(
        _settings(config, data_dir, nats),
        lambda folder: auth.revoke_key(folder, id_or_name),
        lambda shared: shared.revoke(id_or_name),
    )
    typer.echo(f"revoked {record.name} ({record.id})")


def _settings(config: Path | None, data_dir: Path | None, nats: str | None) -> "Settings":
    settings = load_settings(config, {"data_dir": data_dir, "nats_url": nats})
    # A folder that was named is meant, whatever the environment says of a cluster.
    return settings.model_copy(update={"nats_url": None}) if data_dir is not None and nats is None else settings


def _with_keys(
    settings: "Settings", of_folder: Callable[[Path], T], of_cluster: Callable[["SharedKeys"], Awaitable[T]]
) -> T:
    """Do something with the keys of a server on this machine, or of a cluster if the settings name one."""
    from service import auth
    from service.database import StoreUnavailable
    from service.settings import SettingsError

    try:
        if settings.nats_url is None:
            return of_folder(settings.data_dir)
        return asyncio.run(_of_cluster(settings, settings.nats_url, of_cluster))
    except (auth.KeyProblem, SettingsError) as error:
        fail(str(error), 2)
    except StoreUnavailable as error:
        fail(str(error), 1)


async def _of_cluster(settings: "Settings", url: str, work: Callable[["SharedKeys"], Awaitable[T]]) -> T:
    from service.cluster.connection import connect
    from service.cluster.kv import Bucket
    from service.cluster.names import Names
    from service.cluster.shared_keys import SharedKeys
    from service.cluster.stream_settings import Bucket as BucketName
    from service.cluster.streams import ensure_bucket
    from service.logs import configure

    configure(settings.model_copy(update={"log_level": "error"}))
    names = Names(settings.cluster)
    connection = await connect(url, "keys", credentials=settings.nats_credentials)
    try:
        await ensure_bucket(connection, names, settings, BucketName.KEYS)
        return await work(SharedKeys(Bucket(connection, names.bucket(BucketName.KEYS))))
    finally:
        await connection.close()
