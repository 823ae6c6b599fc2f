"""A module's methods as calls that a job waits for."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from accelerate.hooks import ModelHook, add_hook_to_module, remove_hook_from_module
from diffusers import AutoencoderKL
from diffusers.models.controlnets.multicontrolnet import MultiControlNetModel
from torch import Tensor, nn

from engine.diffusion.intercepted import intercept_components, intercept_forward, intercept_method
from engine.diffusion.scope import NO_ADAPTERS, AdapterState, JobScope, job_scope, switch_adapters
from engine.interface import DONE, Call, JobClosed, OutOfMemory, Where
from engine.steps import GreenletJob
from tests import tiny_models
from tests.unit.engine.diffusion.tiny_pipelines import Eager


class Doubler(nn.Module):
    """Doubles, and counts; `offset` is what adapters change."""

    def __init__(self) -> None:
        super().__init__()
        self.runs = 0
        self.offset = 0

    def forward(self, sample: Tensor, timestep: float = 0.0, *, scale: float = 2.0) -> Tensor:
        self.runs += 1
        return sample * scale + self.offset

    def decode(self, sample: Tensor) -> Tensor:
        return self(sample) + 1


class Outer(nn.Module):
    """Calls another module."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, sample: Tensor) -> Any:
        return self.inner(sample)


SAMPLE = torch.ones(2, 3)


def job(work: Callable[[], object], scope: JobScope | None = None, got: list[Any] | None = None) -> GreenletJob:
    def scoped() -> None:
        with job_scope(scope or JobScope()):
            result = work()
        if got is not None:
            got.append(result)

    return GreenletJob(scoped)


def waits_for(work: Callable[[], object], scope: JobScope | None = None) -> Call:
    call = job(work, scope).resume()
    assert isinstance(call, Call)
    return call


def test_outside_of_jobs_an_intercepted_module_just_runs() -> None:
    module = Doubler()
    intercept_forward(module, stage="denoise", group=True)
    assert module(SAMPLE).tolist() == (SAMPLE * 2).tolist()


def test_inside_a_job_nothing_runs_before_the_call_is_run() -> None:
    module, got = Doubler(), []
    intercept_forward(module, stage="denoise", group=True)
    waiting = job(lambda: module(SAMPLE), got=got)
    call = waiting.resume()
    assert isinstance(call, Call)
    assert (call.stage, call.where, module.runs) == ("denoise", Where.DEVICE, 0)
    assert waiting.resume(call.run()) is DONE
    assert module.runs == 1
    assert torch.equal(got[0], SAMPLE * 2)


def test_a_greenlet_that_is_no_job_of_ours_just_runs() -> None:
    module, got = Doubler(), []
    intercept_forward(module, stage="denoise", group=True)
    assert GreenletJob(lambda: got.append(module(SAMPLE))).resume() is DONE
    assert len(got) == 1


def test_each_job_has_its_own_scope() -> None:
    module = Doubler()
    intercept_forward(module, stage="denoise", group=True)
    first = job(lambda: module(SAMPLE), JobScope(deadline_s=1.0))
    second = job(lambda: module(SAMPLE), JobScope(deadline_s=2.0, deterministic=True))
    calls = [first.resume(), second.resume()]
    assert [call.deadline_s for call in calls if isinstance(call, Call)] == [1.0, 2.0]
    assert [call.group is None for call in calls if isinstance(call, Call)] == [False, True]
    # Both are under way here, outside of them.
    assert torch.equal(module(SAMPLE), SAMPLE * 2)


def test_what_is_thrown_into_a_job_comes_out_of_the_call() -> None:
    module = Doubler()
    intercept_forward(module, stage="denoise", group=True)
    cleaned: list[str] = []

    def work() -> None:
        try:
            module(SAMPLE)
        finally:
            cleaned.append("up")

    waiting = job(work)
    waiting.resume()
    with pytest.raises(JobClosed):
        waiting.resume(error=JobClosed())
    assert cleaned == ["up"]


def test_calls_are_of_one_group_however_the_arguments_are_spelt() -> None:
    module = Doubler()
    intercept_forward(module, stage="denoise", group=True)
    spellings = [
        lambda: module(SAMPLE),
        lambda: module(sample=SAMPLE[:1], timestep=7),
        lambda: module(SAMPLE, torch.tensor(3.5), scale=2.0),
    ]
    calls = [waits_for(each) for each in spellings]
    assert calls[0].group == calls[1].group == calls[2].group
    assert len({call.group for call in calls}) == 1
    assert waits_for(lambda: module(SAMPLE, scale=3.0)).group != calls[0].group
    assert waits_for(lambda: module(SAMPLE.double())).group != calls[0].group


