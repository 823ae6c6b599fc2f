"""The bytes of one large file from elsewhere: streamed to the disk, and resumed where they broke off."""

import asyncio
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from service.outbound import Interrupted, Outbound, Refused
from service.partial_file import Origin, PartialFile
from service.settings import Settings
from service.whole import whole

if TYPE_CHECKING:
    import httpx

_CONTENT_RANGE: Final = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")
_WRITE_BYTES: Final = 1 << 20
_WORTH_ANOTHER_TRY: Final = frozenset({408, 425, 429})
_ACCEPT: Final = {"Accept": "*/*"}
DELAYS_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Between tries that brought nothing; one more fails the transfer."""

logger = structlog.get_logger(__name__)


class Unusable(Exception):
    """What the URL gives is not, or cannot become, the file that was asked for. The message is for the client."""


class Transfer:
    """One file on its way. For the event loop.

    Args:
        settings: `max_model_bytes` and `fetch_*` are read.
        is_checked: there is a checksum at the end: what has arrived counts even if its server cannot tell that the
            file is still the same.
        on_progress: called whenever something has been written.
        delays_s: between tries that brought nothing.
    """

    def __init__(
        self,
        settings: Settings,
        outbound: Outbound,
        url: str,
        part: PartialFile,
        *,
        is_checked: bool,
        on_progress: Callable[[], None],
        delays_s: Sequence[float] = DELAYS_S,
    ) -> None:
        self._settings = settings
        self._outbound = outbound
        self._url = url
        self._part = part
        self._is_checked = is_checked
        self._on_progress = on_progress
        self._delays_s = delays_s
        self._has_begun = False
        self.done_bytes = 0
        self.total_bytes: int | None = None

    async def run(self) -> None:
        """Bring all of it; tries again whenever the connection breaks.

        Raises:
            Refused: the URL is not allowed, or nothing came of several tries in a row.
            Unusable: there is no such file, or it is too large.
            OSError: it cannot be written. What has arrived stays, whatever is raised.
        """
        in_vain = 0
        while True:
            before = self.done_bytes
            try:
                await self._fetch_rest()
                return
            except Refused as refusal:
                # Where something came from once, more will: also if its name is not found for a while.
                if not (isinstance(refusal, Interrupted) or self._has_begun):
                    raise
                in_vain = 0 if self.done_bytes > before else in_vain + 1
                if in_vain > len(self._delays_s):
                    raise
                logger.info("transfer.interrupted", file=self._part.target.name, done_bytes=self.done_bytes)
            await asyncio.sleep(self._delays_s[max(0, in_vain - 1)])

    async def _fetch_rest(self) -> None:
        have, headers = await asyncio.to_thread(self._what_to_ask)
        async with self._outbound.get(
            self._url,
            headers=headers,
            timeout_s=self._settings.fetch_timeout_s,
            max_redirects=self._settings.fetch_max_redirects,
        ) as response:
            match response.status_code:
                case 206 if have and _range(response).start == have:
                    pass
                case 200:
                    have = 0
                case 416 if have:
                    if _range(response).total == have:
                        self.done_bytes = self.total_bytes = have
                        return
                    await whole(self._part.discard)
                    raise Interrupted("its server has another file now")
                case status if status >= 500 or status in _WORTH_ANOTHER_TRY:
                    raise Interrupted(f"its server answered with status {status}")
                case status:
                    raise Unusable(f"its server answered with status {status}")
            length = response.headers.get("content-length")
            total = have + int(length) if length is not None and length.isdecimal() else None
            if not have:
                await whole(self._part.begin, Origin.of(self._url, _validator(response)))
            await asyncio.to_thread(self._check_room, have, total)
            self.done_bytes, self.total_bytes = have, total
            await self._save(response)
        if total is not None and self.done_bytes < total:
            raise Interrupted("the connection broke: the file is not whole")

    def _what_to_ask(self) -> tuple[int, dict[str, str]]:
        """How many bytes need not come again, and the headers that say so."""
        have, origin = self._part.size_bytes, self._part.origin
        validator = origin.validator if origin is not None and origin.is_of(self._url) else None
        if not have or (validator is None and not self._is_checked):
            return 0, _ACCEPT
        headers = {**_ACCEPT, "Range": f"bytes={have}-"}
        return have, headers if validator is None else {**headers, "If-Range": validator}

    def _check_room(self, have: int, total: int | None) -> None:
        most = self._settings.max_model_bytes
        if total is not None and total > most:
            raise Unusable(f"it is larger than the {most} bytes this server takes")
        if total is not None and shutil.disk_usage(self._part.target.parent).free < total - have:
            raise Unusable(f"there is no room on the disk for its {total} bytes")

    async def _save(self, response: "httpx.Response") -> None:
        most = self._settings.max_model_bytes
        waiting = bytearray()
        await whole(self._part.append, b"")
        try:
            async for chunk in response.aiter_raw():
                if self.done_bytes + len(waiting) + len(chunk) > most:
                    raise Unusable(f"it is larger than the {most} bytes this server takes")
                waiting += chunk
                if len(waiting) >= _WRITE_BYTES:
                    await self._write(waiting)
        finally:
            # Also when the connection breaks, or it is cancelled: what is kept need not come again.
            await self._write(waiting)

    async def _write(self, waiting: bytearray) -> None:
        """Append what waits, once, whatever happens meanwhile."""
        block = bytes(waiting)
        waiting.clear()
        if not block:
            return
        self.done_bytes += len(block)
        self._has_begun = True
        await whole(self._part.append, block)
        self._on_progress()


@dataclass(frozen=True, slots=True)
class _Range:
    """Of a `Content-Range`; what it does not say is None."""

    start: int | None
    total: int | None


def _range(response: "httpx.Response") -> _Range:
    match = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", "").strip())
    if match is None:
        return _Range(None, None)
    return _Range(int(match[1]) if match[1] else None, int(match[2]) if match[2] != "*" else None)


def _validator(response: "httpx.Response") -> str | None:
    etag: str | None = response.headers.get("etag")
    if etag is not None and etag.startswith('"'):
        return etag
    modified: str | None = response.headers.get("last-modified")
    return modified
