"""Both schemes: what is written is read back, and reads as Fooocus and A1111 would read it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from protocol.recipes.a1111 import read_a1111, write_a1111
from protocol.recipes.fooocus import read_fooocus, write_fooocus
from protocol.recipes.recipe import Recipe, UsedFreeU, UsedLora, UsedSizeConditioning
from protocol.recipes.words import label_of, sampler_of
from protocol.sampling import NoiseSchedule, SchedulerName

WHOLE = Recipe(
    prompt='a cat,\n"in a hat": red',
    negative_prompt="dog",
    full_prompt=("a cat in a hat, photograph", "sharp"),
    full_negative_prompt=("dog", "blurred"),
    prompt_expansion="a cat, sharp",
    styles=("SAI Anime", "it's mine"),
    seed=2**63 - 1,
    width=1152,
    height=896,
    steps=30,
    guidance_scale=4.5,
    scheduler="dpmpp_2m_sde",
    noise_schedule="karras",
    performance="extreme_speed",
    sharpness=2.0,
    adaptive_guidance=7.0,
    size_conditioning=UsedSizeConditioning(positive=1.5, negative=0.8, end=0.3),
    freeu=UsedFreeU(b1=1.01, b2=1.02, s1=0.99, s2=0.95),
    clip_layer=2,
    model="juggernaut",
    model_hash="0123456789",
    vae="sharper",
    loras=(UsedLora(name="offset", weight=0.5, hash="abcdef0123"), UsedLora(name="a, b: c", weight=-1, hash="11")),
    refiner="refiner",
    refiner_hash="9876543210",
    refiner_start=0.8,
    refiner_swap="joint",
    upscaler="x4plus",
    upscale_factor=2.5,
    made_by="Safelight 1.2",
)
LEAST = Recipe(prompt="", negative_prompt="", guidance_scale=0.0, sharpness=0.0)


def test_a_document_of_fooocus_says_all_of_it() -> None:
    assert read_fooocus(write_fooocus(WHOLE)) == WHOLE


def test_a_text_of_a1111_says_all_of_it_but_the_single_texts() -> None:
    whole = WHOLE.model_copy(
        update={
            "full_prompt": ("a cat in a hat, photograph, sharp",),
            "full_negative_prompt": ("dog, blurred",),
            "prompt_expansion": None,
            "loras": WHOLE.loras[:1],
        }
    )
    assert read_a1111(write_a1111(whole)) == whole


def test_a_document_of_fooocus_is_sorted_ascii_and_has_what_fooocus_looks_for() -> None:
    text = write_fooocus(WHOLE.model_copy(update={"prompt": "une fête"}))
    assert text.isascii()
    told = json.loads(text)
    assert list(told) == sorted(told)
    assert told["prompt"] == "une fête"
    assert told["full_prompt"] == ["a cat in a hat, photograph", "sharp"]
    assert told["metadata_scheme"] == "fooocus"
    assert told["resolution"] == "(1152, 896)"
    assert told["adm_guidance"] == "(1.5, 0.8, 0.3)"
    assert told["freeu"] == "(1.01, 1.02, 0.99, 0.95)"
    assert told["seed"] == str(2**63 - 1)
    assert told["styles"] == "['SAI Anime', \"it's mine\"]"
    assert told["performance"] == "Extreme Speed"
    assert told["loras"][0] == ["offset", 0.5, "abcdef0123"]
    assert told["lora_combined_1"] == "offset : 0.5"
    assert (told["sampler"], told["scheduler"]) == ("dpmpp_2m_sde", "karras")
    assert (told["clip_skip"], told["adaptive_cfg"], told["refiner_swap_method"]) == (2, 7.0, "joint")


def test_a_document_without_the_occasional_has_the_rest() -> None:
    told = json.loads(write_fooocus(LEAST))
    assert told.keys() == {
        *("adm_guidance", "base_model", "base_model_hash", "full_negative_prompt", "full_prompt", "guidance_scale"),
        *("loras", "metadata_scheme", "negative_prompt", "prompt", "prompt_expansion", "refiner_model"),
        *("refiner_switch", "resolution", "sampler", "scheduler", "seed", "sharpness", "steps", "styles", "vae"),
        "version",
    }
    assert (told["refiner_model"], told["adm_guidance"]) == ("None", "(1, 1, 0)")


def test_a_text_of_a1111_is_prompt_negative_prompt_and_settings() -> None:
    prompt, negative, settings = write_a1111(WHOLE).split("\n")
    assert prompt == "a cat in a hat, photograph, sharp"
    assert negative == "Negative prompt: dog, blurred"
    assert settings.startswith(
        "Steps: 30, Sampler: DPM++ 2M SDE Karras, Seed: 9223372036854775807, Size: 1152x896, CFG scale: 4.5, "
        'Sharpness: 2, ADM Guidance: "(1.5, 0.8, 0.3)", Model: juggernaut, Model hash: 0123456789, '
        "Performance: Extreme Speed, Scheduler: karras, VAE: sharper, Raw prompt: "
    )
    assert 'Raw prompt: "a cat,\\n\\"in a hat\\": red", Raw negative prompt: dog' in settings
    assert settings.endswith(", Version: Safelight 1.2")


def test_a_text_of_the_web_interface_itself_is_read() -> None:
    found = read_a1111(
        "a cat,\nin a hat\nNegative prompt: dog,\nrat\nSteps: 20, Sampler: Euler a, Schedule type: SGM Uniform, "
        'CFG scale: 7, Seed: 42, Size: 512x768, Model hash: 6ce0161689, Model: v1-5, Lora hashes: "add: 12ab", '
        "Version: v1.9.4"
    )
    assert found is not None
    assert (found.prompt, found.negative_prompt) == ("a cat,\nin a hat", "dog,\nrat")
    assert (found.scheduler, found.noise_schedule) == ("euler_ancestral", "sgm_uniform")
    assert (found.steps, found.seed, found.width, found.height) == (20, 42, 512, 768)
    assert found.loras == (UsedLora(name="add", hash="12ab"),)


def test_a_document_of_an_older_fooocus_is_read_without_hashes() -> None:
    told = {"prompt": "x", "base_model": "m", "lora_combined_1": "offset : 0.1", "sampler": "dpmpp_2m_sde_gpu"}
    found = read_fooocus(json.dumps(told))
    assert found is not None
    assert found.loras == (UsedLora(name="offset", weight=0.1),)
    assert found.scheduler == "dpmpp_2m_sde"


@pytest.mark.parametrize("scheduler", SchedulerName)
@pytest.mark.parametrize("schedule", NoiseSchedule)
def test_every_sampler_and_noise_schedule_comes_back(scheduler: str, schedule: str) -> None:
    recipe = LEAST.model_copy(update={"scheduler": str(scheduler), "noise_schedule": str(schedule)})
    for found in (read_fooocus(write_fooocus(recipe)), read_a1111(write_a1111(recipe))):
        assert found is not None
        assert (found.scheduler, found.noise_schedule) == (scheduler, schedule)


def test_a_label_says_karras_where_the_sampler_has_it() -> None:
    assert label_of("dpmpp_2m", "karras") == "DPM++ 2M Karras"
    assert label_of("euler", "karras") == "Euler"
    assert sampler_of("DPM++ 2M Karras") == ("dpmpp_2m", "karras")


@pytest.mark.parametrize("text", ["", "a cat", "[1, 2]", "{}", '{"workflow": 1}', "[" * 100_000, '"x"', "null"])
def test_what_is_neither_is_read_as_neither(text: str) -> None:
    assert read_fooocus(text) is None
    assert read_a1111(text) is None


@given(some.recursive(some.none() | some.booleans() | some.floats() | some.text(), some.lists, max_leaves=5))
def test_values_of_other_types_say_nothing_and_do_no_harm(value: object) -> None:
    keys = json.loads(write_fooocus(WHOLE)).keys()
    found = read_fooocus(json.dumps(dict.fromkeys(keys, value)))
    assert found is not None


@given(some.text())
def test_any_line_of_settings_is_read_without_harm(rest: str) -> None:
    read_a1111(f"a cat\nSteps: 3, {rest}")


@given(prompt=some.text(), seed=some.integers(0, 2**63 - 1))
def test_any_prompt_comes_back_from_both(prompt: str, seed: int) -> None:
    recipe = LEAST.model_copy(update={"prompt": prompt, "seed": seed, "full_prompt": ("cat",)})
    for found in (read_fooocus(write_fooocus(recipe)), read_a1111(write_a1111(recipe))):
        assert found is not None
        assert (found.prompt, found.seed) == (prompt, seed)
