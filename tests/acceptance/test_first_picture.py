"""A picture on the first try, on a machine where nothing runs and no model was brought."""

import socket
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.library.roots import EMBEDDED_DIR
from tests.acceptance.test_cli import command
from tests.servers import DEADLINE_S, REPOSITORY

pytestmark = pytest.mark.models


def is_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_prompt_gives_a_picture_without_a_server_and_without_a_model_hub(tmp_path: Path) -> None:
    if is_taken(8765):
        pytest.skip("a server runs on this machine already")
    assert (EMBEDDED_DIR / "model_index.json").is_file()
    done = subprocess.run(
        command("run", "text_to_image", "a red apple", "--set", "seed=7", "-o", "apple.png"),
        cwd=tmp_path,
        env={"PATH": "", "PYTHONPATH": str(REPOSITORY), "HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=30 * DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "starting one for this job" in done.stdout
    with Image.open(tmp_path / "apple.png") as picture:
        pixels = np.asarray(picture.convert("RGB"), np.float32)
    assert min(pixels.shape[:2]) >= 256
    red, green, blue = pixels[96:160, 96:160].mean(axis=(0, 1))
    assert red > 1.5 * green, "the middle of a red apple is not red"
    assert red > 1.5 * blue
