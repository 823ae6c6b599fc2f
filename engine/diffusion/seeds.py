"""Which seed each image of a job has. Imports no torch."""

from engine.interface import Run
from protocol.generation import GenerationParams
from protocol.seeds import first_seed, seed_of_image


def image_seed(run: Run, index: int) -> int:
    """The seed of image `index`."""
    params = run.params
    assert isinstance(params, GenerationParams)
    return seed_of_image(first_seed(run.job_id, params.seed), index, varies=params.vary_seed)
