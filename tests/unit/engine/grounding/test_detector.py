"""Grounding DINO in the format it is published in: a small one with random weights."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from engine.diffusion.quiet import quieten
from engine.grounding.detector import Detector, load_detector, seen, seen_size
from engine.interface import Call, EngineError
from engine.steps import run_through
from protocol.errors import ErrorCode
from tests.tiny_detector import save_detector

TEXT = "face. red hats."
ALL = {"box_threshold": 0.0, "text_threshold": 0.25, "most": 0}
SIZE = (60, 80)
LOW = (20, 160)
"""Of which little is seen."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_detector(tmp_path_factory.mktemp("detector")).parent


@pytest.fixture(scope="module")
def detector(folder: Path) -> Detector:
    return load_detector(folder / "model.safetensors", "cpu")


def picture(seed: int = 0, size: tuple[int, int] = SIZE) -> Any:
    return np.random.default_rng(seed).random((*size, 3), np.float32)


@pytest.fixture(scope="module")
def sight(detector: Detector) -> Any:
    return run_through(detector.look(detector.prepare(picture(), TEXT)))


@pytest.mark.parametrize("height_width", [(60, 80), (80, 60), (480, 640), (500, 2000), (1333, 333), (37, 37)])
def test_a_picture_is_seen_at_the_size_that_transformers_shows_it_at(height_width: tuple[int, int]) -> None:
    quieten()
    from transformers.image_transforms import get_size_with_aspect_ratio

    assert seen_size(*height_width) == get_size_with_aspect_ratio(height_width, 800, 1333)


def test_a_picture_is_seen_as_transformers_shows_it() -> None:
    quieten()
    from transformers.models.grounding_dino.image_processing_pil_grounding_dino import GroundingDinoImageProcessorPil

    pixels = np.asarray(Image.fromarray((picture() * 255).astype(np.uint8)).resize((160, 120)))
    shown = GroundingDinoImageProcessorPil()(images=Image.fromarray(pixels), return_tensors="pt")["pixel_values"]
    ours = seen(pixels.astype(np.float32) / 255)
    assert ours.shape == shown.shape
    # It rounds to whole numbers of 0..255 on the way.
    assert (ours - shown).abs().max() < 0.02


def test_what_is_found_is_what_transformers_reads_out_of_the_same_answer(detector: Detector, sight: Any) -> None:
    from transformers import GroundingDinoProcessor
    from transformers.models.grounding_dino.modeling_grounding_dino import GroundingDinoObjectDetectionOutput

    question = detector.prepare(picture(), TEXT)
    logits = torch.logit(sight.scores)
    answer = GroundingDinoObjectDetectionOutput(logits=logits[None], pred_boxes=sight.places[None])
    processor: Any = GroundingDinoProcessor.__new__(GroundingDinoProcessor)
    processor.batch_decode = lambda ids: [detector._label([int(each) for each in tokens]) for tokens in ids]
    (theirs,) = processor.post_process_grounded_object_detection(
        answer, question["input_ids"], threshold=0.3, text_threshold=0.5, target_sizes=[SIZE]
    )
    ours = detector.read(sight, question, SIZE, box_threshold=0.3, text_threshold=0.5, most=0)
    order = theirs["scores"].argsort(descending=True).tolist()
    assert 0 < len(ours) == len(order)
    for found, at in zip(ours, order, strict=True):
        assert found.score == pytest.approx(float(theirs["scores"][at]), abs=1e-5)
        box = [found.left, found.top, found.right, found.bottom]
        assert box == pytest.approx(theirs["boxes"][at].tolist(), abs=1e-3)
        assert found.label == theirs["text_labels"][at]
    assert {"face red", "face red hats"} <= {found.label for found in ours}


def test_every_layer_is_a_call_of_its_own_and_together_they_are_the_network(detector: Detector) -> None:
    question = detector.prepare(picture(size=LOW), TEXT)
    steps = detector.look(question)
    calls: list[Call] = []
    value: Any = None
    while True:
        try:
            calls.append(steps.send(value))
        except StopIteration as end:
            sight = end.value
            break
        value = calls[-1].run()
    assert [call.stage for call in calls] == ["detect"] * 9, "4 stages of the eyes, the words, 2 + 2 layers"
    whole = detector._network(**question)
    assert torch.equal(whole.logits[0].sigmoid(), sight.scores)
    assert torch.equal(whole.pred_boxes[0], sight.places)


def test_other_words_and_other_pictures_are_seen_otherwise(detector: Detector) -> None:
    first, *others = (
        run_through(detector.look(detector.prepare(picture(seed, LOW), text)))
        for seed, text in ((0, TEXT), (1, TEXT), (0, "hand."))
    )
    for other in others:
        assert not torch.allclose(other.scores, first.scores, atol=1e-3)


def test_thresholds_and_the_most_hold_and_the_best_comes_first(detector: Detector, sight: Any) -> None:
    question = detector.prepare(picture(), TEXT)

    def read(**given: Any) -> Any:
        return detector.read(sight, question, SIZE, **{**ALL, **given})

    scores = [found.score for found in read()]
    assert scores == sorted(scores, reverse=True)
    assert [found.score for found in read(box_threshold=0.5)] == [score for score in scores if score > 0.5]
    assert [found.score for found in read(most=2)] == scores[:2]
    assert len(read(text_threshold=0.0)[0].label.split()) > len(read(text_threshold=0.5)[0].label.split()) > 0
    assert read(text_threshold=1.0)[0].label == ""


def test_more_words_than_the_network_reads_are_refused(detector: Detector) -> None:
    with pytest.raises(EngineError, match="at most 64 tokens") as refused:
        detector.prepare(picture(), "face. " * 40)
    assert refused.value.code is ErrorCode.INVALID_PARAMS


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json", "weights"])
def test_a_folder_that_is_not_whole_is_refused_by_its_name(folder: Path, tmp_path: Path, missing: str) -> None:
    copy = tmp_path / "grounding-dino-tiny"
    copy.mkdir()
    for file in folder.iterdir():
        if file.name != missing:
            (copy / file.name).write_bytes(file.read_bytes())
    if missing == "weights":
        (copy / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(EngineError, match="'grounding-dino-tiny' cannot be used") as refused:
        load_detector(copy / "model.safetensors", "cpu")
    assert refused.value.code is ErrorCode.BAD_MODEL
    assert str(tmp_path) not in refused.value.message


def test_a_file_without_most_of_the_weights_is_refused(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = load_file(tmp_path / "model.safetensors")
    kept = dict(list(weights.items())[: len(weights) // 2])
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EngineError, match=r"weights are not in model\.safetensors"):
        load_detector(tmp_path / "model.safetensors", "cpu")


def test_a_folder_of_another_network_is_refused(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}), encoding="utf-8")
    with pytest.raises(EngineError) as refused:
        load_detector(tmp_path / "model.safetensors", "cpu")
    assert refused.value.code is ErrorCode.BAD_MODEL
