import json
from pathlib import Path

import pytest

from safelight.job_commands import RunOptions
from safelight.task_config import BadConfig, read_config


def write(folder: Path, value: object) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(value), "utf-8")
    return path


@pytest.mark.parametrize("value", [{"grow_px": 7}, {"task": "erase", "params": {"grow_px": 7}}])
def test_a_file_holds_parameters_or_a_whole_request(tmp_path: Path, value: object) -> None:
    assert read_config(write(tmp_path, value), "erase") == {"grow_px": 7}


def test_the_command_line_goes_before_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, {"model": "cv2", "seed": 1, "grow_px": 7})
    options = RunOptions("erase", "a.png", settings=["seed=2"], model="patchmatch", config=path)
    assert options.params() == {"image": "a.png", "model": "patchmatch", "seed": 2, "grow_px": 7}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1], "expected an object"),
        ({"task": "inpaint", "params": {}}, "for the task 'inpaint', not erase"),
        ({"priority": "high"}, "no parameter priority"),
        ({"sd_steps": 20, "hd_strategy": "Crop"}, "IOPaint's .*sd_steps"),
    ],
)
def test_what_the_task_does_not_take_is_refused(tmp_path: Path, value: object, message: str) -> None:
    with pytest.raises(BadConfig, match=message):
        read_config(write(tmp_path, value), "erase")


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe{}", None])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "config.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadConfig, match=r"config\.json"):
        read_config(path, "erase")
