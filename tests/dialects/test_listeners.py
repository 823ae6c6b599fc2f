"""One process that listens at several places, each for the clients of one service or of all; over real sockets."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from service.dialects import DIALECTS
from service.listeners import ListenFailed
from service.main import make_server
from service.profiles import Profile
from service.settings import load
from tests.integration.viewers import inline, png, submit
from tests.servers import DEADLINE_S, REPOSITORY, ThreadServer, free_port, thread_server, until

FOREIGN = {"Origin": "http://page.example"}
COOKIE = {"Cookie": "a=b"}
PICTURES = {"image": inline(png()), "mask": inline(png(seed=3))}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    """Three listeners of one server: IOPaint's, the text-removal service's, and one for everybody."""
    with thread_server(
        tmp_path_factory.mktemp("listeners"), listen=("0=iopaint", "0=text_removal", "0"), iopaint_model="cv2"
    ) as running:
        yield running


def clients(server: ThreadServer) -> list[httpx.Client]:
    return [httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=3 * DEADLINE_S) for port in server.ports]


@pytest.fixture
def iopaint(server: ThreadServer) -> Iterator[httpx.Client]:
    with clients(server)[0] as client:
        yield client


@pytest.fixture
def text_removal(server: ThreadServer) -> Iterator[httpx.Client]:
    with clients(server)[1] as client:
        yield client


@pytest.fixture
def everybody(server: ThreadServer) -> Iterator[httpx.Client]:
    with clients(server)[2] as client:
        yield client


# ---- one server, several places -----------------------------------------------------------------------------------


def test_each_listener_has_a_port_of_its_own_and_all_of_them_the_same_jobs(
    server: ThreadServer, iopaint: httpx.Client, text_removal: httpx.Client, everybody: httpx.Client
) -> None:
    assert len(set(server.ports)) == 3
    job = submit(iopaint)
    for client in (text_removal, everybody):
        assert client.get(f"/v1/jobs/{job['id']}?wait=10").json()["status"] == "succeeded"


def test_socket_on_any_listener_watches_a_job_of_another_with_shared_frames(server: ThreadServer) -> None:
    for port in server.ports:
        with connect(f"ws://127.0.0.1:{port}/v1/ws", subprotocols=["safelight.v1.json"]) as websocket:  # type: ignore[list-item]
            websocket.send('{"type": "ping", "ref": "r"}')
            assert '"ok":true' in str(websocket.recv(DEADLINE_S))
    for config in server.server._configs:
        assert config.ws_protocol_class is not None
        assert config.ws_protocol_class.__name__ == "SharedFrameProtocol"


def test_listener_of_a_profile_answers_its_dialect_alone(
    iopaint: httpx.Client, text_removal: httpx.Client, everybody: httpx.Client
) -> None:
    paths = {"/api/v1/samplers": "iopaint", "/api/v1/health": "text_removal"}
    for path, profile in paths.items():
        assert iopaint.get(path).is_success is (profile == "iopaint")
        assert text_removal.get(path).is_success is (profile == "text_removal")
        assert everybody.get(path).is_success


def test_errors_of_paths_that_nobody_answers_are_in_the_words_of_the_listener(
    iopaint: httpx.Client, text_removal: httpx.Client, everybody: httpx.Client
) -> None:
    not_found = {"detail": "Not Found"}
    assert iopaint.get("/nothing/here").json() == not_found
    assert iopaint.get("/api/v1/nope").json() == not_found
    assert text_removal.get("/api/v1/nope").json() == not_found
    assert everybody.get("/api/v1/nope").json() == not_found
    assert everybody.get("/nothing/here").json()["code"] == "not_found"
    for client in (iopaint, text_removal, everybody):
        assert client.get("/v1/nope").json()["code"] == "not_found"
        assert client.get("/v1/jobs/no-such-job").json()["code"] == "not_found"
        assert client.delete("/v1/health/live").json()["code"] == "method_not_allowed"


# ---- where two dialects answer the same path ----------------------------------------------------------------------


def test_root_is_a_page_for_browsers_and_json_for_programs_that_ask_for_it(
    iopaint: httpx.Client, text_removal: httpx.Client, everybody: httpx.Client
) -> None:
    browser, program = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}, {"Accept": "application/json"}
    assert everybody.get("/", headers=browser).headers["content-type"].startswith("text/html")
    assert everybody.get("/").headers["content-type"].startswith("text/html")
    assert everybody.get("/", headers=program).json()["name"] == "IOPaint Text Removal Service"
    assert iopaint.get("/", headers=program).headers["content-type"].startswith("text/html")
    assert text_removal.get("/", headers=browser).json()["name"] == "IOPaint Text Removal Service"


def test_model_has_the_keys_of_both_where_both_answer(
    iopaint: httpx.Client, text_removal: httpx.Client, everybody: httpx.Client
) -> None:
    alone = [set(client.get("/api/v1/model").json()) for client in (iopaint, text_removal)]
    both = everybody.get("/api/v1/model").json()
    assert set(both) == alone[0] | alone[1]
    assert alone[0] != alone[1]
    assert both["name"] == "cv2"  # IOPaint's


def test_inpaint_is_iopaints_with_the_headers_of_both_where_both_answer(
    iopaint: httpx.Client, everybody: httpx.Client
) -> None:
    ours, both = (client.post("/api/v1/inpaint", json=PICTURES | {"sd_seed": 5}) for client in (iopaint, everybody))
    assert (ours.status_code, both.status_code) == (200, 200), both.text
    assert both.content == ours.content
    assert both.headers["x-seed"] == ours.headers["x-seed"] == "5"
    added = {"x-processing-time", "x-timestamp", "content-disposition"}
    assert added <= set(both.headers)
    assert not added & set(ours.headers)
    assert float(both.headers["x-processing-time"]) >= 0
    refused = everybody.post("/api/v1/inpaint", json={"image": PICTURES["image"]})
    assert refused.status_code == 400
    assert set(refused.json()) == {"error", "detail", "body", "errors"}
    assert "x-timestamp" not in refused.headers


# ---- pages of foreign origins -------------------------------------------------------------------------------------


def test_profile_opens_its_dialect_to_every_page_and_our_own_api_to_none(iopaint: httpx.Client) -> None:
    answer = iopaint.get("/api/v1/model", headers=FOREIGN)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] in {"*", FOREIGN["Origin"]}
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "X-Seed" in answer.headers["access-control-expose-headers"]
    for path in ("/v1/jobs", "/v1", "/v1/uploads", "/metrics", "/openapi.json"):
        refused = iopaint.get(path, headers=FOREIGN)
        assert (refused.status_code, refused.json()["code"]) == (403, "foreign_origin")
        assert "access-control-allow-origin" not in refused.headers


def test_answer_to_a_page_with_cookies_names_its_origin(iopaint: httpx.Client) -> None:
    answer = iopaint.get("/api/v1/model", headers=FOREIGN | COOKIE)
    assert answer.headers["access-control-allow-origin"] == FOREIGN["Origin"]
    assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize(("method", "status"), [("POST", 200), ("FOO", 400)])
def test_preflight_is_answered_as_the_original_does(iopaint: httpx.Client, method: str, status: int) -> None:
    asked = FOREIGN | {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "content-type,x-own"}
    answer = iopaint.options("/api/v1/inpaint", headers=asked)
    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == FOREIGN["Origin"]
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert {"DELETE", "GET", "POST", "PUT"} <= set(answer.headers["access-control-allow-methods"].split(", "))
    if status == 200:
        assert answer.headers["access-control-allow-headers"] == "content-type,x-own"


def test_page_of_a_foreign_origin_reaches_nothing_where_no_profile_opens_it(everybody: httpx.Client) -> None:
    for path in (
        "/api/v1/model",
        "/api/v1/server-config",
        "/api/v1/health",
        "/socket.io/?EIO=4&transport=polling",
        "/",
    ):
        refused = everybody.get(path, headers=FOREIGN)
        assert (path, refused.status_code) == (path, 403)
        assert "access-control-allow-origin" not in refused.headers
    asked = FOREIGN | {"Access-Control-Request-Method": "POST"}
    assert everybody.options("/api/v1/inpaint", headers=asked).status_code == 403


def test_socket_of_a_foreign_page_is_let_in_by_the_profile_alone(server: ThreadServer) -> None:
    path = "/socket.io/?EIO=4&transport=websocket"
    with connect(f"ws://127.0.0.1:{server.ports[0]}{path}", origin="http://page.example") as websocket:  # type: ignore[arg-type]
        assert str(websocket.recv(DEADLINE_S)).startswith("0{")
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://127.0.0.1:{server.ports[2]}{path}", origin="http://page.example")  # type: ignore[arg-type]
    assert refused.value.response.status_code == 403


def test_origins_that_are_named_take_the_place_of_what_the_profile_opens(tmp_path: Path) -> None:
    with (
        thread_server(tmp_path, listen=("0=iopaint", "0"), allowed_origins="http://page.example") as running,
        clients(running)[0] as iopaint,
        clients(running)[1] as everybody,
    ):
        for client in (iopaint, everybody):
            named = client.get("/api/v1/model", headers=FOREIGN)
            assert named.headers["access-control-allow-origin"] == FOREIGN["Origin"]
            assert named.headers["access-control-allow-credentials"] == "true"
            assert client.get("/v1/jobs", headers=FOREIGN).status_code == 200
            assert client.get("/api/v1/model", headers={"Origin": "http://other.example"}).status_code == 403


def test_any_origin_may_call_dialects_and_our_own_api_where_the_operator_says_so(tmp_path: Path) -> None:
    with thread_server(tmp_path, allowed_origins="*") as running, running.client() as http:
        assert http.get("/v1/jobs", headers=FOREIGN).headers["access-control-allow-origin"] == "*"
        assert http.get("/api/v1/model", headers=FOREIGN).headers["access-control-allow-credentials"] == "true"


def test_name_that_is_not_its_own_is_refused_on_the_listener_of_a_profile_too(iopaint: httpx.Client) -> None:
    refused = iopaint.get("/api/v1/model", headers={"Host": "attacker.example"})
    assert (refused.status_code, refused.json()["code"]) == (421, "unknown_host")


# ---- opening and closing ------------------------------------------------------------------------------------------


def test_occupied_port_is_named_and_nothing_is_started(tmp_path: Path) -> None:
    free = free_port()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = load(None, {"engine": "fake", "data_dir": tmp_path, "listen": f"{free},{port}=iopaint"})
        server = make_server(settings)
        with pytest.raises(ListenFailed, match=f"127.0.0.1:{port}: something listens there already"):
            asyncio.run(server.serve())
    assert not server.started
    assert not list(tmp_path.glob("*.db*"))
    with socket.create_server(("127.0.0.1", free)):  # given back
        pass


def test_place_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    port = free_port()
    server = make_server(load(None, {"engine": "fake", "data_dir": tmp_path, "listen": f"{port},{port}=iopaint"}))
    with pytest.raises(ListenFailed, match="already"):
        asyncio.run(server.serve())


def test_profile_that_is_not_built_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = {profile: dialect for profile, dialect in DIALECTS.items() if profile is not Profile.SD_API}
    monkeypatch.setattr("service.app.DIALECTS", built)
    with pytest.raises(ListenFailed, match="no dialect sd_api yet, but: iopaint, text_removal"):
        make_server(load(None, {"engine": "fake", "data_dir": tmp_path, "listen": "0=sd_api"}))


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6 loopback")
def test_it_listens_on_ipv6_and_on_all_addresses_of_a_name(tmp_path: Path) -> None:
    with thread_server(tmp_path, listen=("[::1]:0=iopaint", "localhost:0")) as running:
        assert httpx.get(f"http://[::1]:{running.ports[0]}/api/v1/samplers", trust_env=False).is_success
        hosts = {opened.getsockname()[0] for opened in running.server.listeners[1].sockets}
        for host in hosts:
            shown = f"[{host}]" if ":" in host else host
            assert httpx.get(f"http://{shown}:{running.ports[1]}/v1/health/live", trust_env=False).is_success


def test_stopping_tells_the_viewers_of_all_listeners_and_frees_all_ports(tmp_path: Path) -> None:
    told: dict[int, list[str]] = {}
    ready = threading.Semaphore(0)

    def watch(port: int) -> None:
        with connect(f"ws://127.0.0.1:{port}/v1/ws", subprotocols=["safelight.v1.json"]) as websocket:  # type: ignore[list-item]
            websocket.send('{"type": "subscribe", "ref": "r", "topic": "server"}')
            told[port] = [str(websocket.recv(DEADLINE_S))]
            ready.release()
            try:
                while True:
                    told[port].append(str(websocket.recv(DEADLINE_S)))
            except ConnectionClosed as end:
                told[port].append(str(end.rcvd and end.rcvd.code))

    with thread_server(tmp_path, listen=("0=iopaint", "0=text_removal", "0")) as running:
        watchers = [threading.Thread(target=watch, args=(port,)) for port in running.ports]
        for watcher in watchers:
            watcher.start()
        for _ in watchers:
            assert ready.acquire(timeout=DEADLINE_S)
    for watcher in watchers:
        watcher.join(DEADLINE_S)
    for port in running.ports:
        assert '"server.draining"' in told[port][-2]
        assert told[port][-1] == "1012"
        with socket.create_server(("127.0.0.1", port)):
            pass


# ---- the command line ---------------------------------------------------------------------------------------------


def serve(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "safelight", "serve", "--engine", "fake", *arguments]


def test_command_line_listens_wherever_it_is_told_and_stops_as_one(tmp_path: Path) -> None:
    first, second = free_port(), free_port()
    command = serve("--data-dir", str(tmp_path), "--listen", f"{first}=iopaint", "--listen", f"{second}=text_removal")
    process = subprocess.Popen(command, cwd=REPOSITORY)
    try:
        paths = {first: "/api/v1/samplers", second: "/api/v1/health"}

        def answers() -> bool:
            assert process.poll() is None
            try:
                return all(
                    httpx.get(f"http://127.0.0.1:{port}{path}", timeout=5, trust_env=False).is_success
                    for port, path in paths.items()
                )
            except httpx.TransportError:
                return False

        until(answers, "both listeners to answer", interval_s=0.05)
        process.terminate()
        assert process.wait(3 * DEADLINE_S) in {0, -15}
    finally:
        process.kill()
        process.wait()


def test_variables_of_a_service_say_where_its_profile_listens(tmp_path: Path) -> None:
    port = free_port()
    command = serve("--data-dir", str(tmp_path), "--listen", "=text_removal")
    process = subprocess.Popen(command, cwd=REPOSITORY, env={**os.environ, "PORT": str(port)})
    try:

        def answers() -> bool:
            assert process.poll() is None
            try:
                return httpx.get(f"http://127.0.0.1:{port}/api/v1/health", timeout=5, trust_env=False).is_success
            except httpx.TransportError:
                return False

        until(answers, "the listener to answer", interval_s=0.05)
    finally:
        process.terminate()
        process.wait(3 * DEADLINE_S)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--listen", "0=nothing"), "there is no profile 'nothing'"),
        (("--listen", "here"), "expected [HOST:]PORT[=PROFILE]"),
        (("--listen", "0", "--port", "8080"), "--port and --listen exclude each other"),
        (("--listen", "203.0.113.7:0"), "this machine has no such address"),
    ],
)
def test_command_line_says_what_is_wrong_with_a_place(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    done = subprocess.run(
        serve("--data-dir", str(tmp_path / "data"), *arguments),
        cwd=REPOSITORY, capture_output=True, text=True, timeout=6 * DEADLINE_S, check=False,
    )  # fmt: skip
    assert done.returncode in {1, 2}
    assert told in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
