"""Socket.IO as IOPaint's front end uses it, with python-socketio's client over real sockets."""

import base64
import json
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import socketio
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from service.dialects.iopaint.socketio import SocketIo
from tests.dialects.golden import FOLDER, cases, differences, send
from tests.integration.viewers import png
from tests.servers import DEADLINE_S, ThreadServer, thread_server, until

STEPS = 4
"""Of a job of the fake engine."""
PROGRESS = [("diffusion_progress", {"step": step}) for step in range(STEPS)]
FINISH = [("diffusion_finish",)]
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"
KEYS = ("first-key-of-the-test", "second-key-of-the-test")


class Listening:
    """One Socket.IO client, and what it hears."""

    def __init__(self, url: str, headers: dict[str, str], transports: list[str] | None, auth: Any) -> None:
        self.heard: queue.Queue[tuple[Any, ...]] = queue.Queue()
        self.lost = threading.Event()
        self.client = socketio.Client(reconnection=False)
        self.client.on("*", lambda *event: self.heard.put(event))
        self.client.on("disconnect", lambda *_reason: self.lost.set())
        self.client.connect(url, headers=headers, transports=transports, auth=auth, wait_timeout=int(DEADLINE_S))

    @property
    def id(self) -> str:
        """What `socket.id` is to a page."""
        return str(self.client.get_sid("/"))

    def until_finish(self) -> list[tuple[Any, ...]]:
        """Everything up to the end of a job."""
        told = [self.heard.get(timeout=DEADLINE_S)]
        while told[-1] != FINISH[0]:
            told.append(self.heard.get(timeout=DEADLINE_S))
        return told


@contextmanager
def listening(
    server: ThreadServer,
    headers: dict[str, str] | None = None,
    *,
    transports: list[str] | None = None,
    auth: Any = None,
) -> Iterator[Listening]:
    listener = Listening(server.url, dict(headers or {}), transports, auth)  # a client takes the cookies out of them
    try:
        yield listener
    finally:
        listener.client.disconnect()


class Browser:
    """A page that was loaded from the server: its requests and its socket send the same cookies."""

    def __init__(self, server: ThreadServer, agent: str = BROWSER) -> None:
        self.http = server.client(headers={"User-Agent": agent})
        self.http.get("/").raise_for_status()
        self.headers = {"User-Agent": agent, "Cookie": f"safelight_viewer={self.http.cookies['safelight_viewer']}"}

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()


def picture(seed: int) -> str:
    return base64.b64encode(png(24, 16, seed=seed)).decode()


def inpaint(http: httpx.Client, *, status: int = 200, headers: dict[str, str] | None = None) -> httpx.Response:
    answer = http.post("/api/v1/inpaint", json={"image": picture(1), "mask": picture(2)}, headers=headers)
    assert answer.status_code == status, answer.text
    return answer


@contextmanager
def iopaint(folder: Path, **settings: Any) -> Iterator[ThreadServer]:
    chosen = {"listen": "0=iopaint", "iopaint_model": "fake", "fake_step_s": 0.02, **settings}
    with thread_server(folder / "data", **chosen) as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    with iopaint(tmp_path_factory.mktemp("socketio")) as running:
        yield running


