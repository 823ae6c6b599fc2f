"""The pinned icon package."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from training.spark.icons import IconsNotFetched, check, draw, fetch, read_bodies


def tarball(folder: Path) -> Path:
    content = json.dumps({"icons": {"dot": {"body": '<path fill="#f00" d="M0 0h32v32H0z"/>'}}}).encode()
    path = folder / "icons.tgz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("package/icons.json")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return path


def test_a_package_with_another_checksum_is_refused(tmp_path: Path) -> None:
    tarball(tmp_path)
    with pytest.raises(IconsNotFetched, match="expected SHA-256"):
        fetch(tmp_path)


def test_the_checksum_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    check(path, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")


def test_without_npm_the_message_says_where_to_put_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(IconsNotFetched, match=r"icons\.tgz"):
        fetch(tmp_path / "new")


def test_bodies_are_read_by_name(tmp_path: Path) -> None:
    assert set(read_bodies(tarball(tmp_path))) == {"dot"}


def test_an_icon_is_drawn_at_the_size_asked_for(tmp_path: Path) -> None:
    pytest.importorskip("resvg_py")
    pixels = draw(read_bodies(tarball(tmp_path))["dot"], 24)
    assert pixels.shape == (24, 24, 4)
    np.testing.assert_array_equal(pixels[12, 12], (255, 0, 0, 255))
