import io

import numpy as np
import pytest
import torch
from PIL import Image

from engine.grounding.detector import Detection
from engine.images import Picture
from engine.interface import Call, EngineError, OutOfMemory
from engine.models.residency import Residency
from engine.segmentation.embeddings import EmbeddingCache
from engine.segmentation.segmenter import Click, Edges, SegmentedMask
from engine.tasks.segment import box_around, segment, tinted
from protocol.errors import ErrorCode
from protocol.events import OutputReady
from protocol.requests import TaskName
from tests.unit.engine.driver import drive, make_run
from tests.unit.engine.networks import Shelf, ball, overlap
from tests.unit.engine.pictures import pixels_of, save, texture


class Pretender:
    """Has three pieces that add one, and answers with rectangles."""

    def __init__(self):
        self.asked = []

    def prepare(self, rgb):
        return torch.zeros(1)

    def encoder_pieces(self):
        return [lambda x: x + 1] * 3

    def decode(self, embedding, size, clicks, box, count):
        self.asked.append((embedding.item(), size, clicks, box, count))
        masks = []
        for number in range(count):
            mask = np.zeros(size, bool)
            mask[10 + number : 20, 5:25] = True
            masks.append(SegmentedMask(mask, 0.9 - 0.1 * number))
        return masks


def run(path, network, cache=None, *, first_image=0, **params):
    shelf = Shelf({"mobile_sam": network})
    made = make_run(TaskName.SEGMENT, params, inputs={"image": path}, first_image=first_image)
    cache = EmbeddingCache() if cache is None else cache
    return drive(lambda run, context: segment(run, context, shelf, cache), made)


CLICK = {"points": [{"x": 7.0, "y": 12.0}]}


def stages(driver):
    return [call.stage for call in driver.calls]


def test_the_mask_is_a_grey_png_of_the_size_of_the_picture(tmp_path):
    driver = run(save(tmp_path / "in.png", texture(60, 80)), Pretender(), **CLICK)
    output = driver.outputs[0]
    with Image.open(io.BytesIO(output.content)) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "L", (80, 60))
    mask = pixels_of(output.content)
    assert (mask[10:20, 5:25] == 255).all()
    assert mask.sum() == 255 * 10 * 20


def test_each_mask_tells_its_score_area_and_box(tmp_path):
    driver = run(save(tmp_path / "in.png", texture(60, 80)), Pretender(), count=2, **CLICK)
    first, second = (ready.data for ready in driver.of_type(OutputReady))
    assert first == {"score": 0.9, "area_px": 200, "box": {"x": 5, "y": 10, "width": 20, "height": 10}}
    assert second == {"score": 0.8, "area_px": 180, "box": {"x": 5, "y": 11, "width": 20, "height": 9}}


def test_the_encoder_runs_in_pieces_each_a_call_and_a_step(tmp_path):
    driver = run(save(tmp_path / "in.png", texture(60, 80)), Pretender(), **CLICK)
    assert stages(driver) == ["read", "load", "embed", "embed", "embed", "embed", "decode", "save"]
    assert driver.progress == sorted(driver.progress)


def test_a_second_click_on_the_same_picture_skips_the_encoder(tmp_path):
    path, cache, network = save(tmp_path / "in.png", texture(60, 80)), EmbeddingCache(), Pretender()
    run(path, network, cache, **CLICK)
    again = run(path, network, cache, points=[{"x": 70.0, "y": 50.0, "include": True}])
    assert "embed" not in stages(again)
    assert [embedding for embedding, *_ in network.asked] == [3, 3]


def test_another_picture_under_the_same_name_is_encoded_anew(tmp_path):
    cache, network = EmbeddingCache(), Pretender()
    run(save(tmp_path / "in.png", texture(60, 80, seed=1)), network, cache, **CLICK)
    again = run(save(tmp_path / "in.png", texture(60, 80, seed=2)), network, cache, **CLICK)
    assert "embed" in stages(again)


