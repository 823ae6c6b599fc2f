"""Fetching from a real HTTP server on this machine."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from protocol.errors import ErrorCode, ProtocolError
from service.fetch import Fetcher
from service.settings import Settings

pytestmark = pytest.mark.anyio
Answer = Callable[[str], bytes]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Origin:
    """A server of one answer per request, which keeps the requests it got."""

    def __init__(self, answer: Answer, *, closes: bool = True) -> None:
        self.answer = answer
        self.closes = closes
        self.requests: list[str] = []
        self.port = 0
        self.stop = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://pictures.test:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.requests.append(request)
            writer.write(self.answer(request.split()[1]))
            await writer.drain()
            if not self.closes:
                await self.stop.wait()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def origin(answer: Answer, *, closes: bool = True) -> AsyncIterator[Origin]:
    place = Origin(answer, closes=closes)
    server = await asyncio.start_server(place.serve, "127.0.0.1", 0)
    place.port = server.sockets[0].getsockname()[1]
    try:
        yield place
    finally:
        place.stop.set()
        server.close()
        await server.wait_closed()


async def here(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


def fetcher(port: int, **settings: object) -> Fetcher:
    chosen = {"allow_private_urls": True, "fetch_ports": (port,), **settings}
    return Fetcher(Settings.model_validate({**Settings().model_dump(), **chosen}), resolve=here)


def ok(body: bytes, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def redirect(location: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


async def failure(place: Origin, folder: Path, **settings: object) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        await fetcher(place.port, **settings).fetch(place.url + "/a", folder / "in")
    assert list(folder.iterdir()) == [], "a failed fetch leaves nothing behind"
    return caught.value


async def test_a_fetched_file_is_on_disk_as_it_was_sent(tmp_path: Path) -> None:
    body = bytes(range(256)) * 1000
    async with origin(lambda path: ok(body, "Content-Type: image/png")) as place:
        fetched = await fetcher(place.port).fetch(place.url + "/a%20b?c=d#e", tmp_path / "in")
    assert (tmp_path / "in").read_bytes() == body
    assert (fetched.content_type, fetched.size_bytes, fetched.path) == ("image/png", len(body), tmp_path / "in")
    assert place.requests[0].startswith("GET /a%20b?c=d HTTP/1.1\r\n")
    assert f"\r\nHost: pictures.test:{place.port}\r\n" in place.requests[0]


async def test_the_next_address_is_tried_when_nobody_listens_at_the_first(tmp_path: Path) -> None:
    async def two(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.2", "127.0.0.1"]

    async with origin(lambda path: ok(b"x")) as place:
        chosen = {**Settings().model_dump(), "allow_private_urls": True, "fetch_ports": (place.port,)}
        fetched = await Fetcher(Settings.model_validate(chosen), resolve=two).fetch(place.url, tmp_path / "in")
    assert fetched.size_bytes == 1


async def test_a_relative_redirect_is_followed(tmp_path: Path) -> None:
    async with origin(lambda path: redirect("../there") if path == "/x/a" else ok(b"there")) as place:
        await fetcher(place.port).fetch(place.url + "/x/a", tmp_path / "in")
    assert (tmp_path / "in").read_bytes() == b"there"


async def test_no_cookie_is_carried_from_one_answer_to_the_next_request(tmp_path: Path) -> None:
    def answer(path: str) -> bytes:
        return redirect("/b").replace(b"Content", b"Set-Cookie: a=b\r\nContent") if path == "/a" else ok(b"x")

    async with origin(answer) as place:
        await fetcher(place.port).fetch(place.url + "/a", tmp_path / "in")
    assert len(place.requests) == 2
    assert "cookie" not in place.requests[1].lower()


async def test_a_redirect_to_a_private_address_is_refused_like_a_first_request(tmp_path: Path) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"] if host == "pictures.test" else ["10.0.0.7"]

    asked: list[str] = []
    async with origin(lambda path: redirect("http://inside.test/a")) as place:
        chosen = {**Settings().model_dump(), "fetch_ports": (place.port, 80)}
        strict = Fetcher(Settings.model_validate(chosen), resolve=resolve)
        import service.outbound as outbound

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(outbound, "check_address", lambda text: asked.append(text) or text == "127.0.0.1")
            with pytest.raises(ProtocolError, match="no public address"):
                await strict.fetch(place.url + "/a", tmp_path / "in")
    assert asked == ["127.0.0.1", "10.0.0.7"]


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "http://[", "http://u:p@pictures.test/", "http://a.test:22/"]
)
async def test_a_redirect_to_what_would_be_refused_as_a_first_url_is_refused(location: str, tmp_path: Path) -> None:
    async with origin(lambda path: redirect(location)) as place:
        assert (await failure(place, tmp_path)).code is ErrorCode.FETCH_FAILED
    assert len(place.requests) == 1


async def test_redirects_in_a_circle_end(tmp_path: Path) -> None:
    async with origin(lambda path: redirect("/a")) as place:
        assert "more than 2 redirects" in (await failure(place, tmp_path, fetch_max_redirects=2)).message
    assert len(place.requests) == 3


async def test_a_file_that_says_it_is_too_large_is_not_read(tmp_path: Path) -> None:
    async with origin(lambda path: b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", closes=False) as place:
        error = await failure(place, tmp_path, max_upload_bytes=1000)
    assert error.code is ErrorCode.TOO_LARGE
    assert "1000" in error.message


async def test_a_file_without_a_length_is_cut_off_at_the_cap(tmp_path: Path) -> None:
    async with origin(lambda path: b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001, closes=False) as place:
        assert (await failure(place, tmp_path, max_upload_bytes=1000)).code is ErrorCode.TOO_LARGE


async def test_a_server_that_sends_half_and_waits_is_given_up_in_time(tmp_path: Path) -> None:
    async with origin(lambda path: ok(b"12345678")[:-4], closes=False) as place:
        error = await failure(place, tmp_path, fetch_timeout_s=0.2)
    assert error.code is ErrorCode.FETCH_FAILED


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\nsecret",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsecret",
        b"HTTP/1.1 302 Found\r\nContent-Length: 6\r\n\r\nsecret",
        b"HTTP/1.1 206 Partial Content\r\nContent-Length: 6\r\n\r\nsecret",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 6\r\n\r\nsecret",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nsecret",
        b"SSH-2.0-secret\r\n",
        b"",
    ],
)
async def test_an_answer_that_is_no_whole_file_fails_without_telling_what_it_was(answer: bytes, tmp_path: Path) -> None:
    async with origin(lambda path: answer) as place:
        error = await failure(place, tmp_path)
    assert error.code is ErrorCode.FETCH_FAILED
    assert "secret" not in error.message
    assert "127.0.0.1" not in error.message


async def test_proxies_in_the_environment_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with origin(lambda path: ok(b"x")) as place:
        assert (await fetcher(place.port).fetch(place.url, tmp_path / "in")).size_bytes == 1
