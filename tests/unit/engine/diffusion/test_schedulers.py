"""Names of samplers and noise schedules, against a model whose answer is known."""

import gc
import json
import weakref
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from engine.diffusion.samplers import FLOW_SAMPLERS, SAMPLERS
from engine.diffusion.schedulers import eta_for, make_scheduler, total_steps
from engine.diffusion.spacing import training_sigmas
from protocol.sampling import SCHEDULER_DESCRIPTIONS, NoiseSchedule, SchedulerName
from tests.unit.engine.diffusion.gaussian import MEAN, SD1_CONFIG, SPREAD, sample

EXACT = [name for name, sampler in SAMPLERS.items() if sampler.stands_for is None]
ALL = pytest.mark.parametrize("name", SAMPLERS)
SCHEDULES = pytest.mark.parametrize("schedule", NoiseSchedule)

DETERMINISTIC = {
    SchedulerName.EULER: 0.03,
    SchedulerName.HEUN: 0.002,
    SchedulerName.DPM_2: 0.002,
    SchedulerName.LMS: 0.001,
    SchedulerName.DPMPP_2M: 0.002,
    SchedulerName.DDIM: 0.03,
    SchedulerName.UNI_PC: 0.002,
    SchedulerName.UNI_PC_BH2: 0.002,
    SchedulerName.DEIS: 0.002,
    SchedulerName.DPM_FAST: 0.002,
}
"""Name -> how far it may be off the exact path after 50 steps: a tenth of that for the orders above one."""

STOCHASTIC = {
    SchedulerName.EULER_ANCESTRAL: 0.06,
    SchedulerName.DPM_2_ANCESTRAL: 0.02,
    SchedulerName.DPMPP_2S_ANCESTRAL: 0.02,
    SchedulerName.DPMPP_SDE: 0.02,
    SchedulerName.DPMPP_2M_SDE: 0.02,
    SchedulerName.DPMPP_2M_SDE_HEUN: 0.02,
    SchedulerName.DPMPP_3M_SDE: 0.02,
    SchedulerName.DDPM: 0.06,
}
"""Name -> how far the spread of the result may be off."""

NOT_FOR_PLAIN_MODELS = {SchedulerName.LCM, SchedulerName.TCD}
"""Their distilled models jump to the end at once; with any other the spread is lost."""

SAME_METHOD = {frozenset({SchedulerName.DDPM, SchedulerName.EULER_ANCESTRAL})}
"""Equal but for rounding: DDPM's posterior is the ancestral step, written with variances instead of sigmas."""


class Warnings:
    """Keeps what was warned of."""

    def __init__(self) -> None:
        self.codes: list[str] = []
        self.messages: list[str] = []

    def __call__(self, code: str, message: str) -> None:
        self.codes.append(code)
        self.messages.append(message)


@pytest.fixture
def warn() -> Warnings:
    return Warnings()


def of_sd1(name: SchedulerName | None, schedule: NoiseSchedule | None = None, **config: Any) -> Any:
    return make_scheduler({**SD1_CONFIG, **config}, name, schedule, warn=Warnings())


def config_of(kind: str, **options: Any) -> dict[str, Any]:
    return {"_class_name": kind, "num_train_timesteps": 1000, **options}


# Names


def test_every_name_is_described_and_served() -> None:
    assert set(SCHEDULER_DESCRIPTIONS) == set(SchedulerName)
    assert set(SAMPLERS) | set(FLOW_SAMPLERS) == set(SchedulerName)


@ALL
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_every_name_makes_finite_latents_and_keeps_the_prediction_type(name: SchedulerName, prediction: str) -> None:
    scheduler = of_sd1(name, prediction_type=prediction)
    assert scheduler.config.prediction_type == prediction
    assert torch.isfinite(sample(scheduler, 7).latents).all()


@ALL
def test_the_same_seed_gives_the_same_latents_from_a_new_object(name: SchedulerName) -> None:
    one, other = of_sd1(name), of_sd1(name)
    assert one is not other
    assert torch.equal(sample(one, 6).latents, sample(other, 6).latents)
    assert not torch.equal(sample(one, 6, seed=1).latents, sample(other, 6).latents)


