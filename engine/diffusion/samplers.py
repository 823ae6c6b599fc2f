"""The table of samplers: the class and options that give each name the field's usual meaning.

Where each row comes from: docs/schedulers.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    DPMSolverSinglestepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    LCMScheduler,
    PNDMScheduler,
    TCDScheduler,
    UniPCMultistepScheduler,
)

from engine.diffusion.flow_spacing import SpacedFlowEuler, SpacedFlowHeun
from engine.diffusion.sigma_solvers import (
    DdimSolver,
    DeisSolver,
    Dpm2AncestralSolver,
    Dpm2Solver,
    Dpmpp2sAncestralSolver,
    Dpmpp3mSdeSolver,
    DpmppSdeSolver,
    LmsSolver,
)
from engine.diffusion.spacing import Form
from protocol.sampling import NoiseSchedule, SchedulerName


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampler:
    """How a name is served on models that were trained on betas (SD 1, SD 2, SDXL).

    Attributes:
        kind: the scheduler class.
        options: laid over the model's own config.
        form: how the class holds its noise levels; None if it must keep evenly spaced timesteps.
        last_level: stands for the 0 that noise schedules end with.
        spaced_by: serves the name instead of `kind` when a noise schedule is asked for.
        skips_penultimate: the noise schedule is made for one step more and its smallest level left out, as ComfyUI and
            A1111 do for solvers that make too much of a last step from little noise.
        stands_for: what the name really means, if this is an approximation.
        own_schedule: the levels that go with the name, when no noise schedule is asked for.
    """

    kind: type[Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    form: Form | None = Form.SIGMAS
    last_level: float = 0.0
    spaced_by: type[Any] | None = None
    skips_penultimate: bool = False
    stands_for: str | None = None
    own_schedule: NoiseSchedule | None = None


_NEARLY_CLEAN: Final = 1e-3
"""As ComfyUI's UniPC: the last level of solvers in which the logarithm of the last sigma has to exist."""


def _dpmpp(algorithm: str, solver_type: str = "midpoint", order: int = 2) -> dict[str, Any]:
    return {
        "algorithm_type": algorithm,
        "solver_type": solver_type,
        "solver_order": order,
        "final_sigmas_type": "zero",
        "lower_order_final": True,
    }


_FAST: Final = Sampler(
    kind=DPMSolverSinglestepScheduler,
    options=_dpmpp("dpmsolver++", order=3),
    stands_for="DPM-Solver-fast",
    own_schedule=NoiseSchedule.EXPONENTIAL,
)

SAMPLERS: Final[Mapping[SchedulerName, Sampler]] = {
    SchedulerName.EULER: Sampler(kind=EulerDiscreteScheduler),
    SchedulerName.EULER_ANCESTRAL: Sampler(kind=EulerAncestralDiscreteScheduler),
    SchedulerName.HEUN: Sampler(kind=HeunDiscreteScheduler, options={"clip_sample": False}, form=Form.PAIRS),
    SchedulerName.HEUNPP2: Sampler(
        kind=HeunDiscreteScheduler, options={"clip_sample": False}, form=Form.PAIRS, stands_for="Heun++ 2"
    ),
    SchedulerName.DPM_2: Sampler(kind=Dpm2Solver, skips_penultimate=True),
    SchedulerName.DPM_2_ANCESTRAL: Sampler(kind=Dpm2AncestralSolver, skips_penultimate=True),
    SchedulerName.LMS: Sampler(kind=LmsSolver),
    SchedulerName.DPM_FAST: _FAST,
    SchedulerName.DPM_ADAPTIVE: Sampler(
        kind=_FAST.kind,
        options=_FAST.options,
        stands_for="DPM-Solver with steps of its own choice",
        own_schedule=_FAST.own_schedule,
    ),
    SchedulerName.DPMPP_2S_ANCESTRAL: Sampler(kind=Dpmpp2sAncestralSolver),
    SchedulerName.DPMPP_SDE: Sampler(kind=DpmppSdeSolver),
    SchedulerName.DPMPP_2M: Sampler(kind=DPMSolverMultistepScheduler, options=_dpmpp("dpmsolver++")),
    SchedulerName.DPMPP_2M_SDE: Sampler(kind=DPMSolverMultistepScheduler, options=_dpmpp("sde-dpmsolver++")),
    SchedulerName.DPMPP_2M_SDE_HEUN: Sampler(
        kind=DPMSolverMultistepScheduler, options=_dpmpp("sde-dpmsolver++", "heun")
    ),
    SchedulerName.DPMPP_3M_SDE: Sampler(kind=Dpmpp3mSdeSolver, own_schedule=NoiseSchedule.EXPONENTIAL),
    SchedulerName.DDIM: Sampler(kind=DDIMScheduler, options={"clip_sample": False}, spaced_by=DdimSolver),
    SchedulerName.DDPM: Sampler(kind=DDPMScheduler, options={"clip_sample": False}, form=Form.TIMESTEPS),
    SchedulerName.PNDM: Sampler(kind=PNDMScheduler, options={"skip_prk_steps": True}, form=None),
    SchedulerName.UNI_PC: Sampler(
        kind=UniPCMultistepScheduler,
        options={"solver_type": "bh1", "solver_order": 3, "final_sigmas_type": "sigma_min"},
        last_level=_NEARLY_CLEAN,
        skips_penultimate=True,
    ),
    SchedulerName.UNI_PC_BH2: Sampler(
        kind=UniPCMultistepScheduler,
        options={"solver_type": "bh2", "solver_order": 3, "final_sigmas_type": "sigma_min"},
        last_level=_NEARLY_CLEAN,
        skips_penultimate=True,
    ),
    SchedulerName.DEIS: Sampler(kind=DeisSolver),
    SchedulerName.LCM: Sampler(kind=LCMScheduler, options={"clip_sample": False}, form=Form.TIMESTEPS),
    SchedulerName.TCD: Sampler(kind=TCDScheduler, options={"clip_sample": False}, form=Form.TIMESTEPS),
    SchedulerName.RESTART: Sampler(kind=EulerDiscreteScheduler, stands_for="Restart sampling"),
}
"""Every name but the `flow_` ones, which are for flow-matching models alone."""

FLOW_SAMPLERS: Final[Mapping[SchedulerName, type[Any]]] = {
    SchedulerName.EULER: SpacedFlowEuler,
    SchedulerName.FLOW_EULER: SpacedFlowEuler,
    SchedulerName.HEUN: SpacedFlowHeun,
    SchedulerName.FLOW_HEUN: SpacedFlowHeun,
}
"""The names that flow-matching models (SD3, Flux) can be sampled with."""
