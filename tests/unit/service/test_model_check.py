"""When the disk is looked at, and when not."""

import threading
from typing import Any

import pytest

from protocol.errors import ErrorCode, ProtocolError
from protocol.models import ModelKind
from protocol.named_models import NamedModel
from protocol.params import TaskParams
from protocol.requests import JobRequest, parse_job_request
from service.model_check import ModelCheck

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Disk:
    """Models by name, some of which are only known after a look; which thread asked is written down."""

    def __init__(self, known: set[str], *, there: set[str] | None = None) -> None:
        self.known = known
        self.there = there or set()
        self.looks = 0
        self.threads: set[int] = set()

    def check(self, params: TaskParams, at: str = "$") -> None:
        self.threads.add(threading.get_ident())
        name: Any = getattr(params, "model", None)
        if name not in self.known:
            raise ProtocolError(ErrorCode.MODEL_MISSING, f"no {name}", f"{at}.params.model")

    def has(self, named: NamedModel) -> bool:
        self.threads.add(threading.get_ident())
        return named.name in self.known

    def look(self, asked_at: float) -> None:
        self.threads.add(threading.get_ident())
        self.looks += 1
        self.known |= self.there


def request(**params: object) -> JobRequest:
    return parse_job_request({"task": "text_to_image", "params": {"prompt": "a cat", **params}})


async def test_a_known_model_costs_no_look_at_the_disk() -> None:
    disk = Disk({"spark"})
    await ModelCheck(disk).check(request(model="spark"))
    assert disk.looks == 0


async def test_one_that_appeared_since_the_last_look_is_found() -> None:
    disk = Disk({"spark"}, there={"new"})
    await ModelCheck(disk).check(request(model="new"))
    assert disk.looks == 1


async def test_one_that_is_not_there_either_is_refused_as_the_second_look_says() -> None:
    disk = Disk({"spark"})
    with pytest.raises(ProtocolError) as caught:
        await ModelCheck(disk).check(request(model="gone"), at="$.job")
    assert (caught.value.code, caught.value.field) == (ErrorCode.MODEL_MISSING, "$.job.params.model")
    assert disk.looks == 1


async def test_the_event_loop_neither_looks_nor_compares_names() -> None:
    disk = Disk({"spark"}, there={"new"})
    await ModelCheck(disk).check(request(model="new"))
    assert threading.get_ident() not in disk.threads


async def test_who_names_no_model_is_not_checked_and_neither_is_anyone_where_nothing_is_known() -> None:
    disk = Disk(set())
    await ModelCheck(disk).check(parse_job_request({"task": "test_pattern", "params": {}}))
    assert disk.threads == set()
    await ModelCheck(None).check(request(model="whatever"))


def loras(*names: str) -> list[NamedModel]:
    return [NamedModel(ModelKind.LORA, name, "loras") for name in names]


async def test_what_is_missing_is_told_after_one_look_at_the_disk() -> None:
    disk = Disk({"ink"}, there={"chalk"})
    missing = await ModelCheck(disk).missing(loras("ink", "chalk", "coal"))
    assert [named.name for named in missing] == ["coal"]
    assert disk.looks == 1
    assert threading.get_ident() not in disk.threads


async def test_nothing_missing_costs_no_look_at_the_disk() -> None:
    disk = Disk({"ink", "chalk"})
    assert await ModelCheck(disk).missing(loras("ink", "chalk")) == []
    assert disk.looks == 0


async def test_nothing_is_missing_where_nothing_is_known_of_models() -> None:
    assert await ModelCheck(None).missing(loras("ink")) == ()
