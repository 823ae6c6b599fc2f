"""The archive, as it is read by the standard library and by hand. On real files of a temporary folder."""

import io
import struct
import zlib
from datetime import UTC, datetime
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import pytest

from service.archive import Entry, packed

AT = datetime(2026, 11, 21, 17, 3, 8, tzinfo=UTC)
_LOCAL_HEADER = "<4s5H3I2H"


@pytest.fixture
def entries(tmp_path: Path) -> list[Entry]:
    contents = {"a-0.png": b"first" * 5000, "b-0.png": b"", "c-1.json": b'{"tags": []}'}
    made = []
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        made.append(Entry(name, tmp_path / name, AT))
    return made


def joined(entries: list[Entry]) -> bytes:
    return b"".join(piece for pieces in packed(entries) for piece in pieces)


def test_every_file_comes_out_as_it_went_in(entries: list[Entry]) -> None:
    with ZipFile(io.BytesIO(joined(entries))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [entry.name for entry in entries]
        for entry, about in zip(entries, archive.infolist(), strict=True):
            assert archive.read(about) == entry.path.read_bytes()
            assert about.compress_type == ZIP_STORED
            assert about.date_time == (2026, 11, 21, 17, 3, 8)


def test_size_and_checksum_stand_before_each_file(entries: list[Entry]) -> None:
    """Programs that unpack while they read cannot look behind a file for them."""
    content, at = joined(entries), 0
    for entry in entries:
        signature, _, flags, _, _, _, checksum, packed_size, size, name_size, extra_size = struct.unpack_from(
            _LOCAL_HEADER, content, at
        )
        data = entry.path.read_bytes()
        assert (signature, flags & 0x08) == (b"PK\3\4", 0)
        assert (checksum, packed_size, size) == (zlib.crc32(data), len(data), len(data))
        at += struct.calcsize(_LOCAL_HEADER) + name_size + extra_size + size


def test_one_file_at_a_time_is_read(entries: list[Entry]) -> None:
    archive = packed(entries)
    first = b"".join(next(archive))
    assert first.endswith(entries[0].path.read_bytes())
    entries[1].path.unlink()
    with pytest.raises(FileNotFoundError):
        next(archive)
