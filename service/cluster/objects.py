"""Where the machines of a cluster keep their pictures: a bucket of S3 or MinIO, or a folder that all of them see.

Objects             the bucket or folder
  NotThere          there is no such object
  StoreAway         the store does not answer in time, or refuses: a 503 for whoever waits for it

An object is there whole or not at all: it is sent in one request, and a file is given its name when it has arrived.
"""

import asyncio
import mmap
import re
import secrets
import shutil
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import anyio.to_thread
import obstore
import structlog
from obstore.exceptions import BaseError, GenericError, PermissionDeniedError, UnauthenticatedError

from protocol.errors import ErrorCode
from protocol.ids import new_id
from service.errors import ServiceError
from service.object_store import connect, first_line
from service.storage import BadPlace, StoragePlace
from service.whole import whole

if TYPE_CHECKING:
    from obstore import GetResult

    from service.object_store import Client

logger = structlog.get_logger(__name__)

_Failures: TypeAlias = list[str]
_CHUNK_BYTES: Final = 4 << 20
_DELETED_AT_ONCE: Final = 1000
"""As many as S3 takes."""
_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 5.0
_RETRY_AFTER_S: Final = 5.0
_ATTEMPT: Final = 0.5
"""Of the time there is, for one attempt: one that hangs leaves time for another."""
_TRYING: Final = 0.8
"""Of the time there is, until the last attempt begins: what it meets is told, and not only that the time is over."""
_PAUSE: Final = 0.1
"""Of the time there is, between two attempts at most."""
_ERROR_CODE: Final = re.compile(r"<Code>(\w{1,60})</Code>", re.ASCII)
"""In the answers of S3."""
_REFUSED: Final = re.compile(r"status code: 40[13]\b", re.ASCII)
"""In errors about listings: the library has no kind of its own for those."""
_NO_BUCKET: Final = "NoSuchBucket"
_PROBE: Final = b"safelight looks whether it may write here"


class NotThere(FileNotFoundError):
    """There is no object of this name."""


class StoreAway(ServiceError):
    """The store cannot be used now. What clients are told names no hosts and buckets.

    Args:
        reason: for the operator, in one line.
        is_refusal: the store answers, and does not let us.
    """

    def __init__(self, reason: str, *, is_refusal: bool = False) -> None:
        message = "pictures cannot be stored or fetched at the moment"
        super().__init__(ErrorCode.NOT_READY, message, retry_after_s=_RETRY_AFTER_S)
        self.reason = reason
        self.is_refusal = is_refusal


class _BrokenOff(Exception):
    """An object came shorter than the store says it is."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One that is there.

    Attributes:
        changed_at: when it was put, by the store's clock.
    """

    name: str
    size_bytes: int
    changed_at: datetime


