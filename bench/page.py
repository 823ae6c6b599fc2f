"""Frames per second of the page in a headless browser while a thousand events arrive: 50 are wanted.

Counted in the page, from one animation frame to the next; Chromium draws 60 at most. Needs Playwright and Chromium.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from bench.keepalive import Keepalive
from bench.measure import Goal, Measure, Round, Skipped, compare, percentile
from bench.servers import Server, safelight

if TYPE_CHECKING:
    from playwright.sync_api import Browser, CDPSession, Page

_WANTED_PER_S: Final = 50.0
_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
_IDLE_MS: Final = 2000
_LONG_MS: Final = 60_000
_STEPS: Final = 1000
_JOBS: Final = 250
"""Of four facts each."""
_COUNT: Final = """() => {
    const isCounting = window.frameTimes !== undefined;
    window.frameTimes = [];
    if (isCounting) return;
    const draw = (now) => { window.frameTimes.push(now); requestAnimationFrame(draw); };
    requestAnimationFrame(draw);
}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Burst:
    """What is told to the page at once.

    Attributes:
        what: for the name of the measure.
        view: which one is open.
        jobs: requests, submitted by another program as fast as it can.
    """

    what: str
    view: str
    jobs: tuple[Mapping[str, Any], ...]


_NULL: Final = {"task": "test_pattern", "previews": "none", "params": {"steps": 0, "width": 64, "height": 64}}


def run(*, quick: bool = False, steps: int = _STEPS, jobs: int = _JOBS, idle_ms: int = _IDLE_MS) -> list[Measure]:
    """Frames per second while each burst lasts, beside what is wanted.

    Args:
        steps: of the one job whose previews are all shown.
        jobs: of the other program.
        idle_ms: how long the page is watched while nothing happens.

    Raises:
        Skipped: there is no browser.
    """
    rounds = 1 if quick else 3
    with _browser() as browser:
        return [_measure(browser, burst, rounds, idle_ms) for burst in _bursts(steps, jobs)]


def _bursts(steps: int, jobs: int) -> tuple[_Burst, ...]:
    size = {"width": 256, "height": 256}
    drawn = {"task": "test_pattern", "previews": "all", "params": {"steps": steps, "step_ms": 2, **size}}
    return (
        _Burst(what=f"one job of {steps:,} steps, all previews, on Make", view="make", jobs=(drawn,)),
        _Burst(what=f"one job of {steps:,} steps, all previews, on History", view="history", jobs=(drawn,)),
        _Burst(what=f"{jobs} jobs of another program at once, on History", view="history", jobs=(_NULL,) * jobs),
    )


def _measure(browser: "Browser", burst: _Burst, rounds: int, idle_ms: int) -> Measure:
    results: list[Round] = []
    deltas_ms: list[float] = []
    idle_per_s: list[float] = []
    busy: list[float] = []
    for _ in range(rounds + 1):  # the first one warms up
        with tempfile.TemporaryDirectory() as folder, safelight(Path(folder)) as server, _page(browser) as page:
            page.goto(f"http://127.0.0.1:{server.port}/#/{burst.view}")
            page.wait_for_selector("sl-connection-state[phase=open]")
            idle_per_s.append(_per_second(_frames(page, lambda page=page: page.wait_for_timeout(idle_ms))))
            session = page.context.new_cdp_session(page)
            session.send("Performance.enable", {"timeDomain": "threadTicks"})
            before_s = _busy_s(session)
            frames = _frames(page, lambda server=server: _submit_and_wait(server, burst.jobs))
            busy.append(1000 * (_busy_s(session) - before_s) / (frames[-1] - frames[0]))
            deltas_ms = [later - earlier for earlier, later in pairwise(frames)]
            results.append(Round(_per_second(frames), _WANTED_PER_S))
    longest = f"99 in 100 frames within {percentile(deltas_ms, 0.99):.0f} ms, the longest {max(deltas_ms):.0f} ms"
    return compare(
        burst.what,
        results[1:],
        unit="frames/s",
        against="wanted",
        goal=Goal.AT_LEAST,
        limit=1.0,
        note=f"{longest}; its thread at work {median(busy[1:]):.0%} of the time; idle {max(idle_per_s):.0f} frames/s",
    )


def _frames(page: "Page", meanwhile: Callable[[], None]) -> Sequence[float]:
    """When the page drew while something went on: ms on its own clock."""
    page.evaluate(_COUNT)
    meanwhile()
    # What came last is drawn in the next frame; and of one frame nothing can be said.
    page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    times: list[float] = page.evaluate("window.frameTimes.splice(0)")
    return times


def _busy_s(session: "CDPSession") -> float:
    """Processor time of the page's thread since this was first asked, in seconds; not what others made it wait."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(float(metric["value"]) for metric in metrics if metric["name"] == "TaskDuration")


def _per_second(times_ms: Sequence[float]) -> float:
    return 1000 * (len(times_ms) - 1) / (times_ms[-1] - times_ms[0])


def _submit_and_wait(server: Server, jobs: Sequence[Mapping[str, Any]]) -> None:
    with Keepalive(server.port) as client:
        ids = [json.loads(client.request("POST", "/v1/jobs", json.dumps(job).encode()))["id"] for job in jobs]
        for job in ids:
            client.request("GET", f"/v1/jobs/{job}?wait=60")


@contextmanager
def _page(browser: "Browser") -> Iterator["Page"]:
    context = browser.new_context(viewport={"width": 1500, "height": 900})
    context.set_default_timeout(_LONG_MS)
    try:
        yield context.new_page()
    finally:
        context.close()


@contextmanager
def _browser() -> Iterator["Browser"]:
    path = os.environ.get("SAFELIGHT_TEST_BROWSER") or next(filter(None, map(shutil.which, _BROWSERS)), None)
    if path is None or find_spec("playwright") is None:
        raise Skipped("it needs Chromium on the PATH and the Python package playwright")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()