def test_calls_of_two_modules_are_of_two_groups() -> None:
    one, other = Doubler(), Doubler()
    for module in (one, other):
        intercept_forward(module, stage="denoise", group=True)
    assert waits_for(lambda: one(SAMPLE)).group != waits_for(lambda: other(SAMPLE)).group


def test_a_group_gives_each_call_its_rows_and_runs_once() -> None:
    module = Doubler()
    intercept_forward(module, stage="denoise", group=True, pace=Eager)
    calls = [waits_for(lambda rows=rows: module(torch.full((rows, 3), float(rows)))) for rows in (1, 2)]
    assert calls[0].group is not None
    first, second = calls[0].group.run([call.payload for call in calls])
    assert first.tolist() == [[2, 2, 2]]
    assert second.tolist() == [[4, 4, 4]] * 2
    assert module.runs == 1


def test_calls_alone_and_together_tell_how_long_they_took() -> None:
    class Pace(Eager):
        def record(self, rows: int, seconds: float) -> None:
            assert seconds > 0
            recorded.append(rows)

        def fail(self, rows: int) -> None:
            failed.append(rows)

    recorded: list[int] = []
    failed: list[int] = []
    module = Doubler()
    intercept_forward(module, stage="denoise", group=True, pace=Pace)
    call = waits_for(lambda: module(SAMPLE))
    call.run()
    assert call.group is not None
    call.group.run([call.payload] * 3)
    assert recorded == [2, 6]
    module.offset = "nothing to add"  # type: ignore[assignment] # so that it raises
    with pytest.raises(TypeError):
        call.group.run([call.payload] * 3)
    assert (recorded, failed) == ([2, 6], [6])


def test_a_group_makes_several_forwards_of_calls_with_more_rows_than_one_should_take() -> None:
    class Few:
        def most_rows(self, rows: int) -> int:
            return 4

        def record(self, rows: int, seconds: float) -> None:
            recorded.append(rows)

        def fail(self, rows: int) -> None:
            raise AssertionError

    recorded: list[int] = []
    module = Doubler()
    intercept_forward(module, stage="denoise", group=True, pace=Few)
    sizes = (1, 2, 2, 3)
    calls = [waits_for(lambda rows=rows: module(torch.full((rows, 3), float(rows)))) for rows in sizes]
    assert calls[0].group is not None
    assert [call.group.limit for call in calls if call.group is not None] == [4, 2, 2, 1]
    results = calls[0].group.run([call.payload for call in calls])
    assert [result.tolist() for result in results] == [[[2.0 * rows] * 3] * rows for rows in sizes]
    assert recorded == [3, 2, 3]


def test_a_device_that_works_on_its_own_is_waited_for_alone_and_in_a_group() -> None:
    waited: list[str] = []
    module = Doubler()
    intercept_forward(module, stage="denoise", group=True, wait=lambda: waited.append("done"))
    call = waits_for(lambda: module(SAMPLE))
    call.run()
    assert waited == ["done"]
    assert call.group is not None
    call.group.run([call.payload])
    assert waited == ["done", "done"]


def test_undoing_leaves_the_module_as_it_was_found() -> None:
    module = Doubler()
    before = dict(vars(module))
    interception = intercept_forward(module, stage="denoise", group=True)
    assert "forward" in vars(module)
    interception.undo()
    assert vars(module) == before
    assert job(lambda: module(SAMPLE)).resume() is DONE


def test_undoing_brings_back_a_forward_of_the_instance() -> None:
    module = Doubler()
    vars(module)["forward"] = theirs = lambda sample: sample + 7
    intercept_forward(module, stage="denoise", group=True).undo()
    assert vars(module)["forward"] is theirs


def test_hooks_that_were_there_run_inside_the_call_and_survive() -> None:
    class Hook(ModelHook):  # type: ignore[misc] # accelerate is untyped
        def pre_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            hooked.append("before")
            return args, kwargs

    hooked: list[str] = []
    module = Doubler()
    add_hook_to_module(module, Hook())
    interception = intercept_forward(module, stage="denoise", group=True)
    call = waits_for(lambda: module(SAMPLE))
    assert hooked == []
    call.run()
    assert hooked == ["before"]
    assert call.group is not None
    interception.undo()
    module(SAMPLE)
    assert hooked == ["before", "before"]
    remove_hook_from_module(module)


