"""A live job as the executor keeps it, and what came of its calls."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from engine.context import JobContext
from engine.interface import Call, LiveJob, Run, Where

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call came back with."""

    value: object = None
    error: BaseException | None = None


@dataclass(slots=True, eq=False)
class Live:
    """A job between its first call and its end. It has ended as soon as its context has told so."""

    run: Run
    bytes: int
    context: JobContext
    job: LiveJob | None = None
    """None before it is opened, and once it has come to an end of its own."""
    call: Call | None = None
    """What it waits for; a device call is run when its turn comes."""
    runs_alone: bool = False
    """The run of a group this call was in has failed: it is not grouped again."""
    is_to_skip: bool = False
    """The image it is at, or comes to next, is to be left out."""
    retries: int = 0
    """Calls in a row that ran out of memory."""
    timings: dict[str, float] = field(default_factory=dict)
    """Stage -> seconds its calls have taken."""

    @property
    def is_ready(self) -> bool:
        """Whether it waits for the device."""
        return self.call is not None and self.call.where is Where.DEVICE

    @property
    def duration_s(self) -> float:
        return round(self.context.elapsed_s, 4)

    def account(self, call: Call, seconds: float) -> None:
        self.timings[call.stage] = self.timings.get(call.stage, 0.0) + seconds


def run_alone(call: Call) -> Outcome:
    """Run one call; whatever it raises belongs to its job, which is resumed with it."""
    try:
        return Outcome(call.run())
    except BaseException as error:  # noqa: BLE001 - see above
        return Outcome(error=error)


def run_as_one(calls: Sequence[Call]) -> list[Outcome]:
    """Run calls of one group together; if that fails, every one of them has failed."""
    assert calls[0].group is not None
    try:
        values = list(calls[0].group.run([call.payload for call in calls]))
        if len(values) != len(calls):
            raise ValueError(f"a group of {len(calls)} calls gave {len(values)} results")
    except Exception as error:  # the jobs go on, each alone
        logger.exception("group.failed", size=len(calls))
        return [Outcome(error=error)] * len(calls)
    return [Outcome(value) for value in values]
