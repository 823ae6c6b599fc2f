"""The page for people and its files, as a browser is given them."""

import gzip
import re
import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.servers import DEADLINE_S, REPOSITORY, ThreadServer, thread_server

pytestmark = pytest.mark.usefixtures("quiet_log")

FILES = sorted(
    path.relative_to(REPOSITORY).as_posix()
    for suffix in ("js", "css", "svg")
    for path in (REPOSITORY / "web").rglob(f"*.{suffix}")
    if "node_modules" not in path.parts
)
FOREIGN = {"Origin": "http://page.example"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    """One with a key, and a listener of a dialect beside."""
    keys = {"keys": ["k" * 32]}
    with thread_server(tmp_path_factory.mktemp("page") / "data", listen=("0", "0=fooocus_api"), api=keys) as running:
        yield running


def test_every_file_of_the_page_is_served_without_a_key_and_with_its_type(http: httpx.Client) -> None:
    types = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "svg": "image/svg+xml"}
    for name in FILES:
        answer = http.get(f"/{name}")
        assert (name, answer.status_code) == (name, 200)
        assert answer.headers["content-type"] == types[name.rpartition(".")[2]]
        assert answer.content == (REPOSITORY / name).read_bytes()


def test_page_names_only_files_that_are_there(http: httpx.Client) -> None:
    page = http.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    named = re.findall(r'(?:href|src)="(/web/[^"]+)"', page.text)
    for path in named:
        assert (path, http.get(path).status_code) == (path, 200)


def test_page_may_run_no_script_but_its_own_and_be_framed_by_nobody(http: httpx.Client) -> None:
    for path in ("/", "/web/index.html"):
        headers = http.get(path).headers
        rules = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
        assert rules["default-src"] == rules["script-src"] == rules["style-src"] == "'self'"
        assert rules["frame-ancestors"] == rules["base-uri"] == rules["object-src"] == "'none'"
        assert "unsafe" not in headers["content-security-policy"]
        assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
    assert not re.search(r"<script(?! [^>]*src=)|<style|\sstyle=|\son\w+=", http.get("/").text)


def test_file_is_sent_packed_where_that_is_asked_for_and_not_again_where_it_is_known(http: httpx.Client) -> None:
    tags = set()
    for coding in ("identity", "gzip"):
        with http.stream("GET", "/", headers={"Accept-Encoding": coding}) as answer:
            raw = b"".join(answer.iter_raw())
        assert answer.headers.get("content-encoding", "identity") == coding
        assert int(answer.headers["content-length"]) == len(raw)
        assert (gzip.decompress(raw) if coding == "gzip" else raw) == (REPOSITORY / "web" / "index.html").read_bytes()
        assert answer.headers["cache-control"] == "no-cache"
        assert "Accept-Encoding" in answer.headers["vary"]
        tags.add(answer.headers["etag"])
        again = http.get("/", headers={"Accept-Encoding": coding, "If-None-Match": f'"x", W/{answer.headers["etag"]}'})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == answer.headers["etag"]
    assert len(tags) == 2
    assert not any(tag.startswith("W/") for tag in tags)


def test_head_says_what_get_would(http: httpx.Client) -> None:
    head, get = http.head("/"), http.get("/")
    assert (head.status_code, head.content) == (200, b"")
    for name in ("etag", "content-type"):
        assert head.headers[name] == get.headers[name]


@pytest.mark.parametrize(
    "path",
    [
        "/web/../pyproject.toml",
        "/web/%2e%2e/service/app.py",
        "/web/..%2f..%2fsetup.js",
        "/web/styles/../../web/index.html",
        "/web/",
        "/web/nope.js",
        "/web/%00.js",
        "/web//index.html",
    ],
)
def test_no_other_path_is_answered(server: ThreadServer, path: str) -> None:
    # By hand: a client of HTTP would straighten the path first.
    with socket.create_connection(("127.0.0.1", server.port), DEADLINE_S) as opened:
        opened.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: opened.recv(1 << 16), b""))
    assert answer.startswith(b"HTTP/1.1 404")
    assert b'"code":"not_found"' in answer


def test_page_answers_on_the_listener_of_a_dialect_too_and_is_not_that_dialects(server: ThreadServer) -> None:
    """Its files are as little open to foreign pages as our own API is, whatever the dialect opens."""
    with httpx.Client(base_url=f"http://127.0.0.1:{server.ports[1]}", trust_env=False) as dialect:
        assert dialect.get("/web/index.html").status_code == 200
        assert "access-control-allow-origin" not in dialect.get("/web/index.html", headers=FOREIGN).headers
        assert dialect.get("/web/nope.js").json()["code"] == "not_found"


def test_server_without_keys_answers_to_its_own_name_alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    with thread_server(tmp_path_factory.mktemp("keyless") / "data") as running, running.client() as client:
        for path in ("/", "/web/index.html"):
            assert client.get(path, headers={"Host": "rebound.example"}).status_code == 421
            assert client.get(path, headers=FOREIGN).status_code == 403
            assert client.get(path).status_code == 200
