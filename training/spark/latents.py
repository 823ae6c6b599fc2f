"""The latents the UNet learns from: a fixed set of scenes, encoded once by a trained autoencoder, whitened.

Whitening is folded into the autoencoder's own 1x1 convolutions around the latents, so the exported model needs no
shift and its `scaling_factor` is 1.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file

from training.spark.checkpoint import load as load_checkpoint
from training.spark.files import write_atomically
from training.spark.precision import autocast
from training.spark.scenes import JITTER_PX, Scene, compose, variants
from training.spark.sprites import Sprites
from training.spark.vae import build
from training.spark.words import BACKGROUNDS, NOUNS

JITTERS = 2
"""Places per noun, colour and background."""
JITTERS_OF_PLAIN = 8
"""The same for nouns that come in one colour only, which have fewer scenes."""
OWN_COLOUR_SHARE = 0.35
WHITE_SHARE = 0.45

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Latents:
    """Encoded scenes.

    Attributes:
        values: (N, 4, 16, 16) float16, whitened.
        scenes: the scene of each row.
    """

    values: torch.Tensor
    scenes: list[Scene]

    def index(self) -> "Index":
        return Index(self.scenes)


class Index:
    """Draws rows so that nouns come evenly, whatever number of scenes each has."""

    def __init__(self, scenes: list[Scene]) -> None:
        self._rows: dict[tuple[int, int, int], list[int]] = {}
        self._variants: dict[int, list[int]] = {}
        for row, scene in enumerate(scenes):
            self._rows.setdefault((scene.noun, scene.variant, scene.background), []).append(row)
            known = self._variants.setdefault(scene.noun, [])
            if scene.variant not in known:
                known.append(scene.variant)
        self._nouns = sorted(self._variants)

    def draw(self, count: int, random: np.random.Generator) -> list[int]:
        return [self._one(random) for _ in range(count)]

    def _one(self, random: np.random.Generator) -> int:
        noun = self._nouns[int(random.integers(len(self._nouns)))]
        colours = self._variants[noun][1:]
        own = not colours or random.random() < OWN_COLOUR_SHARE
        variant = 0 if own else colours[int(random.integers(len(colours)))]
        white = random.random() < WHITE_SHARE
        background = 0 if white else int(random.integers(1, len(BACKGROUNDS)))
        rows = self._rows[noun, variant, background]
        return rows[int(random.integers(len(rows)))]


def every_scene(sprites: Sprites, *, seed: int = 12) -> list[Scene]:
    """Each noun in each colour it may be trained in, on each background, at a few places.

    A noun's places do not hang on which other nouns there are.
    """
    scenes = []
    for noun, named in enumerate(NOUNS):
        random = np.random.default_rng((seed, *named.icon.encode()))
        colours = variants(sprites, noun)
        for variant in colours:
            for background in range(len(BACKGROUNDS)):
                for _ in range(JITTERS if len(colours) > 1 else JITTERS_OF_PLAIN):
                    right, down = random.integers(-JITTER_PX, JITTER_PX + 1, 2)
                    scenes.append(Scene(noun, variant, background, int(right), int(down)))
    return scenes


@torch.no_grad()
def prepare(work_dir: Path, sprites: Sprites, device: torch.device) -> Latents:
    """The latents of `work_dir`, encoded first if they are not there.

    Writes `vae.safetensors`, the autoencoder with whitened latents, beside them: the two belong together, and a
    training of the UNet that has begun needs them as they are.
    """
    scenes = every_scene(sprites)
    path, vae_path = work_dir / "latents.npz", work_dir / "vae.safetensors"
    if path.exists() and vae_path.exists():
        with np.load(path) as stored:
            if np.array_equal(stored["scenes"], _table(scenes)):
                return Latents(torch.from_numpy(stored["values"]), scenes)
    vae = _whitened(work_dir, vae_path, sprites, scenes, device)
    values = encode(vae, sprites, scenes, device)
    write_atomically(path, lambda file: np.savez(file, scenes=_table(scenes), values=values.numpy()))
    logger.info("encoded %d scenes, std %.3f", len(scenes), float(values[:4000].float().std()))
    return Latents(values, scenes)


def _whitened(work_dir: Path, path: Path, sprites: Sprites, scenes: list[Scene], device: torch.device) -> Any:
    """The autoencoder at `path`; made of the trained one first, if it is not there.

    More scenes do not move it: a UNet that has begun, and a decoder, go on with the latents they know.
    """
    vae = build()
    if path.exists():
        vae.load_state_dict(load_file(path))
        return vae.to(device).eval()
    average: dict[str, torch.Tensor] = {}
    load_checkpoint(work_dir / "vae.pt", device, average=average)
    vae.load_state_dict(average)
    vae.to(device).eval()
    sample = np.random.default_rng(13).choice(len(scenes), min(4000, len(scenes)), replace=False)
    raw = encode(vae, sprites, [scenes[int(row)] for row in sample], device).float()
    whiten(vae, raw.mean(dim=(0, 2, 3)), raw.std(dim=(0, 2, 3)))
    for decoder in ("decoder.pt", "preview_decoder.pt"):
        (work_dir / decoder).unlink(missing_ok=True)  # it belongs to other latents
    unfinished = path.with_suffix(".part")
    save_file({name: weight.contiguous().cpu() for name, weight in vae.state_dict().items()}, unfinished)
    unfinished.replace(path)
    return vae


@torch.no_grad()
def encode(vae: Any, sprites: Sprites, scenes: list[Scene], device: torch.device) -> torch.Tensor:
    """Mean latents of scenes, (N, 4, 16, 16) float16 on the CPU."""
    rows = []
    for first in range(0, len(scenes), 64):
        pictures = compose(sprites, scenes[first : first + 64]).to(device, memory_format=torch.channels_last)
        with autocast(device):
            moments = vae.encode(pictures).latent_dist
        rows.append(moments.mean.half().cpu())
    return torch.cat(rows)


@torch.no_grad()
def whiten(vae: Any, mean: torch.Tensor, std: torch.Tensor) -> None:
    """Make latents come out with mean 0 and deviation 1 per channel, and decode as before.

    Args:
        vae: changed in place.
        mean, std: (4,) of the latents as they are.
    """
    channels = len(mean)
    into, back = vae.quant_conv, vae.post_quant_conv
    into.bias[:channels] = (into.bias[:channels] - mean) / std
    into.weight[:channels] /= std[:, None, None, None]
    into.bias[channels:] -= 2 * std.log()
    back.bias += (back.weight[:, :, 0, 0] * mean).sum(1)
    back.weight *= std[None, :, None, None]


def _table(scenes: list[Scene]) -> npt.NDArray[np.int16]:
    rows = [[scene.noun, scene.variant, scene.background, scene.right_px, scene.down_px] for scene in scenes]
    return np.array(rows, np.int16)
