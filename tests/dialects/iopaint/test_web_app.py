"""The operator's folder with IOPaint's front end: its files, of the right kind, and nothing beside it."""

import mimetypes
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.servers import DEADLINE_S, ThreadServer, thread_server


@pytest.fixture
def web(tmp_path: Path) -> Path:
    folder = tmp_path / "web"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>theirs</title>")
    (folder / "favicon.ico").write_bytes(b"\0\0\1\0")
    (folder / "assets" / "index-1.js").write_text("let theirs")
    (folder / "assets" / "index-1.css").write_text("body {}")
    (tmp_path / "secret.js").write_text("secret")
    return folder


@pytest.fixture
def server(tmp_path: Path, web: Path) -> Iterator[ThreadServer]:
    with thread_server(tmp_path / "data", listen="0=iopaint", iopaint_web_dir=web) as running:
        yield running


@pytest.mark.parametrize(
    ("path", "media_type"),
    [("/", "text/html"), ("/assets/index-1.js", "text/javascript"), ("/assets/index-1.css", "text/css")],
)
def test_each_file_has_the_type_browsers_want(
    http: httpx.Client, path: str, media_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a system has scripts down as plain text, the original's page stays white."""
    guess = mimetypes.guess_type
    monkeypatch.setattr(
        "starlette.responses.guess_type",
        lambda name, *rest: ("text/plain", None) if str(name).endswith(".js") else guess(name, *rest),
    )
    answer = http.get(path)
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, media_type)


def test_what_is_not_there_is_not_found(http: httpx.Client) -> None:
    assert http.get("/favicon.ico").status_code == 200
    for path in ("/assets/nope.js", "/assets/", "/nope.png", "/nope"):
        assert http.get(path).status_code == 404


@pytest.mark.parametrize(
    "path",
    ["/assets/../../secret.js", "/assets/%2e%2e/%2e%2e/secret.js", "/assets/..%2f..%2fsecret.js", "/../secret.js"],
)
def test_no_path_leads_out_of_the_folder(server: ThreadServer, path: str) -> None:
    # By hand: a client of HTTP would straighten the path first.
    with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_S) as line:
        line.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: line.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 404")
    assert b"secret" not in answer.partition(b"\r\n\r\n")[2]


def test_without_a_folder_the_page_is_ours(tmp_path: Path) -> None:
    with thread_server(tmp_path / "other", listen="0=iopaint") as server, server.client() as client:
        assert "Safelight" in client.get("/").text
        assert client.get("/assets/index-1.js").status_code == 404
