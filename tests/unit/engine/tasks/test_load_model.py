"""Loading alone, with a studio that loads nothing."""

from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import pytest

from engine.diffusion.studio import Studio, resident_name
from engine.interface import Call, EngineError
from engine.library.records import Family, FoundModel, ModelKind
from engine.models.residency import Residency
from engine.tasks.load_model import load_model
from protocol.errors import ErrorCode
from protocol.events import OutputReady, StepFinished
from protocol.requests import TaskName
from tests.unit.engine.driver import Driver, drive, make_run

SPARK = FoundModel(
    name="spark",
    kind=ModelKind.CHECKPOINT,
    family=Family.SD1,
    path=Path("spark"),
    is_folder=True,
    size_bytes=100,
    source="embedded",
    problem=None,
    is_pickle=False,
    modified_at=0.0,
    relative="spark",
)


WEIGHTS = "weights"


class Shelf:
    """A studio of one model of no weights."""

    def __init__(self) -> None:
        self.residency = Residency(Path(), "cpu")
        self.loads = 0

    def find(self, name: str) -> FoundModel:
        if name != SPARK.name:
            raise EngineError(ErrorCode.MODEL_MISSING, f"there is no checkpoint {name!r}")
        return SPARK

    def ready(self, found: FoundModel) -> Generator[Call, Any, str]:
        return (yield from self.residency.keep(resident_name(found), found.size_bytes, self._load))

    def stay(self, found: FoundModel) -> None:
        self.residency.stay(resident_name(found))

    def _load(self) -> Generator[Call, Any, str]:
        self.loads += 1
        return (yield Call(lambda: WEIGHTS))


def run_on(shelf: Shelf, name: str = "spark") -> Driver:
    run = make_run(TaskName.LOAD_MODEL, {"model": name})
    return drive(lambda run, context: load_model(run, context, cast("Studio", shelf)), run)


def test_a_model_is_loaded_and_then_found_loaded() -> None:
    shelf = Shelf()
    for _ in range(2):
        done = run_on(shelf)
        (step,) = done.of_type(StepFinished)
        assert (step.step, step.steps, step.progress, step.stage) == (1, 1, 1.0, "load")
        assert done.of_type(OutputReady) == []
    assert shelf.loads == 1
    assert shelf.residency.listed == ("checkpoint:spark",)


def test_a_model_that_is_not_there_fails_the_job_by_name() -> None:
    with pytest.raises(EngineError, match="nowhere") as caught:
        run_on(Shelf(), "nowhere")
    assert caught.value.code is ErrorCode.MODEL_MISSING


def test_a_model_that_was_to_go_when_its_users_have_gone_stays_when_it_is_loaded_again() -> None:
    shelf = Shelf()
    run_on(shelf)
    with shelf.residency.in_use(WEIGHTS):
        shelf.residency.unload("checkpoint:spark", "asked")
        run_on(shelf)
    assert shelf.residency.listed == ("checkpoint:spark",)


def test_a_load_that_is_given_up_leaves_nothing_in_memory() -> None:
    shelf = Shelf()
    steps = load_model(make_run(TaskName.LOAD_MODEL, {"model": "spark"}), Driver.__new__(Driver), cast("Studio", shelf))
    call = next(steps)
    steps.send(call.run())
    steps.close()
    assert shelf.residency.listed == ()
