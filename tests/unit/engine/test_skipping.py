"""One image of a job is left out, and the job goes on."""

from engine.interface import Call, EncodedImage, Run, RunContext, Steps, Where
from protocol.events import OutputReady, OutputSkipped
from tests.unit.engine.workbench import Bench, Gate, nothing


def _encode() -> EncodedImage:
    return EncodedImage(content=b"x", media_type="image/png")


def _outcome(table: Bench, job_id: str) -> list[tuple[str, int]]:
    return [(body.TYPE, body.index) for body in table.sink.of(job_id) if isinstance(body, OutputReady | OutputSkipped)]


def test_the_image_a_job_is_at_is_left_out_and_the_next_are_made(table: Bench) -> None:
    gate, lines = Gate(), list[str]()

    def task(_run: Run, context: RunContext) -> Steps:
        yield Call(nothing)
        for index in range(3):
            with context.image(index):
                try:
                    yield Call(gate if index == 1 else nothing)
                    yield Call(nothing)
                    lines.append(f"made {index}")
                    yield from context.output(index, _encode)
                finally:
                    lines.append(f"cleaned up {index}")

    table.submit("a", task)
    gate.wait_entered()
    table.executor.skip("a")
    gate.open()
    table.sink.wait_end("a")
    assert _outcome(table, "a") == [("output.ready", 0), ("output.skipped", 1), ("output.ready", 2)]
    assert table.sink.types("a")[-1] == "job.succeeded"
    assert lines == ["made 0", "cleaned up 0", "cleaned up 1", "made 2", "cleaned up 2"]


def test_a_job_that_is_at_no_image_yet_leaves_out_the_first_alone(table: Bench) -> None:
    gate = Gate()

    def task(_run: Run, context: RunContext) -> Steps:
        yield Call(gate)
        for index in range(2):
            with context.image(index):
                yield Call(nothing)
                yield from context.output(index, _encode)

    table.submit("a", task)
    gate.wait_entered()
    table.executor.skip("a")
    gate.open()
    table.sink.wait_end("a")
    assert _outcome(table, "a") == [("output.skipped", 0), ("output.ready", 1)]


def test_an_image_whose_output_is_being_written_is_left_out_too(table: Bench) -> None:
    gate = Gate(EncodedImage(content=b"x", media_type="image/png"))

    def encode() -> EncodedImage:
        made = gate()
        assert isinstance(made, EncodedImage)
        return made

    def task(_run: Run, context: RunContext) -> Steps:
        with context.image(0):
            yield from context.output(0, encode)
        yield Call(nothing, where=Where.POOL)

    table.submit("a", task)
    gate.wait_entered()
    table.executor.skip("a")
    gate.open()
    table.sink.wait_end("a")
    assert _outcome(table, "a") == [("output.skipped", 0)]


def test_what_fails_meanwhile_fails_although_it_was_to_be_skipped(table: Bench) -> None:
    gate = Gate()

    def fails() -> None:
        gate()
        raise RuntimeError("broken")

    def task(_run: Run, context: RunContext) -> Steps:
        with context.image(0):
            yield Call(fails)

    table.submit("a", task)
    gate.wait_entered()
    table.executor.skip("a")
    gate.open()
    table.sink.wait_end("a")
    assert table.sink.types("a")[-1] == "job.failed"


def test_skipping_an_image_of_one_job_leaves_the_others_alone(table: Bench) -> None:
    gate = table.hold_device()

    def task(_run: Run, context: RunContext) -> Steps:
        with context.image(0):
            yield Call(nothing)
            yield from context.output(0, _encode)

    for name in "ab":
        table.submit(name, task)
    table.executor.skip("a")
    table.executor.skip("nobody")
    gate.open()
    table.sink.wait_end("a", "b")
    assert (_outcome(table, "a"), _outcome(table, "b")) == ([("output.skipped", 0)], [("output.ready", 0)])
