"""The command line as a process, against a real server."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from safelight import cli
from tests.servers import DEADLINE_S, REPOSITORY, ThreadServer, free_port, thread_server

Safelight = Callable[..., "subprocess.CompletedProcess[str]"]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "safelight", *(str(argument) for argument in arguments)]


def environment(url: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("SAFELIGHT_")}
    return {**plain, "SAFELIGHT_URL": url, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "200"}


@pytest.fixture
def safelight(server: ThreadServer, tmp_path: Path) -> Safelight:
    """Runs the command line in an empty folder, with `server` as its server."""

    def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command(*arguments),
            cwd=tmp_path,
            env=environment(server.url),
            capture_output=True,
            text=True,
            timeout=6 * DEADLINE_S,
            check=False,
        )

    return run


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.linear_gradient("L").convert("RGB").save(path)
    return path


def test_run_shows_the_job_and_writes_what_it_made(safelight: Safelight, photo: Path, tmp_path: Path) -> None:
    done = safelight("run", "upscale", photo, "--set", "factor=2", "-o", "large.png")
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "large.png") as picture:
        assert picture.size == (512, 512)
    for word in ("submitted", "running on", "done in", "wrote large.png"):
        assert word in done.stdout
    assert "\x1b" not in done.stdout


def test_without_a_name_files_are_called_after_picture_and_task_and_overwrite_nothing(
    safelight: Safelight, photo: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        assert safelight("run", "erase", photo, "--region", "1,1,9,9").returncode == 0
    assert {path.name for path in tmp_path.glob("photo-*")} == {"photo-erase.png", "photo-erase-2.png"}


def test_several_outputs_get_numbers(safelight: Safelight, tmp_path: Path) -> None:
    assert safelight("run", "test_pattern", "--set", "images=2", "-o", "a.png").returncode == 0
    assert {path.name for path in tmp_path.glob("a*")} == {"a-0.png", "a-1.png"}


@pytest.mark.parametrize("via", ["websocket", "sse", "poll"])
def test_every_way_to_the_server_does(safelight: Safelight, tmp_path: Path, via: str) -> None:
    assert safelight("run", "test_pattern", "--via", via, "-o", "a.png").returncode == 0
    assert (tmp_path / "a.png").is_file()


def test_a_failed_job_ends_with_1_and_its_reason(safelight: Safelight) -> None:
    done = safelight("run", "test_pattern", "--set", "fail_at_step=1")
    assert done.returncode == 1
    assert "step_failed" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "upscale", "nowhere.png"), "nowhere.png"),
        (("run", "paint"), "there are adjust_mask, describe, enhance, erase"),
        (("run", "upscale", "photo.png", "--set", "factor=9"), "expected 0.05..8, got 9"),
        (("run", "erase", "photo.png", "--region", "1,2,3"), "X,Y,WIDTH,HEIGHT"),
        (("run", "segment", "photo.png", "--point", "1"), "X,Y"),
        (("run", "test_pattern", "--set", "steps"), "name=value"),
        (("models", "pull", "no-such-model"), "no-such-model"),
        (("serve", "--port", "70000"), "port"),
    ],
)
def test_a_mistake_on_the_command_line_ends_with_2_and_what_is_allowed(
    safelight: Safelight, photo: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = safelight(*arguments)
    assert done.returncode == 2, done.stdout
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_nobody_there_ends_with_3_and_how_to_start_a_server(safelight: Safelight) -> None:
    done = safelight("jobs", "--url", f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 3
    assert "start it with: safelight serve" in done.stderr


def test_a_missing_key_is_told_with_how_to_give_one(tmp_path: Path, safelight: Safelight) -> None:
    with thread_server(tmp_path / "other", api={"keys": ["secret"]}) as closed:
        refused = safelight("run", "test_pattern", "--url", closed.url)
        assert refused.returncode == 1
        assert "--key" in refused.stderr
        assert safelight("run", "test_pattern", "--url", closed.url, "--key", "secret").returncode == 0


def test_jobs_lists_and_watch_finds_a_job_by_the_end_of_its_id(safelight: Safelight, tmp_path: Path) -> None:
    safelight("run", "test_pattern")
    (line,) = safelight("jobs").stdout.splitlines()
    job_id, task, status, *_ = line.split("\t")
    assert (task, status) == ("test_pattern", "succeeded")
    seen = safelight("watch", job_id[-8:], "-o", "again.png")
    assert seen.returncode == 0, seen.stderr
    assert (tmp_path / "again.png").is_file()


@pytest.fixture
def long_job(server: ThreadServer, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A job of many seconds under `safelight run`, already running."""
    process = subprocess.Popen(
        command("run", "test_pattern", "--set", "steps=1000", "--set", "step_ms=50"),
        cwd=tmp_path,
        env=environment(server.url),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "running on" in line:
            break
    yield process
    process.kill()
    process.communicate()


def test_ctrl_c_cancels_the_job_and_ends_with_130(long_job: "subprocess.Popen[str]", safelight: Safelight) -> None:
    long_job.send_signal(signal.SIGINT)
    output, _ = long_job.communicate(timeout=DEADLINE_S)
    assert long_job.returncode == 130
    assert "cancelled" in output
    assert safelight("jobs").stdout.split("\t")[2] == "cancelled"


def test_leaving_watch_lets_the_job_go_on(
    long_job: "subprocess.Popen[str]", safelight: Safelight, server: ThreadServer, tmp_path: Path
) -> None:
    job_id = safelight("jobs").stdout.split("\t")[0]
    watching = subprocess.Popen(
        command("watch", job_id), cwd=tmp_path, env=environment(server.url), stdout=subprocess.PIPE, text=True
    )
    assert watching.stdout is not None
    assert any("running on" in line for line in watching.stdout)
    watching.send_signal(signal.SIGINT)
    output, _ = watching.communicate(timeout=DEADLINE_S)
    assert watching.returncode == 130
    assert f"safelight watch {job_id}" in output
    assert safelight("jobs").stdout.split("\t")[2] == "running"


@pytest.mark.parametrize(
    "command", ["", "serve", "gateway", "worker", "demo", "run", "watch", "jobs", "models", "keys"]
)
def test_every_command_says_what_it_takes(command: str) -> None:
    answer = CliRunner().invoke(cli.app, [*command.split(), "--help"])
    assert (answer.exit_code, "Usage" in answer.output) == (0, True), answer.output


def test_help_and_version_load_neither_the_server_nor_torch(tmp_path: Path) -> None:
    script = (
        "import json, sys\n"
        "from safelight.cli import app\n"
        "try: app([sys.argv[1]])\n"
        "except SystemExit: pass\n"
        "print(json.dumps(sorted(m.split('.')[0] for m in sys.modules)))"
    )
    for word in ("--help", "version"):
        done = subprocess.run(
            [sys.executable, "-c", script, word],
            cwd=tmp_path,
            env=environment(""),
            capture_output=True,
            text=True,
            timeout=3 * DEADLINE_S,
            check=True,
        )
        assert not {"torch", "service", "engine"} & set(json.loads(done.stdout.splitlines()[-1]))


def test_a_key_is_made_listed_and_revoked(safelight: Safelight, tmp_path: Path) -> None:
    made = safelight("keys", "add", "ann", "--scope", "jobs:read", "--data-dir", tmp_path / "keys")
    secret = made.stdout.strip()
    assert re.fullmatch(r"sl_[\w-]{40,}", secret)
    listed = safelight("keys", "list", "--data-dir", tmp_path / "keys").stdout
    assert secret not in listed
    _, name, scopes, _, state = listed.rstrip().split("\t")
    assert (name, scopes, state) == ("ann", "jobs:read", "in use")
    assert safelight("keys", "add", "ann", "--data-dir", tmp_path / "keys").returncode == 2
    assert safelight("keys", "add", "bob", "--scope", "everything", "--data-dir", tmp_path / "keys").returncode == 2
    assert safelight("keys", "revoke", "ann", "--data-dir", tmp_path / "keys").returncode == 0
    assert "revoked" in safelight("keys", "list", "--data-dir", tmp_path / "keys").stdout
    assert safelight("keys", "revoke", "ann", "--data-dir", tmp_path / "keys").returncode == 2


def test_models_are_listed_with_licence_and_size(safelight: Safelight, tmp_path: Path) -> None:
    rows = [line.split("\t") for line in safelight("models", "list", "--models-dir", tmp_path).stdout.splitlines()]
    u2netp = next(row for row in rows if row[0] == "u2netp")
    assert u2netp[2:4] == ["4.6 MB", "Apache-2.0"]
    assert u2netp[-1] == "missing"
