"""Scenes and their pixels."""

import numpy as np
import torch

from training.spark.latents import every_scene
from training.spark.scenes import JITTER_PX, Scene, compose, compose_strange, draw_lots, held_out, paste, variants
from training.spark.sprites import PICTURE_PX, SPRITE_PX, Sprites
from training.spark.words import BACKGROUNDS, COLOURS, HELD_OUT, NOUNS


def rgb(picture: torch.Tensor, x: int, y: int) -> list[int]:
    return ((picture[:, y, x] + 1) * 127.5).round().int().tolist()


def test_pairs_kept_out_are_in_no_training_scene(sprites: Sprites) -> None:
    assert len(held_out()) == len(HELD_OUT)
    scenes = [*every_scene(sprites), *draw_lots(sprites, 3000, np.random.default_rng(1))]
    assert not held_out() & {(scene.noun, scene.variant) for scene in scenes}


def test_every_other_pair_is_in_some_training_scene(sprites: Sprites) -> None:
    shown = {(scene.noun, scene.variant) for scene in every_scene(sprites)}
    assert len(shown) == (len(NOUNS) - 1) * (1 + len(COLOURS)) + 1 - len(HELD_OUT)


def test_a_noun_that_takes_no_colour_is_shown_in_its_own_only(sprites: Sprites) -> None:
    assert variants(sprites, len(NOUNS) - 1) == [0]


def test_a_scene_is_the_object_on_its_background(sprites: Sprites) -> None:
    red, blue = 1 + list(COLOURS).index("red"), list(BACKGROUNDS).index("blue")
    picture = compose(sprites, [Scene(0, red, blue)])[0]
    assert picture.shape == (3, PICTURE_PX, PICTURE_PX)
    assert rgb(picture, 0, 0) == list(BACKGROUNDS["blue"])
    assert rgb(picture, 32, 32) == list(COLOURS["red"])


def test_jitter_moves_the_object_right_and_down(sprites: Sprites) -> None:
    still, moved = compose(sprites, [Scene(0, 1, 0), Scene(0, 1, 0, right_px=2, down_px=1)])
    torch.testing.assert_close(moved[:, 1:, 2:], still[:, :-1, :-2])


def test_half_covered_pixels_mix_with_the_background() -> None:
    picture = np.full((PICTURE_PX, PICTURE_PX, 3), 100, np.float32)
    sprite = np.zeros((SPRITE_PX, SPRITE_PX, 4), np.uint8)
    sprite[..., :3], sprite[..., 3] = 60, 51
    paste(picture, sprite, 0, 0)
    np.testing.assert_allclose(picture[32, 32], 60 + 100 * 0.8)


def test_lots_stay_near_the_middle_and_half_are_white(sprites: Sprites) -> None:
    scenes = draw_lots(sprites, 1000, np.random.default_rng(2))
    assert max(abs(scene.right_px) for scene in scenes) == JITTER_PX
    white = sum(scene.background == 0 for scene in scenes)
    assert 400 < white < 600


def test_strange_pictures_are_in_range_and_differ(sprites: Sprites) -> None:
    pictures = compose_strange(sprites, 3, np.random.default_rng(3))
    assert pictures.shape == (3, 3, PICTURE_PX, PICTURE_PX)
    assert pictures.min() >= -1
    assert pictures.max() <= 1
    assert not torch.equal(pictures[0], pictures[1])
