"""What a gateway knows of models is what its workers tell."""

from typing import Any

import pytest

from engine.interface.engine import EngineStatus
from protocol.errors import ErrorCode, ProtocolError
from protocol.generation import TextToImageParams
from protocol.models import ModelInfo, ModelKind
from protocol.requests import TaskName
from service.cluster.names import Row, WorkClass, share_of, token
from service.cluster.presence import WorkerPresence
from service.cluster.remote_models import RemoteModels
from service.cluster.work_place import ANY_MODEL, WorkPlaces


def model(name: str, **more: Any) -> ModelInfo:
    fields = {"title": name, "tasks": (TaskName.TEXT_TO_IMAGE,), "licence": "MIT", "size_bytes": 7, "is_present": True}
    return ModelInfo(name=name, **{**fields, **more})


def worker(worker_id: str, *models: ModelInfo) -> WorkerPresence:
    return WorkerPresence(id=worker_id, name=worker_id, device="cpu", status=EngineStatus.READY, models=models)


@pytest.fixture
def models() -> RemoteModels:
    known = RemoteModels()
    spark = model("Spark XL", id="checkpoint:Spark XL", kind=ModelKind.CHECKPOINT, file="xl/Spark XL v2.safetensors")
    known.learn(
        [
            worker("one", model("lama", is_present=False), spark),
            worker("two", model("lama", sha256="ab"), model("far", is_present=False)),
        ]
    )
    return known


@pytest.mark.parametrize(
    "named",
    ["Spark XL", "spark xl", "Spark XL v2.safetensors", "Spark XL v2", "xl/Spark XL v2", "checkpoint:Spark XL"],
)
def test_a_model_may_be_named_as_on_one_machine(models: RemoteModels, named: str) -> None:
    assert models.token_name(named) == "Spark XL"
    models.check(TextToImageParams(prompt="", model=named))


def test_a_model_is_there_if_any_worker_has_it(models: RemoteModels) -> None:
    assert {each.name: each.is_present for each in models.models(())} == {"Spark XL": True, "lama": True, "far": False}
    assert models.sha256("lama") == "ab"
    assert models.token_name("lama") == "lama"


def test_a_model_that_no_worker_has_yet_is_for_any_worker(models: RemoteModels) -> None:
    assert models.token_name("far") is None
    assert models.token_name("nobody's") is None


def test_of_two_models_of_one_name_the_one_that_is_there_is_meant() -> None:
    known = RemoteModels()
    there, elsewhere = model("a", id="lora:x", file="x.safetensors"), model("x", id="checkpoint:x", is_present=False)
    for order in ((there, elsewhere), (elsewhere, there)):
        known.learn([worker("one", *order)])
        assert known.token_name("x") == "a"


def test_a_model_that_is_in_the_memory_of_any_worker_is_loaded(models: RemoteModels) -> None:
    loaded = {each.name: each.is_loaded for each in models.models({"checkpoint:Spark XL"})}
    assert loaded == {"Spark XL": True, "lama": False, "far": False}


def test_a_model_that_no_worker_knows_is_refused_with_one_that_is_close(models: RemoteModels) -> None:
    with pytest.raises(ProtocolError, match="close to it: Spark XL") as caught:
        models.check(TextToImageParams(prompt="", model="spark xm"), "$.job")
    assert (caught.value.code, caught.value.field) == (ErrorCode.MODEL_MISSING, "$.job.params.model")


def test_before_any_worker_has_told_of_models_nothing_is_refused() -> None:
    RemoteModels().check(TextToImageParams(prompt="", model="anything"))


def test_what_was_known_stays_while_there_is_no_worker(models: RemoteModels) -> None:
    models.learn([])
    assert models.token_name("lama") == "lama"
    models.learn([worker("three", model("other"))])
    assert models.token_name("lama") is None


def job(**more: Any) -> dict[str, Any]:
    return {"task": "text_to_image", "priority": "normal", "key_id": "anna", "params": "{}", **more}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (job(), (WorkClass.NORMAL, ANY_MODEL)),
        (job(priority="high"), (WorkClass.HIGH, ANY_MODEL)),
        (job(priority="low", params='{"model": "spark xl"}'), (WorkClass.LOW, "Spark XL")),
        (job(params='{"model": null}'), (WorkClass.NORMAL, ANY_MODEL)),
        (job(params='{"model": "far"}'), (WorkClass.NORMAL, ANY_MODEL)),
        (job(task="erase", priority="low", params='{"model": "lama"}'), (WorkClass.INTERACTIVE, "lama")),
    ],
)
def test_a_job_waits_in_the_row_of_its_class_key_and_model(
    models: RemoteModels, row: dict[str, Any], expected: tuple[WorkClass, str]
) -> None:
    work_class, name = expected
    place = WorkPlaces(models.token_name).of(row)
    assert place.row == Row(work_class, share_of("anna"), token(name))
    assert place.model == name
