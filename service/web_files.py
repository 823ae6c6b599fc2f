"""The files of the page for people, as they are sent: known by their contents, and packed once.

Only what a browser asks for is served: files of the kinds in `MEDIA_TYPES` that lie in the folder itself, under the
names they have there. A file that is changed while the server runs is seen at the next request.
"""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MEDIA_TYPES: Final[Mapping[str, str]] = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webp": "image/webp",
    ".ico": "image/x-icon",
    ".webmanifest": "application/manifest+json",
}
"""By suffix. A table of our own: some systems have scripts down as plain text, which browsers then refuse to run."""
_PACKED: Final = frozenset({".html", ".js", ".css", ".svg", ".webmanifest"})
"""Those that are text; pictures are packed already."""
_TOOLS: Final = "node_modules"
"""What the checks of the page are made of, where somebody installed it beside the page."""


@dataclass(frozen=True, slots=True)
class WebFile:
    """One file.

    Attributes:
        etag: of `content`, quoted; that of `packed` is another, since other bytes are sent.
        packed: `content` in gzip; None where that is not worth while.
    """

    media_type: str
    content: bytes
    etag: str
    packed: bytes | None
    packed_etag: str


class WebFiles:
    """The files of one folder. Every method may block; any thread may call any."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[Path, tuple[tuple[int, int], WebFile]] = {}

    def find(self, name: str) -> WebFile | None:
        """A file by its path in the folder, with `/` between the parts; None if there is none to serve."""
        parts = name.split("/")
        if any(not part or part.startswith(".") or part == _TOOLS or "\\" in part or "\0" in part for part in parts):
            return None
        path = self._folder.joinpath(*parts)
        media_type = MEDIA_TYPES.get(path.suffix)
        if media_type is None or not path.is_file():
            return None
        seen = path.stat()
        stamp = (seen.st_mtime_ns, seen.st_size)
        kept = self._kept.get(path)
        if kept is None or kept[0] != stamp:
            kept = self._kept[path] = stamp, _prepared(path.read_bytes(), media_type, packs=path.suffix in _PACKED)
        return kept[1]


def _prepared(content: bytes, media_type: str, *, packs: bool) -> WebFile:
    digest = hashlib.sha256(content).hexdigest()[:32]
    # Without a time in its header, so that the same file is always the same bytes.
    packed = gzip.compress(content, mtime=0) if packs else None
    if packed is not None and len(packed) >= len(content):
        packed = None
    return WebFile(media_type, content, f'"{digest}"', packed, f'"{digest}-gzip"')
