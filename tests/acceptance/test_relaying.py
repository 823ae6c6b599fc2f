"""The programs of `docs/relaying.md`, as they stand: killed in the middle, they cost their viewers nothing."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers import DEADLINE_S, REPOSITORY, ThreadServer, free_port, thread_server, until

EXAMPLES = REPOSITORY / "docs" / "examples"
Told = tuple[int | None, Any]
"""Identifier, if it has one, and data of an event."""
COMMANDS = {".py": [sys.executable], ".mjs": ["node", "--no-warnings"]}


def test_what_the_page_shows_is_in_the_programs() -> None:
    page = (REPOSITORY / "docs" / "relaying.md").read_text("utf-8")
    shown = re.findall(r"^```(python|js)\n(.+?)^```$", page, re.MULTILINE | re.DOTALL)
    programs = {
        "python": [path.read_text("utf-8") for path in EXAMPLES.glob("*.py")],
        "js": [path.read_text("utf-8") for path in EXAMPLES.glob("*.mjs")],
    }
    assert len(shown) == 4
    assert all(any(code.strip() in program for program in programs[language]) for language, code in shown)


@pytest.fixture(params=COMMANDS)
def suffix(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    if chosen == ".mjs":
        if shutil.which("node") is None:
            pytest.skip("no node on the PATH")
        options = subprocess.run(["node", "--help"], capture_output=True, text=True, check=True, timeout=DEADLINE_S)
        if "--experimental-websocket" in options.stdout and "--experimental-websocket" not in COMMANDS[chosen]:
            COMMANDS[chosen].append("--experimental-websocket")
    return chosen


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ThreadServer]:
    with thread_server(tmp_path / "data", api={"keys": ["secret"]}) as running:
        yield running


@contextmanager
def program(
    name: str, server: ThreadServer, *arguments: str, **environment: str
) -> Iterator["subprocess.Popen[bytes]"]:
    """One of the examples, until the block ends; then it is killed."""
    settings = {"SAFELIGHT_URL": server.url, "SAFELIGHT_KEY": "secret", "PYTHONPATH": str(REPOSITORY), **environment}
    command = [*COMMANDS[Path(name).suffix], EXAMPLES / name, *arguments]
    with subprocess.Popen(command, env={**os.environ, **settings}) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def backend(suffix: str, server: ThreadServer, port: int) -> Iterator[httpx.Client]:
    """The relaying backend, once it answers."""
    with (
        program(f"relay{suffix}", server, PORT=str(port)) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=3 * DEADLINE_S) as visitor,
    ):

        def answers() -> bool:
            assert process.poll() is None, f"it ended with {process.returncode}"
            try:
                return visitor.get("/").status_code == 404
            except httpx.TransportError:
                return False

        until(answers, "the backend to answer", interval_s=0.05)
        yield visitor


def watch(
    visitor: httpx.Client, picture: str, after: int, *, at_most: int | None = None
) -> list[tuple[int | None, Any]]:
    """What an EventSource is told: identifier and data of each event."""
    told: list[tuple[int | None, Any]] = []
    identifier = None
    headers = {"Last-Event-ID": str(after)} if after else {}
    with visitor.stream("GET", f"/pictures/{picture}/events", headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        for line in response.iter_lines():
            if line.startswith("id: "):
                identifier = int(line.removeprefix("id: "))
            elif line.startswith("data: "):
                told.append((identifier, json.loads(line.removeprefix("data: "))))
                identifier = None
                if len(told) == at_most:
                    break
    return told


def test_a_visitor_watches_a_picture_develop_through_the_backend_and_never_sees_the_key(
    suffix: str, server: ThreadServer
) -> None:
    with backend(suffix, server, free_port()) as visitor:
        asked = {"prompt": "a red apple"}
        answers = [visitor.post("/pictures", json=asked, headers={"X-Request-ID": "click-1"}) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [202, 202]
        picture = answers[0].json()["picture"]
        assert answers[1].json()["picture"] == picture
        told = watch(visitor, picture, 0)
        assert told[-1][1] == {"end": "job.succeeded"}
        assert [said["image"] for _, said in told if "image" in said] == [f"/pictures/{picture}/0"]
        assert visitor.get(f"/pictures/{picture}/0").content[:4] == b"\x89PNG"
        assert visitor.get(f"/pictures/{picture}/7").status_code == 404
        assert visitor.get("/pictures/01a1fc7b-8bbe-70b6-ad89-0aa3b642b6c4/events").status_code == 404
        assert visitor.post("/pictures", json={"prompt": "x" * 30_000}).json()["error"] == "invalid_params"


def test_a_backend_that_is_killed_in_the_middle_costs_its_visitor_nothing(suffix: str, server: ThreadServer) -> None:
    port = free_port()
    params = {"steps": 20, "step_ms": 50, "images": 2}
    job = {"task": "test_pattern", "params": params, "labels": {"visitor": "anna"}}
    with backend(suffix, server, port) as visitor:
        with server.client(headers={"X-API-Key": "secret"}) as owner:
            picture = owner.post("/v1/jobs", json=job).json()["id"]
        first = watch(visitor, picture, 0, at_most=3)
    last = max((identifier or 0 for identifier, _ in first), default=0)
    with backend(suffix, server, port) as visitor:
        rest = watch(visitor, picture, last)
    shares = [said["progress"] for _, said in [*first, *rest] if "progress" in said]
    assert shares
    assert shares == sorted(shares)
    facts = [said for identifier, said in [*first, *rest] if identifier is not None]
    images = [f"/pictures/{picture}/{number}" for number in range(2)]
    assert facts == [{"image": images[0]}, {"image": images[1]}, {"end": "job.succeeded"}]


def test_a_ledger_that_is_killed_twice_has_every_fact_once(suffix: str, server: ThreadServer, tmp_path: Path) -> None:
    ledger = tmp_path / "facts.jsonl"

    def lines() -> list[dict[str, Any]]:
        return [json.loads(line) for line in ledger.read_text().splitlines()] if ledger.exists() else []

    with server.client(headers={"X-API-Key": "secret"}) as owner:

        def submit() -> str:
            job = {"task": "test_pattern", "params": {"steps": 1, "images": 3, "width": 16, "height": 16}}
            identifier: str = owner.post("/v1/jobs", json=job).json()["id"]
            return identifier

        def begun() -> bool:
            submit()  # the watching begins some time after the program
            return bool(lines())

        jobs = []
        with program(f"ledger{suffix}", server, str(ledger)):
            until(begun, "the ledger to begin", interval_s=0.1)
        jobs += [submit() for _ in range(2)]  # while nobody listens
        with program(f"ledger{suffix}", server, str(ledger)):
            jobs.append(submit())
            until(lambda: any(line["job"] == jobs[-1] for line in lines()), "the ledger to catch up")
        with program(f"ledger{suffix}", server, str(ledger)):
            jobs.append(submit())

            def ended() -> bool:
                return {line["job"] for line in lines() if line["type"] == "job.succeeded"} >= set(jobs)

            until(ended, "the ledger to have every end")
    written = [(line["job"], line["seq"]) for line in lines()]
    assert len(written) == len(set(written))
    for job_id in jobs:
        assert [seq for job, seq in written if job == job_id] == [1, 2, 3, 4, 5, 6]
