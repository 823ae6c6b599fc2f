"""What is refused before anybody is connected to. Real connections are in tests/integration/test_fetching.py."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from protocol.errors import ErrorCode, ProtocolError
from service.fetch import Fetcher
from service.outbound import check_address
from service.settings import Settings

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Names:
    """A resolver that knows a few names and notes what it was asked."""

    def __init__(self, **addresses: Sequence[str]) -> None:
        self.addresses = addresses
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        if host not in self.addresses:
            raise OSError("no such name")
        return self.addresses[host]


async def refusal(url: str, names: Names, folder: Path, **settings: object) -> ProtocolError:
    fetcher = Fetcher(Settings.model_validate({**Settings().model_dump(), **settings}), resolve=names)
    with pytest.raises(ProtocolError) as caught:
        await fetcher.fetch(url, folder / "in", at="$.params.image")
    assert not (folder / "in").exists()
    return caught.value


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.9.1", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1",
        "169.254.169.254", "192.0.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1",
        "255.255.255.255", "192.88.99.1", "::", "::1", "fe80::1", "fec0::1", "fc00::1", "fd12::1", "ff02::1",
        "ff0e::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::7f00:1", "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:c0a8:101::1", "2001:0:1::1", "fe80::1%eth0", "", "localhost",
    ],
)  # fmt: skip
def test_an_address_inside_somebodys_network_is_not_public(address: str) -> None:
    assert not check_address(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_a_public_address_is_public(address: str) -> None:
    assert check_address(address)


@pytest.mark.parametrize(
    "url",
    ["", "picture.png", "ftp://example.com/a", "file:///etc/passwd", "gopher://x/", "http://", "http:///a", "//a/b",
     "http://[::1", "http://user@example.com/a", "http://user:word@example.com/a", "\x00", "http://\udcff/"],
)  # fmt: skip
async def test_a_url_that_is_not_plain_http_is_refused_without_a_look_up(url: str, tmp_path: Path) -> None:
    names = Names()
    error = await refusal(url, names, tmp_path)
    assert error.code is ErrorCode.FETCH_FAILED
    assert error.field == "$.params.image"
    assert error.message.startswith("image: ")
    assert names.asked == []


@pytest.mark.parametrize("url", ["http://a.test:22/", "https://a.test:8443/", "http://a.test:0/"])
async def test_a_port_outside_the_list_is_refused_without_a_look_up(url: str, tmp_path: Path) -> None:
    names = Names(**{"a.test": ["8.8.8.8"]})
    assert "port" in (await refusal(url, names, tmp_path)).message
    assert names.asked == []


async def test_one_private_address_among_public_ones_refuses_the_name(tmp_path: Path) -> None:
    names = Names(**{"a.test": ["8.8.8.8", "10.0.0.7"]})
    assert "no public address" in (await refusal("http://a.test/", names, tmp_path)).message


async def test_a_private_name_and_a_name_that_does_not_exist_read_the_same(tmp_path: Path) -> None:
    names = Names(**{"private.test": ["10.0.0.7"]})
    private = await refusal("http://private.test/", names, tmp_path)
    missing = await refusal("http://missing.test/", names, tmp_path)
    assert private.message == missing.message
    assert "10.0.0.7" not in private.message


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "2130706433", "0x7f.1", "127.1", "[::ffff:127.0.0.1]"])
async def test_loopback_is_refused_in_every_spelling_the_system_understands(host: str, tmp_path: Path) -> None:
    fetcher = Fetcher(Settings())
    with pytest.raises(ProtocolError, match=r"no public address|expected an http"):
        await fetcher.fetch(f"http://{host}/", tmp_path / "in")
