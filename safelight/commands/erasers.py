"""`safelight models download lama`: the published files of an erase model, into the models folder of this machine."""

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import structlog
from rich.console import Console

from protocol.erasing import EraseModel
from protocol.events import EventBody, ModelLoading
from safelight.commands.failing import fail
from safelight.commands.session import end, finish
from safelight.pulling import PullBoard
from safelight.watching import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.interface.downloads import WantedFile
    from service.settings import Settings

_LOOK_S: Final = 1.0
_PHASES: Final = {"download": "fetch"}
"""What the server calls a phase -> what the board calls it."""


def download_eraser(model: EraseModel, settings: "Settings") -> None:
    """Bring what is missing of a model, each file checked against its checksum; goes on where it broke off.

    A server on this machine, running or not, finds it there. Ends the command with 1 if it could not be had, or if its
    licence needs a setting that is off.
    """
    from engine.inpainting.published import FILES, LICENCES, eraser_id
    from engine.inpainting.weights import Weights, configured
    from engine.interface.downloads import DownloadFailed, WantedFile

    if model not in FILES:
        Console().print(f"{model}: needs no files", highlight=False)
        return
    licence = LICENCES[model]
    if not (licence.is_commercial or settings.allow_noncommercial_models):
        why = f"{licence.name}; {licence.why}"
        fail(f"{model} is used only if the setting allow_noncommercial_models is on ({why})", ExitCode.JOB_FAILED)
    weights = Weights(
        models_dir=settings.models_dir, folders=tuple(folder.expanduser() for folder in settings.model_folders)
    )
    files = [configured(file, weights.environ) for file in FILES[model]]
    missing = [
        WantedFile(url=file.url, target=weights.target(file), md5=file.md5, size_bytes=file.size_bytes)
        for file in files
        if weights.find(file) is None
    ]
    name, total_bytes = eraser_id(model), sum(file.size_bytes for file in files)

    async def work() -> int:
        with PullBoard(Console()) as board:

            def tell(body: EventBody) -> None:
                if isinstance(body, ModelLoading):
                    phase = _PHASES.get(body.phase, body.phase)
                    board.update(name, phase, body.done or 0, body.total, licence.name)

            if missing:
                await _bring(settings, name, missing, tell)
            board.update(name, "ready" if missing else "present", total_bytes, total_bytes, licence.name)
        return ExitCode.OK

    try:
        code = finish(work())
    except DownloadFailed as failure:
        listed = "; ".join(f"{file.target.name} from {file.url}" for file in missing)
        where = missing[0].target.parent
        reason = f"{model} was not downloaded: {failure}"
        fail(f"{reason}; without a network put {listed} into {where}", ExitCode.JOB_FAILED)
    end(code)


async def _bring(
    settings: "Settings", name: str, files: "Sequence[WantedFile]", tell: Callable[[EventBody], None]
) -> None:
    """
    Raises:
        DownloadFailed: they cannot be had.
    """
    from service.wanted_files import WantedFiles

    # What the server would write into its log is on the board.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    downloads = WantedFiles(settings, tell)
    running = asyncio.create_task(downloads.run())
    try:
        await asyncio.sleep(0)  # until its first wait: then it takes work
        coming = downloads.begin(name, files)
        while not await asyncio.to_thread(coming.wait, _LOOK_S):
            pass
    finally:
        running.cancel()
        await asyncio.wait([running])
