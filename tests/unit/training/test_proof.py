"""The proof and its judge."""

import numpy as np
import pytest
import torch

from training.spark import judge
from training.spark.captions import vocabulary
from training.spark.judge import Verdict
from training.spark.proof import Prompt, background_of, compare, figures, own_colour_is, read_prompts
from training.spark.sheet import contact_sheet
from training.spark.sprites import Sprites
from training.spark.words import BACKGROUNDS, COLOURS, HELD_OUT, NOUNS

RED = 1 + list(COLOURS).index("red")
PROMPT = Prompt("a red apple", 1, NOUNS[0].name, "red", "white", held_out=False)
WHITE = torch.ones(3, 64, 64)


def test_there_are_a_hundred_prompts_of_seen_pairs_and_the_thirty_kept_out() -> None:
    prompts = read_prompts()
    kept_out = [(prompt.colour, prompt.noun) for prompt in prompts if prompt.held_out]
    seen = [(prompt.colour, prompt.noun) for prompt in prompts if not prompt.held_out]
    assert len(seen) == 100
    assert kept_out == list(HELD_OUT)
    assert not set(seen) & set(HELD_OUT)


def test_every_prompt_asks_for_what_its_row_says() -> None:
    known = set(vocabulary())
    nouns = {noun.name: noun for noun in NOUNS}
    for prompt in read_prompts():
        assert set(prompt.prompt.split()) <= known
        assert any(name in prompt.prompt for name in nouns[prompt.noun].names)
        assert prompt.colour is None or f" {prompt.colour} " in prompt.prompt
        assert prompt.background == "white" or prompt.prompt.endswith(f" {prompt.background} background")


def test_seeds_differ() -> None:
    seeds = [prompt.seed for prompt in read_prompts()]
    assert len(seeds) == len(set(seeds))


@pytest.mark.parametrize(
    ("verdict", "noun_right", "colour_right"),
    [(Verdict(0, RED), True, True), (Verdict(1, RED), False, True), (Verdict(0, RED + 1), True, False)],
)
def test_object_and_colour_are_judged_apart(
    sprites: Sprites, verdict: Verdict, noun_right: bool, colour_right: bool
) -> None:
    result = compare(PROMPT, verdict, WHITE, sprites)
    assert (result.noun_right, result.colour_right, result.background_right) == (noun_right, colour_right, True)
    assert result.right == (noun_right and colour_right)


def test_an_icon_that_has_the_colour_anyway_may_be_judged_uncoloured(sprites: Sprites) -> None:
    alike = Sprites(sprites.pixels.copy(), sprites.recolourable)
    alike.pixels[0, RED] = alike.pixels[0, 0]
    assert not own_colour_is(sprites, 0, RED)
    assert own_colour_is(alike, 0, RED)
    assert not compare(PROMPT, Verdict(0, 0), WHITE, sprites).right
    assert compare(PROMPT, Verdict(0, 0), WHITE, alike).right


def test_a_prompt_without_a_colour_takes_any(sprites: Sprites) -> None:
    bare = Prompt("an apple", 1, NOUNS[0].name, None, "white", held_out=False)
    assert compare(bare, Verdict(0, RED), WHITE, sprites).right


@pytest.mark.parametrize("name", BACKGROUNDS)
def test_backgrounds_are_told_apart_by_the_corners(name: str) -> None:
    picture = (torch.tensor(BACKGROUNDS[name]) / 255)[:, None, None].expand(3, 64, 64).clone()
    picture[:, 10:54, 10:54] = 0.4
    assert background_of(picture) == name


def test_the_figures_count_colours_only_where_one_was_asked_for(sprites: Sprites) -> None:
    bare = Prompt("an apple", 1, NOUNS[0].name, None, "white", held_out=False)
    results = [
        compare(PROMPT, Verdict(0, RED), WHITE, sprites),
        compare(PROMPT, Verdict(0, RED + 1), WHITE, sprites),
        compare(bare, Verdict(1, 0), WHITE, sprites),
        compare(bare, Verdict(0, 0), WHITE, sprites),
    ]
    summed = figures(results)
    assert (summed.both, summed.noun, summed.colour, summed.background) == (0.5, 0.75, 0.5, 1.0)


def test_the_judge_is_shown_icons_of_every_colour_and_the_pairs_kept_out_too(sprites: Sprites) -> None:
    pictures, scenes = judge.draw(sprites, 3000, np.random.default_rng(8))
    assert pictures.shape == (3000, 3, 64, 64)
    index = {noun.name: number for number, noun in enumerate(NOUNS)}
    kept_out = {(index[name], 1 + list(COLOURS).index(colour)) for colour, name in HELD_OUT}
    assert kept_out & {(scene.noun, scene.variant) for scene in scenes}


def test_a_sheet_has_room_for_every_picture() -> None:
    sheet = contact_sheet(torch.rand(7, 3, 64, 64), [f"a rather long prompt, number {n}" for n in range(7)], columns=3)
    assert sheet.width == 3 * 136 + 8
    assert sheet.height == 3 * 162 + 8
