import pytest

from protocol.errors import ErrorBody, ErrorCode
from protocol.events import EVENTS, Event, EventBody, JobFailed, JobRemoved, OutputReady, QueueMoved, StepFinished
from safelight.wording import describe, seconds, short_id, size


def words(body: EventBody) -> str | None:
    return describe(Event(body, job_id="j", seq=1, at="t"))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (QueueMoved(position=0), "next in the queue"),
        (JobRemoved(reason="removed by the client"), "removed from the server: removed by the client"),
        (QueueMoved(position=3, eta_s=12.4), "3 ahead in the queue, about 12 s left"),
        (
            StepFinished(image=0, step=3, steps=12, progress=0.25, stage="tile", eta_s=0.4),
            "tile 3/12 25%, a moment left",
        ),
        (StepFinished(image=0, step=2, steps=2, progress=1.0, eta_s=0.0), "step 2/2 100%"),
        (
            OutputReady(index=1, url="/o", media_type="image/png", size_bytes=1234, sha256="0", width=3, height=4),
            "output 1 ready, 3x4, 1.2 kB",
        ),
    ],
)
def test_events_are_told_in_a_few_words(body: EventBody, text: str) -> None:
    assert words(body) == text


def test_a_failure_says_what_to_do_about_it() -> None:
    text = words(JobFailed(error=ErrorBody(code=ErrorCode.MODEL_MISSING, message="no weights")))
    assert text is not None
    assert "no weights [model_missing]" in text
    assert "safelight models pull" in text


def test_every_fact_has_words() -> None:
    source = describe.__code__.co_names
    for kind in [kind for kind in EVENTS if kind.startswith("job.") or kind == "output.ready"]:
        assert EVENTS[kind].__name__ in source, kind


@pytest.mark.parametrize(
    ("duration_s", "text"), [(0.341, "0.34 s"), (12.4, "12 s"), (59.9, "60 s"), (185.2, "3 min 5 s")]
)
def test_durations_are_told_as_people_say_them(duration_s: float, text: str) -> None:
    assert seconds(duration_s) == text


@pytest.mark.parametrize(("count", "text"), [(999, "999 bytes"), (38_900, "38.9 kB"), (1_374_724, "1.4 MB")])
def test_sizes_are_told_as_people_say_them(count: int, text: str) -> None:
    assert size(count) == text


def test_the_short_id_tells_jobs_apart_that_were_made_together() -> None:
    assert short_id("01a1fc82-9623-7047-8626-1f138e124627") != short_id("01a1fc82-9623-7047-8626-1f138e124628")