class Objects:
    """The objects of one cluster. Costs nothing to make; connected to when it is first used.

    Names are paths without a slash at either end. Each question to the store takes at most the place's `timeout_s`,
    and within it is asked again whenever that may help; each thousand names are a question of their own.
    """

    def __init__(self, place: StoragePlace) -> None:
        self._place = place
        self._made: Client | None = None

    def __str__(self) -> str:
        return str(self._place)

    async def put(self, name: str, content: Path | bytes, media_type: str) -> None:
        """Store an object, in place of one that has the name. It can be had when this comes back.

        Args:
            content: or the file it is in, which nobody changes.

        Raises:
            StoreAway: it is not stored; where the time was over it may still become so.
            FileNotFoundError: the file is gone.
        """
        sent = content if isinstance(content, bytes) else await anyio.to_thread.run_sync(_mapped, content)
        async with self._asked("put", name, is_new=True) as failures:
            # In one request, however large: an upload in parts that is broken off leaves parts behind.
            await obstore.put_async(
                await self._client(),
                self._place.prefix + name,
                sent,
                attributes={"Content-Type": media_type} if self._place.folder is None else None,
                use_multipart=False,
            )
            # Not every server that speaks S3 has at once what it has taken: rclone's may show it empty for a moment.
            while self._place.folder is None and (shown := await self._shown(name)) != len(sent):
                failures.append(f"the server says that it is stored, and shows {shown or 'none'} of {len(sent)} bytes")
                await asyncio.sleep(_PAUSE_S)

    def put_blocking(self, name: str, content: Path | bytes, media_type: str) -> None:
        """Like `put`, for a thread without an event loop. Blocks."""
        asyncio.run(self.put(name, content, media_type))

    async def fetch(self, name: str, target: Path) -> None:
        """Bring an object into the file `target`, which is there when it is whole.

        Raises:
            NotThere, StoreAway.
            OSError: the file cannot be written.
        """
        async with self._asked("fetch", name) as failures:
            while True:
                result = await obstore.get_async(await self._client(), self._place.prefix + name)
                try:
                    return await _save(result, target)
                except (GenericError, _BrokenOff) as error:
                    failures.append(_reason(error))
                await asyncio.sleep(_PAUSE_S)

    async def read(self, name: str) -> bytes:
        """What is in an object.

        Raises:
            NotThere, StoreAway.
        """
        async with self._asked("read", name) as failures:
            while True:
                result = await obstore.get_async(await self._client(), self._place.prefix + name)
                try:
                    return bytes(await result.bytes_async())
                except GenericError as error:
                    failures.append(_reason(error))
                await asyncio.sleep(_PAUSE_S)

    async def size(self, name: str) -> int | None:
        """How many bytes an object has; None for one that is not there.

        Raises:
            StoreAway.
        """
        try:
            async with self._asked("size", name):
                return (await obstore.head_async(await self._client(), self._place.prefix + name))["size"]
        except NotThere:
            return None

    async def exists(self, name: str) -> bool:
        """Whether there is an object of this name.

        Raises:
            StoreAway.
        """
        return await self.size(name) is not None

    async def list(self, folder: str = "") -> Sequence[StoredObject]:
        """All objects whose names begin with `folder` and a slash; without one all there are.

        Raises:
            StoreAway.
        """
        found: list[StoredObject] = []
        async with self._asked("list", folder):
            pages = obstore.list(await self._client(), self._place.prefix + folder)
        while True:
            async with self._asked("list", folder):
                page = await anext(pages, None)
            if page is None:
                return found
            for meta in page:
                name = meta["path"].removeprefix(self._place.prefix)
                found.append(StoredObject(name, meta["size"], meta["last_modified"]))

    async def delete(self, names: Iterable[str]) -> None:
        """Remove objects; one that is not there is no error.

        Raises:
            StoreAway: some may be gone.
        """
        wanted = [self._place.prefix + name for name in names]
        for begin in range(0, len(wanted), _DELETED_AT_ONCE):
            some = wanted[begin : begin + _DELETED_AT_ONCE]
            async with self._asked("delete", some[0]):
                # Of several, a folder would leave those behind one that is not there.
                for asked in [some] if self._place.folder is None else some:
                    with suppress(FileNotFoundError):
                        await obstore.delete_async(await self._client(), asked)

    async def delete_prefix(self, folder: str) -> None:
        """Remove all objects whose names begin with `folder` and a slash.

        Raises:
            StoreAway: some may be gone.
        """
        await self.delete([found.name for found in await self.list(folder)])
        if self._place.folder is not None:
            # In a bucket there are no folders that could be empty.
            path = self._place.folder / folder
            await anyio.to_thread.run_sync(lambda: shutil.rmtree(path, ignore_errors=True))

    async def check(self) -> None:
        """Look whether objects can be stored, read and removed.

        Raises:
            BadPlace: they cannot; the message names the setting to look at.
        """
        name = f"checks/{new_id()}"
        try:
            await self.put(name, _PROBE, "text/plain")
            found = await self.read(name)
            await self.delete([name])
        except NotThere:
            found = b""
        except StoreAway as away:
            raise BadPlace(f"{self._blamed(away)}: {self} cannot be used: {away.reason}") from away
        if found != _PROBE:
            raise BadPlace(f"objects_url: {self} cannot be used: what is written there cannot be read back")

    def _blamed(self, away: StoreAway) -> str:
        if self._place.folder is not None or _NO_BUCKET in away.reason:
            return "objects_url"
        if away.is_refusal:
            return "objects_access_key, objects_secret_key"
        return "objects_endpoint" if self._place.endpoint is not None else "objects_url, objects_region"

    async def _shown(self, name: str) -> int | None:
        """How many bytes of an object can be had."""
        try:
            return (await obstore.head_async(await self._client(), self._place.prefix + name))["size"]
        except FileNotFoundError:
            return None

    async def _client(self) -> "Client":
        if self._made is None:
            whole_s = self._place.timeout_s
            try:
                self._made = await anyio.to_thread.run_sync(
                    lambda: connect(
                        self._place,
                        attempt_s=whole_s * _ATTEMPT,
                        tries_for_s=whole_s * _TRYING,
                        pause_s=min(_LONGEST_PAUSE_S, whole_s * _PAUSE),
                    )
                )
            except OSError as error:  # a folder that cannot be made: not a file that could not be read or written
                raise ValueError(first_line(error)) from error
        return self._made

    @asynccontextmanager
    async def _asked(self, what: str, name: str, *, is_new: bool = False) -> AsyncIterator[_Failures]:
        """Around a question to the store; gives a list for what went wrong on the way, to be told if the time is over.

        Args:
            is_new: what is not there can only be the bucket.
        """
        failures: _Failures = []
        is_refusal = False
        try:
            async with asyncio.timeout(self._place.timeout_s):
                yield failures
            return
        except TimeoutError as error:
            cause: Exception = error
            reason = f"no answer within {self._place.timeout_s:g} s"
            if failures:
                reason = f"{reason}: {failures[-1]}"
        except FileNotFoundError as error:
            if not is_new and _NO_BUCKET not in str(error):
                raise NotThere(name) from None
            cause, reason, is_refusal = error, f"there is no such bucket ({_NO_BUCKET}): {_reason(error)}", True
        except (PermissionDeniedError, UnauthenticatedError) as error:
            cause, reason, is_refusal = error, f"the credentials are refused: {_reason(error)}", True
        except (BaseError, ValueError) as error:
            cause, reason = error, _reason(error)
            if _REFUSED.search(reason):
                reason, is_refusal = f"the credentials are refused: {reason}", True
        logger.warning("objects.failed", what=what, name=name, place=str(self), reason=reason)
        raise StoreAway(reason, is_refusal=is_refusal) from cause


async def _save(result: "GetResult", target: Path) -> None:
    """
    Raises:
        GenericError, _BrokenOff: it came in part; there is nothing left of it.
    """
    part = target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")
    size = 0
    try:
        await whole(_append, part, b"")
        async for chunk in result.stream(_CHUNK_BYTES):
            size += await whole(_append, part, chunk)
        expected = result.meta["size"]
        if size != expected:
            raise _BrokenOff(f"{size} of {expected} bytes came")
        await whole(part.replace, target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _append(part: Path, chunk: bytes) -> int:
    """Add to a file, made with its folder if it is not there. Blocks."""
    part.parent.mkdir(parents=True, exist_ok=True)
    with part.open("ab") as file:
        return file.write(chunk)


def _mapped(path: Path) -> bytes | mmap.mmap:
    """The content of a file, read as it is sent. Blocks."""
    with path.open("rb") as file:
        # An empty file cannot be mapped.
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else b""


def _reason(error: Exception) -> str:
    """What it is in one line; of an answer in XML, its code."""
    line = first_line(error).partition("<?xml")[0].partition("<Error")[0].rstrip(" :")
    code = _ERROR_CODE.search(str(error))
    return f"{line}: {code[1]}" if code is not None else line
