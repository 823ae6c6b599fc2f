"""The autoencoder: 64 x 64 pictures to 16 x 16 latents of 4 channels and back.

Trained on whole pictures: statistics of crops in the group norms made colours drift.
"""

import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses

from training.spark.budget import Budget, learning_rate_factor
from training.spark.checkpoint import Average, Progress, load, save
from training.spark.precision import autocast
from training.spark.scenes import compose, compose_strange, draw_lots
from training.spark.sprites import PICTURE_PX, Sprites
from training.spark.stock import AutoencoderKL
from training.spark.threads import Threads

BATCH = 16
STRANGE = 2
"""Of each batch, pictures that are not scenes."""
LEARNING_RATE = 2e-3
KL_WEIGHT = 3e-4
CHECKPOINT_EVERY = 400

logger = logging.getLogger(__name__)


def build() -> Any:
    """An untrained autoencoder, 0.77 M weights."""
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(24, 48, 64),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=PICTURE_PX,
        mid_block_add_attention=False,
        scaling_factor=1.0,
    )


def train(
    work_dir: Path,
    sprites: Sprites,
    budget: Budget,
    device: torch.device,
    *,
    threads: Threads,
    precision: str = "auto",
    seed: int = 11,
) -> Progress:
    """Train to the end of `budget`, going on from `work_dir/vae.pt` if it is there.

    Lots are drawn from (seed, step), so a run that was interrupted makes the very steps it would have made.
    """
    torch.manual_seed(seed)
    vae = build().to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(vae.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.99), weight_decay=1e-3, fused=True)
    average = Average(vae)
    path = work_dir / "vae.pt"
    progress = load(path, device, vae=vae, optimizer=optimizer, average=average)
    recent: list[float] = []
    while (share := budget.progress(progress.step, progress.elapsed_s)) < 1:
        began = time.monotonic()
        factor = learning_rate_factor(progress.step, share, warmup_steps=100, decay_from=0.3)
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * factor
        recent.append(_step(vae, optimizer, sprites, device, precision, (seed, progress.step)))
        progress.step += 1
        progress.pictures += BATCH
        average.update(vae, progress.step)
        took_s = time.monotonic() - began
        progress.elapsed_s += took_s
        threads.finished(took_s)
        if progress.step % 100 == 0:
            progress.losses.append((progress.step, float(np.mean(recent))))
            recent.clear()
            minutes, loss = progress.elapsed_s / 60, progress.losses[-1][1]
            logger.info("vae step %d, %.1f min, loss %.4f, %d threads", progress.step, minutes, loss, threads.best)
        if progress.step % CHECKPOINT_EVERY == 0:
            save(path, progress, vae=vae, optimizer=optimizer, average=average)
            logger.info("vae step %d: %.2f dB", progress.step, measure_db(trained(work_dir, device), sprites, device))
    save(path, progress, vae=vae, optimizer=optimizer, average=average)
    logger.info("vae done: %.2f dB", measure_db(trained(work_dir, device), sprites, device))
    return progress


def _step(
    vae: Any,
    optimizer: torch.optim.Optimizer,
    sprites: Sprites,
    device: torch.device,
    precision: str,
    lots: tuple[int, int],
) -> float:
    random = np.random.default_rng(lots)
    pictures = torch.cat(
        [
            compose(sprites, draw_lots(sprites, BATCH - STRANGE, random)),
            compose_strange(sprites, STRANGE, random),
        ]
    ).to(device, memory_format=torch.channels_last)
    noise = torch.from_numpy(random.standard_normal((BATCH, 4, PICTURE_PX // 4, PICTURE_PX // 4), np.float32))
    with autocast(device, precision):
        latents = vae.encode(pictures).latent_dist
        mean, log_variance = latents.mean.float(), latents.logvar.float()
        drawn = mean + noise.to(device) * torch.exp(0.5 * log_variance)
        decoded = vae.decode(drawn).sample.float()
    kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).mean()
    loss = reconstruction_loss(decoded, pictures) + KL_WEIGHT * kl
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())


def reconstruction_loss(decoded: torch.Tensor, pictures: torch.Tensor) -> torch.Tensor:
    """L1 for flat areas, MSE for colours far off, and L1 of the differences between neighbours for sharp edges."""
    edges = F.l1_loss(decoded.diff(dim=2), pictures.diff(dim=2)) + F.l1_loss(decoded.diff(dim=3), pictures.diff(dim=3))
    return F.l1_loss(decoded, pictures) + 0.5 * F.mse_loss(decoded, pictures) + 0.5 * edges


def trained(work_dir: Path, device: torch.device) -> Any:
    """The averaged autoencoder of the last checkpoint, latents not whitened yet, ready to run."""
    vae = build()
    average: dict[str, torch.Tensor] = {}
    load(work_dir / "vae.pt", device, average=average)
    vae.load_state_dict(average)
    return vae.to(device).eval().requires_grad_(False)


@torch.no_grad()
def measure_db(vae: Any, sprites: Sprites, device: torch.device, *, count: int = 256) -> float:
    """Mean PSNR of decode(encode(picture)) over fixed scenes, in dB of pictures in [0, 1]."""
    random = np.random.default_rng(999)
    ratios = []
    for _ in range(count // 64):
        pictures = compose(sprites, draw_lots(sprites, 64, random)).to(device)
        decoded = vae.decode(vae.encode(pictures).latent_dist.mean).sample.clamp(-1, 1)
        errors = ((decoded - pictures) / 2).square().mean(dim=(1, 2, 3))
        ratios.append(-10 * torch.log10(errors))
    return float(torch.cat(ratios).mean())