@ALL
def test_a_scheduler_used_again_remembers_nothing(name: SchedulerName) -> None:
    scheduler = of_sd1(name)
    first = sample(scheduler, 6).latents
    assert torch.equal(sample(scheduler, 6).latents, first)


def test_no_two_exact_names_sample_the_same() -> None:
    made = {name: sample(of_sd1(name), 8).latents for name in EXACT}
    for index, one in enumerate(EXACT):
        for other in EXACT[:index]:
            is_near = torch.allclose(made[one], made[other], atol=1e-4)
            assert is_near == (frozenset({one, other}) in SAME_METHOD), f"{one} and {other}"


@pytest.mark.parametrize(("name", "tolerance"), DETERMINISTIC.items())
def test_deterministic_samplers_end_where_the_noise_free_path_does(name: SchedulerName, tolerance: float) -> None:
    run = sample(of_sd1(name, NoiseSchedule.KARRAS), 50)
    assert float((run.latents - run.exact).abs().mean()) < tolerance


def test_pndm_ends_where_the_noise_free_path_does() -> None:
    run = sample(of_sd1(SchedulerName.PNDM), 50)
    assert float((run.latents - run.exact).abs().mean()) < 0.002


@pytest.mark.parametrize(("name", "tolerance"), STOCHASTIC.items())
def test_stochastic_samplers_end_in_the_distribution_of_the_data(name: SchedulerName, tolerance: float) -> None:
    latents = sample(of_sd1(name, NoiseSchedule.EXPONENTIAL), 50, size=160).latents
    assert float(latents.mean()) == pytest.approx(MEAN, abs=0.01)
    assert float(latents.std()) == pytest.approx(SPREAD, abs=tolerance)


def test_every_exact_name_is_held_to_the_known_answer() -> None:
    held = set(DETERMINISTIC) | set(STOCHASTIC) | NOT_FOR_PLAIN_MODELS | {SchedulerName.PNDM}
    assert held >= set(EXACT)


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name not in NOT_FOR_PLAIN_MODELS])
def test_image_to_image_starts_in_the_middle(name: SchedulerName) -> None:
    run = sample(of_sd1(name), 40, skip=20, size=100)
    assert torch.isfinite(run.latents).all()
    assert float(run.latents.mean()) == pytest.approx(MEAN, abs=0.02)
    assert float(run.latents.std()) == pytest.approx(SPREAD, abs=0.07)


@pytest.mark.parametrize("name", [name for name in EXACT if name not in NOT_FOR_PLAIN_MODELS])
def test_strength_leaves_out_the_first_steps(name: SchedulerName) -> None:
    scheduler = of_sd1(name)
    scheduler.set_timesteps(10)
    assert scheduler.order in {1, 2}
    later = scheduler.timesteps[4 * scheduler.order :]
    assert float(later[0]) < float(scheduler.timesteps[0])
    assert total_steps(scheduler) - len(later) == 4 * scheduler.order


@ALL
def test_total_steps_counts_model_calls(name: SchedulerName) -> None:
    scheduler = of_sd1(name)
    scheduler.set_timesteps(10)
    extra = {SchedulerName.PNDM: 1}.get(name, 9 * (scheduler.order - 1))
    assert total_steps(scheduler) == 10 + extra


def test_approximated_names_say_so(warn: Warnings) -> None:
    for name, sampler in SAMPLERS.items():
        make_scheduler(SD1_CONFIG, name, warn=warn)
        assert (warn.codes == ["approximated_sampler"]) == (sampler.stands_for is not None), name
        warn.codes.clear()


# Against diffusers


@pytest.mark.parametrize(
    ("name", "stock"),
    [
        (SchedulerName.DPM_2, diffusers.KDPM2DiscreteScheduler),
        (SchedulerName.DDIM, diffusers.EulerDiscreteScheduler),
        (SchedulerName.DPM_2, diffusers.HeunDiscreteScheduler),
        (SchedulerName.DEIS, diffusers.DEISMultistepScheduler),
    ],
)
@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning")  # theirs
def test_solvers_of_ours_agree_with_those_of_diffusers(name: SchedulerName, stock: type[Any]) -> None:
    ours = sample(of_sd1(name, NoiseSchedule.KARRAS), 40)
    theirs = sample(stock.from_config(dict(SD1_CONFIG), use_karras_sigmas=True, timestep_spacing="linspace"), 40)
    assert float((ours.latents - theirs.latents).abs().mean()) < 0.01


