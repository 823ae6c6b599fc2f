"""`safelight models` as a process, against a real server with the fake engine."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.servers import DEADLINE_S, REPOSITORY, ThreadServer, thread_server, until
from tests.unit.engine.library.model_files import LORA_SD1, SD1, content, write

Safelight = Callable[..., "subprocess.CompletedProcess[str]"]
BODY = content({**LORA_SD1, "filling": (4 << 20,)})


@pytest.fixture
def file_url() -> Iterator[str]:
    """Where a LoRA can be downloaded; with `slow-` before its name, half of it."""
    left = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(BODY)))
            self.end_headers()
            if "slow" not in self.path:
                self.wfile.write(BODY)
                return
            self.wfile.write(BODY[: len(BODY) // 2])
            left.wait(6 * DEADLINE_S)

        def log_message(self, *_: object) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as origin:
        thread = threading.Thread(target=origin.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{origin.server_port}/ink.safetensors"
        left.set()
        origin.shutdown()
        thread.join(DEADLINE_S)


@pytest.fixture
def server(tmp_path: Path, file_url: str) -> Iterator[ThreadServer]:
    port = int(file_url.split(":")[2].split("/")[0])
    settings = {"allow_private_urls": True, "fetch_ports": (port,), "models_dir": tmp_path / "models"}
    with thread_server(tmp_path / "data", **settings) as running:
        yield running


@pytest.fixture
def safelight(server: ThreadServer, tmp_path: Path) -> Safelight:
    def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
        plain = {name: value for name, value in os.environ.items() if not name.startswith("SAFELIGHT_")}
        return subprocess.run(
            [sys.executable, "-m", "safelight", "models", *map(str, arguments)],
            cwd=tmp_path,
            env={**plain, "SAFELIGHT_URL": server.url, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=6 * DEADLINE_S,
            check=False,
        )

    return run


def rows(done: "subprocess.CompletedProcess[str]") -> dict[str, list[str]]:
    assert done.returncode == 0, done.stderr
    return {line.split("\t")[0]: line.split("\t")[1:] for line in done.stdout.splitlines()}


def test_the_models_of_a_server_are_listed_loaded_and_unloaded(safelight: Safelight, tmp_path: Path) -> None:
    write(tmp_path / "models" / "dreams.safetensors", SD1)
    (tmp_path / "models" / "broken.safetensors").write_bytes(b"nothing")
    listed = rows(safelight("list", "--server"))
    assert listed["checkpoint:fake"] == ["sd1", "67.1 MB", "embedded", "here, default"]
    assert listed["checkpoint:dreams"][-1] == "here"
    assert listed["checkpoint:broken"][-1].startswith("cannot be used: ")
    loaded = safelight("load", "dreams")
    assert loaded.returncode == 0, loaded.stderr
    assert "done in" in loaded.stdout
    assert rows(safelight("list", "--server", "--kind", "checkpoint"))["checkpoint:dreams"][-1] == "in memory"
    assert safelight("unload", "dreams").stdout == "checkpoint:dreams: is asked to leave memory\n"
    assert safelight("unload", "dreams").stdout == "checkpoint:dreams: is not in memory\n"


def test_a_model_is_downloaded_by_url(safelight: Safelight, file_url: str, tmp_path: Path) -> None:
    done = safelight("download", file_url, "--kind", "lora")
    assert done.returncode == 0, done.stderr
    assert "ink.safetensors: downloading" in done.stdout
    assert "lora:ink: can be used" in done.stdout
    assert (tmp_path / "models" / "loras" / "ink.safetensors").read_bytes() == BODY


def test_ctrl_c_cancels_a_download_and_what_has_arrived_is_removed_when_asked(
    safelight: Safelight, server: ThreadServer, file_url: str, tmp_path: Path
) -> None:
    slow = file_url.replace("/ink", "/slow-ink")
    command = [sys.executable, "-m", "safelight", "models", "download", slow, "--kind", "lora", "--url", server.url]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            said = process.stdout.readline()
            assert "slow-ink.safetensors: downloading" in said
            part = tmp_path / "models" / "loras" / "slow-ink.safetensors.part"
            until(lambda: part.exists() and part.stat().st_size > 0, "the first of it to arrive")
            process.send_signal(signal.SIGINT)
            said = process.stdout.read()
            assert process.wait(6 * DEADLINE_S) == 130
        finally:
            process.kill()
    assert "lora:slow-ink: cancelled" in said
    assert "--discard" in said
    assert rows(safelight("list", "--server"))["lora:slow-ink"][-1] == "download failed: cancelled by a client"
    assert list((tmp_path / "models" / "loras").iterdir())
    assert safelight("cancel", "slow-ink", "--discard").stdout == "lora:slow-ink: cancelled; nothing of it stays\n"
    assert not list((tmp_path / "models" / "loras").iterdir())
    assert safelight("cancel", "slow-ink").returncode == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("load", "nowhere"), 1, "safelight models list --server"),
        (("download", "http://127.0.0.1/a.ckpt", "--kind", "lora"), 2, "sha256"),
        (("download", "http://127.0.0.1:1/a.safetensors", "--kind", "lora"), 1, "port 1 is not among those allowed"),
        (("download", "a.safetensors", "--kind", "lora"), 2, "url"),
        (("list", "--server", "--kind", "sampler"), 2, "checkpoint"),
    ],
)
def test_what_cannot_be_done_is_told(safelight: Safelight, arguments: tuple[str, ...], code: int, message: str) -> None:
    done = safelight(*arguments)
    assert done.returncode == code, done.stdout + done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
