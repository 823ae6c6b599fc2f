"""A command's time with a server: from the connection, or the start of a server, to the exit code."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

import typer
from rich.console import Console

from safelight.address import DEFAULT_URL
from safelight.commands.failing import fail
from safelight.commands.options import EngineChoice, ViaChoice
from safelight.commands.settings import models_folder

if TYPE_CHECKING:
    from safelight.client import AsyncClient
    from safelight.progress import Board

_USAGE_CODES: Final = frozenset(
    {"invalid_params", "unknown_task", "model_missing", "malformed", "bad_image", "image_too_large"}
)
"""Refusals that are about what was typed."""


def with_client(
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

    end(finish(connect()))


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
        return await stack.enter_async_context(running_server(models_folder(None, None), EngineChoice.TORCH.value))
    return DEFAULT_URL


def finish(work: Coroutine[Any, Any, int]) -> int:
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


def end(code: int) -> None:
    if code:
        raise typer.Exit(code)
