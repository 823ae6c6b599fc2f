"""Styles, wildcards and lines in jobs: what each image is made from, and what is told of it."""

import json
import shutil
from collections.abc import Mapping
from typing import Any, Final

import pytest
from safetensors.torch import save_file

from engine.diffusion.studio import Studio
from engine.interface import EngineError
from engine.prompting.expand import make_wordsmith
from engine.prompting.expansion import expanded
from protocol.errors import ErrorCode
from protocol.events import JobWarning, OutputReady
from tests import tiny_adapters
from tests.unit.engine.diffusion.conftest import FOLDERS, TinyFolder
from tests.unit.engine.diffusion.studios import make, studio_of
from tests.unit.engine.driver import Driver

SMALL: Final = {"width": 64, "height": 64, "steps": 2}
STYLES: Final = [
    {"name": "ink", "prompt": "ink of {prompt}\nrough paper", "negative_prompt": "colour"},
    {"name": "aside", "prompt": "quiet", "negative_prompt": ""},
]


@pytest.fixture(scope="module")
def studio(tiny_folder: TinyFolder, tmp_path_factory: pytest.TempPathFactory) -> Studio:
    own = tmp_path_factory.mktemp("own")
    for name in ("sd1", "sdxl", "pixart"):
        tiny_folder(name)
    for folder in ("styles", "wildcards", "loras"):
        (own / folder).mkdir()
    (own / "styles" / "own.json").write_text(json.dumps(STYLES))
    (own / "wildcards" / "beast.txt").write_text("cat\ndog\nowl\nhen\n")
    pipeline: Any = FOLDERS["sd1"]()
    for name in ("one", "two"):
        save_file(tiny_adapters.diffusers_lora(pipeline, text=False), own / "loras" / f"{name}.safetensors")
    plain = own / "checkpoints" / "plain"
    shutil.copytree(tiny_folder("sd1"), plain)
    (plain / "safelight.json").write_text('{"knows_styles": false}')
    studio = studio_of(tiny_folder("sd1").parent, own)
    studio.wordsmith = make_wordsmith(own)
    return studio


@pytest.fixture(scope="module")
def run(studio: Studio) -> Any:
    def run(prompt: str, **params: Any) -> Driver:
        return make(studio, {**SMALL, "prompt": prompt, **params})

    return run


def fooocus(run: Any, prompt: str, **params: Any) -> Driver:
    made: Driver = run(prompt, prompt_syntax="fooocus", **params)
    return made


def data(made: Driver) -> list[Mapping[str, Any]]:
    return [told.data or {} for told in made.of_type(OutputReady)]


def picture(made: Driver, index: int = 0) -> bytes:
    content: bytes = made.outputs[index].content
    return content


def test_lines_are_encoded_as_texts_one_behind_the_other(run: Any) -> None:
    made = fooocus(run, "a cat\nin a hat")
    assert picture(made) == picture(run("a cat BREAK in a hat"))
    assert picture(made) != picture(run("a cat\nin a hat"))
    assert data(made)[0]["prompt"] == ["a cat", "in a hat"]
    assert made.warnings == []


def test_the_pooled_vector_of_sdxl_tells_of_every_line(run: Any) -> None:
    more = {"model": "sdxl", "negative_prompt": "bad"}
    # The same encodings in the same order; only what is pooled differs.
    assert picture(fooocus(run, "a cat\nin a hat", **more)) != picture(run("a cat BREAK in a hat", **more))
    assert picture(fooocus(run, "a cat", **more)) == picture(run("a cat", **more))


def test_a_prompt_that_is_as_it_was_written_is_not_told_again(run: Any) -> None:
    assert not {"prompt", "negative_prompt", "styles"} & set(data(run("a cat"))[0])


def test_styles_put_their_words_around_the_prompt(run: Any) -> None:
    made = run("a cat", negative_prompt="bad", styles=["ink", "aside"])
    assert data(made)[0]["prompt"] == ["ink of a cat, rough paper, quiet"]
    assert data(made)[0]["negative_prompt"] == ["bad, colour"]
    assert data(made)[0]["styles"] == ["Ink", "Aside"]
    assert picture(made) == picture(run("ink of a cat, rough paper, quiet", negative_prompt="bad, colour"))


@pytest.mark.parametrize("syntax", ["a1111", "fooocus"])
def test_styles_have_no_effect_on_a_model_that_knows_none_and_are_said_not_to(run: Any, syntax: str) -> None:
    made = run("a cat", model="plain", prompt_syntax=syntax, styles=["ink", "Fooocus V2"])
    assert [told.code for told in made.of_type(JobWarning)] == ["style_unused"]
    assert not data(made)[0].get("styles")
    assert picture(made) == picture(run("a cat", model="plain", prompt_syntax=syntax))


