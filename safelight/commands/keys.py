"""`safelight keys ...`."""

from typing import Annotated, Final

import typer
from rich.console import Console

from safelight.commands.failing import fail
from safelight.commands.options import ConfigFile, DataDir
from safelight.commands.settings import data_folder

keys_app: Final = typer.Typer(help="API keys of a server on this machine, running or not.", no_args_is_help=True)


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
        secret = auth.add_key(data_folder(config, data_dir), name, scopes)
    except auth.KeyProblem as error:
        fail(str(error), 2)
    Console(stderr=True).print("This key is shown once, and stored only as a hash:", highlight=False)
    typer.echo(secret)


@keys_app.command("list")
def list_keys(data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """Show the keys there are, without their secrets."""
    from service import auth

    for record in auth.list_keys(data_folder(config, data_dir)):
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
        record = auth.revoke_key(data_folder(config, data_dir), id_or_name)
    except auth.KeyProblem as error:
        fail(str(error), 2)
    typer.echo(f"revoked {record.name} ({record.id})")
