"""Writing is found and read by the networks inside the rapidocr package."""

import threading

import numpy as np
import pytest

from engine.text.detect import READER, TextLine, TextReader
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


class _Recorder:
    """In place of the library: keeps what it was called with, and whether it was called twice at a time."""

    boxes = txts = scores = None

    def __init__(self) -> None:
        self.calls: list[tuple[np.ndarray, dict[str, bool]]] = []
        self.busy = threading.Lock()
        self.overlapped = False
        self.entered = threading.Event()

    def __call__(self, image: np.ndarray, **options: bool) -> "_Recorder":
        if not self.busy.acquire(blocking=False):
            self.overlapped = True
            return self
        self.calls.append((image, options))
        self.entered.wait(0.05)  # long enough for the other thread, if nothing keeps it out
        self.busy.release()
        return self


def test_the_library_gets_bgr_and_all_its_switches_one_call_at_a_time() -> None:
    reader, recorder = TextReader(), _Recorder()
    reader._ocr = recorder
    image = texture()
    threads = [threading.Thread(target=reader.read, args=(image,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not recorder.overlapped
    assert len(recorder.calls) == 2
    for seen, options in recorder.calls:
        assert (seen == image[..., ::-1]).all()
        assert options == {"use_det": True, "use_cls": True, "use_rec": True}


@pytest.mark.parametrize("shape", [(1, 500), (3000, 40), (40, 3000), (1, 1), (9000, 7000), (16_000, 2)])
def test_the_library_is_never_shown_a_large_or_slim_picture(shape: tuple[int, int]) -> None:
    reader, recorder = TextReader(), _Recorder()
    recorder.entered.set()
    reader._ocr = recorder
    assert reader.read(np.zeros((*shape, 3), np.uint8)) == []
    ((seen, _),) = recorder.calls
    longer, shorter = max(seen.shape[:2]), min(seen.shape[:2])
    assert longer <= 2000
    assert longer / shorter < 5


@pytest.mark.parametrize("turned", [False, True])
def test_writing_on_a_slim_strip_is_found_where_it_is(turned: bool) -> None:
    strip = np.hstack([writing("PLATFORM")[1][50:110]] + [np.full((60, 420, 3), 90, np.uint8)] * 4)
    image = np.ascontiguousarray(np.rot90(strip, -1)) if turned else strip
    (line,) = READER.read(image)
    across, down = line.corners.mean(axis=0)[::-1] if turned else line.corners.mean(axis=0)
    assert abs(across - 210) < 15
    assert abs(down - 30) < 15


def test_corners_are_in_the_pixels_of_the_picture_however_it_was_reduced() -> None:
    small = writing("REDUCED")[1]
    (line,) = READER.read(small)
    (large,) = READER.read(small.repeat(8, axis=0).repeat(8, axis=1))
    assert np.abs(large.corners / 8 - line.corners).max() < 8


def test_the_height_of_a_tilted_or_upright_line_is_across_it() -> None:
    upright = TextLine(np.array([(0, 0), (10, 0), (10, 200), (0, 200)], np.float32), "", 1)
    assert upright.height_px == pytest.approx(10)
    tilted = TextLine(np.array([(0, 0), (80, 60), (74, 68), (-6, 8)], np.float32), "", 1)
    assert tilted.height_px == pytest.approx(10)
