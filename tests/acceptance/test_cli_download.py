"""`safelight models download NAME` as a process: from an origin of ours, and from nowhere."""

import hashlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.servers import DEADLINE_S, REPOSITORY

BODY = os.urandom(1 << 20)
MD5 = hashlib.md5(BODY, usedforsecurity=False).hexdigest()


@pytest.fixture
def origin() -> Iterator[str]:
    """Where `big-lama.pt` can be had."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(BODY)))
            self.end_headers()
            self.wfile.write(BODY)

        def log_message(self, *_: object) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/big-lama.pt"
        server.shutdown()
        thread.join(DEADLINE_S)


def download(folder: Path, name: str, settings: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
    """Into `folder`, with a settings file and further variables of the environment."""
    config = folder / "config.yaml"
    config.write_text(settings, "utf-8")
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("SAFELIGHT_", "LAMA_"))}
    options = ["--models-dir", str(folder / "models"), "--config", str(config)]
    return subprocess.run(
        [sys.executable, "-m", "safelight", "models", "download", name, *options],
        cwd=folder,
        env={**plain, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "200", **variables},
        capture_output=True,
        text=True,
        timeout=6 * DEADLINE_S,
        check=False,
    )


def local(origin: str) -> str:
    """The settings that let this origin be asked."""
    return f"allow_private_urls: true\nfetch_ports: [{origin.split(':')[2].split('/')[0]}]\n"


def test_an_erase_model_comes_by_its_name_without_a_server_and_once(tmp_path: Path, origin: str) -> None:
    lama = {"LAMA_MODEL_URL": origin, "LAMA_MODEL_MD5": MD5}
    done = download(tmp_path, "lama", local(origin), **lama)
    assert done.returncode == 0, done.stderr
    assert "eraser:lama: downloading" in done.stdout
    assert "fetched" in done.stdout
    assert "Apache-2.0" in done.stdout
    assert not re.search(r"wanted\.|\x1b", done.stdout + done.stderr), "the log of a server does not belong here"
    assert (tmp_path / "models" / "erasers" / "big-lama.pt").read_bytes() == BODY
    again = download(tmp_path, "lama", **{**lama, "LAMA_MODEL_URL": "http://127.0.0.1:1/big-lama.pt"})
    assert again.returncode == 0, again.stderr
    assert "here already" in again.stdout


def test_a_file_that_is_not_the_published_one_is_not_kept(tmp_path: Path, origin: str) -> None:
    done = download(tmp_path, "lama", local(origin), LAMA_MODEL_URL=origin, LAMA_MODEL_MD5="0" * 32)
    assert done.returncode == 1, done.stdout
    assert f"MD5 is {MD5}" in done.stderr
    assert not any((tmp_path / "models" / "erasers").glob("*"))


@pytest.mark.parametrize(
    ("name", "settings", "code", "message"),
    [
        ("lama", "allow_model_downloads: false", 1, "without a network put big-lama.pt from http"),
        ("mat", "", 1, "allow_noncommercial_models"),
        ("cv2", "", 0, "needs no files"),
        ("nothing", "", 2, "--kind, or one of lama, "),
        ("https://example.org/a.safetensors", "", 2, "--kind"),
    ],
)
def test_what_does_not_come_is_told_with_what_to_do(
    tmp_path: Path, name: str, settings: str, code: int, message: str
) -> None:
    done = download(tmp_path, name, settings)
    assert done.returncode == code, done.stdout + done.stderr
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
