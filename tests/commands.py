"""Command lines of ours, as the command line itself reads them."""

from collections.abc import Sequence

import typer.main

from safelight.cli import app


def taken_apart(arguments: Sequence[str]) -> dict[str, object]:
    """What `safelight ARGUMENTS` would be run with. Nothing is run.

    Raises:
        Exception: there is no such command, or it has no such flag.
    """
    command, rest, names = typer.main.get_command(app), list(arguments), ["safelight"]
    while subcommands := getattr(command, "commands", None):
        names.append(rest.pop(0))
        command = subcommands[names[-1]]
    with command.make_context(" ".join(names), rest) as context:
        return dict(context.params)
