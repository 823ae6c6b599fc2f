"""Folders of the operator that IOPaint's page looks into and saves to.

A name from a client is only ever compared with the names in the folder, or made anew: no path reaches the file system.
"""

import io
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from protocol.errors import ErrorCode, ProtocolError
from protocol.params import MAX_SIDE_PX
from service.dialects.picture_size import header
from service.dialects.refusal import Refused
from service.files import write_whole
from service.settings import Settings

_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg"})
_UNSAFE: Final = re.compile(r"[^\w .()+-]")
_LONGEST_NAME: Final = 200
_THUMBNAIL_PX: Final = 256
_THUMBNAIL_QUALITY: Final = 90


class Tab(StrEnum):
    """Which folder the page looks at."""

    INPUT = "input"
    OUTPUT = "output"
    MASK = "mask"


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small copy, in the format of its file."""

    content: bytes
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class MediaFolders:
    """The folders of one server; None is not set. Every method blocks."""

    input: Path | None = None
    mask: Path | None = None
    output: Path | None = None
    max_pixels: int = 100_000_000

    @classmethod
    def of(cls, settings: Settings) -> "MediaFolders":
        return cls(settings.iopaint_input, settings.iopaint_mask_dir, settings.iopaint_output_dir, settings.max_pixels)

    @property
    def is_managed(self) -> bool:
        """Whether there is a file manager: the input is a folder, and there is one to save to."""
        return self.input is not None and self.input.is_dir() and self.output is not None

    def first_picture(self) -> Path:
        """The picture clients begin with.

        Raises:
            Refused: 200, as the page expects it, where there is none; 404 where there is a folder of them.
        """
        if self.input is None:
            raise Refused(200, "No input image configured")
        if not self.input.is_file():
            raise Refused(404, "Input image not found")
        return self.input

    def listing(self, tab: Tab) -> list[dict[str, Any]]:
        """The pictures of a folder, by name; not those of folders in it.

        Raises:
            Refused: 404: there is no such folder.
        """
        found = []
        for path in self._pictures(tab):
            with path.open("rb") as file:
                image = header(file)
                if image is None:  # something else under the name of a picture
                    continue
                with image:
                    width, height = image.size
            stat = path.stat()
            times = {"ctime": stat.st_ctime, "mtime": stat.st_mtime}
            found.append({"name": path.name, "height": height, "width": width, **times})
        return found

    def picture(self, tab: Tab, name: str) -> Path:
        """The picture of that name.

        Raises:
            Refused: 404: the folder has none of that name; names with folders in them never are.
        """
        for path in self._pictures(tab):
            if path.name == name:
                return path
        raise Refused(404, f"{tab}: has no picture of the name {name!r:.80}")

    def thumbnail(self, tab: Tab, name: str, width: int, height: int) -> Thumbnail:
        """A small copy of a picture, cut to the shape asked.

        Args:
            width, height: in pixels; 0 follows from the other, and both 0 are 256 wide.

        Raises:
            Refused: 404, as `picture`; 422: a size out of range.
            ProtocolError: `image_too_large` or `bad_image`.
        """
        from PIL import Image, ImageOps

        if not (0 <= width <= MAX_SIDE_PX and 0 <= height <= MAX_SIDE_PX):
            raise Refused(422, f"width, height: expected 0..{MAX_SIDE_PX}, got {width} and {height}")
        path = self.picture(tab, name)
        with path.open("rb") as file:
            image = header(file)
            if image is None:
                raise Refused(400, f"{path.name}: is not a picture")
            try:
                with image:
                    if image.width * image.height > self.max_pixels:
                        message = f"{path.name}: has more than {self.max_pixels} pixels"
                        raise ProtocolError(ErrorCode.IMAGE_TOO_LARGE, message)
                    size = _thumbnail_size(image.size, width, height)
                    if size[0] * size[1] > self.max_pixels:
                        raise Refused(422, f"width, height: expected fewer than {self.max_pixels} pixels")
                    kind = image.format or "PNG"
                    small = ImageOps.fit(image, size, Image.Resampling.LANCZOS)
            except ProtocolError:
                raise
            except Exception:  # noqa: BLE001 - a decoder fed with garbage raises whatever it likes
                raise Refused(400, f"{path.name}: is damaged") from None
        buffer = io.BytesIO()
        small.save(buffer, "JPEG" if kind == "MPO" else kind, quality=_THUMBNAIL_QUALITY)
        return Thumbnail(buffer.getvalue(), *small.size)

    def save(self, name: str, content: bytes) -> None:
        """Write a file into the output folder, over one of the same name.

        Args:
            name: as the client calls it; what stands before the last slash is passed over.

        Raises:
            Refused: 400: there is no output folder, or nothing is left of the name.
        """
        if self.output is None:
            raise Refused(400, "Output directory not configured")
        base = re.split(r"[/\\]", name)[-1]
        safe = _UNSAFE.sub("_", base)[-_LONGEST_NAME:].strip(" .")
        if not safe:
            raise Refused(400, f"file: expected a file name, got {name!r:.80}")
        self.output.mkdir(parents=True, exist_ok=True)
        write_whole(self.output / safe, content)

    def _pictures(self, tab: Tab) -> list[Path]:
        folder = {Tab.INPUT: self.input, Tab.OUTPUT: self.output, Tab.MASK: self.mask}[tab]
        if not self.is_managed or folder is None:
            raise Refused(404, f"{tab}: no folder is configured")
        if not folder.is_dir():
            return []
        root = folder.resolve()
        # A link out of the folder is no file of the folder.
        return sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in _SUFFIXES and path.is_file() and path.resolve().parent == root
        )


def _thumbnail_size(size: tuple[int, int], width: int, height: int) -> tuple[int, int]:
    """Width and height of a thumbnail of a picture of that size."""
    if not width and not height:
        width = _THUMBNAIL_PX
    if not height:
        return width, max(1, int(size[1] * width / size[0]))
    if not width:
        return max(1, int(size[0] * height / size[1])), height
    return width, height
