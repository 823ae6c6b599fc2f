"""Downloads of models from a real HTTP server on this machine, which cuts connections and knows ranges."""

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from engine.library.library import Library, own_root
from engine.models.shelf import Shelf
from protocol.errors import ErrorCode, ProtocolError
from protocol.events import EventBody, ModelAdded, ModelFailed, ModelLoading
from protocol.models import ModelDownload, ModelInfo
from service.downloads import Downloads
from service.partial_file import PartialFile
from service.settings import Settings
from tests.integration.model_origin import Origin, serving
from tests.servers import DEADLINE_S, thread_server, until
from tests.unit.engine.library.model_files import LORA_SD1, SD1, content

pytestmark = pytest.mark.anyio
LARGE = content({**LORA_SD1, "filling": (4 << 20,)})
"""A sound file of some size."""
PICKLE = b"\x80\x02}q\x00."
"""An empty dict."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def here(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


class Desk:
    """Downloads into a folder, and what they told."""

    def __init__(self, folder: Path, port: int, **settings: Any) -> None:
        chosen = {"allow_private_urls": True, "fetch_ports": (port,), "models_dir": folder, **settings}
        self.shelf = Shelf(Library((own_root(folder),)), folder)
        self.told: list[EventBody] = []
        self._changed = asyncio.Event()
        self.downloads = Downloads(
            Settings.model_validate({**Settings().model_dump(), **chosen}),
            self.shelf,
            self._take,
            resolve=here,
            delays_s=(0.0, 0.0),
        )

    def _take(self, body: EventBody) -> None:
        self.told.append(body)
        self._changed.set()

    def start(self, url: str, kind: str = "lora", **more: Any) -> ModelInfo:
        return self.downloads.start(ModelDownload.model_validate({"url": url, "kind": kind, **more}))

    async def wait(self, is_true: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not is_true():
                self._changed.clear()
                await self._changed.wait()

    async def end(self) -> ModelAdded | ModelFailed:
        """The next end of a download; forgets what was told until then."""
        await self.wait(lambda: any(isinstance(body, ModelAdded | ModelFailed) for body in self.told))
        (end,) = [body for body in self.told if isinstance(body, ModelAdded | ModelFailed)]
        self.told.remove(end)
        return end

    async def get(self, url: str, kind: str = "lora", **more: Any) -> ModelAdded | ModelFailed:
        self.start(url, kind, **more)
        return await self.end()


@asynccontextmanager
async def desk(folder: Path, origin: Origin, **settings: Any) -> AsyncIterator[Desk]:
    made = Desk(folder, origin.port, **settings)
    running = asyncio.create_task(made.downloads.run())
    async with asyncio.timeout(DEADLINE_S):
        await made.downloads.begun.wait()
    try:
        yield made
    finally:
        running.cancel()
        await asyncio.wait([running])


def sha256_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


async def test_a_file_arrives_whole_is_told_by_per_cents_and_listed(tmp_path: Path) -> None:
    async with serving(Origin(LARGE)) as origin, desk(tmp_path, origin) as at:
        begun = at.start(origin.url())
        assert (begun.id, begun.is_present) == ("lora:ink", False)
        assert [info.id for info in at.downloads.infos()] == ["lora:ink"]
        assert await at.end() == ModelAdded(model="lora:ink", size_bytes=len(LARGE))
        assert (tmp_path / "loras" / "ink.safetensors").read_bytes() == LARGE
        assert files(tmp_path) == {"loras/ink.safetensors"}
        assert at.downloads.infos() == []
        assert [model.id for model in at.shelf.models(())] == ["lora:ink"]
    progress = [body for body in at.told if isinstance(body, ModelLoading) and body.phase == "download"]
    done = [body.done for body in progress]
    assert done == sorted(done)
    assert len(done) >= 3
    assert done[-1] == len(LARGE)
    assert {body.total for body in progress} == {len(LARGE)}
    assert all(later - earlier >= len(LARGE) // 100 for earlier, later in pairwise(done))


async def test_a_connection_that_breaks_is_made_again_and_goes_on_where_it_broke(tmp_path: Path) -> None:
    async with serving(Origin(LARGE)) as origin, desk(tmp_path, origin) as at:
        origin.cuts = [1_000_000, 2_000_000]
        assert isinstance(await at.get(origin.url()), ModelAdded)
        assert (tmp_path / "loras" / "ink.safetensors").read_bytes() == LARGE
        first, second, third = origin.ranges
        assert first is None
        starts = [int((each or "").removeprefix("bytes=").removesuffix("-")) for each in (second, third)]
        assert 0 < starts[0] <= 1_000_000 < starts[1] <= 3_000_000
        assert [request.get("if-range") for request in origin.requests] == [None, '"one"', '"one"']


async def test_a_download_goes_on_after_a_restart_of_the_server(tmp_path: Path) -> None:
    async with serving(Origin(LARGE)) as origin:
        origin.gate = asyncio.Event()
        origin.cuts = [3_000_000]
        async with desk(tmp_path, origin) as at:
            at.start(origin.url())
            await at.wait(lambda: any(isinstance(body, ModelLoading) and body.done > 0 for body in at.told))
        origin.gate.set()
        assert files(tmp_path) == {"loras/ink.safetensors.part", "loras/ink.safetensors.part.json"}
        have = (tmp_path / "loras" / "ink.safetensors.part").stat().st_size
        assert have > 0
        async with desk(tmp_path, origin) as at:
            assert isinstance(await at.get(origin.url()), ModelAdded)
        assert origin.ranges == [None, f"bytes={have}-"]
        assert (tmp_path / "loras" / "ink.safetensors").read_bytes() == LARGE


async def test_a_file_that_changed_meanwhile_is_fetched_anew(tmp_path: Path) -> None:
    async with serving(Origin(LARGE)) as origin, desk(tmp_path, origin) as at:
        origin.cuts = [1_000_000, 0, 0, 0]
        assert isinstance(await at.get(origin.url()), ModelFailed)
        changed = LARGE[:-4_000_000] + b"\x01" * 4_000_000
        origin.body, origin.etag = changed, '"two"'
        assert isinstance(await at.get(origin.url()), ModelAdded)
        assert (tmp_path / "loras" / "ink.safetensors").read_bytes() == changed


async def test_a_file_that_has_become_shorter_than_what_has_arrived_is_fetched_anew(tmp_path: Path) -> None:
    async with serving(Origin(LARGE)) as origin, desk(tmp_path, origin) as at:
        origin.cuts = [1_000_000, 0, 0, 0]
        assert isinstance(await at.get(origin.url()), ModelFailed)
        origin.body = content(LORA_SD1)
        assert isinstance(await at.get(origin.url()), ModelAdded)
        assert (tmp_path / "loras" / "ink.safetensors").read_bytes() == content(LORA_SD1)


async def test_without_a_name_for_the_version_a_file_is_gone_on_with_only_if_a_checksum_vouches_for_it(
    tmp_path: Path,
) -> None:
    sha256 = sha256_of(LARGE)
    async with serving(Origin(LARGE, etag=None)) as origin, desk(tmp_path, origin) as at:
        origin.cuts = [2_000_000]
        assert isinstance(await at.get(origin.url("plain.safetensors")), ModelAdded)
        assert origin.ranges == [None, None]
        origin.requests.clear()
        origin.cuts = [2_000_000]
        assert isinstance(await at.get(origin.url("checked.safetensors"), sha256=sha256), ModelAdded)
        assert origin.ranges[0] is None
        assert origin.ranges[1] is not None


async def test_a_server_that_knows_no_ranges_sends_all_of_it_again(tmp_path: Path) -> None:
    async with serving(Origin(LARGE, knows_ranges=False)) as origin, desk(tmp_path, origin) as at:
        origin.cuts = [1_500_000]
        assert isinstance(await at.get(origin.url()), ModelAdded)
        assert (tmp_path / "loras" / "ink.safetensors").read_bytes() == LARGE


async def test_what_had_arrived_whole_is_only_checked(tmp_path: Path) -> None:
    sha256 = sha256_of(LARGE)
    part = tmp_path / "loras" / "ink.safetensors.part"
    part.parent.mkdir()
    part.write_bytes(LARGE)
    async with serving(Origin(LARGE)) as origin, desk(tmp_path, origin) as at:
        assert isinstance(await at.get(origin.url(), sha256=sha256), ModelAdded)
        assert origin.ranges == [f"bytes={len(LARGE)}-"]


async def test_after_as_many_tries_in_vain_as_it_may_make_a_download_fails_and_keeps_what_it_has(
    tmp_path: Path,
) -> None:
    async with serving(Origin(LARGE)) as origin, desk(tmp_path, origin) as at:
        origin.cuts = [1_000_000, 0, 0, 0]
        end = await at.get(origin.url())
        assert isinstance(end, ModelFailed)
        assert "connection broke" in end.reason
        assert len(origin.requests) == 4
        (failed,) = at.downloads.infos()
        assert failed.download is not None
        assert failed.download.problem == end.reason
        assert 0 < failed.download.done_bytes <= 1_000_000
        assert isinstance(await at.get(origin.url()), ModelAdded)
        assert origin.ranges[-1] == f"bytes={failed.download.done_bytes}-"
        assert at.downloads.infos() == []


@pytest.mark.parametrize("status", [401, 404])
async def test_a_file_its_server_does_not_give_fails_at_once(tmp_path: Path, status: int) -> None:
    async with serving(Origin(LARGE)) as origin, desk(tmp_path, origin) as at:
        origin.status = status
        end = await at.get(origin.url())
        assert end == ModelFailed(model="lora:ink", reason=f"its server answered with status {status}")
        assert len(origin.requests) == 1


async def test_a_checksum_is_compared_and_another_file_is_not_kept(tmp_path: Path) -> None:
    sha256 = sha256_of(LARGE)
    async with serving(Origin(LARGE)) as origin, desk(tmp_path, origin) as at:
        end = await at.get(origin.url(), sha256="0" * 64)
        assert isinstance(end, ModelFailed)
        assert sha256 in end.reason
        assert files(tmp_path) == set()
        assert isinstance(await at.get(origin.url(), sha256=sha256.upper()), ModelAdded)
        assert [model.sha256 for model in at.shelf.models(())] == [sha256]


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        (b"<html>sign in</html>", "lora", "cannot be used"),
        (content(SD1)[:-1], "checkpoint", "cannot be used"),
        (content({"nothing": (1,)}), "lora", "tensors"),
        (content(SD1), "lora", "of the kind checkpoint, not lora"),
    ],
)
async def test_what_is_no_usable_model_of_the_kind_asked_for_never_gets_its_name(
    tmp_path: Path, body: bytes, kind: str, reason: str
) -> None:
    async with serving(Origin(body)) as origin, desk(tmp_path, origin) as at:
        end = await at.get(origin.url(), kind)
        assert isinstance(end, ModelFailed)
        assert reason in end.reason
        assert files(tmp_path) == set()


async def test_a_pickle_needs_a_checksum_and_is_read_as_one(tmp_path: Path) -> None:
    async with serving(Origin(PICKLE)) as origin, desk(tmp_path, origin) as at:
        with pytest.raises(ProtocolError, match="sha256: needed"):
            at.start(origin.url("ink.ckpt"))
        assert origin.requests == []
        assert isinstance(await at.get(origin.url("ink.ckpt"), sha256=sha256_of(PICKLE)), ModelAdded)
        assert files(tmp_path) - {"hashes.json"} == {"loras/ink.ckpt"}
        origin.body = LARGE
        end = await at.get(origin.url("other.ckpt"), sha256=sha256_of(LARGE))
        assert isinstance(end, ModelFailed)
        assert "loras/other.ckpt" not in files(tmp_path)


async def test_too_large_a_file_is_not_fetched(tmp_path: Path) -> None:
    async with serving(Origin(LARGE)) as origin, desk(tmp_path, origin, max_model_bytes=1000) as at:
        end = await at.get(origin.url())
        assert isinstance(end, ModelFailed)
        assert "larger than the 1000 bytes" in end.reason
        assert "loras/ink.safetensors.part" not in files(tmp_path)


async def test_too_large_a_file_whose_size_nobody_told_is_not_kept_on_fetching(tmp_path: Path) -> None:
    async with serving(Origin(LARGE)) as origin, desk(tmp_path, origin, max_model_bytes=2_000_000) as at:
        origin.tells_length = False
        end = await at.get(origin.url())
        assert isinstance(end, ModelFailed)
        assert "larger than the 2000000 bytes" in end.reason
        assert (tmp_path / "loras" / "ink.safetensors.part").stat().st_size <= 2_000_000


async def test_a_file_whose_size_nobody_told_arrives_whole(tmp_path: Path) -> None:
    async with serving(Origin(LARGE)) as origin, desk(tmp_path, origin) as at:
        origin.tells_length = False
        assert isinstance(await at.get(origin.url()), ModelAdded)
        assert (tmp_path / "loras" / "ink.safetensors").read_bytes() == LARGE


async def test_a_name_that_another_folder_has_is_taken(tmp_path: Path) -> None:
    async with serving(Origin(LARGE)) as origin, desk(tmp_path, origin) as at:
        wanted = ModelDownload.model_validate({"url": origin.url(), "kind": "lora"})
        with pytest.raises(ProtocolError, match="there already"):
            at.downloads.start(wanted, {"lora:ink"})
        assert at.downloads.infos() == []


async def test_a_name_has_one_download_at_a_time_and_one_file(tmp_path: Path) -> None:
    async with serving(Origin(LARGE)) as origin, desk(tmp_path, origin) as at:
        assert at.start(origin.url()).id == at.start(origin.url()).id
        with pytest.raises(ProtocolError, match="another URL") as caught:
            at.start(origin.url("other.safetensors"), name="ink")
        assert caught.value.code is ErrorCode.MODEL_EXISTS
        await at.end()
        assert len(origin.requests) == 1
        with pytest.raises(ProtocolError, match="there already") as caught:
            at.start(origin.url())
        assert caught.value.code is ErrorCode.MODEL_EXISTS
        assert isinstance(await at.get(origin.url(), name="ink 2"), ModelAdded)
        assert "loras/ink 2.safetensors" in files(tmp_path)


async def arriving(at: Desk, origin: Origin, **more: Any) -> None:
    """Begin a download of which all but the end arrives."""
    origin.gate = asyncio.Event()
    origin.cuts = [3_000_000]
    at.start(origin.url(), **more)
    await at.wait(lambda: any(isinstance(body, ModelLoading) and body.done > 0 for body in at.told))


async def test_a_cancelled_download_keeps_what_has_arrived_says_so_and_goes_on_when_asked_again(tmp_path: Path) -> None:
    async with serving(Origin(LARGE)) as origin, desk(tmp_path, origin) as at:
        await arriving(at, origin)
        left = await at.downloads.cancel("lora:ink")
        part = (tmp_path / "loras" / "ink.safetensors.part").read_bytes()
        assert 0 < len(part) < len(LARGE)
        assert LARGE.startswith(part)
        assert left.download is not None
        assert (left.download.problem, left.download.done_bytes) == ("cancelled by a client", len(part))
        assert await at.end() == ModelFailed(model="lora:ink", reason="cancelled by a client")
        assert at.downloads.infos() == [left]
        assert origin.gate is not None
        origin.gate.set()
        assert isinstance(await at.get(origin.url()), ModelAdded)
        assert origin.ranges == [None, f"bytes={len(part)}-"]
        assert (tmp_path / "loras" / "ink.safetensors").read_bytes() == LARGE


@pytest.mark.parametrize("has_failed", [False, True])
async def test_nothing_stays_of_a_download_that_is_discarded(tmp_path: Path, has_failed: bool) -> None:
    async with serving(Origin(LARGE)) as origin, desk(tmp_path, origin) as at:
        if has_failed:
            origin.cuts = [1_000_000, 0, 0, 0]
            assert isinstance(await at.get(origin.url()), ModelFailed)
            assert files(tmp_path)
        else:
            await arriving(at, origin)
        await at.downloads.cancel("lora:ink", discards=True)
        assert files(tmp_path) == set()
        assert at.downloads.infos() == []
        told = [body for body in at.told if isinstance(body, ModelFailed)]
        assert told == ([] if has_failed else [ModelFailed(model="lora:ink", reason="cancelled by a client")])
        with pytest.raises(ProtocolError) as caught:
            await at.downloads.cancel("lora:ink")
        assert caught.value.code is ErrorCode.NOT_FOUND
        if origin.gate is not None:
            origin.gate.set()
        origin.cuts = []
        at.told.clear()
        assert isinstance(await at.get(origin.url()), ModelAdded)
        assert origin.ranges[-1] is None


async def test_a_download_that_is_cancelled_while_a_block_is_written_has_every_byte_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, release = threading.Event(), threading.Event()
    append = PartialFile.append

    def slowly(part: PartialFile, block: bytes) -> None:
        if block:
            writing.set()
            assert release.wait(DEADLINE_S)
        append(part, block)

    monkeypatch.setattr(PartialFile, "append", slowly)
    async with serving(Origin(LARGE)) as origin, desk(tmp_path, origin) as at:
        at.start(origin.url())
        assert await asyncio.to_thread(writing.wait, DEADLINE_S)
        cancelling = asyncio.create_task(at.downloads.cancel("lora:ink"))
        # What must not happen has no event: it gets a while to happen in.
        ended, _ = await asyncio.wait([cancelling], timeout=0.2)
        assert not ended
        release.set()
        await cancelling
        part = (tmp_path / "loras" / "ink.safetensors.part").read_bytes()
        assert part
        assert LARGE.startswith(part)


async def test_one_that_is_asked_for_again_while_it_is_being_cancelled_begins_when_nobody_writes_any_more(
    tmp_path: Path,
) -> None:
    async with serving(Origin(LARGE)) as origin, desk(tmp_path, origin) as at:
        await arriving(at, origin)
        assert origin.gate is not None
        origin.gate.set()
        cancelling = asyncio.create_task(at.downloads.cancel("lora:ink", discards=True))
        asyncio.get_running_loop().call_soon(at.start, origin.url())
        await cancelling
        await at.wait(lambda: any(isinstance(body, ModelAdded) for body in at.told))
        assert (tmp_path / "loras" / "ink.safetensors").read_bytes() == LARGE
        assert files(tmp_path) == {"loras/ink.safetensors"}
        assert at.downloads.infos() == []


async def test_one_that_waits_for_its_turn_is_cancelled_at_once_and_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(Origin(content(LORA_SD1))) as origin, desk(tmp_path, origin) as at:
        origin.gate = asyncio.Event()
        origin.tells_length = False
        for number in range(6):
            at.start(origin.url(), name=f"ink {number}")
        async with asyncio.timeout(DEADLINE_S):
            await origin.asked(4)
            await at.downloads.cancel("lora:ink 5")
            await at.downloads.cancel("lora:ink 0")
            origin.gate.set()
        await at.wait(lambda: sum(isinstance(body, ModelAdded) for body in at.told) == 4)
    assert {path.partition("/")[2] for path in files(tmp_path) if path.endswith(".safetensors")} == {
        f"ink {number}.safetensors" for number in range(1, 5)
    }


async def test_one_that_is_cancelled_before_it_did_anything_is_told_of_too(tmp_path: Path) -> None:
    async with serving(Origin(LARGE)) as origin, desk(tmp_path, origin) as at:
        at.start(origin.url())
        await at.downloads.cancel("lora:ink")
        assert at.told == [ModelFailed(model="lora:ink", reason="cancelled by a client")]
        assert origin.requests == []


async def test_two_names_are_downloaded_at_once(tmp_path: Path) -> None:
    async with serving(Origin(LARGE)) as origin, desk(tmp_path, origin) as at:
        for name in ("one", "two"):
            at.start(origin.url(), name=name)
        await at.wait(lambda: sum(isinstance(body, ModelAdded) for body in at.told) == 2)
    assert files(tmp_path) == {"loras/one.safetensors", "loras/two.safetensors"}


async def test_a_few_are_downloaded_at_once_others_wait_and_there_is_an_end_to_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.downloads._MOST", 6)
    async with serving(Origin(content(LORA_SD1))) as origin, desk(tmp_path, origin) as at:
        origin.gate = asyncio.Event()
        origin.tells_length = False
        for number in range(6):
            at.start(origin.url(), name=f"ink {number}")
        with pytest.raises(ProtocolError, match="6 downloads are under way") as caught:
            at.start(origin.url(), name="one more")
        assert caught.value.code is ErrorCode.QUEUE_FULL
        async with asyncio.timeout(DEADLINE_S):
            await origin.asked(4)
        assert len(origin.requests) == 4
        origin.gate.set()
        await at.wait(lambda: sum(isinstance(body, ModelAdded) for body in at.told) == 6)
    assert len(origin.requests) == 6


async def test_of_failed_downloads_the_newest_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.downloads._MOST", 2)
    async with serving(Origin(LARGE)) as origin, desk(tmp_path, origin) as at:
        origin.status = 404
        for name in ("one", "two", "three"):
            assert isinstance(await at.get(origin.url(), name=name), ModelFailed)
        assert [info.name for info in at.downloads.infos()] == ["two", "three"]


@pytest.mark.parametrize(
    ("name", "more", "field"),
    [
        ("download?id=7", {}, "$.name"),
        ("..%2F..%2Fink.safetensors", {}, "$.name"),
        (".ink.safetensors", {}, "$.name"),
        ("lama.safetensors", {"kind": "eraser"}, "$.kind"),
    ],
)
async def test_what_cannot_be_a_file_of_ours_is_refused_by_field(
    tmp_path: Path, name: str, more: dict[str, str], field: str
) -> None:
    async with serving(Origin(LARGE)) as origin, desk(tmp_path, origin) as at:
        with pytest.raises(ProtocolError) as caught:
            at.start(origin.url(name), **more)
        assert (caught.value.code, caught.value.field) == (ErrorCode.INVALID_PARAMS, field)
        assert origin.requests == []


async def test_a_url_without_a_file_name_takes_the_one_that_was_given(tmp_path: Path) -> None:
    async with serving(Origin(LARGE)) as origin, desk(tmp_path, origin) as at:
        assert isinstance(await at.get(origin.url("download?id=7"), name="ink"), ModelAdded)
    assert files(tmp_path) == {"loras/ink.safetensors"}


async def test_addresses_inside_the_operators_network_are_not_asked(tmp_path: Path) -> None:
    async with serving(Origin(LARGE)) as origin, desk(tmp_path, origin, allow_private_urls=False) as at:
        end = await at.get(origin.url())
        assert end == ModelFailed(model="lora:ink", reason="its host has no public address")
        assert origin.requests == []


async def test_a_server_that_was_told_not_to_downloads_nothing(tmp_path: Path) -> None:
    async with serving(Origin(LARGE)) as origin, desk(tmp_path, origin, allow_model_downloads=False) as at:
        with pytest.raises(ProtocolError, match="allow_model_downloads") as caught:
            at.start(origin.url())
        assert caught.value.code is ErrorCode.FORBIDDEN


async def test_a_whole_server_downloads_lists_and_loads(tmp_path: Path) -> None:
    async with serving(Origin(content(SD1))) as origin:
        options = {"allow_private_urls": True, "fetch_ports": (origin.port,), "models_dir": tmp_path / "models"}
        await asyncio.to_thread(_download_list_and_load, tmp_path / "data", origin.port, options)


async def test_a_whole_server_cancels_what_it_was_asked_to_and_says_what_it_cannot(tmp_path: Path) -> None:
    async with serving(Origin(content(SD1))) as origin:
        origin.gate, origin.tells_length = asyncio.Event(), False
        options = {"allow_private_urls": True, "fetch_ports": (origin.port,), "models_dir": tmp_path / "models"}
        await asyncio.to_thread(_cancel, tmp_path / "data", origin.port, options)


def _cancel(data_dir: Path, port: int, options: dict[str, Any]) -> None:
    with thread_server(data_dir, **options) as server, server.client() as http:
        body = {"url": f"http://127.0.0.1:{port}/dreams.safetensors", "kind": "checkpoint"}
        assert http.post("/v1/models", json=body).status_code == 202
        assert http.delete("/v1/models/dreams/download?arrived=burn").json()["field"] == "$.arrived"
        left = http.delete("/v1/models/checkpoint:dreams/download")
        assert (left.status_code, left.json()["download"]["problem"]) == (200, "cancelled by a client")
        assert http.get("/v1/models/dreams").json()["download"]["problem"] == "cancelled by a client"
        assert http.delete("/v1/models/dreams/download?arrived=discard").status_code == 200
        for name, status, code in (("dreams", 404, "not_found"), ("fake", 409, "already_ended")):
            refused = http.delete(f"/v1/models/{name}/download")
            assert (refused.status_code, refused.json()["code"]) == (status, code)


def _download_list_and_load(data_dir: Path, port: int, options: dict[str, Any]) -> None:
    with thread_server(data_dir, **options) as server, server.client() as http:
        body = {"url": f"http://127.0.0.1:{port}/dreams.safetensors", "kind": "checkpoint"}
        asked = http.post("/v1/models", json=body)
        assert asked.status_code == 202, asked.text
        assert asked.headers["location"] == "/v1/models/checkpoint%3Adreams"
        until(lambda: bool(http.get(asked.headers["location"]).json()["is_present"]), "the model")
        model = http.get("/v1/models/dreams").json()
        assert (model["family"], model["is_present"]) == ("sd1", True)
        loaded = http.post("/v1/models/dreams/load", headers={"Prefer": "wait=10"})
        assert loaded.json()["status"] == "succeeded"
        assert http.post("/v1/models", json={"url": "ftp://x/y", "kind": "lora"}).json()["field"] == "$.url"
        assert http.post("/v1/models", json={**body, "kind": "sampler"}).json()["field"] == "$.kind"
        assert http.post("/v1/models", json=body).json()["code"] == "model_exists"
