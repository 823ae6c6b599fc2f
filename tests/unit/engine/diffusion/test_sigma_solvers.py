"""Our own solvers, one step at a time."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.diffusion.sigma_solver import Turn, ancestral
from engine.diffusion.sigma_solvers import DeisSolver, Dpmpp3mSdeSolver, DpmppSdeSolver, LmsSolver

SIGMAS = (9.0, 5.0, 3.0, 2.0, 1.0)


def value(number: float) -> Tensor:
    return torch.tensor([number], dtype=torch.float64)


def nothing() -> Tensor:
    return value(0.0)


def turn(
    sigma: float, following: float, latents: float, clean: float, noise: Callable[[], Tensor] = nothing, **more: Any
) -> Turn:
    filled = {"middle": following, "start": value(latents)} | more
    return Turn(sigma=sigma, following=following, latents=value(latents), clean=value(clean), noise=noise, **filled)


def integral(of: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]], start: float, end: float) -> float:
    at = start + (end - start) * (np.arange(200_000) + 0.5) / 200_000
    return float(of(at).mean() * (end - start))


def test_lms_is_exact_for_slopes_that_are_a_cubic_of_sigma() -> None:
    def slope(sigma: Any) -> Any:
        return 0.3 + 0.2 * sigma - 0.05 * sigma**2 + 0.01 * sigma**3

    solver = LmsSolver()
    solver.forget()
    latents = 0.0
    for sigma, following in pairwise(SIGMAS):
        start = latents
        latents = float(solver.advance(turn(sigma, following, latents, latents - sigma * slope(sigma))))
    assert latents - start == pytest.approx(integral(slope, SIGMAS[3], SIGMAS[4]), rel=1e-6)


def test_deis_is_exact_for_slopes_that_are_a_parabola_of_the_logarithm() -> None:
    def slope(sigma: Any) -> Any:
        return 0.3 + 0.2 * np.log(sigma) - 0.05 * np.log(sigma) ** 2

    solver = DeisSolver()
    solver.forget()
    latents = 0.0
    for sigma, following in pairwise(SIGMAS[:4]):
        start = latents
        latents = float(solver.advance(turn(sigma, following, latents, latents - sigma * slope(sigma))))
    assert latents - start == pytest.approx(integral(slope, SIGMAS[2], SIGMAS[3]), rel=1e-6)


@pytest.mark.parametrize("solver", [DeisSolver(), Dpmpp3mSdeSolver()])
def test_a_step_to_nothing_ends_on_the_clean_latents(solver: Any) -> None:
    solver.forget()
    assert float(solver.advance(turn(0.03, 0.0, 2.0, 1.5))) == 1.5


def test_the_third_step_of_3m_follows_line_and_half_of_the_bend_of_the_clean_latents() -> None:
    """Between the steps the stochastic equation is linear, so its mean is an integral over what the model said.

    The half is k-diffusion's, and that of the paper's authors.
    """
    levels = SIGMAS[:4]

    def clean(level: Any, bend: float) -> Any:
        return 0.3 + 0.4 * level + bend * level**2

    solver = Dpmpp3mSdeSolver()
    solver.forget()
    at = -math.log(levels[2])
    for sigma, following in pairwise(levels):
        result = float(solver.advance(turn(sigma, following, 2.0, clean(-math.log(sigma), 0.1))))
    width = -math.log(levels[3]) - at

    def weighted(of: Callable[[Any], Any]) -> float:
        return integral(lambda since: 2 * np.exp(-2 * (width - since)) * of(since), 0.0, width)

    line = clean(at, 0.1), 0.4 + 2 * 0.1 * at
    wanted = 2.0 * math.exp(-2 * width) + weighted(lambda since: line[0] + line[1] * since + 0.5 * 0.1 * since**2)
    assert result == pytest.approx(wanted, rel=1e-6)


def test_the_noise_of_a_whole_sde_step_is_the_sum_of_that_of_its_halves() -> None:
    drawn = iter([value(1.0), value(-2.0)])
    solver = DpmppSdeSolver()
    solver.forget()
    sigma, middle, following = 4.0, 2.0, 1.0
    half = float(solver.to_middle(turn(sigma, following, 0.0, 0.0, lambda: next(drawn), middle=middle)))
    assert half == pytest.approx(ancestral(sigma, middle)[1] * 1.0)
    whole = float(solver.from_middle(turn(sigma, following, 0.0, 0.0, lambda: next(drawn), middle=middle)))
    # A Brownian path over [1, 4]: two of its three units of time belong to the first half.
    together = math.sqrt(2 / 3) * 1.0 + math.sqrt(1 / 3) * -2.0
    assert whole == pytest.approx(ancestral(sigma, following)[1] * together)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_going_down_and_adding_noise_arrives_at_the_level(eta: float) -> None:
    down, up = ancestral(3.0, 2.0, eta)
    assert math.hypot(down, up) == pytest.approx(2.0)
    assert (up > 0) == (eta > 0)
    assert ancestral(3.0, 0.0, eta) == (0.0, 0.0)
