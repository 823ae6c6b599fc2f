import json

import numpy as np
import pytest

from engine.describing.faces import Face
from engine.interface import Call, EngineError
from engine.models.catalogue import find
from engine.models.residency import Residency
from engine.plugins.files import PluginFiles
from engine.tasks.describe import describe
from engine.text.detect import READER, TextLine
from protocol.events import JobWarning, OutputReady
from protocol.requests import TaskName
from tests.unit.engine.driver import drive, make_run
from tests.unit.engine.networks import Shelf
from tests.unit.engine.pictures import save, texture, writing

FACE = Face(x=1, y=2, width=3, height=4, confidence=0.75)


class Classifier:
    def classify(self, rgb):
        self.seen = rgb
        likely = np.full(1000, 0.0001, np.float32)
        likely[7], likely[3], likely[5] = 0.2, 0.6, 0.05
        return likely


class Finder:
    def find(self, image):
        return [FACE]


def lines(*texts_and_scores):
    corners = np.array([[10.4, 5], [30, 5.2], [30, 15], [10, 15]], np.float32)
    return [TextLine(corners, text, score) for text, score in texts_and_scores]


@pytest.fixture
def names(tmp_path, monkeypatch):
    """The names of the classes, as the catalogue's file has them, in a folder of their own."""
    file = find("imagenet-names").files[0]
    content = json.dumps([f"class {number}" for number in range(1000)])
    (tmp_path / file.name).write_text(content.ljust(file.size_bytes))
    return tmp_path


def run(path, folder, found, monkeypatch, **params):
    monkeypatch.setattr(type(READER), "read", lambda self, image: found)
    classifier = Classifier()
    shelf = Shelf({"efficientnet-lite0": classifier, "centerface": Finder()}, models_dir=folder)
    made = make_run(TaskName.DESCRIBE, params, inputs={"image": path})
    return drive(lambda run, context: describe(run, context, shelf), made), classifier


def test_the_document_says_of_each_tag_where_it_comes_from(names, tmp_path, monkeypatch):
    path = save(tmp_path / "in.png", texture())
    driver, _ = run(path, names, lines(("EXIT", 0.95)), monkeypatch)
    document = json.loads(driver.outputs[0].content)
    assert document["tags"] == [
        {"tag": "text", "confidence": 0.95, "source": "rapidocr"},
        {"tag": "face", "confidence": 0.75, "source": "centerface"},
        {"tag": "class 3", "confidence": 0.6, "source": "efficientnet-lite0"},
        {"tag": "class 7", "confidence": 0.2, "source": "efficientnet-lite0"},
    ]
    assert document["faces"] == [{"x": 1, "y": 2, "width": 3, "height": 4, "confidence": 0.75}]
    assert document["text"] == [
        {"text": "EXIT", "confidence": 0.95, "box": {"x": 10, "y": 5, "width": 20, "height": 10}}
    ]
    assert {colour["name"] for colour in document["colours"]}


def test_the_data_of_the_output_are_the_document(names, tmp_path, monkeypatch):
    driver, _ = run(save(tmp_path / "in.png", texture()), names, [], monkeypatch)
    (ready,) = driver.of_type(OutputReady)
    assert ready.media_type == "application/json"
    assert ready.data == json.loads(driver.outputs[0].content)


def test_no_more_tags_than_asked_for_and_the_surest_stay(names, tmp_path, monkeypatch):
    driver, _ = run(save(tmp_path / "in.png", texture()), names, [], monkeypatch, max_tags=2)
    tags = json.loads(driver.outputs[0].content)["tags"]
    assert [tag["tag"] for tag in tags] == ["face", "class 3"]


def test_doubtful_text_and_single_letters_are_left_out(names, tmp_path, monkeypatch):
    found = lines(("twigs", 0.7), ("8", 0.99), ("  ", 0.99))
    driver, _ = run(save(tmp_path / "in.png", texture()), names, found, monkeypatch)
    document = json.loads(driver.outputs[0].content)
    assert document["text"] == []
    assert "text" not in {tag["tag"] for tag in document["tags"]}


