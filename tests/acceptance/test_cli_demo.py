"""`safelight demo` as a user runs it."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from safelight.demo import PHOTOGRAPH, PROMPTS
from service.settings import load
from tests.servers import DEADLINE_S, REPOSITORY

pytestmark = pytest.mark.models


def demo(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    if not (load().models_dir / PHOTOGRAPH).is_file():
        pytest.skip("the demo's photograph is not here: safelight models pull")
    return subprocess.run(
        [sys.executable, "-m", "safelight", "demo", "-o", str(folder), *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=30 * DEADLINE_S,
        check=False,
    )


def check_pictures(folder: Path, done: "subprocess.CompletedProcess[str]") -> None:
    assert done.returncode == 0, done.stderr
    sizes = {}
    for path in folder.iterdir():
        with Image.open(path) as picture:
            sizes[path.name] = picture.size
    wide = sizes.pop("side-by-side.jpg")[0]
    assert wide > 3 * 640
    film = sizes.pop("developing.png")
    assert film[0] >= 2 * 192, "a film without previews"
    made = [sizes.pop(f"{prompt.replace(' ', '-')}.png") for prompt in PROMPTS]
    assert len(set(made)) == 1
    assert sizes == {
        "before.png": (640, 427), "erased.png": (640, 427), "without-text.png": (640, 427), "upscaled.png": (1280, 854)
    }  # fmt: skip


def test_it_writes_its_pictures_and_stops_its_server(tmp_path: Path) -> None:
    done = demo(tmp_path, "--engine", "fake")
    check_pictures(tmp_path, done)
    assert "erase" in done.stdout
    assert "http://127.0.0.1:" in done.stdout


@pytest.mark.slow
def test_with_real_models_the_erase_overtakes_the_upscale(tmp_path: Path) -> None:
    done = demo(tmp_path)
    check_pictures(tmp_path, done)
    assert "before the upscale" in done.stdout
