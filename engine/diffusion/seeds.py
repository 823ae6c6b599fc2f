"""Which seed each image of a job has. Imports no torch."""

import hashlib
from typing import Final

from engine.interface import Run
from protocol.generation import GenerationParams
from protocol.params import LARGEST_SEED

_OWN_BYTES: Final = 4
"""Of a seed nobody asked for: short enough for any client to read, and to be typed again."""


def image_seed(run: Run, index: int) -> int:
    """The seed of image `index`: the one asked for, or one of the job's own, the same at every attempt.

    With `vary_seed` it rises by one from image to image, and goes on at 0 after the largest.
    """
    params = run.params
    assert isinstance(params, GenerationParams)
    first = params.seed
    if first is None:
        first = int.from_bytes(hashlib.sha256(run.job_id.encode()).digest()[:_OWN_BYTES])
    return (first + index) % (LARGEST_SEED + 1) if params.vary_seed else first
