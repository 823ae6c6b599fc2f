"""How each model that finds a subject is asked, and how its answer is read."""

from typing import Any

import numpy as np
import pytest

from engine.models.catalogue import CATALOGUE
from engine.plugins.backgrounds import RECIPES, find_subject
from engine.plugins.published import PLUGIN_MODELS
from protocol.editing import BackgroundModel
from protocol.requests import TaskName
from tests.unit.engine.pictures import texture


class Answers:
    """A network that answers with what it was made with, and keeps what it was shown."""

    def __init__(self, answer: Any) -> None:
        self.answer = np.asarray(answer, np.float32)
        self.seen: list[Any] = []

    def __call__(self, planes: Any) -> Any:
        self.seen.append(planes)
        return self.answer


def ramp(side: int, low: float, high: float) -> Any:
    return np.linspace(low, high, side, dtype=np.float32)[None, None, None].repeat(side, axis=2)


def test_every_model_has_a_recipe_and_weights_to_go_with_it() -> None:
    assert set(RECIPES) == set(BackgroundModel) - {BackgroundModel.AUTO}
    for model, recipe in RECIPES.items():
        weights = CATALOGUE[model.value] if recipe.published is None else PLUGIN_MODELS[recipe.published]
        assert TaskName.REMOVE_BACKGROUND in weights.tasks
    published = {name for name, model in PLUGIN_MODELS.items() if TaskName.REMOVE_BACKGROUND in model.tasks}
    assert published == {recipe.published for recipe in RECIPES.values()} - {None}


@pytest.mark.parametrize(
    ("model", "side", "white"),
    [
        ("u2net_human_seg", 320, (1 - 0.485) / 0.229),
        ("u2net_cloth_seg", 768, (1 - 0.485) / 0.229),
        ("silueta", 320, (1 - 0.485) / 0.229),
        ("isnet-general-use", 1024, 0.5),
        ("isnet-anime", 1024, 200 / 255),
        ("rmbg-1.4", 1024, 200 / 255 - 0.5),
        ("rmbg-2.0", 1024, (200 / 255 - 0.485) / 0.229),
        ("birefnet-general", 1024, (1 - 0.485) / 0.229),
    ],
)
def test_a_model_sees_the_picture_as_it_was_trained_to(model: str, side: int, white: float) -> None:
    network = Answers(np.zeros((1, 4, side, side)))
    find_subject(network, RECIPES[BackgroundModel(model)], np.full((30, 30, 3), 200, np.uint8))
    assert network.seen[0].shape == (1, 3, side, side)
    assert network.seen[0][0, 0, side // 2, side // 2] == pytest.approx(white, abs=1e-4)


@pytest.mark.parametrize("model", ["u2net", "isnet-general-use", "rmbg-1.4", "rmbg-2.0"])
def test_relative_answers_are_stretched(model: str) -> None:
    recipe = RECIPES[BackgroundModel(model)]
    share = find_subject(Answers(ramp(recipe.side_px, 0.2, 0.7)), recipe, texture(30, 40))
    assert (share.min(), share.max()) == (0, 1)
    assert share[0, recipe.side_px // 2] == pytest.approx(0.5, abs=0.01)


def test_logits_go_through_the_logistic_function_first() -> None:
    recipe = RECIPES[BackgroundModel.BIREFNET_GENERAL]
    share = find_subject(Answers(ramp(1024, -1000, 1000)), recipe, texture(30, 40))
    assert (share[0, :500] < 1e-6).all()
    assert (share[0, 524:] > 1 - 1e-6).all()


def test_every_kind_of_subject_counts() -> None:
    answer = np.zeros((1, 4, 768, 768))
    answer[0, 0] = 1
    answer[0, 2, :, :100] = 2
    share = find_subject(Answers(answer), RECIPES[BackgroundModel.U2NET_CLOTH_SEG], texture(30, 40))
    assert (share[:, :100] == 1).all()
    assert (share[:, 100:] == 0).all()


@pytest.mark.parametrize(
    ("height", "width", "size"), [(36, 48, (768, 1024)), (48, 36, (1024, 768)), (5, 5, (1024, 1024))]
)
def test_drawn_characters_keep_their_shape_and_what_lies_beside_is_cut_off(
    height: int, width: int, size: tuple[int, int]
) -> None:
    network = Answers(np.full((1, 1, 1024, 1024), 0.5))
    share = find_subject(network, RECIPES[BackgroundModel.ISNET_ANIME], np.full((height, width, 3), 255, np.uint8))
    assert share.shape == size
    assert (share == 0.5).all()
    shown = network.seen[0][0, 0]
    assert shown.sum() == pytest.approx(size[0] * size[1])
    assert shown[512, 512] == 1
