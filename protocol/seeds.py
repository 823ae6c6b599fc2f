"""Which seed a job begins with: a rule that the engine works by, and whoever wants to tell it beforehand."""

import hashlib
from typing import Final

from protocol.params import LARGEST_SEED

_OWN_BYTES: Final = 4
"""Of a seed nobody asked for: short enough for any client to read, and to be typed again."""


def first_seed(job_id: str, asked: int | None) -> int:
    """The seed of the first image: the one asked for, or one of the job's own, the same at every attempt.

    Args:
        job_id: as the server gave it; from it alone comes a seed that nobody asked for.
    """
    return int.from_bytes(hashlib.sha256(job_id.encode()).digest()[:_OWN_BYTES]) if asked is None else asked


def seed_of_image(first: int, index: int, *, varies: bool) -> int:
    """The seed of image `index`: it rises by one from image to image, or is that of the first; after the largest is 0.

    Args:
        varies: as `vary_seed` of a request.
    """
    return (first + index) % (LARGEST_SEED + 1) if varies else first
