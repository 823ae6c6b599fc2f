"""Published files that the engine needs for a job: downloaded, checked, and only then given their name.

Implements `engine.interface.downloads.Downloader`. It is the operator who says whether this server downloads anything
(`allow_model_downloads`); which files, from where, and with which checksum, is the engine's list, not a client's.
"""

import asyncio
import concurrent.futures
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import structlog

from engine.interface.downloads import DownloadFailed, WantedFile
from protocol.events import EventBody, ModelAdded, ModelFailed, ModelLoading
from service.outbound import Refused, Resolve, resolve_with_system
from service.partial_file import PartialFile
from service.settings import Settings
from service.transfer import DELAYS_S, Unusable
from service.transfers import Transfers
from service.whole import whole

_TOLD_SHARE: Final = 0.01
_STOPPING: Final = "the server is stopping"
_OFF: Final = "this server downloads no models: allow_model_downloads is off"

logger = structlog.get_logger(__name__)


class WantedFiles:
    """The downloads that jobs wait for. For the event loop, but where it says so.

    Args:
        settings: `allow_model_downloads`, `max_model_bytes`, `fetch_*` and `allow_private_urls` are read.
        tell: hears `model.loading`, `model.added` and `model.failed`.
        resolve: host names to addresses.
        delays_s: between tries that brought nothing.
    """

    def __init__(
        self,
        settings: Settings,
        tell: Callable[[EventBody], None],
        *,
        resolve: Resolve = resolve_with_system,
        delays_s: Sequence[float] = DELAYS_S,
    ) -> None:
        self._settings = settings
        self._tell = tell
        self._transfers = Transfers(settings, resolve=resolve, delays_s=delays_s)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._coming: dict[str, _Coming] = {}
        self.begun = self._transfers.begun
        """Set once `run` takes downloads."""

    async def run(self) -> None:
        """Own the downloads until cancelled; what has arrived of each then stays, to go on with."""
        self._loop = asyncio.get_running_loop()
        try:
            await self._transfers.run()
        finally:
            for coming in self._coming.values():
                coming.end(DownloadFailed(_STOPPING))

    def begin(self, model: str, files: Sequence[WantedFile]) -> "_Coming":
        """See `engine.interface.downloads.Downloader`. From any thread."""
        coming = _Coming()
        if not self._settings.allow_model_downloads:
            coming.end(DownloadFailed(_OFF))
            return coming
        try:
            if self._loop is None:
                raise RuntimeError
            self._loop.call_soon_threadsafe(self._join, model, tuple(files), coming)
        except RuntimeError:  # not begun, or the loop is closed
            coming.end(DownloadFailed(_STOPPING))
        return coming

    def _join(self, model: str, files: Sequence[WantedFile], coming: "_Coming") -> None:
        """Let `coming` end with the download of that model; begin it if nobody has."""
        first = self._coming.get(model)
        if first is not None:
            first.followed_by(coming)
        elif not self._transfers.is_running:
            coming.end(DownloadFailed(_STOPPING))
        else:
            self._coming[model] = coming
            self._transfers.start(self._bring(model, files, coming), f"wanted {model}")

    async def _bring(self, model: str, files: Sequence[WantedFile], coming: "_Coming") -> None:
        failure: DownloadFailed | None = DownloadFailed(_STOPPING)
        try:
            sizes = [file.size_bytes for file in files]
            for index, file in enumerate(files):
                sizes[index] = await self._bring_one(model, file, sum(sizes[:index]), sum(sizes[index + 1 :]))
            logger.info("wanted.ended", model=model, size_bytes=sum(sizes))
            self._tell(ModelAdded(model=model, size_bytes=sum(sizes)))
            failure = None
        except (Refused, Unusable) as error:
            failure = DownloadFailed(str(error))
        except OSError as error:
            failure = DownloadFailed(f"it cannot be written: {error.strerror or type(error).__name__}")
        except Exception:  # the other downloads, and the server, go on
            logger.exception("wanted.raised", model=model)
            failure = DownloadFailed("the server made a mistake; its log has more")
        finally:
            self._coming.pop(model, None)
            if failure is not None:
                logger.warning("wanted.failed", model=model, reason=str(failure))
                self._tell(ModelFailed(model=model, reason=str(failure)))
            coming.end(failure)

    async def _bring_one(self, model: str, file: WantedFile, before: int, after: int) -> int:
        """Bring one file of several.

        Args:
            before, after: bytes of the files that have come, and about so many of those that will.

        Returns:
            Its size.

        Raises:
            Refused, Unusable, OSError: it cannot be had.
        """
        if await asyncio.to_thread(file.target.is_file):
            return file.size_bytes
        part = PartialFile(file.target)
        told = -1.0

        def tell_progress() -> None:
            nonlocal told
            done = before + transfer.done_bytes
            total = max(done, before + (transfer.total_bytes or file.size_bytes) + after)
            if done / max(total, 1) >= told + _TOLD_SHARE:
                told = done / max(total, 1)
                self._tell(ModelLoading(model=model, phase="download", done=done, total=total))

        transfer = self._transfers.transfer(file.url, part, is_checked=bool(file.md5), on_progress=tell_progress)
        await self._transfers.bring(transfer)
        self._tell(ModelLoading(model=model, phase="check", done=0, total=transfer.done_bytes))
        if file.md5 and (md5 := await asyncio.to_thread(_md5, part.path)) != file.md5:
            await whole(part.discard)
            raise Unusable(f"{file.target.name}: its MD5 is {md5}, expected {file.md5}")
        await whole(part.finish)
        return transfer.done_bytes


class _Coming:
    """Implements `engine.interface.downloads.Coming`."""

    def __init__(self) -> None:
        self._end: concurrent.futures.Future[None] = concurrent.futures.Future()

    def wait(self, timeout_s: float) -> bool:
        try:
            self._end.result(timeout_s)
        except TimeoutError:
            return False
        return True

    def end(self, failure: DownloadFailed | None) -> None:
        """Say so, once; what comes later says nothing."""
        if self._end.done():
            return
        if failure is None:
            self._end.set_result(None)
        else:
            self._end.set_exception(failure)

    def followed_by(self, other: "_Coming") -> None:
        """Have `other` end as this one."""

        def follow(ended: "concurrent.futures.Future[None]") -> None:
            failure = ended.exception()
            other.end(failure if isinstance(failure, DownloadFailed) else None)

        self._end.add_done_callback(follow)


def _md5(path: Path) -> str:
    """Of a published file, as it is published; it is no secret's."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
