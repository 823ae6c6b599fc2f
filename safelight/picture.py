"""A picture argument, in whatever form a user has it, as the reference that goes into a job's parameters."""

import asyncio
import base64
import io
import mimetypes
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, runtime_checkable
from urllib.parse import quote

import anyio

from safelight.errors import PictureUnreadable, UnexpectedAnswer
from safelight.rest import Rest

if TYPE_CHECKING:
    import PIL.Image

INLINE_BYTES: Final = 128 * 1024
"""Pictures up to this size travel inside the request; larger ones are uploaded first."""

_CHUNK_BYTES: Final = 256 * 1024
_SCHEMES: Final = ("data:", "http://", "https://", "upload:", "job:")
_LONGEST_PATH: Final = 4096
_BASE64_SIGNS: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\r\n")
_SIGNATURES: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
)


@runtime_checkable
class HasReference(Protocol):
    """Something that the server has already: an output of an earlier job."""

    @property
    def reference(self) -> str:
        """Such as `job:ID/0`."""
        ...


Picture: TypeAlias = "str | bytes | Path | HasReference | PIL.Image.Image"
"""A path, the bytes of a picture file, a Pillow image, an http(s) or data URL, base64, `upload:ID`, `job:ID/N`, or an
output of an earlier job."""


@dataclass(frozen=True, slots=True)
class PictureFile:
    """A picture that is to be sent: a file, or its bytes."""

    content: Path | bytes
    name: str
    media_type: str
    size_bytes: int


async def load(picture: object) -> str | PictureFile:
    """Read a picture argument: a reference that goes into the request as it is, or a file to be sent.

    Raises:
        PictureUnreadable: it is neither.
    """
    if isinstance(picture, HasReference):
        return picture.reference
    if isinstance(picture, str):
        if picture.startswith(_SCHEMES) or _is_base64(picture):
            return picture
        picture = Path(picture)
    if isinstance(picture, Path):
        return await asyncio.to_thread(_from_path, picture)
    if isinstance(picture, bytes | bytearray | memoryview):
        content = bytes(picture)
        return PictureFile(content, "picture", media_type(content), len(content))
    if hasattr(picture, "save") and hasattr(picture, "mode"):  # a Pillow image, without importing Pillow for the asking
        return await asyncio.to_thread(_from_pillow, picture)
    raise PictureUnreadable(
        f"a picture may be a path, bytes, a Pillow image, a URL, a reference or an output; got {type(picture).__name__}"
    )


async def send(rest: Rest, file: PictureFile) -> str:
    """Bring a picture to the server: inside the request if it is small, else as an upload.

    Returns:
        What goes into the parameters: a data URL, or `upload:ID`.
    """
    if file.size_bytes <= INLINE_BYTES:
        content = file.content if isinstance(file.content, bytes) else await anyio.Path(file.content).read_bytes()
        return f"data:{file.media_type};base64,{base64.b64encode(content).decode('ascii')}"
    answer = await rest.json(
        "POST",
        f"/v1/uploads?name={quote(file.name)}",
        headers={"Content-Type": file.media_type, "Content-Length": str(file.size_bytes)},
        body=lambda: _chunks(file.content),
    )
    reference = answer.get("ref") if isinstance(answer, dict) else None
    if not isinstance(reference, str):
        raise UnexpectedAnswer("the server took an upload but gave no reference to it")
    return reference


def media_type(content: bytes, name: str = "") -> str:
    """What kind of picture `content` begins like; else what the file name says."""
    for signature, kind in _SIGNATURES:
        if content.startswith(signature):
            return kind
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def _from_path(path: Path) -> PictureFile:
    try:
        size_bytes = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as error:
        raise PictureUnreadable(f"cannot read the picture {path}: {error.strerror or error}") from None
    if not size_bytes:
        raise PictureUnreadable(f"cannot read the picture {path}: the file is empty")
    return PictureFile(path, path.name, media_type(start, path.name), size_bytes)


def _from_pillow(picture: Any) -> PictureFile:
    buffer = io.BytesIO()
    try:
        picture.save(buffer, "PNG", compress_level=1)
    except (OSError, ValueError) as error:
        raise PictureUnreadable(f"cannot write the Pillow image of mode {picture.mode} as PNG: {error}") from None
    content = buffer.getvalue()
    return PictureFile(content, "picture.png", "image/png", len(content))


def _is_base64(text: str) -> bool:
    """Too long for a path, or of base64's alphabet and no file: the server tells if it is no picture."""
    if len(text) <= _LONGEST_PATH and (len(text) < 64 or Path(text).is_file()):
        return False
    return text.isascii() and _BASE64_SIGNS.issuperset(text.encode("ascii"))


async def _chunks(content: Path | bytes) -> AsyncIterator[bytes]:
    if isinstance(content, bytes):
        for start in range(0, len(content), _CHUNK_BYTES):
            yield content[start : start + _CHUNK_BYTES]
        return
    async with await anyio.open_file(content, "rb") as file:
        while chunk := await file.read(_CHUNK_BYTES):
            yield chunk
