"""More training for the decoder alone: sharper pictures from the same latents, without touching the UNet's world.

The encoder stands still, so latents that were encoded before, and a UNet trained on them, stay valid. It may run before
or long after the training of the UNet.
"""

import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from training.spark import vae as autoencoder
from training.spark.budget import Budget, learning_rate_factor
from training.spark.checkpoint import Average, Progress, load, save
from training.spark.precision import autocast
from training.spark.scenes import compose, compose_strange, draw_lots
from training.spark.sprites import Sprites
from training.spark.threads import Threads

LEARNING_RATE = 1e-3
NOISE = 0.04
"""Deviation of the noise on whitened latents: a UNet's latents are not quite an encoder's."""
CHECKPOINT_EVERY = 200
FILE = "decoder.pt"

logger = logging.getLogger(__name__)


def train(
    work_dir: Path,
    sprites: Sprites,
    budget: Budget,
    device: torch.device,
    *,
    threads: Threads,
    precision: str = "auto",
    seed: int = 16,
) -> Progress:
    """Train to the end of `budget` from `work_dir/vae.safetensors`, or on from `work_dir/decoder.pt`."""
    torch.manual_seed(seed)
    vae = autoencoder.build()
    vae.load_state_dict(load_file(work_dir / "vae.safetensors"))
    vae.to(device, memory_format=torch.channels_last)
    vae.encoder.requires_grad_(False)
    vae.quant_conv.requires_grad_(False)
    moving = [weight for weight in vae.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(moving, lr=LEARNING_RATE, betas=(0.9, 0.99), weight_decay=1e-3, fused=True)
    average = Average(vae)
    state: dict[str, Any] = {"vae": vae, "optimizer": optimizer, "average": average}
    progress = load(work_dir / FILE, device, **state)
    recent: list[float] = []
    while (share := budget.progress(progress.step, progress.elapsed_s)) < 1:
        began = time.monotonic()
        factor = learning_rate_factor(progress.step, share, warmup_steps=50, decay_from=0.3)
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * factor
        loss = _loss(vae, sprites, device, precision, np.random.default_rng((seed, progress.step)))
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(moving, 1.0)
        optimizer.step()
        recent.append(float(loss.detach()))
        progress.step += 1
        progress.pictures += autoencoder.BATCH
        average.update(vae, progress.step)
        took_s = time.monotonic() - began
        progress.elapsed_s += took_s
        threads.finished(took_s)
        if progress.step % CHECKPOINT_EVERY == 0:
            progress.losses.append((progress.step, float(np.mean(recent))))
            recent.clear()
            minutes, mean_loss = progress.elapsed_s / 60, progress.losses[-1][1]
            logger.info(
                "decoder step %d, %.1f min, loss %.4f, %d threads", progress.step, minutes, mean_loss, threads.best
            )
            save(work_dir / FILE, progress, **state)
    save(work_dir / FILE, progress, **state)
    return progress


def best_vae(work_dir: Path) -> Any:
    """The autoencoder of `work_dir` with whitened latents, its decoder the longest trained one."""
    vae = autoencoder.build()
    vae.load_state_dict(load_file(work_dir / "vae.safetensors"))
    average: dict[str, torch.Tensor] = {}
    if (work_dir / FILE).exists():
        load(work_dir / FILE, torch.device("cpu"), average=average)
        vae.load_state_dict(average)
    return vae.eval().requires_grad_(False)


def _loss(
    vae: Any, sprites: Sprites, device: torch.device, precision: str, random: np.random.Generator
) -> torch.Tensor:
    strange = autoencoder.STRANGE
    pictures = torch.cat(
        [
            compose(sprites, draw_lots(sprites, autoencoder.BATCH - strange, random)),
            compose_strange(sprites, strange, random),
        ]
    ).to(device, memory_format=torch.channels_last)
    with autocast(device, precision):
        with torch.no_grad():
            latents = vae.encode(pictures).latent_dist.mean.float()
        noise = torch.from_numpy(random.standard_normal(latents.shape, np.float32)).to(device)
        decoded = vae.decode(latents + NOISE * noise).sample.float()
    return autoencoder.reconstruction_loss(decoded, pictures)