def test_another_model_encodes_the_same_picture_anew_and_is_looked_for_among_the_published_ones(tmp_path):
    path, cache = save(tmp_path / "in.png", texture(60, 80)), EmbeddingCache()
    run(path, Pretender(), cache, **CLICK)
    (tmp_path / "sam_hq_vit_b.pth").write_bytes(b"weights")
    network, loaded = Pretender(), []

    class Kept(Shelf):
        def keep(self, name, size_bytes, steps, *, stamp, files):
            loaded.append((name, files))
            yield Call(lambda: None, stage="load")
            return network

    shelf = Kept({}, models_dir=tmp_path)
    made = make_run(TaskName.SEGMENT, {**CLICK, "model": "sam_hq_vit_b"}, inputs={"image": path})
    driver = drive(lambda run, context: segment(run, context, shelf, cache), made)
    assert "embed" in stages(driver)
    assert loaded == [("sam_hq_vit_b", (tmp_path / "sam_hq_vit_b.pth",))]
    assert len(network.asked) == 1
    assert len(cache) == 2


def test_a_model_that_is_not_there_is_named_before_the_picture_is_encoded(tmp_path):
    made = make_run(
        TaskName.SEGMENT,
        {**CLICK, "model": "sam2_1_large"},
        inputs={"image": save(tmp_path / "a.png", texture(60, 80))},
    )
    with pytest.raises(EngineError, match=r"'sam2_1_large' is not there: put sam2\.1_hiera_large\.pt") as refused:
        drive(lambda run, context: segment(run, context, Shelf({}, models_dir=tmp_path), EmbeddingCache()), made)
    assert refused.value.code is ErrorCode.MODEL_MISSING


def test_clicks_and_box_reach_the_network_in_pixels(tmp_path):
    network = Pretender()
    points = [{"x": 7.5, "y": 12.0}, {"x": 1.0, "y": 2.0, "include": False}]
    run(
        save(tmp_path / "in.png", texture(60, 80)),
        network,
        points=points,
        box={"x": 4, "y": 5, "width": 10, "height": 20},
    )
    _, size, clicks, box, count = network.asked[0]
    assert (size, count) == ((60, 80), 1)
    assert clicks == [Click(7.5, 12.0, True), Click(1.0, 2.0, False)]
    assert box == Edges(4, 5, 14, 25)


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"points": [{"x": 80.0, "y": 5.0}]}, r"\$\.params\.points\[0\]"),
        ({"points": [{"x": 5.0, "y": 5.0}, {"x": 5.0, "y": 60.0}]}, r"\$\.params\.points\[1\]"),
        ({"box": {"x": 80, "y": 0, "width": 5, "height": 5}}, r"\$\.params\.box"),
        ({"box": {"x": -5, "y": 0, "width": 5, "height": 5}}, r"\$\.params\.box"),
    ],
)
def test_a_prompt_outside_the_picture_is_refused_before_any_network_runs(params, field, tmp_path):
    network = Pretender()
    with pytest.raises(EngineError, match=field) as refused:
        run(save(tmp_path / "in.png", texture(60, 80)), network, **params)
    assert refused.value.code is ErrorCode.INVALID_PARAMS
    assert network.asked == []


def test_masks_an_earlier_attempt_kept_are_not_made_twice(tmp_path):
    driver = run(save(tmp_path / "in.png", texture(60, 80)), Pretender(), count=3, first_image=1, **CLICK)
    assert sorted(driver.outputs) == [1, 2]


def test_an_empty_mask_has_no_box():
    assert box_around(np.zeros((4, 5), bool)) is None


def test_a_preview_tints_the_object_and_nothing_else():
    mask = np.zeros((8, 8), bool)
    mask[:4] = True
    shown = tinted(Picture(np.zeros((8, 8, 3), np.float32)), mask)
    assert (shown[:4, :, 0] > 100).all()
    assert (shown[4:] == 0).all()