def test_our_karras_levels_are_those_of_diffusers_where_it_has_them() -> None:
    ours = of_sd1(SchedulerName.DPMPP_2M, NoiseSchedule.KARRAS)
    theirs = diffusers.DPMSolverMultistepScheduler.from_config(dict(SD1_CONFIG), use_karras_sigmas=True)
    ours.set_timesteps(12)
    theirs.set_timesteps(12)
    assert torch.allclose(ours.sigmas, theirs.sigmas, rtol=1e-4)
    assert torch.allclose(ours.timesteps, theirs.timesteps.float(), atol=0.51)  # theirs are rounded


def test_ddim_over_levels_of_ours_is_diffusers_where_both_can() -> None:
    config = {**SD1_CONFIG, "set_alpha_to_one": True}
    ours = sample(make_scheduler(config, SchedulerName.DDIM, NoiseSchedule.DDIM_UNIFORM, warn=Warnings()), 10)
    theirs = sample(make_scheduler(config, SchedulerName.DDIM, warn=Warnings()), 10)
    # Latents of both start from the same noise; ours are scaled up by the first sigma, as Euler's.
    assert float((ours.latents - theirs.latents).abs().mean()) < 0.01


def test_our_third_order_solver_is_nearer_to_the_truth_than_that_of_diffusers() -> None:
    theirs = diffusers.DPMSolverMultistepScheduler.from_config(
        dict(SD1_CONFIG), algorithm_type="sde-dpmsolver++", solver_order=3, use_exponential_sigmas=True
    )
    ours = of_sd1(SchedulerName.DPMPP_3M_SDE, NoiseSchedule.EXPONENTIAL)
    off = [abs(float(sample(scheduler, 30, size=160).latents.std()) - SPREAD) for scheduler in (ours, theirs)]
    assert off[0] < off[1] / 2


# Noise schedules


@SCHEDULES
@ALL
def test_every_sampler_takes_every_schedule_or_says_that_it_does_not(
    name: SchedulerName, schedule: NoiseSchedule, warn: Warnings
) -> None:
    scheduler = make_scheduler(SD1_CONFIG, name, schedule, warn=warn)
    latents = sample(scheduler, 6).latents
    assert torch.isfinite(latents).all()
    plain = of_sd1(name)
    is_unchanged = torch.allclose(latents, sample(plain, 6).latents, atol=1e-4)
    # The own spacing of a sampler may happen to be the one that was named.
    is_same = torch.allclose(scheduler.timesteps.float(), plain.timesteps.float())
    if "noise_schedule_unused" in warn.codes or not is_same:
        assert is_unchanged == ("noise_schedule_unused" in warn.codes)


@pytest.mark.parametrize("name", EXACT)
def test_no_two_schedules_sample_the_same(name: SchedulerName) -> None:
    made = []
    # Told to be run as another.
    schedules = [schedule for schedule in NoiseSchedule if schedule is not NoiseSchedule.EDM]
    for schedule in schedules:
        warn = Warnings()
        latents = sample(make_scheduler(SD1_CONFIG, name, schedule, warn=warn), 6).latents
        if not warn.codes:
            assert not any(torch.equal(latents, other) for other in made), schedule
            made.append(latents)
    assert len(made) == (2 if name is SchedulerName.PNDM else len(schedules))


def test_align_your_steps_takes_the_table_of_the_family() -> None:
    made = [
        make_scheduler(
            SD1_CONFIG, SchedulerName.EULER, NoiseSchedule.ALIGN_YOUR_STEPS, warn=Warnings(), is_sdxl=is_sdxl
        )
        for is_sdxl in (False, True)
    ]
    for scheduler in made:
        scheduler.set_timesteps(10)
    assert float(made[0].sigmas[1]) == pytest.approx(6.475)
    assert float(made[1].sigmas[1]) == pytest.approx(6.315)


