"""A small classifier of pictures: which noun, which colour. It has seen only real icons, never a generated picture.

Its colour answer is one of the seven colour words or "its own", which a picture of an uncoloured noun should get.
"""

import logging
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import nn

from training.spark.checkpoint import load, save
from training.spark.scenes import Scene, paste, to_tensor
from training.spark.sprites import PICTURE_PX, Sprites
from training.spark.threads import Threads
from training.spark.words import BACKGROUNDS, COLOURS, NOUNS

BATCH = 64
LEARNING_RATE = 2e-3
JITTER_PX = 5

logger = logging.getLogger(__name__)


class Judge(nn.Module):
    """(N, 3, 64, 64) in [-1, 1] to noun logits (N, nouns) and colour logits (N, 1 + colours)."""

    def __init__(self) -> None:
        super().__init__()
        widths = (24, 48, 96, 160)
        layers: list[nn.Module] = []
        before = 3
        for width in widths:
            layers += [nn.Conv2d(before, width, 3, stride=2, padding=1), nn.GroupNorm(8, width), nn.ReLU()]
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.GroupNorm(8, width), nn.ReLU()]
            before = width
        self.body = nn.Sequential(*layers)
        self.noun = nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(before * 16, len(NOUNS)))
        self.colour = nn.Sequential(nn.Flatten(), nn.Linear(before * 16, 1 + len(COLOURS)))

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.body(pictures)
        return self.noun(features), self.colour(features)


@dataclass(frozen=True)
class Verdict:
    """What the judge sees in one picture.

    Attributes:
        noun: index into `NOUNS`.
        colour: 0 for the icon's own colours, else 1 + index into `COLOURS`.
    """

    noun: int
    colour: int


def judge_pictures(judge: nn.Module, pictures: torch.Tensor) -> list[Verdict]:
    """Judge (N, 3, 64, 64) pictures in [0, 1]."""
    with torch.no_grad():
        nouns, colours = judge(pictures * 2 - 1)
    pairs = zip(nouns.argmax(1).tolist(), colours.argmax(1).tolist(), strict=True)
    return [Verdict(noun, colour) for noun, colour in pairs]


def train(work_dir: Path, sprites: Sprites, *, steps: int, threads: Threads, seed: int = 15) -> nn.Module:
    """A judge trained for `steps`, taken from `work_dir/judge.pt` if that has been done.

    Every colour of every recolourable noun is shown, the pairs kept out of the generator's training too: the judge must
    know them to recognise them.
    """
    torch.manual_seed(seed)
    judge = Judge()
    optimizer = torch.optim.AdamW(judge.parameters(), lr=LEARNING_RATE, weight_decay=1e-2, fused=True)
    path, cpu = work_dir / "judge.pt", torch.device("cpu")
    progress = load(path, cpu, judge=judge, optimizer=optimizer)
    while progress.step < steps:
        began = time.monotonic()
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, 1.02 - progress.step / steps)
        pictures, scenes = draw(sprites, BATCH, np.random.default_rng((seed, progress.step)))
        nouns, colours = judge(pictures)
        loss = F.cross_entropy(nouns, torch.tensor([scene.noun for scene in scenes])) + F.cross_entropy(
            colours, torch.tensor([scene.variant for scene in scenes])
        )
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        progress.step += 1
        took_s = time.monotonic() - began
        progress.elapsed_s += took_s
        threads.finished(took_s)
        if progress.step % 200 == 0:
            logger.info(
                "judge step %d, %.1f min, loss %.4f", progress.step, progress.elapsed_s / 60, float(loss.detach())
            )
            save(path, progress, judge=judge, optimizer=optimizer)
    save(path, progress, judge=judge, optimizer=optimizer)
    return judge.eval()


def measure(judge: nn.Module, sprites: Sprites, *, count: int = 2000) -> tuple[float, float]:
    """Shares of nouns and of colours right on real icons in augmentations the judge was not trained on."""
    pictures, scenes = draw(sprites, count, np.random.default_rng(998))
    verdicts = [verdict for part in torch.split(pictures, 200) for verdict in judge_pictures(judge, part / 2 + 0.5)]
    nouns = np.mean([verdict.noun == scene.noun for verdict, scene in zip(verdicts, scenes, strict=True)])
    colours = np.mean([verdict.colour == scene.variant for verdict, scene in zip(verdicts, scenes, strict=True)])
    return float(nouns), float(colours)


def draw(sprites: Sprites, count: int, random: np.random.Generator) -> tuple[torch.Tensor, list[Scene]]:
    """Real icons, disturbed as a generated picture may differ from one: moved, blurred, noisy, off in contrast.

    Returns:
        (N, 3, 64, 64) in about [-1, 1], and what is in them.
    """
    pictures = np.empty((count, PICTURE_PX, PICTURE_PX, 3), np.float32)
    scenes = []
    colours = np.array(list(BACKGROUNDS.values()), np.float32)
    for picture in pictures:
        noun = int(random.integers(len(NOUNS)))
        coloured = sprites.recolourable[noun] and random.random() < 0.75
        variant = int(random.integers(1, 1 + len(COLOURS))) if coloured else 0
        background = 0 if random.random() < 0.4 else int(random.integers(len(BACKGROUNDS)))
        right, down = (int(part) for part in random.integers(-JITTER_PX, JITTER_PX + 1, 2))
        picture[:] = np.clip(colours[background] + random.normal(0, 8, 3), 0, 255)
        paste(picture, sprites.pixels[noun, variant], right, down)
        scenes.append(Scene(noun, variant, background, right, down))
    tensor = to_tensor(pictures)
    soft = F.avg_pool2d(F.pad(tensor, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    share = torch.from_numpy(random.uniform(0, 1, (count, 1, 1, 1)).astype(np.float32))
    tensor = torch.lerp(tensor, soft, share)
    tensor = tensor * torch.from_numpy(random.uniform(0.85, 1.1, (count, 1, 1, 1)).astype(np.float32))
    noise = random.standard_normal(tensor.shape, np.float32) * random.uniform(0, 0.15, (count, 1, 1, 1))
    return tensor + torch.from_numpy(noise.astype(np.float32)), scenes