@pytest.mark.models
def test_the_real_network_finds_a_ball_by_click_and_by_box(models_dir, tmp_path):
    pixels, truth = ball()
    path, cache, residency = save(tmp_path / "ball.png", pixels), EmbeddingCache(), Residency(models_dir, "cpu")
    for params in (
        {"points": [{"x": 144.0, "y": 125.0}]},
        {"points": [{"x": 144.0, "y": 125.0}, {"x": 10.0, "y": 10.0, "include": False}]},
        {"box": {"x": 60, "y": 45, "width": 165, "height": 165}},
    ):
        made = make_run(TaskName.SEGMENT, params, inputs={"image": path})
        driver = drive(lambda run, context: segment(run, context, residency, cache), made)
        (ready,) = driver.of_type(OutputReady)
        assert overlap(pixels_of(driver.outputs[0].content) > 127, truth) > 0.95
        assert ready.data["score"] > 0.8
    assert len(cache) == 1


def test_a_call_that_ran_out_of_memory_is_made_once_more(tmp_path):
    class Tight(Pretender):
        def decode(self, *asked):
            if not self.asked:
                self.asked.append("no room")
                raise OutOfMemory("the test says so")
            return super().decode(*asked)

    driver = run(save(tmp_path / "in.png", texture(60, 80)), Tight(), **CLICK)
    assert stages(driver).count("decode") == 2
    assert sorted(driver.outputs) == [0]


class Answered:
    """A detector that finds two things: a surer hand, and a face."""

    def __init__(self):
        self.asked = []

    def prepare(self, rgb, text):
        return text

    def look(self, question):
        yield Call(lambda: None, stage="detect")
        return question

    def read(self, sight, question, size, **given):
        self.asked.append((question, size, given))
        found = [Detection("hand", 0.8, 30.4, 10.0, 60.0, 20.0), Detection("face", 0.5, -3.0, 40.0, 10.0, 90.0)]
        return (
            found[: given["most"]] if given["most"] else [each for each in found if each.score > given["box_threshold"]]
        )


class Boxes(Pretender):
    """Fills the box it is given."""

    def decode(self, embedding, size, clicks, box, count):
        self.asked.append((embedding.item(), size, clicks, box, count))
        mask = np.zeros(size, bool)
        mask[int(box.top) : int(box.bottom), int(box.left) : int(box.right)] = True
        return [SegmentedMask(mask, 0.9)]


def search(tmp_path, detector, network=None, cache=None, **params):
    class Both(Shelf):
        def keep(self, name, size_bytes, steps, *, stamp, files):
            yield Call(lambda: None, stage="load")
            return detector

    folder = tmp_path / "grounding-dino-tiny"
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    shelf = Both({"mobile_sam": network or Boxes()}, models_dir=tmp_path)
    made = make_run(
        TaskName.SEGMENT, {"text": "Face, hand", **params}, inputs={"image": save(tmp_path / "a.png", texture(60, 80))}
    )
    cache = EmbeddingCache() if cache is None else cache
    return drive(lambda run, context: segment(run, context, shelf, cache), made)


HAND = {"label": "hand", "score": 0.8, "box": {"x": 30, "y": 10, "width": 30, "height": 10}}
FACE = {"label": "face", "score": 0.5, "box": {"x": 0, "y": 40, "width": 10, "height": 20}}


def test_all_that_words_name_is_one_mask_that_tells_its_objects(tmp_path):
    detector = Answered()
    driver = search(tmp_path, detector)
    mask = pixels_of(driver.outputs[0].content) > 0
    assert mask.sum() == 30 * 10 + 10 * 20
    assert mask[10:20, 30:60].all()
    assert mask[40:60, :10].all()
    (ready,) = driver.of_type(OutputReady)
    assert ready.data == {"objects": [HAND, FACE], "area_px": 500, "box": {"x": 0, "y": 10, "width": 60, "height": 50}}
    ((text, size, given),) = detector.asked
    assert (text, size) == ("face. hand.", (60, 80))
    assert given == {"box_threshold": 0.3, "text_threshold": 0.25, "most": 0}
    assert driver.progress == sorted(driver.progress)
    assert stages(driver)[:4] == ["read", "load", "load", "detect"]


