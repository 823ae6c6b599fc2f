"""Where the programs of these tests run: in Node, or in a page of Chromium. The same files in both.

A program is a function that a module in `programs/` exports: `async (input, ask) => result`. What goes in and out is
JSON. `await ask(value)` has the test answer in between: that something has been done to the server, for one.
"""

import json
import mimetypes
import shutil
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import pytest

from tests.servers import DEADLINE_S, REPOSITORY, free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

Answer = Callable[[Any], Any]
_RUNNER = Path(__file__).with_name("run.mjs")
_PROGRAM_DEADLINE_S = 6 * DEADLINE_S


class Runtime(Protocol):
    """Runs programs against servers, one after the other."""

    name: str

    def run(
        self, program: str, url: str, *, answer: Answer | None = None, from_there: bool = False, **given: Any
    ) -> Any:
        """Run `program` (`FILE.FUNCTION`) and return its result.

        Args:
            url: where the server answers; in the program's input with what is `given`.
            answer: what the program's questions are answered with.
            from_there: a browser's page is one of that server's; by default it is of another origin.
        """


class NodeRuntime:
    """One process, to its end or that of a program that went wrong."""

    name = "node"

    def __init__(self, path: str) -> None:
        self._command = [path, "--no-warnings"]
        if "--experimental-websocket" in _options(path):  # where it is not there by itself yet
            self._command.append("--experimental-websocket")
        self._process: subprocess.Popen[str] | None = None

    def run(
        self, program: str, url: str, *, answer: Answer | None = None, from_there: bool = False, **given: Any
    ) -> Any:
        file, _, name = program.partition(".")
        process = self._process = self._process or self._start()
        deadline = threading.Timer(_PROGRAM_DEADLINE_S, process.kill)
        deadline.start()
        try:
            _say(process, {"file": file, "name": name, "input": {"url": url, **given}})
            while "ask" in (said := _hear(process)):
                _say(process, answer(said["ask"]) if answer is not None else None)
            assert "error" not in said, said["error"]
        except BaseException:
            self._kill()
            raise
        finally:
            deadline.cancel()
        return said["done"]

    def close(self) -> None:
        """End the process. It does so by itself, unless something of a program still goes on in it."""
        if self._process is None:
            return
        try:
            assert self._process.stdin is not None
            self._process.stdin.close()
            assert self._process.wait(DEADLINE_S) == 0
        finally:
            self._kill()

    def _start(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*self._command, _RUNNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            with suppress(BrokenPipeError), self._process:  # closes its pipes and waits for it
                pass
        self._process = None


def _say(process: "subprocess.Popen[str]", value: Any) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(value) + "\n")
    process.stdin.flush()


def _hear(process: "subprocess.Popen[str]") -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, f"node ended with {process.wait(DEADLINE_S)}; see what it wrote"
    heard: dict[str, Any] = json.loads(line)
    return heard


class BrowserRuntime:
    """One page of another loopback origin, where not said otherwise."""

    name = "chromium"

    def __init__(self, browser: "Browser") -> None:
        self._context = browser.new_context()
        self._context.set_default_timeout(_PROGRAM_DEADLINE_S * 1000)
        # To a browser a page that no server gave comes from anywhere, and may not talk to this machine.
        self._context.grant_permissions(["local-network-access"])
        self._problems: list[str] = []
        self._answer: Answer | None = None
        self._context.expose_function("ask", lambda value: self._answer(value) if self._answer is not None else None)
        self._page = self._open(f"http://localhost:{free_port()}")

    def run(
        self, program: str, url: str, *, answer: Answer | None = None, from_there: bool = False, **given: Any
    ) -> Any:
        file, _, name = program.partition(".")
        self._answer = answer
        page = self._open(url) if from_there else self._page
        result = page.evaluate(
            """async ({ file, name, input }) => {
                const programs = await import(`/repository/tests/web/programs/${file}.js`);
                return (await programs[name](input, window.ask)) ?? null;
            }""",
            {"file": file, "name": name, "input": {"url": url, **given}},
        )
        if from_there:
            page.close()
        assert self._problems == []
        return result

    def _open(self, origin: str) -> "Page":
        page = self._context.new_page()
        page.on("pageerror", lambda error: self._problems.append(str(error)))
        page.route(f"{origin}/repository/**", _serve)
        page.goto(f"{origin}/repository/blank.html")
        return page

    @property
    def page(self) -> "Page":
        """Where programs run that do not say otherwise."""
        return self._page

    def close(self) -> None:
        self._context.close()


def node() -> NodeRuntime:
    """Node, or a skipped test."""
    path = shutil.which("node")
    if path is None:
        pytest.skip("no node on the PATH")
    return NodeRuntime(path)


def _options(path: str) -> str:
    return subprocess.run([path, "--help"], capture_output=True, text=True, check=True, timeout=DEADLINE_S).stdout


def _serve(route: "Route") -> None:
    """Answer with a file of the repository, whatever the server at that address would say."""
    path = urlsplit(route.request.url).path.removeprefix("/repository/")
    if path == "blank.html":
        route.fulfill(body="<!doctype html><title>a test</title>", content_type="text/html")
    else:
        kind = mimetypes.guess_type(path)[0] or "text/plain"
        route.fulfill(body=(REPOSITORY / path).read_text(), content_type=kind)
