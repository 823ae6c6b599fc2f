"""A page of a foreign origin reaches no server without keys, neither by request nor by socket."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.viewers import RawSocket, submit
from tests.servers import ThreadServer, thread_server

pytestmark = pytest.mark.usefixtures("quiet_log")

SMALL = {"steps": 0, "width": 8, "height": 8}
FOREIGN = [
    "https://evil.example",
    "null",
    "file://",
    "http://localhost.evil.example",
    "http://127.0.0.1.evil.example",
    "http://127.0.0.1@evil.example",
    "http://evil.example#127.0.0.1",
    "chrome-extension://abcdef",
    "",
]
FOREIGN_HOSTS = [
    "evil.example",
    "evil.example:{port}",
    "127.0.0.1.evil.example",
    "localhost@evil.example",
    "[::ffff:8.8.8.8]",
    "",
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    with thread_server(tmp_path_factory.mktemp("browser") / "data") as running:
        yield running


def handshake_status(server: ThreadServer, *headers: str, host: str | None = None) -> int:
    raw = RawSocket(server, host=host, headers=headers)
    raw.close()
    return raw.status


@pytest.mark.parametrize("origin", FOREIGN, ids=repr)
def test_page_of_a_foreign_origin_is_refused(server: ThreadServer, http: httpx.Client, origin: str) -> None:
    job = submit(http, params=SMALL)
    before = http.get("/v1/jobs").json()
    for method, path, content in (
        ("GET", "/v1/jobs", None),
        ("GET", f"/v1/jobs/{job['id']}/events", None),
        ("DELETE", f"/v1/jobs/{job['id']}", None),
        ("POST", "/v1/jobs", b'{"task":"test_pattern"}'),
        ("POST", "/v1/uploads", b"x"),
    ):
        # text/plain: what a page can send without asking first
        headers = {"Origin": origin, "Content-Type": "text/plain"}
        answer = http.request(method, path, headers=headers, content=content)
        assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin"), (method, path)
        assert "access-control-allow-origin" not in answer.headers
    assert handshake_status(server, f"Origin: {origin}") == 403
    assert [each["id"] for each in http.get("/v1/jobs").json()["jobs"]] == [each["id"] for each in before["jobs"]]


@pytest.mark.parametrize("host", FOREIGN_HOSTS, ids=repr)
def test_foreign_name_that_points_here_is_refused(server: ThreadServer, http: httpx.Client, host: str) -> None:
    host = host.format(port=server.port)
    for origin in ({}, {"Origin": f"http://{host}"}, {"Origin": server.url}):
        answer = http.get("/v1/jobs", headers={"Host": host, **origin})
        assert answer.status_code in {400, 421}, origin
        if answer.status_code == 421:
            assert answer.json()["code"] == "unknown_host"
    assert handshake_status(server, host=host) in {400, 421}


def test_two_hosts_in_one_handshake_are_refused(server: ThreadServer) -> None:
    assert handshake_status(server, "Host: evil.example") in {400, 421}
    assert handshake_status(server, "Host: 127.0.0.1", host="evil.example") in {400, 421}


def test_page_of_this_machine_is_let_in_and_may_read_the_answer(server: ThreadServer, http: httpx.Client) -> None:
    for origin in (server.url, "http://localhost:3000", "http://[::1]:5173", "https://127.0.0.1"):
        answer = http.get("/v1/jobs", headers={"Origin": origin})
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == origin
        assert "Origin" in answer.headers["vary"]
        assert "Location" in answer.headers["access-control-expose-headers"]
        refused = http.get("/v1/jobs/x", headers={"Origin": origin})
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (404, origin)
        assert handshake_status(server, f"Origin: {origin}") == 101


def test_browser_that_asks_first_is_told_what_it_may_send(server: ThreadServer, http: httpx.Client) -> None:
    asking = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,idempotency-key",
    }
    allowed = http.options("/v1/jobs", headers={"Origin": "http://localhost:3000", **asking})
    assert allowed.status_code == 204
    assert allowed.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert "DELETE" in allowed.headers["access-control-allow-methods"]
    assert allowed.headers["access-control-allow-headers"] == "content-type,idempotency-key"
    refused = http.options("/v1/jobs", headers={"Origin": "https://evil.example", **asking})
    assert refused.status_code == 403
    assert "access-control-allow-origin" not in refused.headers


def test_cross_site_request_without_an_origin_changes_nothing(http: httpx.Client) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert http.post("/v1/jobs", json={"task": "test_pattern"}, headers=headers).status_code == 403
    assert http.delete("/v1/jobs/x", headers=headers).status_code == 403


def test_origin_and_host_the_operator_allows_are_let_in(tmp_path: Path) -> None:
    settings = {"allowed_origins": ("https://studio.example",), "allowed_hosts": ("box.lan",)}
    with thread_server(tmp_path / "data", **settings) as server, server.client() as http:
        for origin, host, status in (
            ("https://studio.example", "box.lan", 200),
            ("https://studio.example", "127.0.0.1", 200),
            ("http://box.lan", "box.lan", 200),
            ("https://evil.example", "box.lan", 403),
            ("https://studio.example", "evil.example", 421),
        ):
            answer = http.get("/v1/jobs", headers={"Origin": origin, "Host": host})
            assert answer.status_code == status, (origin, host)
            expected = 101 if status == 200 else status
            assert handshake_status(server, f"Origin: {origin}", host=host) == expected


def test_server_with_keys_lets_no_foreign_page_read_its_answers(tmp_path: Path) -> None:
    with thread_server(tmp_path / "data", api={"keys": ("k",)}) as server, server.client() as http:
        answer = http.get("/v1/jobs", headers={"Origin": "https://evil.example", "X-API-Key": "k"})
        assert "access-control-allow-origin" not in answer.headers
        asking = {"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}
        assert http.options("/v1/jobs", headers=asking).status_code == 403
