"""An output of a job: what is known of it, and its bytes when they are asked for."""

import asyncio
import contextlib
import hashlib
import mimetypes
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx

from protocol.events import OutputReady
from safelight.backoff import Backoff
from safelight.errors import OutputDamaged
from safelight.rest import Rest
from safelight.transport import PATIENCE_S

_SUFFIXES: Final = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp", "application/json": ".json"}


class AsyncOutput:
    """One output of a job. May be passed to `submit` as a picture: then it is not sent again."""

    def __init__(self, rest: Rest, job_id: str, info: OutputReady) -> None:
        self._rest = rest
        self.job_id = job_id
        self.info = info

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.reference} {self.info.media_type} {self.info.size_bytes} bytes>"

    @property
    def reference(self) -> str:
        """How a later job names this output as its picture."""
        return f"job:{self.job_id}/{self.info.index}"

    @property
    def index(self) -> int:
        return self.info.index

    @property
    def media_type(self) -> str:
        return self.info.media_type

    @property
    def width(self) -> int | None:
        return self.info.width

    @property
    def height(self) -> int | None:
        return self.info.height

    @property
    def data(self) -> Mapping[str, Any]:
        """What the task found, beside the file: tags, scores, regions."""
        return self.info.data or {}

    @property
    def suffix(self) -> str:
        """The file name suffix that belongs to the media type, with its dot."""
        return _SUFFIXES.get(self.media_type) or mimetypes.guess_extension(self.media_type) or ".bin"

    async def read(self) -> bytes:
        """The whole file; fetched again if the connection breaks, checked against the checksum.

        Raises:
            RequestRefused: `not_found`; outputs are not kept for ever.
            OutputDamaged: it came with another checksum than announced.
        """
        backoff = Backoff(PATIENCE_S)
        while True:
            try:
                async with self._rest.stream("GET", self.info.url, headers={"Accept": self.media_type}) as response:
                    content = await response.aread()
                break
            except httpx.TransportError as error:
                await self._rest.wait_before_next(backoff, error)
        if hashlib.sha256(content).hexdigest() != self.info.sha256:
            raise OutputDamaged(f"{self.reference}: what arrived is not what was announced (checksum differs)")
        return content

    async def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the file: whole or not at all, also if we are interrupted.

        Args:
            path: of the file, or of an existing folder; then the name is the job's id and the output's number.

        Returns:
            The file.
        """
        content = await self.read()
        return await asyncio.to_thread(self._write, Path(path), content)

    def _write(self, path: Path, content: bytes) -> Path:
        if path.is_dir():
            path = path / f"{self.job_id}-{self.index}{self.suffix}"
        write_whole(path, content)
        return path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that nobody ever sees half of it; folders on the way are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        mode = 0o666 & ~_umask()
        Path(name).chmod(mode)  # a temporary file is private, the picture need not be
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
