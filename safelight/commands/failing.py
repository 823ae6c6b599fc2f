"""How a command that cannot go on says so."""

from typing import NoReturn

import typer
from rich.console import Console


def fail(message: str, code: int) -> NoReturn:
    """Print what went wrong and what to do, and end with `code`."""
    Console(stderr=True).print(f"error: {message}", style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code)