def test_undoing_beneath_a_later_hook_lets_the_hook_stay() -> None:
    module = Doubler()
    interception = intercept_forward(module, stage="denoise", group=True)
    add_hook_to_module(module, ModelHook())
    interception.undo()
    assert job(lambda: module(SAMPLE)).resume() is DONE
    intercept_forward(module, stage="denoise", group=True)
    assert waits_for(lambda: module(SAMPLE)).stage == "denoise"


def test_a_module_is_not_intercepted_twice() -> None:
    module = Doubler()
    intercept_forward(module, stage="denoise", group=True)
    with pytest.raises(ValueError, match="intercepted already"):
        intercept_forward(module, stage="denoise", group=True)


def test_what_runs_inside_a_call_makes_no_calls_of_its_own() -> None:
    inner = Doubler()
    outer = Outer(inner)
    intercept_forward(inner, stage="control", group=True)
    intercept_forward(outer, stage="denoise", group=True)
    waiting = job(lambda: outer(SAMPLE))
    call = waiting.resume()
    assert isinstance(call, Call)
    assert call.stage == "denoise"
    assert waiting.resume(call.run()) is DONE
    assert inner.runs == 1


def test_other_methods_are_calls_without_a_group() -> None:
    module, got = Doubler(), []
    interception = intercept_method(module, "decode", stage="decode")
    waiting = job(lambda: module.decode(SAMPLE), got=got)
    call = waiting.resume()
    assert isinstance(call, Call)
    assert (call.stage, call.group) == ("decode", None)
    waiting.resume(call.run())
    assert torch.equal(got[0], SAMPLE * 2 + 1)
    interception.undo()
    assert "decode" not in vars(module)


def test_a_forward_that_hides_its_arguments_is_a_call_without_a_group() -> None:
    class Anything(nn.Module):
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            return args[0]

    module = Anything()
    intercept_forward(module, stage="denoise", group=True)
    assert waits_for(lambda: module(SAMPLE)).group is None


def test_times_are_kept_for_the_shapes_that_came_last() -> None:
    made: list[object] = []

    class Counted:
        def __init__(self) -> None:
            made.append(self)

    module = Doubler()
    intercept_forward(module, stage="denoise", group=True, pace=Counted)
    for width in (*range(1, 80), 79, 50):
        waits_for(lambda width=width: module(torch.ones(2, width)))
    assert len(made) == 79
    waits_for(lambda: module(torch.ones(2, 1)))
    assert len(made) == 80


# ---- the components of a pipeline -----------------------------------------------------------------------------------


def stages(work: Callable[[], object]) -> list[str]:
    """What the calls of a job are named."""
    waiting = job(work)
    names = []
    value: object = None
    while isinstance(call := waiting.resume(value), Call):
        names.append(call.stage)
        value = call.run()
    return names


@pytest.fixture
def vae() -> AutoencoderKL:
    with tiny_models.seeded(0):
        made = tiny_models.make_vae()
    made.tile_sample_min_size, made.tile_latent_min_size = 32, 4
    return made


def test_a_vae_is_one_call_or_one_for_each_of_its_tiles(vae: AutoencoderKL) -> None:
    latents = torch.zeros(1, 4, 6, 6)
    whole = vae.decode(latents, return_dict=False)[0]
    intercept_components({"vae": vae})
    assert stages(lambda: vae.decode(latents)) == ["decode"]
    assert stages(lambda: vae.encode(torch.zeros(1, 3, 32, 32))) == ["encode"]
    vae.enable_tiling()
    assert stages(lambda: vae.decode(latents)) == ["decode"] * 4
    assert stages(lambda: vae.encode(torch.zeros(1, 3, 48, 48))) == ["encode"] * 4
    vae.disable_tiling()
    assert torch.equal(vae.decode(latents, return_dict=False)[0], whole)


def test_a_picture_cut_into_tiles_is_the_same_between_other_jobs(vae: AutoencoderKL) -> None:
    vae.enable_tiling()
    latents = [torch.randn(1, 4, 6, 6, generator=torch.Generator().manual_seed(at)) for at in range(2)]
    expected = [vae.decode(each, return_dict=False)[0] for each in latents]
    intercept_components({"vae": vae})
    got: list[Tensor] = []
    jobs = [job(lambda each=each: vae.decode(each, return_dict=False)[0], got=got) for each in latents]
    calls = [each.resume() for each in jobs]
    while calls[0] is not DONE:
        calls = [each.resume(call.run()) for each, call in zip(jobs, calls, strict=True) if isinstance(call, Call)]
    assert all(torch.equal(*pair) for pair in zip(got, expected, strict=True))


