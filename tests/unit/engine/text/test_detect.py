"""Writing is found and read by the networks inside the rapidocr package."""

import threading

import numpy as np
import pytest

from engine.text.detect import READER, TextLine
from tests.unit.engine.pictures import texture, writing

pytest.importorskip("rapidocr")


def test_writing_is_found_where_it_is_and_read() -> None:
    _, image = writing("EXIT ONLY")
    (line,) = READER.read(image)
    assert line.text.replace(" ", "") == "EXITONLY"
    assert line.confidence > 0.8
    assert np.abs(line.corners.mean(axis=0) - (210, 80)).max() < 12
    assert 20 < line.height_px < 70


def test_a_picture_without_writing_has_no_confident_line() -> None:
    assert [line for line in READER.read(texture(200, 300)) if line.confidence > 0.8] == []


def test_readers_on_several_threads_get_the_lines_of_their_own_picture() -> None:
    words = ["NORTH", "SOUTH", "EAST 7", "WEST 9"]
    found: dict[str, list[TextLine]] = {}

    def work(word: str) -> None:
        found[word] = READER.read(writing(word)[1])

    threads = [threading.Thread(target=work, args=(word,)) for word in words]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {word: "".join(line.text for line in lines).replace(" ", "") for word, lines in found.items()} == {
        word: word.replace(" ", "") for word in words
    }


def test_the_height_of_a_tilted_or_upright_line_is_across_it() -> None:
    upright = TextLine(np.array([(0, 0), (10, 0), (10, 200), (0, 200)], np.float32), "", 1)
    assert upright.height_px == pytest.approx(10)
    tilted = TextLine(np.array([(0, 0), (80, 60), (74, 68), (-6, 8)], np.float32), "", 1)
    assert tilted.height_px == pytest.approx(10)
