"""Writes an exported folder as one file, in the layout of the original training program (LDM) that checkpoints have."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from training.spark.ldm_names import is_convolved, unet_names, vae_name

_PREDICTIONS = {"v_prediction": "v", "epsilon": "epsilon"}


def write_single_file(folder: Path, file: Path) -> Path:
    """Write the weights of a diffusers folder of the SD 1 family into a safetensors file, as they are stored.

    The file has no configurations and no vocabulary, as is usual: whoever reads it has to know how the model is built.

    Returns:
        `file`.

    Raises:
        OSError, ValueError: a part of the folder cannot be read.
    """
    unet, vae, text = (_weights(folder / part) for part in ("unet", "vae", "text_encoder"))
    named = unet_names(_config(folder / "unet")["layers_per_block"], unet)
    tensors = {f"model.diffusion_model.{named(name)}": tensor for name, tensor in unet.items()}
    tensors |= dict(_vae(vae, len(_config(folder / "vae")["block_out_channels"])))
    prefix = "cond_stage_model.transformer.text_model."
    tensors |= {f"{prefix}{name.removeprefix('text_model.')}": tensor for name, tensor in text.items()}
    places = _config(folder / "text_encoder")["max_position_embeddings"]
    tensors[f"{prefix}embeddings.position_ids"] = torch.arange(places)[None]
    scheduler = json.loads((folder / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8"))
    told = _PREDICTIONS[scheduler["prediction_type"]]
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, file, metadata={"format": "pt", "modelspec.prediction_type": told})
    return file


def _vae(weights: dict[str, Tensor], blocks: int) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in weights.items():
        new = vae_name(name, blocks)
        yield f"first_stage_model.{new}", tensor[:, :, None, None] if is_convolved(new) else tensor


def _weights(part: Path) -> dict[str, Tensor]:
    (file,) = part.glob("*.safetensors")
    return load_file(file)


def _config(part: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((part / "config.json").read_text(encoding="utf-8"))
    return config