@pytest.fixture
def http(server: ThreadServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.mark.parametrize("case", cases("iopaint", "socketio"), ids=str)
def test_handshake_is_answered_as_recorded(http: httpx.Client, case: Any) -> None:
    answer = send(http, case)
    if case.name != "polling_open":
        assert differences(case, answer) == []
        assert answer.text == case.response["body_text"]
        return
    recorded, given = (json.loads(text[1:]) for text in (case.response["body_text"], answer.text))
    assert answer.headers["content-type"] == case.response["headers"]["content-type"]
    assert (answer.status_code, answer.text[0], {**given, "sid": "SID"}) == (200, "0", recorded)


@pytest.fixture(scope="module")
def diffusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    """A real inpainting model of a few thousand weights, as for the recordings."""
    pytest.importorskip("diffusers")
    from engine.diffusion.quiet import quieten

    quieten()
    from tests.tiny_models import make_sd1

    folder = tmp_path_factory.mktemp("diffusing")
    make_sd1(is_inpaint=True).save_pretrained(folder / "models" / "tiny-sd-inpainting")
    options = {"engine": "torch", "models_dir": folder / "own", "model_folders": [folder / "models"]}
    with iopaint(folder, iopaint_model="tiny-sd-inpainting", **options) as running:
        yield running


RECORDED = json.loads((FOLDER / "iopaint" / "diffusion_progress.json").read_text("utf-8"))["cases"]


@pytest.mark.parametrize("case", [case for case in RECORDED if "messages" in case], ids=lambda case: str(case["name"]))
def test_diffusion_tells_the_steps_that_were_recorded(diffusing: ThreadServer, case: dict[str, Any]) -> None:
    with listening(diffusing) as mine, diffusing.client() as http:
        asked = {"image": picture(1), "mask": picture(2), "prompt": "a red apple", **case["params"]}
        answer = http.post("/api/v1/inpaint", json=asked)
        assert answer.status_code == 200, answer.text
        assert mine.until_finish() == [tuple(json.loads(message[2:])) for message in case["messages"]]


@pytest.mark.parametrize("transports", [["polling"], ["websocket"], ["polling", "websocket"]], ids="-".join)
def test_client_hears_each_step_of_its_job_and_its_end(
    server: ThreadServer, http: httpx.Client, transports: list[str]
) -> None:
    with listening(server, transports=transports) as mine:
        inpaint(http)
        assert mine.until_finish() == PROGRESS + FINISH


def test_two_browsers_at_once_each_hear_their_own_job_only(server: ThreadServer) -> None:
    with (
        Browser(server) as first,
        Browser(server) as second,
        listening(server, first.headers) as to_first,
        listening(server, second.headers) as to_second,
        ThreadPoolExecutor(2) as pool,
    ):
        inpaint(first.http)
        assert to_first.until_finish() == PROGRESS + FINISH
        assert to_second.heard.empty()
        both = [pool.submit(inpaint, browser.http) for browser in (first, second)]
        assert [to_first.until_finish(), to_second.until_finish()] == [PROGRESS + FINISH] * 2
        assert all(each.result().is_success for each in both)
        assert to_first.heard.empty()
        assert to_second.heard.empty()


def test_both_tabs_of_a_browser_hear_of_its_job(server: ThreadServer) -> None:
    with (
        Browser(server) as browser,
        listening(server, browser.headers) as one,
        listening(server, browser.headers) as two,
    ):
        inpaint(browser.http)
        assert one.until_finish() == two.until_finish() == PROGRESS + FINISH


def test_socket_that_was_opened_before_the_page_had_its_cookie_is_recognised_by_its_next_request(
    server: ThreadServer,
) -> None:
    with Browser(server) as browser, Browser(server) as other, listening(server, other.headers):
        bare = {"User-Agent": BROWSER}
        opened = browser.http.get("/socket.io/?EIO=4&transport=polling", headers={**bare, "Cookie": ""})
        address = f"/socket.io/?EIO=4&transport=polling&sid={json.loads(opened.text[1:])['sid']}"
        browser.http.post(address, content="40").raise_for_status()  # with the cookie
        browser.http.get(address).raise_for_status()
        with listening(server, bare):  # a guess would find two
            inpaint(browser.http)
            assert '["diffusion_progress",{"step":0}]' in browser.http.get(address).text


def test_program_may_name_its_connection(server: ThreadServer, http: httpx.Client) -> None:
    with listening(server) as mine, listening(server) as other:
        inpaint(http, headers={"X-Socket-Id": mine.id})
        assert mine.until_finish() == PROGRESS + FINISH
        assert other.heard.empty()


def test_nobody_hears_of_a_job_that_two_connections_could_mean(server: ThreadServer, http: httpx.Client) -> None:
    with listening(server) as one, listening(server) as two:
        inpaint(http)
        inpaint(http, headers={"X-Socket-Id": one.id})
        inpaint(http, headers={"X-Socket-Id": two.id})
        assert one.until_finish() == two.until_finish() == PROGRESS + FINISH
        assert one.heard.empty()
        assert two.heard.empty()


def test_browser_does_not_hear_of_a_script_on_the_same_machine(server: ThreadServer, http: httpx.Client) -> None:
    with (
        Browser(server) as browser,
        listening(server, browser.headers) as page,
        listening(server, {"User-Agent": BROWSER}) as without_cookies,
    ):
        inpaint(http)
        inpaint(browser.http)
        assert page.until_finish() == PROGRESS + FINISH
        assert page.heard.empty()
        assert without_cookies.heard.empty()


def test_erasing_tells_its_end_and_no_steps(tmp_path: Path) -> None:
    with iopaint(tmp_path, iopaint_model="cv2") as server, server.client() as http, listening(server) as mine:
        inpaint(http)
        assert mine.until_finish() == FINISH


def test_job_that_did_not_succeed_tells_no_end(server: ThreadServer, http: httpx.Client) -> None:
    with listening(server) as mine:
        answer = http.post("/api/v1/inpaint", json={"image": picture(1), "mask": "bm90IGEgcGljdHVyZQ=="})
        assert answer.status_code == 400
        inpaint(http)
        assert mine.until_finish() == PROGRESS + FINISH
        assert mine.heard.empty()


def test_server_with_keys_wants_one_and_keeps_their_jobs_apart(tmp_path: Path) -> None:
    with iopaint(tmp_path, api={"keys": KEYS}) as server, server.client() as http:
        with pytest.raises(socketio.exceptions.ConnectionError, match="failed to connect"), listening(server):
            pass
        with (
            pytest.raises(socketio.exceptions.ConnectionError, match="failed to connect"),
            listening(server, auth={"key": "x"}),
        ):
            pass
        with (
            listening(server, {"X-API-Key": KEYS[0]}) as first,
            listening(server, auth={"key": KEYS[1]}) as second,
        ):
            inpaint(http, headers={"X-API-Key": KEYS[0]})
            assert first.until_finish() == PROGRESS + FINISH
            inpaint(http, headers={"Authorization": f"Bearer {KEYS[1]}", "X-Socket-Id": first.id})
            inpaint(http, headers={"Authorization": f"Bearer {KEYS[1]}"})
            assert second.until_finish() == PROGRESS + FINISH
            assert first.heard.empty()
            assert second.heard.empty()


@pytest.mark.parametrize("transports", [["polling"], ["websocket"]], ids="-".join)
def test_server_that_stops_lets_its_clients_go_so_that_they_come_back(tmp_path: Path, transports: list[str]) -> None:
    with iopaint(tmp_path) as server, server.client() as http:
        unnamed = http.get("/socket.io/?EIO=4&transport=polling")  # never says who it is
        assert unnamed.is_success
        with listening(server, transports=transports) as mine:
            assert len(server.services.sockets) == 1
            server.server.should_exit = True
            assert mine.lost.wait(2 * DEADLINE_S)
            until(lambda: not server.services.sockets, "the socket to be forgotten")


def test_client_that_says_goodbye_is_not_kept_waiting_for_its_long_poll(
    server: ThreadServer, http: httpx.Client
) -> None:
    opened = json.loads(http.get("/socket.io/?EIO=4&transport=polling").text[1:])
    address = f"/socket.io/?EIO=4&transport=polling&sid={opened['sid']}"
    http.post(address, content="40").raise_for_status()
    http.get(address).raise_for_status()
    part: Any = server.server.config.app.state.parts[SocketIo]  # type: ignore[union-attr]
    with ThreadPoolExecutor(1) as pool:
        polled = pool.submit(http.get, address)
        until(lambda: opened["sid"] in part._polls.values(), "the poll to wait")
        http.post(address, content="1").raise_for_status()
        assert polled.result(DEADLINE_S).status_code in {200, 400}


def test_message_above_the_announced_size_ends_its_connection_and_no_other(server: ThreadServer) -> None:
    with listening(server) as other, server.client() as http, connect(_websocket(server)) as websocket:
        json.loads(str(websocket.recv(DEADLINE_S))[1:])
        websocket.send("4" + "x" * 1_000_001)
        _read_to_the_end(websocket.recv)
        inpaint(http)
        assert other.until_finish() == PROGRESS + FINISH


def test_rubbish_is_no_reason_to_fail(server: ThreadServer, http: httpx.Client) -> None:
    opened = json.loads(http.get("/socket.io/?EIO=4&transport=polling").text[1:])
    address = f"/socket.io/?EIO=4&transport=polling&sid={opened['sid']}"
    for content in ("", "\x1e\x1e", "4", '42["unknown",1]', "40/other,", "zzz", '42{"a"'):
        assert http.post(address, content=content).status_code < 500
    with listening(server) as mine:
        inpaint(http)
        assert mine.until_finish() == PROGRESS + FINISH


def _websocket(server: ThreadServer) -> str:
    return f"{server.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket"


def _read_to_the_end(receive: Callable[[float], Any]) -> None:
    try:
        while True:
            receive(DEADLINE_S)
    except ConnectionClosed:
        return
