"""What `--listen` says, and the sockets it means."""

import errno
import socket

import pytest

from service.listeners import Listen, ListenFailed, open_listeners
from service.profiles import Profile
from service.settings import SettingsError, load


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("8080", Listen(8080)),
        ("0", Listen(0)),
        (" 8080 = iopaint ", Listen(8080, None, Profile.IOPAINT)),
        ("0.0.0.0:80", Listen(80, "0.0.0.0")),
        ("box.lan:65535=text_removal", Listen(65535, "box.lan", Profile.TEXT_REMOVAL)),
        ("=text_removal", Listen(None, None, Profile.TEXT_REMOVAL)),
        ("[::1]:8080=iopaint", Listen(8080, "::1", Profile.IOPAINT)),
        ("[0:0::0]:8080", Listen(8080, "::")),
    ],
)
def test_place_is_read(text: str, place: Listen) -> None:
    assert Listen.parse(text) == place


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "port"),
        ("iopaint", "port"),
        ("65536", "65535"),
        ("-1", "port"),
        ("８０", "port"),
        ("host:", "port"),
        (":8080", "host is missing"),
        ("::1:8080", "brackets"),
        ("[::z]:8080", "no IPv6 address"),
        ("=", "only iopaint, text_removal"),
        ("8080=", "only iopaint, text_removal"),
        ("8080=IOPaint", "only iopaint, text_removal"),
    ],
)
def test_text_that_is_no_place_is_refused_with_the_reason(text: str, wrong: str) -> None:
    with pytest.raises(ValueError, match="HOST") as refused:
        Listen.parse(text)
    assert wrong in str(refused.value)


def test_places_come_from_a_list_from_one_text_and_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = (Listen(8080, "::1", Profile.IOPAINT), Listen(8081, "localhost", None))
    assert load(None, {"listen": ["8080=iopaint", "localhost:8081"], "host": "::1"}).places == expected
    assert load(None, {"listen": "8080=iopaint, localhost:8081", "host": "::1"}).places == expected
    monkeypatch.setenv("SAFELIGHT_LISTEN", "8080=iopaint,localhost:8081")
    monkeypatch.setenv("SAFELIGHT_HOST", "::1")
    assert load().places == expected


def test_without_places_it_is_host_and_port() -> None:
    assert load(None, {"host": "10.0.0.1", "port": 99}).places == (Listen(99, "10.0.0.1"),)
    assert load(None, {"listen": 8080}).places == (Listen(8080, "127.0.0.1"),)
    assert load(None, {"listen": "=iopaint", "port": 99}).places == (Listen(99, "127.0.0.1", Profile.IOPAINT),)


@pytest.mark.parametrize("listen", [True, 3.5, {"port": "x"}, ["8080", None]])
def test_setting_that_names_no_places_is_refused(listen: object) -> None:
    with pytest.raises(SettingsError, match="listen"):
        load(None, {"listen": listen})


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        (Listen(80, "::1"), "[::1]:80"),
        (Listen(80, "box"), "box:80"),
        (Listen(80, ""), "*:80"),
        (Listen(80), "127.0.0.1:80"),
    ],
)
def test_place_is_shown_as_it_is_written(place: Listen, shown: str) -> None:
    assert str(place) == shown


class Sockets:
    """Stands for the operating system: which addresses can be bound, and what is still open."""

    def __init__(self, taken: dict[str, int]) -> None:
        self.taken = taken
        self.open: list[tuple[str, int]] = []
        self.next_port = 50_000


class FakeSocket:
    def __init__(self, system: Sockets) -> None:
        self.system = system
        self.address: tuple[str, int] | None = None

    def setsockopt(self, *_: int) -> None: ...

    def setblocking(self, _flag: bool) -> None: ...

    def listen(self, _backlog: int) -> None: ...

    def bind(self, address: tuple[str, int]) -> None:
        host, port = address[:2]
        if host in self.system.taken:
            raise OSError(self.system.taken[host], "refused")
        if port == 0:
            self.system.next_port += 1
            port = self.system.next_port
        self.address = (host, port)
        self.system.open.append(self.address)

    def getsockname(self) -> tuple[str, int]:
        assert self.address is not None
        return self.address

    def close(self) -> None:
        if self.address is not None:
            self.system.open.remove(self.address)
            self.address = None


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Sockets:
    found = Sockets({})
    names = {"both": ["::1", "127.0.0.1"]}

    def getaddrinfo(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        if host == "unknown":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, 1, 6, "", (each, port))
            for each in names.get(host, [host])
        ]

    monkeypatch.setattr("service.listeners.socket.getaddrinfo", getaddrinfo)
    monkeypatch.setattr("service.listeners.socket.socket", lambda *_: FakeSocket(found))
    return found


def test_all_addresses_of_a_name_share_the_port_that_was_free(system: Sockets) -> None:
    (listener,) = open_listeners([Listen(0, "both")])
    assert [address for address, _ in system.open] == ["::1", "127.0.0.1"]
    assert {port for _, port in system.open} == {listener.listen.port} != {0}


def test_address_family_that_is_switched_off_is_left_out(system: Sockets) -> None:
    system.taken["::1"] = errno.EADDRNOTAVAIL
    (listener,) = open_listeners([Listen(8080, "both")])
    assert system.open == [("127.0.0.1", 8080)]
    listener.close()
    assert system.open == []


@pytest.mark.parametrize(
    ("host", "problem", "told"),
    [
        ("10.0.0.2", errno.EADDRINUSE, "listens there already"),
        ("10.0.0.2", errno.EACCES, "may not take"),
        ("10.0.0.2", errno.EADDRNOTAVAIL, "no such address"),
        ("unknown", None, "not known"),
    ],
)
def test_one_place_that_cannot_be_opened_closes_the_others(
    system: Sockets, host: str, problem: int | None, told: str
) -> None:
    if problem is not None:
        system.taken[host] = problem
    with pytest.raises(ListenFailed, match=f"{host}:81: .*{told}"):
        open_listeners([Listen(80, "both"), Listen(81, host)])
    assert system.open == []


def test_what_is_written_to_a_client_is_sent_at_once() -> None:
    (listener,) = open_listeners([Listen(0, "127.0.0.1")])
    with socket.create_connection(("127.0.0.1", listener.listen.port or 0)):
        for opened in listener.sockets:
            # Event loops look at the first, and what is accepted has the second of them.
            assert opened.proto == socket.IPPROTO_TCP
            opened.setblocking(True)
            accepted, _ = opened.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    listener.close()
