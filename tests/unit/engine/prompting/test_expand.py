"""From a written prompt to the texts of one image, rule by rule."""

import json
from pathlib import Path

import pytest

from engine.interface import EngineError
from engine.prompting.expand import Wording, WrittenPrompt, make_wordsmith
from engine.prompting.expansion import quality_words
from protocol.errors import ErrorCode
from protocol.prompting import PromptSyntax

STYLES = [
    {"name": "film", "prompt": "film of {prompt}, grain\nold camera", "negative_prompt": "digital\nclean"},
    {"name": "ink", "prompt": "{prompt} in ink", "negative_prompt": "colour"},
    {"name": "aside", "prompt": "quiet", "negative_prompt": ""},
    {"name": "avoid", "prompt": "", "negative_prompt": "blur"},
]


class Shop:
    """A wordsmith with styles and wildcards of the test's own, and what it told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told: list[str] = []
        (folder / "styles").mkdir()
        (folder / "styles" / "test.json").write_text(json.dumps(STYLES))
        (folder / "wildcards").mkdir()
        self._smith = make_wordsmith(folder)

    def put(self, name: str, *lines: str) -> None:
        (self.folder / "wildcards" / f"{name}.txt").write_text("\n".join(lines))

    def word(self, prompt: str, negative: str = "", *styles: str, image: int = 0, seed: int = 0, **more) -> Wording:
        written = WrittenPrompt(
            prompt=prompt,
            negative_prompt=negative,
            styles=styles,
            **{"syntax": PromptSyntax.FOOOCUS, **more},
        )
        return self._smith.expand(written, image=image, seed=seed, warn=lambda code, _message: self.told.append(code))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_lines_become_texts_of_their_own(shop: Shop) -> None:
    made = shop.word(" a  cat, \n\nin a hat.", "bad\nworse,")
    assert made.positive.texts == ("a cat", "in a hat")
    assert made.negative.texts == ("bad", "worse")
    assert (made.positive.told, made.negative.told) == (2, 2)
    assert made.positive.syntax is PromptSyntax.FOOOCUS


def test_nothing_written_is_one_empty_text(shop: Shop) -> None:
    made = shop.word(" \n", "")
    assert made.positive.texts == made.negative.texts == ("",)
    assert made.positive.told == 1


def test_in_the_other_syntax_a_prompt_is_left_as_it_is(shop: Shop) -> None:
    prompt = "a cat, \n __color__ [[a,b]] "
    made = shop.word(prompt, " bad ", syntax=PromptSyntax.A1111)
    assert made.positive.texts == (prompt,)
    assert made.negative.texts == (" bad ",)
    assert made.positive.syntax is PromptSyntax.A1111


def test_wildcards_are_filled_in_every_line_and_in_negative_ones(shop: Shop) -> None:
    shop.put("hue", "red")
    made = shop.word("a __hue__ cat\n__hue__ hat", "__hue__\nnot __hue__")
    assert made.positive.texts == ("a red cat", "red hat")
    assert made.negative.texts == ("red", "not red")


def test_the_seed_of_an_image_draws_its_wildcards(shop: Shop) -> None:
    shop.put("number", *map(str, range(1000)))
    assert shop.word("__number__", seed=4, image=2) == shop.word("__number__", seed=4, image=0)
    assert shop.word("__number__", seed=4) != shop.word("__number__", seed=5)


def test_in_order_an_image_takes_the_line_of_its_number(shop: Shop) -> None:
    shop.put("hue", "red", "green")
    words = [shop.word("__hue__", image=image, wildcards_in_order=True).positive.whole for image in range(3)]
    assert words == ["red", "green", "red"]


def test_wildcards_in_order_without_wildcards_is_told(shop: Shop) -> None:
    shop.word("a", "", "ink", syntax=PromptSyntax.A1111, wildcards_in_order=True)
    assert shop.told == ["wildcards_in_order_unused"]


def test_an_array_gives_each_image_another_item_in_the_main_line_alone(shop: Shop) -> None:
    made = [shop.word("a [[red,green]] cat\n[[x,y]]", "[[p,q]]", image=image) for image in range(2)]
    assert [each.positive.texts for each in made] == [("a red cat", "[[x,y]]"), ("a green cat", "[[x,y]]")]
    assert made[1].negative.texts == ("[[p,q]]",)


def test_a_wildcard_may_hold_an_array(shop: Shop) -> None:
    shop.put("pick", "[[red,green]]")
    assert shop.word("__pick__", image=1).positive.texts == ("green",)


def test_a_style_is_put_around_the_main_line_its_lines_texts_beside_it(shop: Shop) -> None:
    made = shop.word("a cat\nin a hat", "bad\nworse", "film")
    assert made.positive.texts == ("film of a cat, grain", "old camera", "in a hat")
    assert made.negative.texts == ("digital", "clean", "bad", "worse")
    assert made.styles == ("Film",)


def test_several_styles_stand_one_behind_the_other(shop: Shop) -> None:
    made = shop.word("a cat", "", "film", "ink")
    assert made.positive.texts == ("film of a cat, grain", "old camera", "a cat in ink")
    assert made.negative.texts == ("digital", "clean", "colour")


def test_without_a_placeholder_in_any_style_the_bare_prompt_comes_first(shop: Shop) -> None:
    made = shop.word("a cat", "bad", "aside", "avoid")
    assert made.positive.texts == ("a cat", "quiet")
    assert made.negative.texts == ("blur", "bad")


def test_with_a_placeholder_in_one_style_the_bare_prompt_is_not_repeated(shop: Shop) -> None:
    assert shop.word("a cat", "", "aside", "ink").positive.texts == ("quiet", "a cat in ink")


def test_random_style_is_drawn_for_each_image_and_told_by_its_name(shop: Shop) -> None:
    drawn = {shop.word("a cat", "", "Random Style", seed=seed).styles for seed in range(20)}
    assert len(drawn) > 10
    assert ("Random Style",) not in drawn
    assert shop.word("a cat", "", "Random Style", seed=3) == shop.word("a cat", "", "random-style", seed=3)


def test_expansion_is_one_more_text_that_the_pooled_vector_leaves_out(shop: Shop) -> None:
    made = shop.word("a cat\nin a hat", "bad", "Fooocus V2", seed=9)
    expansion = f"a cat, {quality_words(9, beside='a cat')}"
    assert made.positive.texts == ("a cat", "in a hat", expansion)
    assert made.positive.told == 2
    assert made.expansion == expansion
    assert made.styles == ("Fooocus V2",)
    assert made.negative.texts == ("bad",)


def test_expansion_of_an_empty_prompt_is_none_and_told(shop: Shop) -> None:
    made = shop.word("", "", "Fooocus V2", "aside")
    assert made.expansion is None
    assert made.positive.texts == ("quiet",)
    assert shop.told == ["style_unused"]


def test_in_the_other_syntax_one_style_is_put_around_the_other(shop: Shop) -> None:
    made = shop.word("a cat", "bad", "ink", "film", "aside", syntax=PromptSyntax.A1111)
    assert made.positive.texts == ("film of a cat in ink, grain, old camera, quiet",)
    assert made.negative.texts == ("bad, colour, digital, clean",)
    assert made.styles == ("Ink", "Film", "Aside")


def test_in_the_other_syntax_expansion_follows_in_the_same_text(shop: Shop) -> None:
    made = shop.word("a cat", "", "Fooocus V2", "ink", syntax=PromptSyntax.A1111, seed=2)
    assert made.positive.texts == (f"a cat in ink, {quality_words(2, beside='a cat in ink')}",)
    assert made.styles == ("Fooocus V2", "Ink")
    assert made.expansion == made.positive.whole


def test_in_the_other_syntax_a_style_without_a_negative_part_leaves_that_alone(shop: Shop) -> None:
    assert shop.word("a cat", "bad ", "aside", syntax=PromptSyntax.A1111).negative.texts == ("bad ",)


def test_an_unknown_style_is_an_error(shop: Shop) -> None:
    with pytest.raises(EngineError, match="there is no style") as caught:
        shop.word("a cat", "", "nobody's")
    assert caught.value.code is ErrorCode.INVALID_PARAMS


def test_a_fooocus_folder_gives_its_styles_and_wildcards(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "models", tmp_path / "Fooocus"
    (theirs / "sdxl_styles").mkdir(parents=True)
    (theirs / "sdxl_styles" / "s.json").write_text(json.dumps([{"name": "theirs", "prompt": "{prompt}!"}]))
    (theirs / "wildcards").mkdir()
    (theirs / "wildcards" / "hue.txt").write_text("red")
    smith = make_wordsmith(ours, [theirs])
    written = WrittenPrompt(prompt="__hue__", syntax=PromptSyntax.FOOOCUS, styles=("Theirs",))
    made = smith.expand(written, image=0, seed=0, warn=lambda *_told: None)
    assert made.positive.texts == ("red!",)


def test_the_installation_our_own_models_folder_belongs_to_gives_its_styles_and_wildcards(tmp_path: Path) -> None:
    home, disk = tmp_path / "Fooocus", tmp_path / "disk"
    for folder in (home / "models" / "prompt_expansion", home / "sdxl_styles", home / "wildcards", disk):
        folder.mkdir(parents=True)
    (home / "config.txt").write_text(json.dumps({"path_wildcards": [str(disk)]}))
    (home / "sdxl_styles" / "s.json").write_text(json.dumps([{"name": "theirs", "prompt": "{prompt}!"}]))
    (home / "wildcards" / "hue.txt").write_text("red")
    (disk / "size.txt").write_text("large")
    smith = make_wordsmith(home / "models")
    written = WrittenPrompt(prompt="__size__ __hue__", syntax=PromptSyntax.FOOOCUS, styles=("theirs",))
    made = smith.expand(written, image=0, seed=0, warn=lambda *_told: None)
    assert made.positive.texts == ("large red!",)
