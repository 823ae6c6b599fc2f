"""The names that tasks and pictures go by, and what is none."""

import uuid

import pytest

from protocol.ids import new_id
from protocol.jobs import Job
from service.dialects.fooocus_engine.names import input_name, input_parts, job_id_of, number_of, task_id_of

SOME = uuid.UUID("0193a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b")
DIGEST = "0123456789abcdef" * 4


def job(job_id: str) -> Job:
    return Job.model_construct(id=job_id)


def test_a_task_id_leads_back_to_its_job() -> None:
    made = job(new_id())
    assert len(task_id_of(made)) == 32
    assert job_id_of(task_id_of(made)) == job_id_of(made.id) == made.id


@pytest.mark.parametrize(
    "text",
    ["", "nope", "../x", f"{{{SOME}}}", f"urn:uuid:{SOME}", SOME.hex.upper(), SOME.hex[:-1], f"{SOME.hex}0"],
)
def test_what_is_no_task_id_leads_nowhere(text: str) -> None:
    assert job_id_of(text) is None


def test_numbers_rise_with_the_ids_and_fit_a_double() -> None:
    numbers = [number_of(job(new_id())) for _ in range(100)]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] < 2**53


def test_the_name_of_an_input_says_the_job_and_the_beginning_of_the_hash() -> None:
    made = job(new_id())
    name = input_name(made, DIGEST)
    assert len(name) == len("".join((DIGEST, ".png")))
    assert input_parts(name) == (made.id, DIGEST[:32])


@pytest.mark.parametrize("name", ["", "x.png", f"{DIGEST}.jpg", f"{DIGEST}", f"{DIGEST}.png/..", f"../{DIGEST}.png"])
def test_what_is_no_name_of_an_input_leads_nowhere(name: str) -> None:
    assert input_parts(name) is None