def test_a_vae_that_keeps_something_between_its_tiles_is_one_call() -> None:
    class AutoencoderKLVideo(AutoencoderKL):  # type: ignore[misc] # diffusers is untyped
        pass

    vae = AutoencoderKLVideo(block_out_channels=(8,), norm_num_groups=4, sample_size=32)
    vae.enable_tiling()
    intercept_components({"vae": vae})
    assert stages(lambda: vae.decode(torch.zeros(1, 4, 40, 40))) == ["decode"]


def test_of_several_controlnets_each_is_a_call() -> None:
    nets = MultiControlNetModel([tiny_models.make_controlnet(1), tiny_models.make_controlnet(2)])
    intercept_components({"controlnet": nets})
    text, pictures = torch.zeros(1, 77, 16), [torch.zeros(1, 3, 64, 64)] * 2
    assert stages(lambda: nets(torch.zeros(1, 4, 8, 8), 5, text, pictures, [1.0, 1.0])) == ["control"] * 2


def test_every_expensive_component_is_intercepted_and_given_back() -> None:
    model = tiny_models.make_sd1()
    components = {**model.components, "controlnet": tiny_models.make_controlnet()}
    before = {name: dict(vars(each)) for name, each in components.items() if isinstance(each, nn.Module)}
    made = intercept_components(components)
    model.set_progress_bar_config(disable=True)
    seen = stages(lambda: model("a b", num_inference_steps=2, height=64, width=64, output_type="pt"))
    assert seen == ["prompt", "prompt", "denoise", "denoise", "decode"]
    for each in made:
        each.undo()
    assert all(vars(components[name]) == found for name, found in before.items())


# ---- adapters -------------------------------------------------------------------------------------------------------


def shift(by: int, told: list[str]) -> AdapterState:
    def activate(module: nn.Module) -> None:
        told.append(f"+{by}")
        module.offset += by  # type: ignore[operator,assignment] # of a Doubler

    def deactivate(module: nn.Module) -> None:
        told.append(f"-{by}")
        module.offset -= by  # type: ignore[operator,assignment] # likewise

    return AdapterState(("shift", by), activate, deactivate)


def test_adapters_are_switched_between_calls_and_only_then() -> None:
    module, told = Doubler(), []
    intercept_forward(module, stage="denoise", group=True)
    one, other = shift(10, told), shift(100, told)

    def run(state: AdapterState) -> float:
        return float(waits_for(lambda: module(SAMPLE), JobScope(adapters=state)).run()[0, 0])

    assert [run(state) for state in (one, one, other, NO_ADAPTERS, one)] == [12, 12, 102, 2, 12]
    assert told == ["+10", "-10", "+100", "-100", "+10"]
    assert run(shift(10, told)) == 12
    assert len(told) == 5


def test_no_adapter_is_left_behind_for_what_runs_outside_of_jobs() -> None:
    module = Doubler()
    intercept_forward(module, stage="denoise", group=True)
    waits_for(lambda: module(SAMPLE), JobScope(adapters=shift(10, []))).run()
    assert module(SAMPLE)[0, 0] == 2


def test_calls_under_other_adapters_are_of_another_group() -> None:
    module = Doubler()
    intercept_forward(module, stage="denoise", group=True)
    scopes = [JobScope(adapters=shift(by, [])) for by in (10, 10, 100)]
    groups = [waits_for(lambda: module(SAMPLE), scope).group for scope in scopes]
    assert groups[0] == groups[1] != groups[2]
    assert groups[0] != waits_for(lambda: module(SAMPLE)).group


def test_a_group_runs_under_its_adapters() -> None:
    module = Doubler()
    intercept_forward(module, stage="denoise", group=True)
    call = waits_for(lambda: module(SAMPLE), JobScope(adapters=shift(10, [])))
    module(SAMPLE)
    assert call.group is not None
    (result,) = call.group.run([call.payload])
    assert result[0, 0] == 12


def test_what_runs_inside_a_call_has_the_adapters_of_its_job() -> None:
    inner = Doubler()
    outer = Outer(inner)
    intercept_forward(inner, stage="control", group=True)
    intercept_forward(outer, stage="denoise", group=True)
    outer.offset = 0  # type: ignore[assignment] # adapters are laid over both
    state = shift(5, [])
    assert waits_for(lambda: outer(SAMPLE), JobScope(adapters=state)).run()[0, 0] == 7


