import pytest

from protocol.sampling import NoiseSchedule, SchedulerName
from service.dialects.fooocus.samplers import SAMPLERS, SCHEDULES, sampling


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_has_one_of_ours(name: str) -> None:
    found = sampling(name, "karras")
    assert found.scheduler.value == name.removesuffix("_gpu")
    assert found.notes == ()


def test_all_24_samplers_and_11_schedulers_are_there() -> None:
    assert (len(SAMPLERS), len(SCHEDULES)) == (24, 11)
    otherwise = {"tcd": NoiseSchedule.LCM, "edm_playground_v2.5": NoiseSchedule.EDM}
    for name, schedule in SCHEDULES.items():
        assert schedule is (otherwise[name] if name in otherwise else NoiseSchedule(name))


def test_the_documents_names_for_the_defaults_are_them_without_a_warning() -> None:
    assert sampling("default_sampler", "default_scheduler") == sampling("dpmpp_2m_sde_gpu", "karras")


def test_names_that_are_not_known_stand_for_the_defaults_and_say_so() -> None:
    found = sampling("best", "fastest")
    assert (found.scheduler, found.noise_schedule) == (SchedulerName.DPMPP_2M_SDE, NoiseSchedule.KARRAS)
    assert [note.message for note in found.notes] == [
        "sampler_name: there is no 'best'; dpmpp_2m_sde_gpu was taken instead",
        "scheduler_name: there is no 'fastest'; karras was taken instead",
    ]
