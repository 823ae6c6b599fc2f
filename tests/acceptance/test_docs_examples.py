"""The examples of the documentation run: every block marked `test`, as a reader would paste it, against a real server.

A block is a process of its own in a folder with a `photo.jpg` and, as in a checkout, `web`. Only the server's port is
another one than written, and `.venv/bin/safelight` is the one of this interpreter.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.servers import DEADLINE_S, REPOSITORY, ThreadServer, thread_server

PAGES = ("README.md", "docs/quickstart.md", "docs/operations.md", "docs/javascript.md")
ALWAYS_RUN = frozenset({"python", "js"})
"""Languages that have no excuse: every block of these must be marked."""
_BLOCK = re.compile(r"^```(\w+)( test)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_WRITTEN_ADDRESS = "127.0.0.1:8765"


@dataclass(frozen=True)
class Example:
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    code: str
    is_marked: bool

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def examples() -> Iterator[Example]:
    for page in PAGES:
        text = (REPOSITORY / page).read_text("utf-8")
        for match in _BLOCK.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield Example(page, line, match[1], match[3], match[2] is not None)


EXAMPLES = tuple(examples())
MARKED = tuple(example for example in EXAMPLES if example.is_marked)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the reader is: with a photograph, and a virtual environment that leads to this interpreter."""
    Image.linear_gradient("L").convert("RGB").resize((120, 90)).save(tmp_path / "photo.jpg")
    (tmp_path / "web").symlink_to(REPOSITORY / "web")
    tools = tmp_path / ".venv" / "bin"
    tools.mkdir(parents=True)
    command = tools / "safelight"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m safelight "$@"\n', "utf-8")
    command.chmod(0o755)
    return tmp_path


@pytest.fixture
def local_server(folder: Path) -> Iterator[ThreadServer]:
    """A server whose data folder is where `safelight serve` in `folder` would have it."""
    with thread_server(folder / "safelight-data") as running:
        yield running


def run(example: Example, folder: Path, port: int) -> "subprocess.CompletedProcess[str]":
    code = example.code.replace(_WRITTEN_ADDRESS, f"127.0.0.1:{port}")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SAFELIGHT_")}
    environment |= {"PYTHONPATH": str(REPOSITORY), "SAFELIGHT_URL": f"http://127.0.0.1:{port}", "COLUMNS": "160"}
    environment |= {"no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}
    return subprocess.run(
        [*_interpreter(example), code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=6 * DEADLINE_S,
        check=False,
    )


def _interpreter(example: Example) -> list[str]:
    if example.language == "python":
        return [sys.executable, "-c"]
    if example.language == "js":
        # Browsers have both; Node 20 has them behind these flags, later versions anyway.
        return ["node", "--experimental-websocket", "--experimental-eventsource", "--input-type=module", "--eval"]
    return ["sh", "-euc"]


def _skip_without_tools(example: Example) -> None:
    wanted = {"python": (), "js": ("node",), "sh": ("curl", "sqlite3")}[example.language]
    for tool in wanted:
        is_used = example.language == "js" or re.search(rf"\b{tool}\b", example.code)
        if is_used and shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    if example.language == "js":
        probe = [
            "node",
            "--experimental-websocket",
            "--experimental-eventsource",
            "--eval",
            "WebSocket; EventSource",
        ]
        asked = subprocess.run(probe, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        if "bad option" in asked.stderr or "is not defined" in asked.stderr:
            pytest.skip("this Node has no WebSocket or no EventSource")


@pytest.mark.parametrize("example", MARKED, ids=str)
def test_the_example_runs(example: Example, folder: Path, local_server: ThreadServer) -> None:
    _skip_without_tools(example)
    done = run(example, folder, local_server.port)
    assert done.returncode == 0, done.stdout + done.stderr
    # curl and browsers call a refusal a success: what the server saw is what counts.
    with httpx.Client(base_url=local_server.url, trust_env=False) as client:
        metrics = client.get("/metrics").raise_for_status().text
    refused = re.findall(r'^safelight_http_requests_total\{.*status="[45]\d\d"\}', metrics, re.MULTILINE)
    assert not refused, done.stdout + done.stderr
    for named in re.findall(r"-o (\S+\.png)|\.save\(\"(\S+)\"\)", example.code):
        with Image.open(folder / "".join(named)) as picture:
            picture.load()


@pytest.mark.parametrize("example", [each for each in MARKED if each.language == "js"], ids=str)
def test_the_browser_example_sees_its_job_through(example: Example, folder: Path, local_server: ThreadServer) -> None:
    _skip_without_tools(example)
    assert "succeeded" in run(example, folder, local_server.port).stdout


def test_every_python_and_javascript_block_is_run() -> None:
    assert not [str(example) for example in EXAMPLES if example.language in ALWAYS_RUN and not example.is_marked]


def test_there_are_examples_of_every_kind() -> None:
    assert {example.language for example in MARKED} == {"sh", "python", "js"}
