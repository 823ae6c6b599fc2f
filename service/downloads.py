"""Model files from elsewhere into the models folder: checked, and only then given their name."""

import asyncio
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Protocol
from urllib.parse import unquote

import structlog

from protocol.errors import ErrorCode, ProtocolError
from protocol.events import EventBody, ModelAdded, ModelFailed, ModelLoading
from protocol.models import ModelDownload, ModelDownloadState, ModelInfo, ModelKind
from service.errors import ServiceError
from service.outbound import Outbound, Refused, Resolve, only, read_url, resolve_with_system
from service.partial_file import PartialFile
from service.settings import Settings
from service.transfer import DELAYS_S, Transfer, Unusable

_SAFETENSORS: Final = (".safetensors", ".sft")
_PICKLES: Final = (".ckpt", ".pt", ".pth", ".bin")
_SAFE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._()+-]{0,219}")
_TOLD_SHARE: Final = 0.01
_TOLD_BYTES: Final = 16 << 20
"""Progress is told this often where nobody says how large the file is."""
_RETRY_AFTER_S: Final = 5.0
_AT_ONCE: Final = 4
"""Others wait their turn."""
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


@dataclass(slots=True, eq=False, kw_only=True)
class _Download:
    """One download, under way or failed."""

    kind: ModelKind
    url: str
    sha256: str | None
    part: PartialFile
    transfer: Transfer
    told_bytes: int = -_TOLD_BYTES
    problem: str | None = None

    @property
    def name(self) -> str:
        return self.part.target.stem

    @property
    def id(self) -> str:
        return f"{self.kind}:{self.name}"

    def info(self) -> ModelInfo:
        done, total = self.transfer.done_bytes, self.transfer.total_bytes
        return ModelInfo(
            id=self.id,
            name=self.name,
            title=self.name,
            tasks=(),
            licence="unknown",
            size_bytes=total or done,
            is_present=False,
            kind=self.kind,
            source="models",
            download=ModelDownloadState(done_bytes=done, total_bytes=total, problem=self.problem),
        )


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
        self._delays_s = delays_s
        self._outbound = Outbound(
            allow_private=settings.allow_private_urls, may_use_port=only(settings.fetch_ports), resolve=resolve
        )
        self._downloads: dict[str, _Download] = {}
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Own the downloads until cancelled; what has arrived of each then stays, to go on with."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                await asyncio.Event().wait()
        finally:
            self._group = None
            await self._outbound.aclose()

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
        if self._group is None:
            raise ServiceError(ErrorCode.NOT_READY, "the server is not running", retry_after_s=_RETRY_AFTER_S)
        download = self._read(request)
        known = self._downloads.get(download.id)
        if known is not None and known.problem is None:
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
        self._group.create_task(self._work(download), name=f"download {download.id}")
        return download.info()

    def _read(self, request: ModelDownload) -> _Download:
        url = str(request.url)
        try:
            read_url(url)
        except Refused as refusal:
            raise ProtocolError(ErrorCode.FETCH_FAILED, f"url: {refusal} at $.url", "$.url") from None
        file_name = _file_name(request)
        if file_name.lower().endswith(_PICKLES) and request.sha256 is None:
            message = "sha256: needed for files in PyTorch's own format; better is a .safetensors file, at $.sha256"
            raise ProtocolError(ErrorCode.INVALID_PARAMS, message, "$.sha256")
        place = self._shelf.place(request.kind, file_name)
        if place is None:
            message = f"kind: models of the kind {request.kind} cannot be downloaded, at $.kind"
            raise ProtocolError(ErrorCode.INVALID_PARAMS, message, "$.kind")
        part = PartialFile(place)
        transfer = Transfer(
            self._settings,
            self._outbound,
            url,
            part,
            is_checked=request.sha256 is not None,
            on_progress=lambda: self._tell_progress(download),
            delays_s=self._delays_s,
        )
        sha256 = request.sha256.lower() if request.sha256 is not None else None
        download = _Download(kind=request.kind, url=url, sha256=sha256, part=part, transfer=transfer)
        return download

    # ---- one download ----------------------------------------------------------------------------------------

    async def _work(self, download: _Download) -> None:
        try:
            async with self._turns:
                await download.transfer.run()
            await self._check(download)
            await self._take_in(download)
        except (Refused, Unusable) as error:
            self._fail(download, str(error))
        except OSError as error:
            self._fail(download, f"it cannot be written: {error.strerror or type(error).__name__}")
        except Exception:  # the other downloads, and the server, go on
            logger.exception("download.raised", model=download.id)
            self._fail(download, "the server made a mistake; its log has more")

    def _fail(self, download: _Download, reason: str) -> None:
        download.problem = reason
        failed = [each.id for each in self._downloads.values() if each.problem is not None]
        for model_id in failed[:-_MOST]:
            del self._downloads[model_id]
        logger.warning("download.failed", model=download.id, reason=reason)
        self._tell(ModelFailed(model=download.id, reason=reason))

    def _tell_progress(self, download: _Download) -> None:
        done, total = download.transfer.done_bytes, download.transfer.total_bytes
        interval = _TOLD_BYTES if total is None else max(1, int(total * _TOLD_SHARE))
        # It falls where a server begins anew.
        if abs(done - download.told_bytes) >= interval:
            download.told_bytes = done
            self._tell(ModelLoading(model=download.id, phase="download", done=done, total=total))

    async def _check(self, download: _Download) -> None:
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
            await asyncio.to_thread(part.discard)
            raise Unusable(problem)

    async def _take_in(self, download: _Download) -> None:
        await asyncio.to_thread(download.part.finish)
        model_id = await asyncio.to_thread(self._shelf.take_in, download.part.target, download.sha256)
        del self._downloads[download.id]
        logger.info("download.ended", model=model_id or download.id, size_bytes=download.transfer.done_bytes)
        self._tell(ModelAdded(model=model_id or download.id, size_bytes=download.transfer.done_bytes))


def _file_name(request: ModelDownload) -> str:
    """What the file will be called.

    Raises:
        ProtocolError: `invalid_params`: neither the name nor the URL gives one.
    """
    from_url = unquote(PurePosixPath(request.url.path or "").name)
    name = request.name or from_url
    known = (*_SAFETENSORS, *_PICKLES)
    if not name.lower().endswith(known):
        if request.name is None:
            message = (
                f"name: needed, since the URL does not end with the name of a model ({', '.join(known)}), at $.name"
            )
            raise ProtocolError(ErrorCode.INVALID_PARAMS, message, "$.name")
        suffix = PurePosixPath(from_url).suffix
        name += suffix if suffix.lower() in known else _SAFETENSORS[0]
    if not _SAFE_NAME.fullmatch(name):
        message = f"name: expected letters, digits and ' ._()+-', got {name!r:.80}; give one of your own, at $.name"
        raise ProtocolError(ErrorCode.INVALID_PARAMS, message, "$.name")
    return name


def _exists(message: str) -> ProtocolError:
    return ProtocolError(ErrorCode.MODEL_EXISTS, message)
