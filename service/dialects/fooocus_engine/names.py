"""The names that tasks and the pictures they were given go by."""

import re
import uuid
from typing import Final

from protocol.ids import is_id
from protocol.jobs import Job

_DIGITS: Final = 32
_INPUT: Final = re.compile(r"(?P<task>[0-9a-f]{32})(?P<digest>[0-9a-f]{32})\.png", re.ASCII)
_COUNTER_BITS: Final = 12


def task_id_of(job: Job) -> str:
    """The id of a job, as 32 hexadecimal digits."""
    return job.id.replace("-", "")


def job_id_of(task_id: str) -> str | None:
    """The id of the job that a task id means, with or without its dashes; None if it can be none."""
    try:
        found = str(uuid.UUID(task_id))
    except ValueError:
        return None
    return found if task_id in {found, found.replace("-", "")} and is_id(found) else None


def number_of(job: Job) -> int:
    """A number that rises from job to job: the time and the counter in its id. JavaScript can hold it until 2039."""
    value = uuid.UUID(job.id).int
    return (value >> 80) << _COUNTER_BITS | (value >> 64) & (1 << _COUNTER_BITS) - 1


def input_name(job: Job, digest: str) -> str:
    """Of a picture that a job was given: 64 digits that nobody can guess, half the job's id, half its file's hash.

    Args:
        digest: SHA-256 of the file, in hexadecimal.
    """
    return f"{task_id_of(job)}{digest[:_DIGITS]}.png"


def input_parts(name: str) -> tuple[str, str] | None:
    """The id of the job and the first half of the hash; None if it is no such name."""
    match = _INPUT.fullmatch(name)
    job_id = job_id_of(match["task"]) if match is not None else None
    return None if match is None or job_id is None else (job_id, match["digest"])
