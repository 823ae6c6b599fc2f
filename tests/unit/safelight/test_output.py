import hashlib
from pathlib import Path

import httpx
import pytest

from protocol.events import OutputReady
from safelight.address import Address
from safelight.errors import OutputDamaged
from safelight.output import AsyncOutput, write_whole
from safelight.rest import Rest

pytestmark = pytest.mark.anyio
CONTENT = b"a picture"


def output(*answers: httpx.Response | Exception) -> AsyncOutput:
    waiting = list(answers)

    def answer(_: httpx.Request) -> httpx.Response:
        given = waiting.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    info = OutputReady(
        index=0, url="/v1/jobs/j/outputs/0", media_type="image/png", size_bytes=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
    )  # fmt: skip
    return AsyncOutput(Rest(Address("http://127.0.0.1:9"), transport=httpx.MockTransport(answer)), "j", info)


async def test_an_output_is_written_under_the_name_it_was_given(tmp_path: Path) -> None:
    path = await output(httpx.Response(200, content=CONTENT)).save(tmp_path / "new" / "a.png")
    assert path.read_bytes() == CONTENT
    assert [file.name for file in path.parent.iterdir()] == ["a.png"]


async def test_in_a_folder_it_gets_a_name_of_its_own(tmp_path: Path) -> None:
    assert (await output(httpx.Response(200, content=CONTENT)).save(tmp_path)).name == "j-0.png"


async def test_what_arrives_damaged_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(OutputDamaged):
        await output(httpx.Response(200, content=b"a pictur")).save(tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


async def test_a_download_cut_off_is_done_again() -> None:
    answers = (httpx.Response(200, content=CONTENT), httpx.ReadError("cut"), httpx.Response(200, content=CONTENT))
    whole = output(*answers)
    assert [await whole.read() for _ in range(2)] == [CONTENT, CONTENT]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]
