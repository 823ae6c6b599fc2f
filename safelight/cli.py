"""The command line: `safelight serve | gateway | worker | demo | run | watch | jobs | models | keys | version`.

Heavy imports are made inside the commands: `safelight --help` loads neither the server nor the engine, nor torch.
"""

from typing import Final

import typer
from rich.console import Console

from safelight.commands.jobs import jobs, run, watch
from safelight.commands.keys import keys_app
from safelight.commands.models import models_app
from safelight.commands.serving import demo, gateway, serve, worker
from safelight.version import VERSION

app: Final = typer.Typer(
    name="safelight",
    help="Submit image jobs, and watch them develop.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def version() -> None:
    """Print the version of the software and of the protocol."""
    from protocol.version import PROTOCOL_VERSION

    Console().print(f"safelight {VERSION}, protocol {PROTOCOL_VERSION}", highlight=False)


for command in (serve, gateway, worker, demo, run, watch, jobs, version):  # in the order of the help
    app.command()(command)
app.add_typer(models_app, name="models")
app.add_typer(keys_app, name="keys")


def main() -> None:
    """Run the command line; ends the process with 0, 1 job failed, 2 usage, 3 not reachable or 130 interrupted."""
    app()