def test_the_smallest_level_is_left_out_for_those_that_make_too_much_of_it() -> None:
    plain, dpm_2, uni_pc = (
        of_sd1(name, NoiseSchedule.KARRAS) for name in (SchedulerName.EULER, SchedulerName.DPM_2, SchedulerName.UNI_PC)
    )
    for scheduler in (plain, dpm_2, uni_pc):
        scheduler.set_timesteps(8)
    smallest = float(training_sigmas(plain)[0])
    assert float(plain.sigmas[-2]) == pytest.approx(smallest)
    assert float(dpm_2.sigmas[-2]) > 2 * smallest
    assert float(uni_pc.sigmas[-2]) > 2 * smallest
    assert len(uni_pc.timesteps) == 8


# The model's own


def test_without_names_the_scheduler_is_the_stock_one_of_the_model(warn: Warnings) -> None:
    scheduler = make_scheduler(SD1_CONFIG, warn=warn)
    assert type(scheduler) is diffusers.PNDMScheduler
    assert not warn.codes
    known = {key: value for key, value in SD1_CONFIG.items() if key in scheduler.config}
    assert {key: scheduler.config[key] for key in known} == known


def test_the_models_own_sampler_takes_a_schedule(warn: Warnings) -> None:
    config = {**SD1_CONFIG, "_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "sde-dpmsolver++"}
    scheduler = make_scheduler(config, None, NoiseSchedule.KARRAS, warn=warn)
    scheduler.set_timesteps(5)
    assert isinstance(scheduler, diffusers.DPMSolverMultistepScheduler)
    assert scheduler.config.algorithm_type == "sde-dpmsolver++"
    assert float(scheduler.sigmas[1]) == pytest.approx(noise_level(NoiseSchedule.KARRAS, scheduler, 5, 1), rel=1e-5)
    assert not warn.codes


def noise_level(schedule: NoiseSchedule, scheduler: Any, steps: int, index: int) -> float:
    other = of_sd1(SchedulerName.EULER, schedule)
    other.set_timesteps(steps)
    assert np.allclose(training_sigmas(other), training_sigmas(scheduler))
    return float(other.sigmas[index])


@pytest.mark.parametrize(
    "kind",
    ["LMSDiscreteScheduler", "DPMSolverSDEScheduler", "KDPM2DiscreteScheduler", "DEISMultistepScheduler"],
)
def test_own_samplers_that_need_other_packages_are_stood_in_for(kind: str, warn: Warnings) -> None:
    scheduler = make_scheduler({**SD1_CONFIG, "_class_name": kind}, warn=warn)
    assert torch.isfinite(sample(scheduler, 5).latents).all()
    assert not warn.codes


def test_a_config_that_asks_for_beta_levels_gets_them_without_scipy(warn: Warnings) -> None:
    config = {**SD1_CONFIG, "_class_name": "EulerDiscreteScheduler", "use_beta_sigmas": True}
    scheduler = make_scheduler(config, warn=warn)
    scheduler.set_timesteps(6)
    assert float(scheduler.sigmas[2]) == pytest.approx(noise_level(NoiseSchedule.BETA, scheduler, 6, 2))


def test_a_config_with_levels_of_its_own_gives_way_to_a_named_schedule() -> None:
    config = {**SD1_CONFIG, "_class_name": "EulerDiscreteScheduler", "use_karras_sigmas": True}
    own = make_scheduler(config, SchedulerName.EULER, warn=Warnings())
    named = make_scheduler(config, SchedulerName.EULER, NoiseSchedule.EXPONENTIAL, warn=Warnings())
    for scheduler in (own, named):
        scheduler.set_timesteps(6)
    assert own.config.use_karras_sigmas
    assert float(named.sigmas[2]) == pytest.approx(noise_level(NoiseSchedule.EXPONENTIAL, named, 6, 2))


def test_a_model_with_a_sampler_of_its_own_kind_keeps_it_and_says_so(warn: Warnings) -> None:
    config = config_of("EDMEulerScheduler", prediction_type="v_prediction", sigma_data=0.5)
    scheduler = make_scheduler(config, SchedulerName.DPMPP_2M, NoiseSchedule.KARRAS, warn=warn)
    assert type(scheduler) is diffusers.EDMEulerScheduler
    assert warn.codes == ["sampler_not_for_model", "noise_schedule_unused"]


@pytest.mark.parametrize("kind", ["EDMEulerScheduler", "EDMDPMSolverMultistepScheduler"])
def test_edm_levels_are_those_of_models_trained_so_and_karras_for_others(kind: str, warn: Warnings) -> None:
    config = config_of(kind, sigma_data=0.5, sigma_max=80.0, sigma_schedule="exponential")
    scheduler = make_scheduler(config, None, NoiseSchedule.EDM, warn=warn)
    scheduler.set_timesteps(5)
    roots = [120 ** (1 / 7) + i / 4 * (0.002 ** (1 / 7) - 120 ** (1 / 7)) for i in range(5)]
    assert [float(sigma) for sigma in scheduler.sigmas[:5]] == pytest.approx([root**7 for root in roots], rel=1e-4)
    assert warn.codes == []
    other = make_scheduler(SD1_CONFIG, SchedulerName.EULER, NoiseSchedule.EDM, warn=warn)
    karras = of_sd1(SchedulerName.EULER, NoiseSchedule.KARRAS)
    for each in (other, karras):
        each.set_timesteps(5)
    assert torch.equal(other.sigmas, karras.sigmas)
    assert warn.codes == ["approximated_schedule"]


def test_flow_names_are_not_for_models_trained_on_betas(warn: Warnings) -> None:
    scheduler = make_scheduler(SD1_CONFIG, SchedulerName.FLOW_EULER, warn=warn)
    assert type(scheduler) is diffusers.PNDMScheduler
    assert warn.codes == ["sampler_not_for_model"]


def test_terminal_signal_to_noise_of_zero_is_kept() -> None:
    scheduler = of_sd1(SchedulerName.EULER, NoiseSchedule.TRAILING, rescale_betas_zero_snr=True)
    scheduler.set_timesteps(4)
    assert float(scheduler.sigmas[0]) > 1000


# Other parameters


def test_eta_adds_noise_to_ddim_with_and_without_a_schedule() -> None:
    for schedule in (None, NoiseSchedule.KARRAS):
        plain, noisy = (sample(of_sd1(SchedulerName.DDIM, schedule), 10, eta=eta) for eta in (0.0, 1.0))
        assert not torch.allclose(plain.latents, noisy.latents, atol=0.1)


def test_eta_is_the_samplers_own_unless_asked_for(warn: Warnings) -> None:
    assert eta_for(of_sd1(SchedulerName.DDIM), None, warn=warn) == 0.0
    assert eta_for(of_sd1(SchedulerName.TCD), None, warn=warn) == pytest.approx(0.3)
    assert eta_for(of_sd1(SchedulerName.TCD, NoiseSchedule.SGM_UNIFORM), 0.7, warn=warn) == 0.7
    assert not warn.codes
    assert eta_for(of_sd1(SchedulerName.EULER), 0.7, warn=warn) == 0.0
    assert warn.codes == ["eta_unused"]


@pytest.mark.parametrize("name", [SchedulerName.LCM, SchedulerName.TCD])
def test_distilled_samplers_take_more_steps_than_their_list_has(name: SchedulerName) -> None:
    scheduler = of_sd1(name)
    scheduler.set_timesteps(60)
    assert total_steps(scheduler) == 60


def test_a_finished_jobs_scheduler_is_freed_without_the_garbage_collector() -> None:
    scheduler = of_sd1(SchedulerName.DPMPP_SDE, NoiseSchedule.KARRAS)
    sample(scheduler, 3)
    gone = weakref.ref(scheduler)
    gc.disable()
    try:
        del scheduler
        assert gone() is None
    finally:
        gc.enable()


def test_configs_read_from_json_are_taken_as_they_are() -> None:
    config = json.loads(json.dumps(SD1_CONFIG))
    before = dict(config)
    make_scheduler(config, SchedulerName.DEIS, NoiseSchedule.BETA, warn=Warnings())
    assert config == before
