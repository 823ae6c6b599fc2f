import io

import pytest
from rich.console import Console

from protocol.events import Event, EventBody, JobStarted, JobSucceeded, JobWarning, StepFinished
from safelight.batch_board import LiveBatchBoard, PlainBatchBoard, batch_board_for

JOB = "01a1fc82-9623-7047-8626-1f138e124627"


def fact(body: EventBody) -> Event:
    return Event(body, job_id=JOB, seq=2, at="t")


def step(number: int) -> Event:
    body = StepFinished(image=0, step=number, steps=4, progress=number / 4)
    return Event(body, job_id=JOB, seq=2, at="t", attempt=1, n=number)


def test_a_pipe_gets_a_line_for_each_picture_and_few_of_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("safelight.batch_board.time.monotonic", lambda: now)
    lines = io.StringIO()
    with batch_board_for(Console(file=lines, width=200), "erase", 2) as board:
        assert isinstance(board, PlainBatchBoard)
        board.started(JOB, "[a].png")
        board.update(fact(JobStarted(worker="w", device="cpu", attempt=1)))
        board.update(step(1))
        now += 5
        board.update(step(2))
        board.update(fact(JobWarning(code="empty_mask", message="the mask is empty")))
        board.update(fact(JobSucceeded(duration_s=2.0)))
        board.ended("[a].png", "wrote it", job_id=JOB)
        board.update(step(3))
        board.ended("b.png", "failed: no picture")
    assert lines.getvalue().splitlines() == [
        "[a].png  step 2/4 50%",
        "[a].png  warning: the mask is empty [empty_mask]",
        "1/2  [a].png  wrote it",
        "2/2  b.png  failed: no picture",
    ]


def test_a_terminal_gets_a_bar_for_the_batch_and_one_for_each_picture_at_work() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=160, color_system=None)
    with batch_board_for(console, "erase", 3) as board:
        assert isinstance(board, LiveBatchBoard)
        board.started(JOB, "[a].png")
        board.update(step(2))
        board._live.refresh()
        assert "0/3" in screen.getvalue()
        assert "[a].png" in screen.getvalue()
        assert "step 2/4 50%" in screen.getvalue()
        screen.truncate(screen.seek(0))
        board.ended("[a].png", "wrote it", job_id=JOB)
        board._live.refresh()
        assert "1/3  [a].png  wrote it" in screen.getvalue()
        screen.truncate(screen.seek(0))
        board._live.refresh()
        assert "1/3" in screen.getvalue()
        assert "[a].png" not in screen.getvalue()