def test_objects_that_words_name_can_come_apart_each_with_its_label(tmp_path):
    driver = search(tmp_path, Answered(), together=False)
    first, second = (ready.data for ready in driver.of_type(OutputReady))
    assert first == {**HAND, "found_in": HAND["box"], "area_px": 300}
    assert second == {**FACE, "found_in": FACE["box"], "area_px": 200}
    assert (pixels_of(driver.outputs[1].content) > 0).sum() == 200


def test_thresholds_the_most_and_grown_boxes_count_in_a_search(tmp_path):
    detector, network = Answered(), Boxes()
    driver = search(tmp_path, detector, network, box_threshold=0.6, text_threshold=0.1)
    assert [each["label"] for each in driver.of_type(OutputReady)[0].data["objects"]] == ["hand"]
    assert detector.asked[0][2] == {"box_threshold": 0.6, "text_threshold": 0.1, "most": 0}
    search(tmp_path, detector, network, max_detections=1, grow_box_px=5)
    assert network.asked[-1][3] == Edges(25, 5, 65, 25)
    search(tmp_path, detector, network, max_detections=1, grow_box_px=-4)
    assert network.asked[-1][3] == Edges(34, 14, 56, 16)
    narrowed = search(tmp_path, detector, network, max_detections=1, grow_box_px=-5)
    assert narrowed.warnings == ["nothing_found"], "nothing was left of the box"


def test_nothing_found_is_an_empty_mask_and_a_warning_and_no_mask_where_they_come_apart(tmp_path):
    network = Boxes()
    driver = search(tmp_path, Answered(), network, box_threshold=0.9)
    assert driver.warnings == ["nothing_found"]
    assert not pixels_of(driver.outputs[0].content).any()
    assert driver.of_type(OutputReady)[0].data == {"objects": [], "area_px": 0, "box": None}
    assert network.asked == []
    apart = search(tmp_path, Answered(), network, box_threshold=0.9, together=False)
    assert (apart.outputs, apart.warnings) == ({}, ["nothing_found"])


def test_a_search_on_a_picture_that_was_looked_at_skips_the_encoder(tmp_path):
    cache = EmbeddingCache()
    assert "embed" in stages(search(tmp_path, Answered(), cache=cache))
    assert "embed" not in stages(search(tmp_path, Answered(), cache=cache, max_detections=1))


def test_without_its_file_a_search_says_what_to_put_where(tmp_path):
    made = make_run(TaskName.SEGMENT, {"text": "face"}, inputs={"image": save(tmp_path / "a.png", texture(60, 80))})
    shelf = Shelf({"mobile_sam": Boxes()}, models_dir=tmp_path)
    with pytest.raises(EngineError, match=r"put grounding-dino-tiny/model\.safetensors from https://") as refused:
        drive(lambda run, context: segment(run, context, shelf, EmbeddingCache()), made)
    assert refused.value.code is ErrorCode.MODEL_MISSING


def test_words_that_name_nothing_are_refused(tmp_path):
    with pytest.raises(EngineError, match=r"expected names of things, got none, at \$\.params"):
        search(tmp_path, Answered(), text=" ., ")


def test_what_counts_beside_words_alone_is_told_where_there_are_none(tmp_path):
    driver = run(save(tmp_path / "in.png", texture(60, 80)), Pretender(), box_threshold=0.5, together=False, **CLICK)
    assert driver.warnings == ["search_unused", "search_unused"]
    assert run(save(tmp_path / "in.png", texture(60, 80)), Pretender(), **CLICK).warnings == []
