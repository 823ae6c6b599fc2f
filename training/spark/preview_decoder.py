"""A decoder for previews: as tiny as a preview is worth, for the same latents as the full one, which it imitates.

It learns the full decoder's pictures and not the drawn ones: a preview is to show what the output will be. Half of what
it sees is what a job has between its steps, where the latents are of no picture yet: blends of two scenes, and noise.
"""

import json
import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from training.spark import decoder
from training.spark.budget import Budget, learning_rate_factor
from training.spark.checkpoint import Average, Progress, load, save
from training.spark.latents import Latents
from training.spark.precision import autocast
from training.spark.stock import AutoencoderTiny
from training.spark.threads import Threads
from training.spark.vae import reconstruction_loss

BATCH = 16
BLENDS = 8
"""Of each batch, rows that are between two scenes."""
NOISE = (0.04, 0.6)
"""Deviation of the noise on whitened latents: of scenes, and the most of blends."""
LEARNING_RATE = 3e-3
CHECKPOINT_EVERY = 200
FILE = "preview_decoder.pt"
FOLDER = "preview_decoder"
"""In the folder of a model: a tiny autoencoder in there is that model's own."""

logger = logging.getLogger(__name__)


def build() -> Any:
    """An untrained one: 76 k weights to decode with, and the few that its class wants to encode with."""
    return AutoencoderTiny(
        encoder_block_out_channels=(4, 4, 4),
        num_encoder_blocks=(0, 0, 0),
        decoder_block_out_channels=(32, 32, 32),
        # None at full size, where each would cost as much as four below.
        num_decoder_blocks=(1, 1, 0),
        latent_channels=4,
    )


def train(
    work_dir: Path,
    latents: Latents,
    budget: Budget,
    device: torch.device,
    *,
    threads: Threads,
    precision: str = "auto",
    seed: int = 17,
) -> Progress:
    """Train to the end of `budget`, going on from `work_dir/preview_decoder.pt` if it is there.

    Lots are drawn from (seed, step), so a run that was interrupted makes the very steps it would have made.
    """
    torch.manual_seed(seed)
    full = decoder.best_vae(work_dir).to(device, memory_format=torch.channels_last)
    tiny = build().to(device, memory_format=torch.channels_last)
    tiny.encoder.requires_grad_(False)
    moving = list(tiny.decoder.parameters())
    optimizer = torch.optim.AdamW(moving, lr=LEARNING_RATE, betas=(0.9, 0.99), weight_decay=1e-3, fused=True)
    average = Average(tiny)
    state: dict[str, Any] = {"tiny": tiny, "optimizer": optimizer, "average": average}
    progress = load(work_dir / FILE, device, **state)
    index, recent = latents.index(), list[float]()
    while (share := budget.progress(progress.step, progress.elapsed_s)) < 1:
        began = time.monotonic()
        factor = learning_rate_factor(progress.step, share, warmup_steps=50, decay_from=0.3)
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * factor
        random = np.random.default_rng((seed, progress.step))
        given = _draw(latents, index.draw(BATCH + BLENDS, random), random).to(device)
        with autocast(device, precision):
            with torch.no_grad():
                wanted = full.decode(given).sample.float()
            decoded = tiny.decode(given).sample.float()
        loss = reconstruction_loss(decoded, wanted)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(moving, 1.0)
        optimizer.step()
        recent.append(float(loss.detach()))
        progress.step += 1
        progress.pictures += BATCH
        average.update(tiny, progress.step)
        took_s = time.monotonic() - began
        progress.elapsed_s += took_s
        threads.finished(took_s)
        if progress.step % CHECKPOINT_EVERY == 0:
            progress.losses.append((progress.step, float(np.mean(recent))))
            recent.clear()
            minutes, mean_loss = progress.elapsed_s / 60, progress.losses[-1][1]
            logger.info("preview decoder step %d, %.1f min, loss %.4f", progress.step, minutes, mean_loss)
            save(work_dir / FILE, progress, **state)
    save(work_dir / FILE, progress, **state)
    logger.info("preview decoder done: %.2f dB of the full decoder", measure_db(trained(work_dir), full, latents))
    return progress


def trained(work_dir: Path) -> Any:
    """The averaged weights of the last checkpoint, on the CPU, ready to run."""
    tiny = build()
    average: dict[str, torch.Tensor] = {}
    load(work_dir / FILE, torch.device("cpu"), average=average)
    tiny.load_state_dict(average)
    return tiny.eval().requires_grad_(False)


def export(work_dir: Path, folder: Path) -> None:
    """Write the trained one into `folder/preview_decoder` as a diffusers folder in fp16; nothing else is touched."""
    place = folder / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    tiny = trained(work_dir)
    config = {name: value for name, value in tiny.config.items() if not name.startswith("_")}
    config = {"_class_name": "AutoencoderTiny", **config}
    (place / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    weights = {name: weight.half().contiguous() for name, weight in tiny.state_dict().items()}
    save_file(weights, place / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})
    (place / "diffusion_pytorch_model.safetensors").chmod(0o644)


@torch.no_grad()
def measure_db(tiny: Any, full: Any, latents: Latents, *, count: int = 256) -> float:
    """Mean PSNR of its pictures of fixed scenes against the full decoder's, in dB of pictures in [0, 1]."""
    rows = latents.index().draw(count, np.random.default_rng(998))
    given = latents.values[rows].float()
    device = next(full.parameters()).device
    ratios = []
    for first in range(0, count, 64):
        some = given[first : first + 64]
        wanted = full.decode(some.to(device)).sample.float().cpu().clamp(-1, 1)
        errors = ((tiny.decode(some).sample.clamp(-1, 1) - wanted) / 2).square().mean(dim=(1, 2, 3))
        ratios.append(-10 * torch.log10(errors))
    return float(torch.cat(ratios).mean())


def _draw(latents: Latents, rows: list[int], random: np.random.Generator) -> torch.Tensor:
    """(BATCH, 4, 16, 16) float32: scenes with a little noise, then blends with up to a lot."""
    values = latents.values[rows].float()
    first, second = values[:BATCH], values[BATCH:]
    share = torch.from_numpy(random.uniform(0, 0.5, (BLENDS, 1, 1, 1)).astype(np.float32))
    blended = torch.lerp(first[-BLENDS:], second, share)
    noise = torch.from_numpy(random.standard_normal(first.shape, np.float32))
    deviation = np.full((BATCH, 1, 1, 1), NOISE[0], np.float32)
    deviation[-BLENDS:, 0, 0, 0] = random.uniform(0, NOISE[1], BLENDS)
    return torch.cat([first[:-BLENDS], blended]) + torch.from_numpy(deviation) * noise
