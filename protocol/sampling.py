"""How a picture is sampled: the samplers and the noise schedules a request may name, by the field's usual names.

The two are orthogonal: a sampler says how one noise level leads to the next, a noise schedule which levels there are.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class SchedulerName(StrEnum):
    """Samplers ("schedulers" in diffusers). A request that names none gets the model's own."""

    EULER = "euler"
    EULER_ANCESTRAL = "euler_ancestral"
    HEUN = "heun"
    HEUNPP2 = "heunpp2"
    DPM_2 = "dpm_2"
    DPM_2_ANCESTRAL = "dpm_2_ancestral"
    LMS = "lms"
    DPM_FAST = "dpm_fast"
    DPM_ADAPTIVE = "dpm_adaptive"
    DPMPP_2S_ANCESTRAL = "dpmpp_2s_ancestral"
    DPMPP_SDE = "dpmpp_sde"
    DPMPP_2M = "dpmpp_2m"
    DPMPP_2M_SDE = "dpmpp_2m_sde"
    DPMPP_2M_SDE_HEUN = "dpmpp_2m_sde_heun"
    DPMPP_3M_SDE = "dpmpp_3m_sde"
    DDIM = "ddim"
    DDPM = "ddpm"
    PNDM = "pndm"
    UNI_PC = "uni_pc"
    UNI_PC_BH2 = "uni_pc_bh2"
    DEIS = "deis"
    LCM = "lcm"
    TCD = "tcd"
    RESTART = "restart"
    FLOW_EULER = "flow_euler"
    FLOW_HEUN = "flow_heun"


SCHEDULER_DESCRIPTIONS: Final[Mapping[SchedulerName, str]] = {
    SchedulerName.EULER: "Euler's method; plain, fast, the reference for the others.",
    SchedulerName.EULER_ANCESTRAL: "Euler with fresh noise at every step; does not settle as steps grow.",
    SchedulerName.HEUN: "Heun's second-order method; two model calls a step.",
    SchedulerName.HEUNPP2: "Heun++; run as `heun`, with a warning.",
    SchedulerName.DPM_2: "DPM-Solver-2 with a midpoint; two model calls a step.",
    SchedulerName.DPM_2_ANCESTRAL: "DPM-Solver-2 with fresh noise at every step; two model calls a step.",
    SchedulerName.LMS: "Linear multistep of order 4.",
    SchedulerName.DPM_FAST: "DPM-Solver-fast; run as a singlestep DPM-Solver of order 3, with a warning.",
    SchedulerName.DPM_ADAPTIVE: "DPM-Solver with steps of its own choice; run like `dpm_fast`, with a warning.",
    SchedulerName.DPMPP_2S_ANCESTRAL: "DPM-Solver++ 2S with fresh noise at every step; two model calls a step.",
    SchedulerName.DPMPP_SDE: "DPM-Solver++ for the stochastic equation; two model calls a step.",
    SchedulerName.DPMPP_2M: "DPM-Solver++ 2M; good pictures in 15 to 30 steps.",
    SchedulerName.DPMPP_2M_SDE: "DPM-Solver++ 2M for the stochastic equation, midpoint form.",
    SchedulerName.DPMPP_2M_SDE_HEUN: "DPM-Solver++ 2M for the stochastic equation, Heun form.",
    SchedulerName.DPMPP_3M_SDE: "DPM-Solver++ 3M for the stochastic equation; its own levels are exponential.",
    SchedulerName.DDIM: "Denoising diffusion implicit models; `eta` adds noise.",
    SchedulerName.DDPM: "Ancestral sampling of the original diffusion models; wants many steps.",
    SchedulerName.PNDM: "Pseudo numerical methods, known as PLMS.",
    SchedulerName.UNI_PC: "UniPC of order 3, B1 form.",
    SchedulerName.UNI_PC_BH2: "UniPC of order 3, B2 form.",
    SchedulerName.DEIS: "Diffusion exponential integrator, multistep.",
    SchedulerName.LCM: "For latent consistency models and LCM adapters: 2 to 8 steps.",
    SchedulerName.TCD: "For trajectory consistency adapters; `eta` adds noise.",
    SchedulerName.RESTART: "Restart sampling; run as `euler`, with a warning.",
    SchedulerName.FLOW_EULER: "Euler for flow-matching models (SD3, Flux).",
    SchedulerName.FLOW_HEUN: "Heun for flow-matching models (SD3, Flux); two model calls a step.",
}
"""Total: every name has one line."""


class NoiseSchedule(StrEnum):
    """Which noise levels the steps stop at. A request that names none gets the model's own spacing."""

    NORMAL = "normal"
    KARRAS = "karras"
    EXPONENTIAL = "exponential"
    BETA = "beta"
    SGM_UNIFORM = "sgm_uniform"
    SIMPLE = "simple"
    DDIM_UNIFORM = "ddim_uniform"
    TRAILING = "trailing"
    ALIGN_YOUR_STEPS = "align_your_steps"
    KL_OPTIMAL = "kl_optimal"
    TURBO = "turbo"
    LCM = "lcm"
    EDM = "edm"


NOISE_SCHEDULE_DESCRIPTIONS: Final[Mapping[NoiseSchedule, str]] = {
    NoiseSchedule.NORMAL: "Timesteps evenly spaced from the last to the first.",
    NoiseSchedule.KARRAS: "Evenly spaced in the seventh root of sigma: more steps at little noise.",
    NoiseSchedule.EXPONENTIAL: "Evenly spaced in the logarithm of sigma.",
    NoiseSchedule.BETA: "Timesteps at quantiles of Beta(0.6, 0.6): more steps at both ends.",
    NoiseSchedule.SGM_UNIFORM: "Timesteps evenly spaced from the last down to, not including, the first.",
    NoiseSchedule.SIMPLE: "Every so many entries of the model's table of sigmas, from the noisy end.",
    NoiseSchedule.DDIM_UNIFORM: "Every so many timesteps from 1 upwards: never starts at full noise.",
    NoiseSchedule.TRAILING: "Every so many timesteps from the last downwards; for few-step and zero-SNR models.",
    NoiseSchedule.ALIGN_YOUR_STEPS: "Published levels found by optimisation for SD 1.5 and SDXL; good at 10 steps.",
    NoiseSchedule.KL_OPTIMAL: "Evenly spaced in the arctangent of sigma.",
    NoiseSchedule.TURBO: "Every hundredth timestep from the last downwards, for SD and SDXL Turbo: up to 10 steps.",
    NoiseSchedule.LCM: "Timesteps evenly spaced over those LCMs were distilled to; also for TCD.",
    NoiseSchedule.EDM: "Karras between sigma 120 and 0.002, for models trained so; run as `karras` on others.",
}
"""Total: every name has one line."""