def test_an_adapter_that_cannot_be_laid_over_leaves_the_module_bare() -> None:
    module, told = Doubler(), []
    intercept_forward(module, stage="denoise", group=True)

    def fail(_module: nn.Module) -> None:
        raise RuntimeError("no such adapter")

    waits_for(lambda: module(SAMPLE), JobScope(adapters=shift(10, told))).run()
    broken = JobScope(adapters=AdapterState("broken", fail, fail))
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no such adapter"):
            waits_for(lambda: module(SAMPLE), broken).run()
    assert told == ["+10", "-10"]
    assert module(SAMPLE)[0, 0] == 2


def test_an_adapter_is_taken_off_before_its_weights_go() -> None:
    module, told = Doubler(), []
    switch_adapters(module, shift(10, told))
    switch_adapters(module, NO_ADAPTERS)
    switch_adapters(module, NO_ADAPTERS)
    assert told == ["+10", "-10"]


# ---- running out of memory ---------------------------------------------------------------------------------------


def test_a_forward_that_ran_out_of_memory_is_made_again_row_by_row() -> None:
    module = tiny_models.make_unet().eval()
    sample, states = torch.randn(2, 4, 8, 8), torch.randn(2, 5, tiny_models.HIDDEN)
    wanted = module(sample, 7, encoder_hidden_states=states).sample
    intercept_forward(module, stage="denoise", group=True)
    got: list[Any] = []
    running = job(lambda: module(sample, 7, encoder_hidden_states=states).sample, got=got)
    running.resume()
    again = running.resume(error=OutOfMemory("the caches are free now"))
    assert isinstance(again, Call)
    assert again.group is None
    assert running.resume(again.run()) is DONE
    assert got[0].shape == wanted.shape
    assert torch.allclose(got[0], wanted, atol=1e-5)


def test_a_forward_of_one_row_cannot_be_made_smaller() -> None:
    module = Doubler()
    intercept_forward(module, stage="denoise", group=True)
    running = job(lambda: module(SAMPLE[:1]))
    running.resume()
    with pytest.raises(OutOfMemory):
        running.resume(error=OutOfMemory("still none"))


def test_a_decode_that_ran_out_of_memory_is_made_again_in_tiles_for_this_job_alone() -> None:
    vae: Any = AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=4,
        sample_size=16,
    ).eval()
    latents = torch.randn(1, 4, 16, 16)
    vae.enable_tiling()
    wanted = vae.decode(latents).sample
    vae.disable_tiling()
    whole = vae.decode(latents).sample
    intercept_components({"vae": vae})
    got: list[Any] = []
    running = job(lambda: vae.decode(latents).sample, got=got)
    running.resume()
    again = running.resume(error=OutOfMemory("the caches are free now"))
    assert isinstance(again, Call)
    assert running.resume(again.run()) is DONE
    assert torch.equal(got[0], wanted)
    assert not torch.equal(wanted, whole)
    assert not vae.use_tiling


def test_a_job_may_change_what_its_own_forwards_are_given_and_what_comes_of_them() -> None:
    module, got = Doubler(), []
    intercept_forward(module, stage="denoise", group=True)

    def tenfold(asked: nn.Module, given: Any, proceed: Any) -> Any:
        assert asked is module
        return proceed({**given, "sample": given["sample"] * 10})

    def plus_one(_asked: nn.Module, _given: Any, proceed: Any) -> Any:
        return proceed(_given) + 1

    waiting = job(lambda: module(SAMPLE, scale=3.0), JobScope(around=(plus_one, tenfold)), got)
    call = waiting.resume()
    assert isinstance(call, Call)
    assert module.runs == 0
    assert waiting.resume(call.run()) is DONE
    assert torch.equal(got[0], SAMPLE * 30 + 1)
    assert waits_for(lambda: module(SAMPLE, scale=3.0)).group == call.group, (
        "what is around a forward keeps others out of it"
    )


def test_a_job_may_ask_another_module_in_the_place_of_one() -> None:
    module, other, got = Doubler(), Doubler(), []
    for each in (module, other):
        intercept_forward(each, stage="denoise", group=True)
    scope = JobScope(around=(lambda asked, given, proceed: other(**given) if asked is module else proceed(given),))
    waiting = job(lambda: module(SAMPLE), scope, got)
    call = waiting.resume()
    assert isinstance(call, Call)
    assert waiting.resume(call.run()) is DONE
    assert (module.runs, other.runs) == (0, 1)
