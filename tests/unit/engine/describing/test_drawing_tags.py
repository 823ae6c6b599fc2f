"""Tags of drawings, by a table in the published format."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.describing.drawing_tags import DrawingTagger, Tag, load_drawing_tagger
from engine.interface import EngineError
from protocol.errors import ErrorCode
from tests.unit.engine.plugins.tiny_onnx import mean_of_colours

TABLE = (
    ("general", "9"),
    ("1girl", "0"),
    ("blue_eyes", "0"),
    ("hat_(object)", "0"),
    ("night", "0"),
    ("hatsune_miku", "4"),
    ("saber_(fate)", "4"),
)
LIKELY = (0.99, 0.9, 0.36, 0.4, 0.35, 0.86, 0.85)
WRITTEN = "tag_id,name,category,count\n" + "".join(f"{row},{name},{kind},7\n" for row, (name, kind) in enumerate(TABLE))


class Input:
    name = "input"

    def __init__(self, *shape: Any) -> None:
        self.shape = shape


class Answering:
    def __init__(self, *shape: Any) -> None:
        self.told = Input(*shape)

    def get_inputs(self) -> list[Input]:
        return [self.told]

    def get_providers(self) -> list[str]:
        return []

    def run(self, _outputs: Any, inputs: Any) -> list[Any]:
        self.seen = inputs["input"]
        return [np.array([LIKELY], np.float32)]


def tagger(session: Answering) -> DrawingTagger:
    return DrawingTagger(session, [Tag(name, kind) for name, kind in TABLE])


def test_characters_come_first_and_each_kind_has_its_own_threshold() -> None:
    picture = np.zeros((4, 4, 3), np.uint8)
    assert tagger(Answering("N", 448, 448, 3)).caption(picture) == r"hatsune miku, 1girl, blue eyes, hat \(object\)"


def test_the_picture_is_seen_in_the_middle_of_a_white_square_in_blue_green_red() -> None:
    session = Answering("N", 32, 32, 3)
    tagger(session).caption(np.full((16, 32, 3), (10, 20, 30), np.uint8))
    assert session.seen.shape == (1, 32, 32, 3)
    assert session.seen.dtype == np.float32
    assert (session.seen[0, :8] == 255).all()
    assert (session.seen[0, 8:24] == (30, 20, 10)).all()
    assert (session.seen[0, 24:] == 255).all()


@pytest.mark.parametrize(
    ("file", "table"),
    [
        ("wd-v1-4-moat-tagger-v2.onnx", "wd-v1-4-moat-tagger-v2.csv"),
        ("wd-v1-4-moat-tagger-v2/model.onnx", "wd-v1-4-moat-tagger-v2/selected_tags.csv"),
    ],
)
def test_the_table_beside_the_file_is_read_under_both_names(tmp_path: Path, file: str, table: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(mean_of_colours(8))
    (tmp_path / table).write_text(WRITTEN)
    found: Any = load_drawing_tagger(path, "cpu")
    assert [(tag.name, tag.category) for tag in found._tags] == list(TABLE)


def test_a_table_of_another_network_is_refused() -> None:
    with pytest.raises(EngineError, match="has 6 lines, and the network knows 7 tags") as refused:
        DrawingTagger(Answering("N", 8, 8, 3), [Tag(*row) for row in TABLE[1:]]).caption(np.zeros((4, 4, 3), np.uint8))
    assert refused.value.code is ErrorCode.BAD_MODEL


@pytest.mark.parametrize("written", [None, "a,b\n1,2\n"])
def test_without_a_table_of_tags_it_is_refused(tmp_path: Path, written: str | None) -> None:
    path = tmp_path / "wd-v1-4-moat-tagger-v2.onnx"
    path.write_bytes(mean_of_colours(8))
    if written is not None:
        path.with_suffix(".csv").write_text(written)
    with pytest.raises(EngineError) as refused:
        load_drawing_tagger(path, "cpu")
    assert refused.value.code is ErrorCode.BAD_MODEL
