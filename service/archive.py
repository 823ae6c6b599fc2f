"""Files packed into a ZIP while it is being sent: nothing is written to the disk, and one file at a time is in memory.

They are stored as they are: pictures do not get smaller. Sizes and checksums stand before each file, where programs
that unpack while they read look for them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from zipfile import ZIP_STORED, ZipFile, ZipInfo

_READABLE: Final = 0o644 << 16
"""What a file may be done with where it is unpacked, as Unix has it in a ZIP."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of an archive.

    Attributes:
        name: in the archive; no two share one.
        at: the time it is shown with there.
    """

    name: str
    path: Path
    at: datetime


def packed(entries: Sequence[Entry]) -> Iterator[Sequence[bytes]]:
    """The bytes of an archive, an entry at a time, and then its table of contents. Each step blocks.

    Raises:
        OSError: a file cannot be read; what came so far is no whole archive.
    """
    window = _Window()
    with ZipFile(window, "w", ZIP_STORED) as archive:
        for entry in entries:
            about = ZipInfo(entry.name, entry.at.timetuple()[:6])
            about.external_attr = _READABLE
            archive.writestr(about, entry.path.read_bytes())
            yield window.drained()
    yield window.drained()


class _Window:
    """The file that `ZipFile` believes to write. It holds what was written since it was drained last.

    The header of an entry is written twice, the second time with the checksum: until then the entry stays here.
    """

    def __init__(self) -> None:
        self._pieces: dict[int, bytes] = {}
        self._at = 0

    def write(self, piece: bytes) -> int:
        # What is written again is as long as it was.
        self._pieces[self._at] = piece
        self._at += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, _whence: int = 0) -> int:
        self._at = offset
        return offset

    def flush(self) -> None:
        """There is nothing behind this."""

    def close(self) -> None:
        """There is nothing to give back."""

    def drained(self) -> Sequence[bytes]:
        """What was written since the last time, in order."""
        pieces, self._pieces = self._pieces, {}
        return list(pieces.values())
