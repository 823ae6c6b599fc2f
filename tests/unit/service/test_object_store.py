import subprocess
import sys
from pathlib import Path

import pytest

from service.object_store import NotStored, ObjectStore
from service.storage import StoragePlace
from tests.servers import REPOSITORY

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_file_is_put_into_a_folder_whole_and_its_address_told(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(b"picture")
    store = ObjectStore(StoragePlace(folder=tmp_path / "made" / "here", public_url="https://img.example/x"))
    assert await store.put("a-0.png", tmp_path / "0.png", "image/png") == "https://img.example/x/a-0.png"
    assert {path.name: path.read_bytes() for path in (tmp_path / "made" / "here").iterdir()} == {"a-0.png": b"picture"}


async def test_a_name_that_is_taken_is_written_anew(tmp_path: Path) -> None:
    store = ObjectStore(StoragePlace(folder=tmp_path / "made", public_url="http://h"))
    for content in (b"first", b"second"):
        (tmp_path / "0.png").write_bytes(content)
        await store.put("a-0.png", tmp_path / "0.png", "image/png")
    assert (tmp_path / "made" / "a-0.png").read_bytes() == b"second"


async def test_a_file_that_is_gone_or_a_folder_that_cannot_be_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotStored):
        await ObjectStore(StoragePlace(folder=tmp_path, public_url="http://h")).put(
            "a", tmp_path / "missing", "image/png"
        )
    with pytest.raises(NotStored):
        await ObjectStore(StoragePlace(folder=tmp_path / "file", public_url="http://h")).put(
            "a", tmp_path / "file", "image/png"
        )


def test_a_server_that_copies_nothing_does_not_load_the_library() -> None:
    program = "import sys, service.app; sys.exit('obstore' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=True)
