"""An engine that plays: ready-made previews at a set pace, and null jobs, so that nothing but the service is measured.

Everything a job passes through is the real thing (executor thread, bridge, pump, store, bus, sockets); only drawing
and encoding pictures is left out, because the references draw none either. The test pattern's own previews are of
about 5 kB, and drawing one costs more than telling a hundred viewers of it.

    steps > 0   waits until the file `gate-SEED` lies in the gate folder, then plays its steps: a `step.finished` and
                a `preview.ready` each; the last eight bytes of a preview are the monotonic clock when it was told of
    steps == 0  a null job: tells of one output and ends; no picture, no file
"""

import os
import time
from functools import partial
from pathlib import Path
from typing import Final

from bench.stamp import STAMP, stamp
from engine.fake import FakeBackend
from engine.interface import Call, LiveJob, Run, RunContext, Steps, Where
from engine.steps import GeneratorJob
from engine.tasks.test_pattern import Hold, hold
from protocol.editing import TestPatternParams
from protocol.events import OutputReady, PreviewReady
from protocol.requests import TaskName

PREVIEW_BYTES: Final = 20_000
ENCODE_S: Final = 0.004
"""A preview comes this much later than its step, as it does when it has to be encoded."""
GATES: Final = "SAFELIGHT_BENCH_GATES"
"""Environment variable with the gate folder; without it every gate is open."""
_LOOK_AGAIN_S: Final = 0.02


class PlaybackBackend(FakeBackend):
    """The fake engine with another test pattern."""

    def open(self, run: Run, context: RunContext) -> LiveJob:
        if run.task is not TaskName.TEST_PATTERN:
            return super().open(run, context)
        assert isinstance(run.params, TestPatternParams)
        return GeneratorJob(_play(run.params, context) if run.params.steps else _nothing(run, context))


def gate(folder: Path, seed: int) -> Path:
    """The file that lets the job with this seed begin."""
    return folder / f"gate-{seed}"


def _play(params: TestPatternParams, context: RunContext) -> Steps:
    if folder := os.environ.get(GATES):
        while not gate(Path(folder), params.seed).exists():
            yield Call(partial(hold, Hold(_LOOK_AGAIN_S)), where=Where.POOL)  # the device is free for others
    picture = os.urandom(PREVIEW_BYTES - STAMP.size)
    begin = time.monotonic()
    for step in range(1, params.steps + 1):
        # To a timetable: the time the telling takes must not add up.
        due_s = begin + step * params.step_ms / 1000 - time.monotonic()
        yield Call(partial(hold, Hold(max(0.0, due_s))))
        context.step(step, params.steps, progress=step / params.steps)
        hold(Hold(ENCODE_S))
        context.emit(
            PreviewReady(image=0, step=step, width=256, height=256, media_type="image/jpeg", bytes=picture + stamp())
        )


def _nothing(run: Run, context: RunContext) -> Steps:
    context.emit(
        OutputReady(
            index=0,
            url=f"/v1/jobs/{run.job_id}/outputs/0",
            media_type="image/png",
            size_bytes=0,
            sha256="0" * 64,
            width=8,
            height=8,
        )
    )
    yield from ()
