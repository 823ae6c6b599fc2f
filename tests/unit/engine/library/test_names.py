from pathlib import Path

import pytest

from engine.interface import EngineError
from engine.library.names import find, named_apart
from engine.library.records import Family, FoundModel, ModelKind
from protocol.errors import ErrorCode


def model(relative, kind=ModelKind.CHECKPOINT, *, source="models", name=None, problem=None):
    return FoundModel(
        name=name or relative.rpartition("/")[2],
        kind=kind,
        family=Family.SD1,
        path=Path("/anywhere") / source / f"{relative}.safetensors",
        is_folder=False,
        size_bytes=1,
        source=source,
        problem=problem,
        is_pickle=False,
        modified_at=0.0,
        relative=relative,
    )


def names_of(*models):
    return [named.name for named in named_apart(models)]


def test_name_is_the_stem_while_it_is_alone():
    assert names_of(model("sdxl/dreams"), model("other")) == ["dreams", "other"]


def test_models_with_one_stem_are_named_by_their_paths():
    assert names_of(model("a/dreams"), model("b/dreams"), model("other")) == ["a/dreams", "b/dreams", "other"]


def test_models_of_different_kinds_may_share_a_name():
    assert names_of(model("a/dreams"), model("b/dreams", ModelKind.LORA)) == ["dreams", "dreams"]


def test_models_with_one_path_are_named_by_their_sources():
    assert names_of(model("dreams"), model("dreams", source="comfyui")) == ["models/dreams", "comfyui/dreams"]


def test_models_with_nothing_to_tell_them_apart_are_numbered():
    assert names_of(*[model("dreams")] * 3) == ["models/dreams", "models/dreams (2)", "models/dreams (3)"]


THERE = named_apart(
    [
        model("dreamshaper_8"),
        model("SDXL/juggernautXL_v9"),
        model("v1.5"),
        model("a/twin"),
        model("b/twin"),
        model("stabilityai/sd-turbo", name="stabilityai/sd-turbo"),
        model("Same"),
        model("same"),
        model("detail", ModelKind.LORA),
    ]
)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("dreamshaper_8", "dreamshaper_8"),
        ("dreamshaper_8.safetensors", "dreamshaper_8"),
        ("dreamshaper_8.ckpt", "dreamshaper_8"),
        ("DreamShaper_8.SafeTensors", "dreamshaper_8"),
        ("dreamshaper_8 [879db523c3]", "dreamshaper_8"),
        ("dreamshaper_8.safetensors [879db523c3]", "dreamshaper_8"),
        ("  dreamshaper_8  ", "dreamshaper_8"),
        ("juggernautXL_v9", "juggernautXL_v9"),
        ("SDXL/juggernautXL_v9.safetensors", "juggernautXL_v9"),
        ("SDXL\\juggernautXL_v9.safetensors [1fe6c7ec54]", "juggernautXL_v9"),
        ("models/checkpoints/SDXL/juggernautXL_v9.safetensors", "juggernautXL_v9"),
        ("v1.5", "v1.5"),
        ("v1.5.safetensors", "v1.5"),
        ("a/twin", "a/twin"),
        ("B\\Twin.safetensors", "b/twin"),
        ("stabilityai/sd-turbo", "stabilityai/sd-turbo"),
        ("sd-turbo", "stabilityai/sd-turbo"),
        ("Same", "Same"),
        ("same.safetensors", "same"),
    ],
)
def test_name_of_another_program_finds_the_model(asked, found):
    assert find(THERE, asked, ModelKind.CHECKPOINT).name == found


def refusal(asked, kind=ModelKind.CHECKPOINT, there=THERE):
    with pytest.raises(EngineError) as caught:
        find(there, asked, kind)
    return caught.value


@pytest.mark.parametrize(("asked", "names"), [("twin", ("'a/twin'", "'b/twin'")), ("SAME", ("'Same'", "'same'"))])
def test_name_that_means_several_is_refused_with_all_of_them(asked, names):
    error = refusal(asked)
    assert error.code is ErrorCode.INVALID_PARAMS
    assert all(name in error.message for name in names)


@pytest.mark.parametrize("asked", ["SDXL/twin", "c/twin", "dreamshaper", "detail", "", "/", "..", "[879db523c3]"])
def test_name_that_means_nothing_is_missing(asked):
    assert refusal(asked).code is ErrorCode.MODEL_MISSING


def test_missing_model_comes_with_at_most_three_names_that_are_close():
    there = named_apart([model(f"dreamshaper_{number}") for number in range(5, 10)] + [model("other")])
    error = refusal("dreamshaper_4.safetensors", there=there)
    assert error.message.count("'dreamshaper_") == 1 + 3
    assert "other" not in error.message


def test_missing_model_of_a_kind_that_is_not_there_says_so():
    assert "holds none" in refusal("anything", ModelKind.IP_ADAPTER).message


def test_huge_name_is_cut_before_it_is_shown():
    assert len(refusal("x" * 1_000_000).message) < 300


def test_whole_model_is_found_before_a_broken_one():
    there = named_apart([model("a/twin", problem="the file is truncated"), model("b/twin")])
    assert find(there, "twin", ModelKind.CHECKPOINT).name == "b/twin"
    assert find(there, "a/twin", ModelKind.CHECKPOINT).problem is not None
