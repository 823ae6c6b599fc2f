"""The seed that clients of Fooocus are told a task began with."""

from protocol.generation import GenerationParams
from protocol.jobs import Job
from protocol.requests import TASKS
from protocol.seeds import first_seed


def seed_told(job: Job, image_seed: int) -> int:
    """The one that was asked for or that the server picked, from the beginning on; as it was sent where none counts."""
    if not issubclass(TASKS[job.task].params, GenerationParams):
        return image_seed
    return first_seed(job.id, job.params.get("seed"))
