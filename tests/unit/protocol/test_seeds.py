"""The seeds of jobs and of their images."""

import pytest

from protocol.ids import new_id
from protocol.params import LARGEST_SEED
from protocol.seeds import first_seed, seed_of_image

JOB = "019a9f5e-3c00-7abc-8def-0123456789ab"


@pytest.mark.parametrize("asked", [0, 7, LARGEST_SEED])
def test_a_seed_that_was_asked_for_is_that_of_the_job(asked: int) -> None:
    assert first_seed(JOB, asked) == asked


def test_a_job_picks_the_same_seed_every_time_and_in_every_version() -> None:
    """A job may be tried again by a newer program."""
    assert first_seed(JOB, None) == 0xC56B966D


def test_jobs_pick_seeds_of_their_own_of_32_bits() -> None:
    picked = {first_seed(new_id(), None) for _ in range(50)}
    assert len(picked) == 50
    assert all(0 <= seed < 2**32 for seed in picked)


@pytest.mark.parametrize(
    ("first", "index", "varies", "seed"),
    [(5, 3, True, 8), (5, 3, False, 5), (LARGEST_SEED, 1, True, 0), (LARGEST_SEED, 1, False, LARGEST_SEED)],
)
def test_images_count_on_from_the_first(first: int, index: int, varies: bool, seed: int) -> None:
    assert seed_of_image(first, index, varies=varies) == seed
