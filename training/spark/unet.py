"""The denoiser and its text encoder, trained together from nothing: the plain Stable Diffusion architecture, small.

Objective: v-prediction (Salimans and Ho 2022) with a plain mean square, captions dropped for
one picture in ten so that guidance has something to guide away from (Ho and Salimans 2022).
"""

import logging
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import nn

from training.spark import tokenizer
from training.spark.budget import Budget, learning_rate_factor
from training.spark.captions import caption
from training.spark.checkpoint import Average, Progress, load, save
from training.spark.crew import Batch, Crew
from training.spark.latents import Index, Latents
from training.spark.precision import autocast, quick_attention
from training.spark.stock import CLIPTextConfig, CLIPTextModel, DPMSolverMultistepScheduler, UNet2DConditionModel

BATCH = 32
LEARNING_RATE = 1e-3
DROPPED_CAPTIONS = 0.1
NOISY_SHARE = 0.6
"""Timesteps are 1000 u^0.6 for even u: noisy ones come more often, since below 400 a caption tells nothing new."""
CHECKPOINT_EVERY = 250
LOG_EVERY = 50
DECAY_FROM = 0.5
"""Share of the budget after which the learning rate falls."""
PLATEAU = "unet-plateau.pt"
"""The checkpoint from just before the fall: what a longer training should go on from."""

logger = logging.getLogger(__name__)


def build() -> nn.ModuleDict:
    """Untrained: `text_encoder` (0.9 M weights) and `unet` (5.7 M)."""
    vocab, _ = tokenizer.tables()
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(vocab),
            hidden_size=160,
            intermediate_size=640,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=tokenizer.LENGTH,
            projection_dim=160,
            bos_token_id=len(vocab) - 2,
            eos_token_id=len(vocab) - 1,
            pad_token_id=len(vocab) - 1,
        )
    )
    unet = UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(64, 96, 128),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=160,
        attention_head_dim=4,
        norm_num_groups=16,
    )
    return nn.ModuleDict({"text_encoder": text_encoder, "unet": unet})


def scheduler() -> Any:
    """The noise schedule of training and, as DPM++ 2M, of sampling.

    Without zero terminal SNR: it breaks Karras sigmas, and black and white backgrounds come out right without it.
    """
    return DPMSolverMultistepScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        steps_offset=1,  # unused with trailing spacing, but the stock pipeline rewrites any other value
    )


def train(
    work_dir: Path,
    latents: Latents,
    budget: Budget,
    device: torch.device,
    *,
    workers: int = 1,
    precision: str = "auto",
    seed: int = 14,
) -> Progress:
    """Train to the end of `budget`, going on from `work_dir/unet.pt` if it is there.

    Lots are drawn from (seed, step): an interrupted run makes the very steps it would have made.
    """
    torch.manual_seed(seed)
    modules = build().to(device).train()
    optimizer = torch.optim.AdamW(
        modules.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.99), weight_decay=1e-2, fused=True
    )
    average = Average(modules)
    path = work_dir / "unet.pt"
    state: dict[str, Any] = {"modules": modules, "optimizer": optimizer, "average": average}
    progress = load(path, device, **state)
    index, kept = latents.index(), scheduler().alphas_cumprod.to(device)
    recent: list[float] = []
    moving = list(modules.parameters())

    def loss(batch: Batch) -> torch.Tensor:
        return step_loss(modules, batch, kept, precision)

    with Crew(workers) as crew, quick_attention(device):
        while (share := budget.progress(progress.step, progress.elapsed_s)) < 1:
            began = time.monotonic()
            factor = learning_rate_factor(progress.step, share, warmup_steps=150, decay_from=DECAY_FROM)
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE * factor
            random = np.random.default_rng((seed, progress.step))
            recent.append(crew.set_gradients(loss, _draw(latents, index, random, device), moving))
            nn.utils.clip_grad_norm_(moving, 1.0)
            optimizer.step()
            progress.step += 1
            progress.pictures += BATCH
            average.update(modules, progress.step)
            progress.elapsed_s += time.monotonic() - began
            if progress.step % LOG_EVERY == 0:
                progress.losses.append((progress.step, float(np.mean(recent))))
                recent.clear()
                minutes, mean_loss = progress.elapsed_s / 60, progress.losses[-1][1]
                logger.info(
                    "unet step %d, %.1f min, loss %.4f, rate %.2g",
                    progress.step,
                    minutes,
                    mean_loss,
                    LEARNING_RATE * factor,
                )
            if progress.step % CHECKPOINT_EVERY == 0:
                save(path, progress, **state)
                if share < DECAY_FROM:
                    shutil.copyfile(path, work_dir / f".{PLATEAU}.part")
                    (work_dir / f".{PLATEAU}.part").replace(work_dir / PLATEAU)
    save(path, progress, **state)
    return progress


def trained(work_dir: Path, name: str = "unet.pt") -> nn.ModuleDict:
    """The averaged text encoder and UNet of a checkpoint, on the CPU, ready to run."""
    modules = build()
    average: dict[str, torch.Tensor] = {}
    load(work_dir / name, torch.device("cpu"), average=average)
    modules.load_state_dict(average)
    return modules.eval().requires_grad_(False)


def step_loss(modules: nn.ModuleDict, batch: Batch, kept: torch.Tensor, precision: str) -> torch.Tensor:
    """The v-prediction loss of one batch.

    Args:
        batch: `latents` and `noise` (N, 4, 16, 16), `timesteps` (N,), `ids` (N, LENGTH).
        kept: (1000,) cumulative product of alphas: the share of signal variance left at each timestep.
    """
    signal = kept[batch["timesteps"]].sqrt()[:, None, None, None]
    blur = (1 - kept[batch["timesteps"]]).sqrt()[:, None, None, None]
    noisy = signal * batch["latents"] + blur * batch["noise"]
    wanted = signal * batch["noise"] - blur * batch["latents"]
    with autocast(noisy.device, precision):
        words = modules["text_encoder"](batch["ids"]).last_hidden_state
        predicted = modules["unet"](noisy, batch["timesteps"], words).sample
    return F.mse_loss(predicted.float(), wanted)


def _draw(latents: Latents, index: Index, random: np.random.Generator, device: torch.device) -> Batch:
    rows = index.draw(BATCH, random)
    captions = ["" if random.random() < DROPPED_CAPTIONS else caption(latents.scenes[row], random) for row in rows]
    values = latents.values[rows].float()
    batch = {
        "latents": values,
        "noise": torch.from_numpy(random.standard_normal(values.shape, np.float32)),
        "timesteps": torch.from_numpy((1000 * random.random(len(rows)) ** NOISY_SHARE).astype(np.int64)),
        "ids": torch.from_numpy(tokenizer.encode(captions)),
    }
    return {name: part.to(device) for name, part in batch.items()}
