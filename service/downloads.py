"""Model files from elsewhere into the models folder: checked, and only then given their name."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Final, Protocol

import structlog

from protocol.errors import ErrorCode, ProtocolError
from protocol.events import EventBody, ModelAdded, ModelFailed, ModelLoading
from protocol.models import ModelDownload, ModelInfo, ModelKind
from service.download import Download, file_name
from service.errors import ServiceError
from service.outbound import Refused, Resolve, read_url, resolve_with_system
from service.partial_file import PartialFile
from service.settings import Settings
from service.transfer import DELAYS_S, Unusable
from service.transfers import Transfers
from service.whole import whole

_CANCELLED: Final = "cancelled by a client"
_TOLD_SHARE: Final = 0.01
_TOLD_BYTES: Final = 16 << 20
"""Progress is told this often where nobody says how large the file is."""
_RETRY_AFTER_S: Final = 5.0
_MOST: Final = 100
"""Downloads that may be under way or wait, and failed ones that are remembered."""

logger = structlog.get_logger(__name__)


class Destination(Protocol):
    """The part of `service.models.Shelf` that takes in what arrives. Every method may block."""

    def place(self, kind: ModelKind, file_name: str) -> Path | None:
        """Where a download of that name goes; None if models of that kind cannot be downloaded."""
        ...

    def problem(self, part: Path, kind: ModelKind, file_name: str) -> str | None:
        """Why a file that has arrived cannot be used as what it was asked for; None if it can."""
        ...

    def take_in(self, path: Path, sha256: str | None) -> str | None:
        """Notice a file that has got its name; returns the id it is listed under."""
        ...


class Downloads:
    """The downloads of one server. For the event loop.

    Args:
        settings: `allow_model_downloads`, `max_model_bytes`, `fetch_*` and `allow_private_urls` are read.
        tell: hears `model.loading`, `model.added` and `model.failed`.
        resolve: host names to addresses.
        delays_s: between tries that brought nothing.
    """

    def __init__(
        self,
        settings: Settings,
        shelf: Destination,
        tell: Callable[[EventBody], None],
        *,
        resolve: Resolve = resolve_with_system,
        delays_s: Sequence[float] = DELAYS_S,
    ) -> None:
        self._settings = settings
        self._shelf = shelf
        self._tell = tell
        self._transfers = Transfers(settings, resolve=resolve, delays_s=delays_s)
        self._downloads: dict[str, Download] = {}
        self.begun = self._transfers.begun
        """Set once downloads can be started."""

    async def run(self) -> None:
        """Own the downloads until cancelled; what has arrived of each then stays, to go on with."""
        await self._transfers.run()

    def infos(self) -> Sequence[ModelInfo]:
        """Those under way, and of those that failed and were not asked for again the newest."""
        return [download.info() for download in self._downloads.values()]

    def start(self, request: ModelDownload, taken: Collection[str] = ()) -> ModelInfo:
        """Begin a download, or go on with what has arrived of it. One under way from the same URL is found.

        Args:
            taken: ids of models that are there, in whichever folder.

        Raises:
            ProtocolError: `forbidden`: the settings do not allow it; `invalid_params`; `fetch_failed`: the URL is not
                one this server fetches from; `model_exists`; `queue_full`; `not_ready`.
        """
        if not self._settings.allow_model_downloads:
            raise ProtocolError(ErrorCode.FORBIDDEN, "this server downloads no models: allow_model_downloads is off")
        if not self._transfers.is_running:
            raise ServiceError(ErrorCode.NOT_READY, "the server is not running", retry_after_s=_RETRY_AFTER_S)
        download = self._read(request)
        known = self._downloads.get(download.id)
        if known is not None and known.is_under_way:
            if known.url == download.url:
                return known.info()
            raise _exists(f"model: {download.id!r} is on its way from another URL")
        if download.id in taken or download.part.target.exists():
            raise _exists(f"model: {download.id!r} is there already; give another name to have both")
        if sum(each.problem is None for each in self._downloads.values()) >= _MOST:
            message = f"{_MOST} downloads are under way; wait until some have ended"
            raise ServiceError(ErrorCode.QUEUE_FULL, message, retry_after_s=_RETRY_AFTER_S)
        self._downloads.pop(download.id, None)
        self._downloads[download.id] = download
        before = known.task if known is not None else None
        download.task = self._transfers.start(self._work(download, before), f"download {download.id}")
        return download.info()

    async def cancel(self, model_id: str, *, discards: bool = False) -> ModelInfo:
        """End a download; `model.failed` tells of it. One that has failed is left as it is.

        Args:
            discards: remove what has arrived, and remember nothing of it. Otherwise that stays, to go on with.

        Returns:
            How far it was.

        Raises:
            ProtocolError: `not_found`; `already_ended`: the file has arrived, and is being given its name.
        """
        download = self._downloads.get(model_id)
        if download is None:
            raise ProtocolError(ErrorCode.NOT_FOUND, f"model: no download of {model_id!r:.80} is under way")
        if download.is_arriving and download.problem is None:
            raise ProtocolError(ErrorCode.ALREADY_ENDED, f"model: {model_id!r} has just arrived")
        download.discards = download.discards or discards
        if download.task is not None and not download.task.done():
            download.is_cancelled = True
            download.task.cancel()
            await asyncio.wait([download.task])
        elif self._transfers.is_running:
            # As its task: one that begins anew meanwhile waits for it.
            download.task = self._transfers.start(self._leave(download), f"discard {download.id}")
            await asyncio.wait([download.task])
        await self._leave(download)  # of a task that had not begun there was nobody else to
        return download.info()

    def _read(self, request: ModelDownload) -> Download:
        url = str(request.url)
        try:
            read_url(url)
        except Refused as refusal:
            raise ProtocolError(ErrorCode.FETCH_FAILED, f"url: {refusal} at $.url", "$.url") from None
        place = self._shelf.place(request.kind, file_name(request))
        if place is None:
            message = f"kind: models of the kind {request.kind} cannot be downloaded, at $.kind"
            raise ProtocolError(ErrorCode.INVALID_PARAMS, message, "$.kind")
        part = PartialFile(place)
        transfer = self._transfers.transfer(
            url, part, is_checked=request.sha256 is not None, on_progress=lambda: self._tell_progress(download)
        )
        sha256 = request.sha256.lower() if request.sha256 is not None else None
        download = Download(
            kind=request.kind, url=url, sha256=sha256, part=part, transfer=transfer, told_bytes=-_TOLD_BYTES
        )
        return download

    # ---- one download ----------------------------------------------------------------------------------------

    async def _work(self, download: Download, before: asyncio.Task[None] | None) -> None:
        """Bring it.

        Args:
            before: what may still write to the same file.
        """
        try:
            if before is not None:
                await asyncio.wait([before])
            await self._transfers.bring(download.transfer)
            await self._check(download)
            download.is_arriving = True
            await self._take_in(download)
        except asyncio.CancelledError:
            if download.is_cancelled:
                await self._leave(download)
            raise
        except (Refused, Unusable) as error:
            self._fail(download, str(error))
        except OSError as error:
            self._fail(download, f"it cannot be written: {error.strerror or type(error).__name__}")
        except Exception:  # the other downloads, and the server, go on
            logger.exception("download.raised", model=download.id)
            self._fail(download, "the server made a mistake; its log has more")

    async def _leave(self, download: Download) -> None:
        """Do what is left to do for one that was cancelled. Nothing is done twice."""
        if download.discards:
            # Cleared before the first await: another may have begun to write by the end of a second time.
            download.discards = False
            await whole(download.part.discard)
            if self._downloads.get(download.id) is download:
                del self._downloads[download.id]
        if download.problem is None:
            logger.info("download.cancelled", model=download.id, done_bytes=download.transfer.done_bytes)
            self._end(download, _CANCELLED)

    def _fail(self, download: Download, reason: str) -> None:
        logger.warning("download.failed", model=download.id, reason=reason)
        self._end(download, reason)

    def _end(self, download: Download, reason: str) -> None:
        download.problem = reason
        failed = [each.id for each in self._downloads.values() if each.problem is not None]
        for model_id in failed[:-_MOST]:
            del self._downloads[model_id]
        self._tell(ModelFailed(model=download.id, reason=reason))

    def _tell_progress(self, download: Download) -> None:
        done, total = download.transfer.done_bytes, download.transfer.total_bytes
        interval = _TOLD_BYTES if total is None else max(1, int(total * _TOLD_SHARE))
        # It falls where a server begins anew.
        if abs(done - download.told_bytes) >= interval:
            download.told_bytes = done
            self._tell(ModelLoading(model=download.id, phase="download", done=done, total=total))

    async def _check(self, download: Download) -> None:
        """Whether it is what was asked for. If not, nothing of it stays.

        Raises:
            Unusable: it is not.
        """
        part, size_bytes = download.part, download.transfer.done_bytes
        self._tell(ModelLoading(model=download.id, phase="check", done=0, total=size_bytes))
        problem = None
        if download.sha256 is not None:
            sha256 = await asyncio.to_thread(part.sha256)
            if sha256 != download.sha256:
                problem = f"its SHA-256 is {sha256}, expected {download.sha256}"
        if problem is None:
            found = await asyncio.to_thread(self._shelf.problem, part.path, download.kind, part.target.name)
            problem = found and f"it cannot be used: {found}"
        if problem is not None:
            await whole(part.discard)
            raise Unusable(problem)

    async def _take_in(self, download: Download) -> None:
        await whole(download.part.finish)
        model_id = await asyncio.to_thread(self._shelf.take_in, download.part.target, download.sha256)
        del self._downloads[download.id]
        logger.info("download.ended", model=model_id or download.id, size_bytes=download.transfer.done_bytes)
        self._tell(ModelAdded(model=model_id or download.id, size_bytes=download.transfer.done_bytes))


def _exists(message: str) -> ProtocolError:
    return ProtocolError(ErrorCode.MODEL_EXISTS, message)
