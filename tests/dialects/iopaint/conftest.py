"""Servers as the originals were started for the recordings."""

import base64
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.dialects.golden import cases
from tests.servers import ThreadServer, thread_server


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    """Our server, set up like the original of most recordings: the model cv2, no plugin, no folder."""
    folder = tmp_path_factory.mktemp("iopaint")
    with thread_server(
        folder / "data",
        engine="torch",
        models_dir=folder / "models",
        listen="0=iopaint",
        iopaint_model="cv2",
        iopaint_plugins=(),
    ) as server:
        yield server


@pytest.fixture
def client(original: ThreadServer) -> Iterator[httpx.Client]:
    with original.client() as client:
        yield client


@pytest.fixture
def photograph() -> bytes:
    """The JPEG file the recordings begin with."""
    (case,) = cases("iopaint", "input_file")
    return base64.b64decode(case.response["body_base64"])


@pytest.fixture
def media(tmp_path: Path, photograph: bytes) -> Path:
    """The folders of a file manager: two pictures to work on, one secret beside them."""
    by_name = {case.name: case for case in cases("iopaint", "file_manager")}
    inputs = tmp_path / "in"
    for folder in (inputs, inputs / "deeper", tmp_path / "masks"):
        folder.mkdir()
    (inputs / "a.jpg").write_bytes(photograph)
    (inputs / "b.png").write_bytes(base64.b64decode(by_name["save_image"].request["multipart"]["data_base64"]))
    (inputs / "notes.txt").write_text("not a picture")
    (inputs / "deeper" / "c.png").write_bytes((inputs / "b.png").read_bytes())
    (tmp_path / "secret.png").write_bytes((inputs / "b.png").read_bytes())
    return tmp_path