def test_transparent_parts_are_looked_at_as_white(names, tmp_path, monkeypatch):
    _, classifier = run(save(tmp_path / "in.png", np.zeros((9, 9, 4), np.uint8)), names, [], monkeypatch)
    assert (classifier.seen == 1).all()


def test_each_kind_of_finding_is_a_step(names, tmp_path, monkeypatch):
    driver, _ = run(save(tmp_path / "in.png", texture()), names, [], monkeypatch)
    device = [call.stage for call in driver.calls if call.where.value == "device"]
    assert device == ["load", "classify", "load", "faces"]
    assert len(driver.progress) == 4
    assert driver.progress == sorted(driver.progress)


def test_a_missing_model_names_the_command_that_fetches_it(tmp_path):
    made = make_run(TaskName.DESCRIBE, {}, inputs={"image": save(tmp_path / "in.png", texture())})
    with pytest.raises(EngineError, match="safelight models pull efficientnet-lite0"):
        drive(lambda run, context: describe(run, context, Residency(tmp_path, "cpu")), made)


class Captioner:
    def __init__(self, name):
        self.name = name

    def caption(self, image, *seed):
        return f"{self.name} {image.shape} {seed}"


class Plugins(PluginFiles):
    """Finds every model and gives out one that says what it was asked."""

    def find(self, name):
        return self.models_dir / name

    def use(self, name, residency, load):
        return (yield Call(lambda: Captioner(name), stage="load"))


def described(path, folder, monkeypatch, plugins=None, **params):
    monkeypatch.setattr(type(READER), "read", lambda self, image: [])
    shelf = Shelf({"efficientnet-lite0": Classifier(), "centerface": Finder()}, models_dir=folder)
    made = make_run(TaskName.DESCRIBE, params, inputs={"image": path})
    return drive(lambda run, context: describe(run, context, shelf, plugins), made)


@pytest.mark.parametrize(
    ("params", "caption"),
    [
        ({"style": "photo", "seed": 7}, "blip-image-captioning-base (9, 12, 3) (7,)"),
        ({"style": "anime"}, "wd-v1-4-moat-tagger-v2 (9, 12, 3) ()"),
    ],
)
def test_a_caption_stands_beside_the_tags(names, tmp_path, monkeypatch, params, caption):
    plugins = Plugins(models_dir=tmp_path)
    driver = described(save(tmp_path / "in.png", texture(9, 12)), names, monkeypatch, plugins, **params)
    document = json.loads(driver.outputs[0].content)
    assert document["caption"] == caption
    assert document["tags"]
    assert len(driver.progress) == 5
    assert driver.of_type(JobWarning) == []


@pytest.mark.parametrize("style", ["photo", "anime"])
def test_without_its_model_there_are_tags_and_it_is_said_which_file_to_put_where(names, tmp_path, monkeypatch, style):
    driver = described(save(tmp_path / "in.png", texture()), names, monkeypatch, style=style)
    document = json.loads(driver.outputs[0].content)
    assert "caption" not in document
    assert document["tags"]
    (warning,) = driver.of_type(JobWarning)
    assert warning.code == "caption_unavailable"
    assert "folder plugins" in warning.message
    assert len(driver.progress) == 5


@pytest.mark.parametrize("style", ["tags", "anime"])
def test_a_seed_where_nothing_is_drawn_is_told(names, tmp_path, monkeypatch, style):
    path = save(tmp_path / "in.png", texture())
    driver = described(path, names, monkeypatch, Plugins(models_dir=tmp_path), style=style, seed=3)
    assert [warning.code for warning in driver.of_type(JobWarning)] == ["seed_unused"]


@pytest.mark.models
def test_the_real_networks_read_what_is_written(models_dir, tmp_path):
    _, written = writing("SAFELIGHT")
    made = make_run(TaskName.DESCRIBE, {}, inputs={"image": save(tmp_path / "in.png", written)})
    driver = drive(lambda run, context: describe(run, context, Residency(models_dir, "cpu")), made)
    document = json.loads(driver.outputs[0].content)
    assert [line["text"] for line in document["text"]] == ["SAFELIGHT"]
    assert document["faces"] == []
    assert all(0 < tag["confidence"] <= 1 for tag in document["tags"])
