"""Writes the trained model as a standard diffusers folder with fp16 weights, and checks that nothing was lost."""

import json
import logging
import shutil
import tempfile
from pathlib import Path

from safetensors.torch import load_file, save_file

from training.spark import tokenizer
from training.spark.pipeline import assemble, generate, load_folder

COMPONENTS = ("text_encoder", "unet", "vae")
PROMPTS = ("a red apple", "a blue car on a yellow background", "cat", "a purple ghost on a black background")
ALLOWED = 1.5 / 255
"""How far a value of a picture may move through fp16 storage, in pictures of [0, 1]."""

logger = logging.getLogger(__name__)


class ExportDiffers(Exception):
    """The folder makes other pictures than the checkpoint."""


def export(work_dir: Path, folder: Path, checkpoint: str = "unet.pt") -> float:
    """Write the model of `work_dir` into `folder`, replacing the model files there and leaving other files alone.

    Returns:
        The largest difference of a picture value in [0, 1] between the fp32 checkpoint and the folder, over `PROMPTS`.

    Raises:
        ExportDiffers: that difference is above `ALLOWED`; `folder` is as it was.
    """
    pipeline = assemble(work_dir, checkpoint)
    with tempfile.TemporaryDirectory(dir=work_dir) as temporary:
        fresh = Path(temporary) / "spark"
        pipeline.save_pretrained(fresh)
        tokenizer.save(fresh / "tokenizer")
        for component in COMPONENTS:
            _halve(fresh / component)
        _clean(fresh)
        seeds = list(range(len(PROMPTS)))
        before = generate(pipeline, PROMPTS, seeds)
        after = generate(load_folder(fresh), PROMPTS, seeds)
        difference = float((before - after).abs().max())
        if difference > ALLOWED:
            raise ExportDiffers(f"pictures differ by up to {difference * 255:.2f} of 255")
        for part in fresh.iterdir():
            _replace(part, folder / part.name)
    logger.info("exported to %s; fp16 moves pictures by at most %.2f of 255", folder, difference * 255)
    return difference


def _halve(component: Path) -> None:
    """Store a component's weights as fp16."""
    for path in component.glob("*.safetensors"):
        weights = {
            name: weight.half().contiguous() if weight.is_floating_point() else weight
            for name, weight in load_file(path).items()
        }
        save_file(weights, path, metadata={"format": "pt"})
        path.chmod(0o644)  # else only its owner could read an installed copy


def _clean(folder: Path) -> None:
    """Take out what says where and with what the folder was made."""
    for path in folder.rglob("*.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict) and "_name_or_path" in content:
            del content["_name_or_path"]
            path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _replace(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        shutil.rmtree(target)
    shutil.move(source, target)


def size_bytes(folder: Path) -> int:
    """Of all files below `folder`."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
