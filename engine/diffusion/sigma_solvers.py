"""Samplers of k-diffusion that diffusers has not, or not in the field's meaning, as diffusers schedulers.

Source of the methods: the papers named at each class, and k-diffusion for their forms in sigma.
"""

import math

import numpy as np
from torch import Tensor

from engine.diffusion.sigma_solver import Generators, Output, SigmaSolver, Turn, ancestral, toward

_GAUSS = [(float(at), float(share)) for at, share in zip(*np.polynomial.legendre.leggauss(8), strict=True)]
"""Points in -1..1 and their weights: exact far beyond float32 over any step a sampler takes."""


class DdimSolver(SigmaSolver):
    """DDIM over any levels: diffusers' own knows only evenly spaced timesteps."""

    _eta = 0.0

    def step(  # type: ignore[override]  # as DDIM's own, this one has eta
        self,
        model_output: Tensor,
        timestep: float | Tensor,
        sample: Tensor,
        eta: float = 0.0,
        generator: Generators = None,
        return_dict: bool = True,
    ) -> Output:
        self._eta = eta
        return super().step(model_output, timestep, sample, generator, return_dict)

    def advance(self, turn: Turn) -> Tensor:
        down, up = ancestral(turn.sigma, turn.following, self._eta)
        result = toward(turn.latents, turn.clean, down / turn.sigma)
        return result + up * turn.noise() if up > 0 else result


class LmsSolver(SigmaSolver):
    """Linear multistep of order 4: the polynomial through the last slopes, integrated over the step.

    Diffusers' own integrates with scipy; two Gauss points are exact for a cubic and need none.
    """

    def forget(self) -> None:
        super().forget()
        self._slopes: list[tuple[float, Tensor]] = []

    def advance(self, turn: Turn) -> Tensor:
        self._slopes = [*self._slopes, (turn.sigma, (turn.latents - turn.clean) / turn.sigma)][-4:]
        nodes = [sigma for sigma, _ in self._slopes]
        half, centre = (turn.following - turn.sigma) / 2, (turn.following + turn.sigma) / 2
        points = [centre + half * at for at in (-math.sqrt(1 / 3), math.sqrt(1 / 3))]
        result = turn.latents
        for own, (sigma, slope) in enumerate(self._slopes):
            others = [node for index, node in enumerate(nodes) if index != own]
            weight = half * sum(math.prod((point - node) / (sigma - node) for node in others) for point in points)
            result = result + weight * slope
        return result


class DeisSolver(SigmaSolver):
    """Like `LmsSolver` of order 3, but with the polynomial in the logarithm of sigma; the step to 0 is Euler's.

    Diffusers' own stops short of 0, and hands tensors to numpy where numpy no longer wants them.

    Source: Zhang and Chen, "Fast Sampling of Diffusion Models with Exponential Integrator", 2022, rho-AB with log rho.
    """

    def forget(self) -> None:
        super().forget()
        self._slopes: list[tuple[float, Tensor]] = []

    def advance(self, turn: Turn) -> Tensor:
        self._slopes = [*self._slopes, (math.log(turn.sigma), (turn.latents - turn.clean) / turn.sigma)][-3:]
        if turn.following == 0:
            return turn.clean
        nodes = [place for place, _ in self._slopes]
        half = math.log(turn.following / turn.sigma) / 2
        centre = math.log(turn.following * turn.sigma) / 2
        result = turn.latents
        for own, (node, slope) in enumerate(self._slopes):
            others = [other for index, other in enumerate(nodes) if index != own]
            weight = half * sum(
                share * math.exp(point) * math.prod((point - other) / (node - other) for other in others)
                for share, point in ((share, centre + half * at) for at, share in _GAUSS)
            )
            result = result + weight * slope
        return result


class Dpm2Solver(SigmaSolver):
    """DPM-Solver-2: the slope at the middle of the step.

    Source: Karras et al. 2022, algorithm 2, with the middle taken in the logarithm.
    """

    order = 2

    def from_middle(self, turn: Turn) -> Tensor:
        slope = (turn.latents - turn.clean) / turn.middle
        return turn.start + slope * (turn.following - turn.sigma)


class Dpm2AncestralSolver(SigmaSolver):
    """DPM-Solver-2 that stops short of the next level, and goes up to it with fresh noise."""

    order = 2

    def middle(self, sigma: float, following: float) -> float:
        return math.sqrt(sigma * ancestral(sigma, following)[0])

    def from_middle(self, turn: Turn) -> Tensor:
        down, up = ancestral(turn.sigma, turn.following)
        slope = (turn.latents - turn.clean) / turn.middle
        return turn.start + slope * (down - turn.sigma) + up * turn.noise()


class Dpmpp2sAncestralSolver(Dpm2AncestralSolver):
    """DPM-Solver++(2S) with fresh noise. Source: Lu et al., "DPM-Solver++", 2022, algorithm 1, r = 1/2."""

    def from_middle(self, turn: Turn) -> Tensor:
        down, up = ancestral(turn.sigma, turn.following)
        return toward(turn.start, turn.clean, down / turn.sigma) + up * turn.noise()


class DpmppSdeSolver(SigmaSolver):
    """DPM-Solver++ for the stochastic equation, r = 1/2, with noise in both halves of a step.

    The noise of the whole step is the sum of its halves', as increments of one Brownian path in sigma; k-diffusion gets
    the same from a tree of them (torchsde). Source: Lu et al. 2022, section 5, in k-diffusion's form.
    """

    order = 2

    def forget(self) -> None:
        super().forget()
        self._first: Tensor | None = None

    def to_middle(self, turn: Turn) -> Tensor:
        self._first = turn.noise()
        down, up = ancestral(turn.sigma, turn.middle)
        return toward(turn.latents, turn.clean, down / turn.sigma) + up * self._first

    def from_middle(self, turn: Turn) -> Tensor:
        assert self._first is not None
        share = (turn.sigma - turn.middle) / (turn.sigma - turn.following)
        noise = math.sqrt(share) * self._first + math.sqrt(1 - share) * turn.noise()
        self._first = None
        down, up = ancestral(turn.sigma, turn.following)
        return toward(turn.start, turn.clean, down / turn.sigma) + up * noise


class Dpmpp3mSdeSolver(SigmaSolver):
    """DPM-Solver++(3M) for the stochastic equation, eta = 1.

    Diffusers' `sde-dpmsolver++` of order 3 has a constant of its last term with the sign the other way round, which
    makes the method one of first order; and its second step is the midpoint form, k-diffusion's the Heun form.
    """

    def forget(self) -> None:
        super().forget()
        self._earlier: list[tuple[float, Tensor]] = []

    def advance(self, turn: Turn) -> Tensor:
        if turn.following == 0:
            return turn.clean
        width = math.log(turn.sigma / turn.following)
        twice = 2 * width
        result = toward(turn.latents, turn.clean, math.exp(-twice))
        phi_2 = math.expm1(-twice) / twice + 1
        if self._earlier:
            width_1, clean_1 = self._earlier[0]
            near = (turn.clean - clean_1) * (width / width_1)
            if len(self._earlier) == 1:
                result = result + phi_2 * near
            else:
                width_2, clean_2 = self._earlier[1]
                ratio_0, ratio_1 = width_1 / width, width_2 / width
                bend = (near - (clean_1 - clean_2) / ratio_1) / (ratio_0 + ratio_1)
                result = result + phi_2 * (near + ratio_0 * bend) - (phi_2 / twice - 0.5) * bend
        self._earlier = [(width, turn.clean), *self._earlier][:2]
        return result + turn.following * math.sqrt(-math.expm1(-twice)) * turn.noise()
