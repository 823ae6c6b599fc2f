"""Noise schedules: which sigmas `n` steps stop at, for a model trained on a given table of sigmas.

One meaning per name, the same for every sampler. Levels are sigmas: the standard deviation of the noise over a clean
latent for diffusion models (VE form), the share of noise for flow-matching models.

Sources: k-diffusion (karras, exponential) and the papers named below; ComfyUI and A1111 for what the names `normal`,
`simple`, `sgm_uniform`, `ddim_uniform`, `beta` and `kl_optimal` mean; diffusers for `trailing`.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from protocol.sampling import NoiseSchedule

Levels = NDArray[np.float64]

KARRAS_RHO: Final = 7.0
TURBO_STEPS: Final = 10
LCM_TIMESTEPS: Final = 50
BETA_SHAPE: Final = 0.6
"""Both parameters of the Beta distribution. Source: Lee et al., "Beta Sampling is All You Need", 2024."""

ALIGNED_SD1: Final = (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029)
ALIGNED_SDXL: Final = (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029)
"""The levels of ten steps. Source: Sabour et al., "Align Your Steps", 2024, and its page of tables."""


def noise_levels(schedule: NoiseSchedule, table: Levels, steps: int, *, is_sdxl: bool = False) -> Levels:
    """The noise levels `steps` steps begin at, and 0 at the end.

    Args:
        schedule: any but `edm`, whose levels lie outside of such tables.
        table: (T,) sigmas the model was trained on, rising.
        is_sdxl: which published table `align_your_steps` takes; SDXL's, or SD 1.5's.

    Returns:
        (steps + 1,), falling strictly; the last is 0.
    """
    if schedule is NoiseSchedule.ALIGN_YOUR_STEPS:
        levels = _aligned(steps, ALIGNED_SDXL if is_sdxl else ALIGNED_SD1)
    else:
        levels = _MAKERS[schedule](table, steps)
    return np.append(levels, 0.0)


def timesteps_at(levels: Levels, table: Levels) -> Levels:
    """The (fractional) timestep of each level above 0: its place in the table, interpolated in the logarithm."""
    return np.interp(np.log(levels), np.log(table), np.arange(len(table), dtype=np.float64))


def whole_timesteps(levels: Levels, table: Levels) -> NDArray[np.int64]:
    """The nearest whole timestep of each level above 0, moved where needed so that no two are the same."""
    found = np.rint(timesteps_at(levels, table)).astype(np.int64)
    # A timestep lower by one for each later step always leaves room for the rest.
    found = np.maximum(found, np.arange(len(found))[::-1])
    for index in range(1, len(found)):
        found[index] = min(found[index], found[index - 1] - 1)
    return found


def _sigmas_at(timesteps: Levels, table: Levels) -> Levels:
    """The level at each fractional timestep: the inverse of `timesteps_at`."""
    return np.exp(np.interp(timesteps, np.arange(len(table)), np.log(table)))


def _normal(table: Levels, steps: int) -> Levels:
    return _sigmas_at(np.linspace(len(table) - 1, 0, steps), table)


def _sgm_uniform(table: Levels, steps: int) -> Levels:
    return _sigmas_at(np.linspace(len(table) - 1, 0, steps + 1)[:-1], table)


def _simple(table: Levels, steps: int) -> Levels:
    places = (np.arange(steps) * len(table) / steps).astype(int)
    return np.take(table[::-1], places)


def _ddim_uniform(table: Levels, steps: int) -> Levels:
    stride = max(len(table) // steps, 1)
    return table[np.minimum(1 + stride * np.arange(steps), len(table) - 1)][::-1]


def _trailing(table: Levels, steps: int) -> Levels:
    count = len(table)
    places: NDArray[np.int64] = np.rint(count - np.arange(steps) * count / steps).astype(np.int64) - 1
    return np.take(table, np.maximum(places, 0))


def _turbo(table: Levels, steps: int) -> Levels:
    """Distilled to tenths of the table: the first of them, so fewer steps end at more noise.

    Source: Sauer et al., "Adversarial Diffusion Distillation", 2023; ComfyUI for the choice of tenths.
    """
    tenths = TURBO_STEPS - np.arange(steps)
    return np.take(table, tenths * len(table) // TURBO_STEPS - 1) if steps <= TURBO_STEPS else _trailing(table, steps)


def _lcm(table: Levels, steps: int) -> Levels:
    """Even between the last and the first of the timesteps that are kept, without the first.

    Source: Luo et al., "Latent Consistency Models", 2023, for the 50 timesteps; ComfyUI for the spacing.
    """
    last, first = len(table) - 1, len(table) // LCM_TIMESTEPS - 1
    return _sigmas_at(np.linspace(last, first, steps + 1)[:-1], table)


def _karras(table: Levels, steps: int) -> Levels:
    """Source: Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models", 2022, equation 5."""
    roots = np.linspace(table[-1] ** (1 / KARRAS_RHO), table[0] ** (1 / KARRAS_RHO), steps)
    levels: Levels = np.power(roots, KARRAS_RHO)
    return levels


