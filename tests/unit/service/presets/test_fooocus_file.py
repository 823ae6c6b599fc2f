"""What each entry of a preset of Fooocus gives, and what of it gives nothing."""

import pytest

from protocol.requests import TASKS, TaskName
from service.presets.fooocus_file import contents_of

WHOLE = {
    "default_model": "animated.safetensors",
    "previous_default_models": ["older.safetensors", "animated.safetensors", "None"],
    "default_refiner": "finer.safetensors",
    "default_refiner_switch": 0.6,
    "default_loras": [[True, "ink.safetensors", 0.3], [False, "off", 1.0], [True, "None", 1.0], ["old", 0.7]],
    "default_cfg_scale": 6.5,
    "default_clip_skip": 3,
    "default_sampler": "dpmpp_2m_sde_gpu",
    "default_scheduler": "karras",
    "default_performance": "Extreme Speed",
    "default_prompt": "",
    "default_prompt_negative": "blurred",
    "default_aspect_ratio": "896*1152",
    "default_overwrite_step": 12,
    "default_vae": "clear.safetensors",
    "default_image_number": 3,
    "checkpoint_downloads": {"animated.safetensors": "https://example.org/animated.safetensors"},
}


def test_every_entry_gives_the_parameter_it_means() -> None:
    contents = contents_of(WHOLE)
    assert contents.problem is None
    assert contents.models == ("animated.safetensors", "older.safetensors")
    assert contents.unused == ()
    assert contents.params == {
        "refiner": "finer.safetensors",
        "refiner_start": 0.6,
        "refiner_start_by": "steps",
        "loras": [{"name": "ink.safetensors", "weight": 0.3}, {"name": "old", "weight": 0.7}],
        "guidance_scale": 6.5,
        "clip_skip": 1,
        "scheduler": "dpmpp_2m_sde",
        "noise_schedule": "karras",
        "performance": "extreme_speed",
        "negative_prompt": "blurred",
        "width": 896,
        "height": 1152,
        "steps": 12,
        "vae": "clear.safetensors",
        "images": 3,
    }


@pytest.mark.parametrize(
    ("name", "value", "parameter", "given"),
    [
        ("default_sample_sharpness", 4.0, "sharpness", 4.0),
        ("default_cfg_tsnr", 5, "adaptive_guidance", 5.0),
        ("default_styles", ["Fooocus V2", "SAI Anime"], "styles", ["Fooocus V2", "SAI Anime"]),
    ],
)
def test_what_guides_and_words_a_picture_is_given_too(name: str, value: object, parameter: str, given: object) -> None:
    known = parameter in TASKS[TaskName.TEXT_TO_IMAGE].params.model_fields
    assert contents_of({name: value}).params == ({parameter: given} if known else {})


@pytest.mark.parametrize(
    "entry",
    [
        {"default_vae": "Default (model)"},
        {"default_refiner": "None", "default_refiner_switch": 0.5},
        {"default_refiner_switch": 0.5},
        {"default_overwrite_step": -1},
        {"default_overwrite_switch": -1},
        {"default_loras": [[True, "None", 1.0]]},
        {"default_prompt": ""},
        {"default_cfg_tsnr": 0},
    ],
)
def test_an_entry_that_stands_for_nothing_gives_nothing_and_is_no_fault(entry: dict[str, object]) -> None:
    contents = contents_of(entry)
    assert contents.params == {}
    assert contents.unused == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("default_inpaint_engine_version", "v2.6"),
        ("default_sampler", "wobbly"),
        ("default_scheduler", "wobbly"),
        ("default_performance", "Ludicrous"),
        ("default_aspect_ratio", "wide"),
        ("default_loras", "ink"),
        ("default_loras", [["ink"]]),
        ("default_loras", [[True, "ink", "much"]]),
        ("default_styles", "SAI Anime"),
        ("default_cfg_scale", "7"),
        ("default_cfg_scale", True),
        ("default_vae", 3),
        ("default_prompt", None),
        ("default_overwrite_switch", 20),
        ("colour", "blue"),
    ],
)
def test_what_means_nothing_here_is_named_and_the_rest_counts(name: str, value: object) -> None:
    contents = contents_of({"default_image_number": 2, name: value})
    assert contents.unused == (name,)
    assert contents.params == {"images": 2}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"default_cfg_scale": 5000.0}, "guidance_scale: expected"),
        ({"default_loras": [[True, "ink", 9.0]]}, "loras"),
        ({"default_aspect_ratio": "8192*8192"}, "width: expected"),
    ],
)
def test_a_value_out_of_range_is_the_problem_of_the_preset(entry: dict[str, object], said: str) -> None:
    assert said in (contents_of(entry).problem or "")


@pytest.mark.parametrize(
    ("schedule", "ours"),
    [("turbo", "turbo"), ("edm_playground_v2.5", "edm"), ("lcm", "lcm"), ("tcd", "lcm"), ("normal", "normal")],
)
def test_schedules_of_other_names_are_those_of_ours(schedule: str, ours: str) -> None:
    assert contents_of({"default_scheduler": schedule}).params == {"noise_schedule": ours}


@pytest.mark.parametrize("size", ["1152*896", "1152×896", "1152×896 <span>9:7</span>"])
def test_a_size_is_read_as_fooocus_writes_and_shows_it(size: str) -> None:
    assert contents_of({"default_aspect_ratio": size}).params == {"width": 1152, "height": 896}
