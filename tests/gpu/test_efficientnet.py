"""Describing on a GPU."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.describing.efficientnet import load_efficientnet
from engine.images import from_uint8
from protocol.requests import TaskName
from tests.gpu.card import Card, Work, on_cpu
from tests.unit.engine.networks import ball
from tests.unit.engine.pictures import save, texture

pytestmark = pytest.mark.gpu


def test_the_classes_are_as_likely_as_on_the_cpu(cuda: torch.device, models_dir: Path) -> None:
    weights, rgb = models_dir / "efficientnet-lite0.pth", from_uint8(ball()[0])
    expected, made = (load_efficientnet(weights, device).classify(rgb) for device in ("cpu", str(cuda)))
    assert np.abs(made - expected).max() < 0.02
    assert made.argmax() == expected.argmax()


def test_the_description_is_that_of_the_cpu(card: Card, models_dir: Path, scene: Path) -> None:
    work = Work(TaskName.DESCRIBE, {}, scene)
    made, expected = json.loads(card.make(work)), json.loads(on_cpu(models_dir, work).outputs[0].content)
    surest, expected_surest = ([tag["tag"] for tag in document["tags"][:1]] for document in (made, expected))
    assert surest == expected_surest
    assert (made["faces"], made["text"], made["colours"]) == (expected["faces"], expected["text"], expected["colours"])


def test_a_very_long_picture_can_be_described(card: Card, tmp_path: Path) -> None:
    long = np.tile(texture(40, 500), (1, 24, 1))
    assert b'"tags"' in card.make(Work(TaskName.DESCRIBE, {}, save(tmp_path / "long.png", long)))