def _exponential(table: Levels, steps: int) -> Levels:
    return np.exp(np.linspace(np.log(table[-1]), np.log(table[0]), steps))


def _kl_optimal(table: Levels, steps: int) -> Levels:
    """Source: Sabour et al., "Align Your Steps", 2024, theorem 3.1 (the optimum for Gaussian data)."""
    return np.tan(np.linspace(np.arctan(table[-1]), np.arctan(table[0]), steps))


def _beta(table: Levels, steps: int) -> Levels:
    quantiles = _beta_quantile(1 - np.arange(steps) / steps)
    exact: Levels = quantiles * (len(table) - 1)
    rounded = np.rint(exact)
    if len(np.unique(rounded)) == steps:
        return np.take(table, rounded.astype(int))
    return _sigmas_at(exact, table)  # so many steps that whole timesteps would repeat


def _aligned(steps: int, table: tuple[float, ...]) -> Levels:
    """The published ten steps, at other counts interpolated in the logarithm, as their authors advise."""
    places = np.linspace(0, 1, len(table))
    return np.exp(np.interp(np.linspace(0, 1, steps + 1), places, np.log(table)))[:-1]


def _beta_quantile(share: Levels) -> Levels:
    """The inverse distribution function of Beta(a, a) with a = `BETA_SHAPE`, at shares in [0, 1].

    Integrated numerically: with x = w^(1/a) the density loses its pole at 0, and the other half is its mirror image.
    """
    roots = np.linspace(0, 0.5**BETA_SHAPE, 4097)
    values = (1 - roots ** (1 / BETA_SHAPE)) ** (BETA_SHAPE - 1)
    mass = np.concatenate([[0.0], np.cumsum((values[1:] + values[:-1]) / 2 * np.diff(roots))])
    lower = np.interp(np.minimum(share, 1 - share), mass / (2 * mass[-1]), roots) ** (1 / BETA_SHAPE)
    return np.where(share <= 0.5, lower, 1 - lower)


_MAKERS: Final[dict[NoiseSchedule, Callable[[Levels, int], Levels]]] = {
    NoiseSchedule.NORMAL: _normal,
    NoiseSchedule.KARRAS: _karras,
    NoiseSchedule.EXPONENTIAL: _exponential,
    NoiseSchedule.BETA: _beta,
    NoiseSchedule.SGM_UNIFORM: _sgm_uniform,
    NoiseSchedule.SIMPLE: _simple,
    NoiseSchedule.DDIM_UNIFORM: _ddim_uniform,
    NoiseSchedule.TRAILING: _trailing,
    NoiseSchedule.KL_OPTIMAL: _kl_optimal,
    NoiseSchedule.TURBO: _turbo,
    NoiseSchedule.LCM: _lcm,
}