def test_the_lines_of_a_style_are_texts_of_their_own_where_lines_are(run: Any) -> None:
    made = fooocus(run, "a cat", negative_prompt="bad", styles=["ink"])
    written = run("ink of a cat BREAK rough paper", negative_prompt="colour BREAK bad")
    assert picture(made) == picture(written)


def test_every_image_has_its_own_wildcards_and_is_what_a_job_with_its_seed_makes(run: Any) -> None:
    made = fooocus(run, "a __beast__", images=4, seed=11)
    said = [told["prompt"] for told in data(made)]
    assert len({tuple(texts) for texts in said}) > 1
    assert picture(made, 2) == picture(fooocus(run, "a __beast__", seed=13))
    assert picture(made, 2) == picture(run(said[2][0], seed=13))


def test_in_order_image_i_takes_line_i(run: Any) -> None:
    ordered = fooocus(run, "a __beast__", images=3, wildcards_in_order=True)
    assert [told["prompt"] for told in data(ordered)] == [["a cat"], ["a dog"], ["a owl"]]


def test_an_array_gives_each_image_its_item(run: Any) -> None:
    made = fooocus(run, "a [[cat,dog]]", images=3)
    assert [told["prompt"] for told in data(made)] == [["a cat"], ["a dog"], ["a cat"]]
    assert picture(made, 1) == picture(run("a dog", seed=6))


def test_random_style_is_another_for_each_image_and_is_told(run: Any) -> None:
    named = [told["styles"] for told in data(fooocus(run, "a cat", styles=["Random Style"], images=3))]
    assert len({tuple(names) for names in named}) > 1
    assert all(len(names) == 1 and names != ["Random Style"] for names in named)


def test_words_of_quality_are_drawn_by_the_seed_of_the_image(run: Any) -> None:
    made = fooocus(run, "a cat", styles=["Fooocus V2"], images=2, seed=3)
    for index, told in enumerate(data(made)):
        assert told["prompt_expansion"] == expanded("a cat", 3 + index)
        assert told["prompt"] == ["a cat", told["prompt_expansion"]]
    assert picture(made) == picture(run(f"a cat BREAK {expanded('a cat', 3)}", seed=3))


def test_the_pooled_vector_leaves_words_of_quality_out(run: Any) -> None:
    plain = {"model": "sdxl", "negative_prompt": "bad"}
    with_words = fooocus(run, "a cat", styles=["Fooocus V2"], **plain)
    # "a cat BREAK ..." pools its first chunk alone, too.
    written = run(f"a cat BREAK {data(with_words)[0]['prompt_expansion']}", **plain)
    assert picture(with_words) == picture(written)


def test_a_model_that_reads_one_text_gets_them_joined_and_it_is_told(run: Any) -> None:
    made = fooocus(run, "a cat\nin a hat", model="pixart", styles=["aside"])
    assert made.warnings == ["prompt_texts_joined"]
    assert picture(made) == picture(run("a cat, quiet, in a hat", model="pixart"))


def test_one_thing_to_say_is_said_once_however_many_images_there_are(run: Any) -> None:
    made = fooocus(run, "a __nothing__ and __nobody__", images=3)
    assert made.warnings == ["wildcard_missing", "wildcard_missing"]
    messages = [told.message for told in made.of_type(JobWarning)]
    assert "nothing" in messages[0]
    assert "nobody" in messages[1]
    told = fooocus(run, "a __beast__, embedding:none", images=3, wildcards_in_order=True)
    assert told.warnings == ["embedding_missing"]


def test_a_lora_that_is_not_there_is_left_out_and_told(run: Any) -> None:
    made = fooocus(run, "a cat <lora:nobody:1>")
    assert made.warnings == ["lora_missing"]
    assert picture(made) == picture(run("a cat"))
    with pytest.raises(EngineError) as caught:
        run("a cat <lora:nobody:1>")
    assert caught.value.code is ErrorCode.MODEL_MISSING


def test_a_lora_counts_once_and_five_are_enough(run: Any) -> None:
    one = run("a cat", loras=[{"name": "one"}])
    twice = fooocus(run, "a cat <lora:one:0.2>", loras=[{"name": "one"}])
    assert twice.warnings == ["lora_unused"]
    assert picture(twice) == picture(one) != picture(run("a cat"))
    full = fooocus(run, "a cat <lora:two:1>", loras=[{"name": "one"}] * 5)
    assert full.warnings == ["lora_unused"]


def test_a_lora_outside_of_the_prompt_is_taken_out_and_told(run: Any) -> None:
    made = fooocus(run, "a cat", negative_prompt="bad <lora:one:1>")
    assert made.warnings == ["lora_unused"]
    assert data(made)[0]["negative_prompt"] == ["bad"]


def test_a_style_that_has_gone_fails_the_job_with_the_names_that_are_close(run: Any) -> None:
    with pytest.raises(EngineError, match="there is no style 'SAI Animee'; close to it: 'SAI Anime'") as caught:
        run("a cat", styles=["SAI Animee"])
    assert caught.value.code is ErrorCode.INVALID_PARAMS
