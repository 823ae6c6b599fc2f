"""Single-file checkpoints in the LDM layout (SD 1 and 2) and the SGM layout (SDXL).

A file holds the weights of all components under its own names; what the components are comes from a folder of
configurations, ours or the caller's. The renaming is diffusers' own.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from engine.diffusion.folders import Index, Part, class_of
from engine.diffusion.tokenizers import clip_tokenizer
from engine.diffusion.vaes import share_vae, vae_dtype
from engine.diffusion.weights import Tensors, fill, names_in, read_tensors
from engine.library.records import Family, Prediction

_UNET: Final = "model.diffusion_model."
_VAE: Final = "first_stage_model."
_VELOCITY_MARK: Final = "v_pred"
_PURE_NOISE_MARK: Final = "ztsnr"
"""Empty tensors by which a file says what it was trained to predict, and that it was trained up to pure noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleFile:
    """A file, and the configurations of what is in it.

    Attributes:
        models_dir: where the tokenizer's vocabulary is, for configurations that come without one.
    """

    path: Path
    family: Family
    prediction: Prediction | None
    config_dir: Path
    models_dir: Path | None
    index: Index

    def read(self, part: Part, dtype: torch.dtype) -> Tensors:
        """The tensors of one component, in memory. May run on the side pool.

        Raises:
            READ_ERRORS: the file is corrupt, or has none.
        """
        if part.name == "vae":
            dtype = vae_dtype(self._config(part), dtype)
        prefixes = self.prefixes(part)
        tensors = read_tensors(self.path, prefixes, dtype)
        if not tensors:
            raise ValueError(f"it has no {part.name} ({' or '.join(prefixes)}...)")
        return tensors

    def build(self, part: Part, tensors: Tensors, device: torch.device) -> Any:
        """The component with these weights, on the device. For the executor thread. `tensors` is emptied.

        Raises:
            READ_ERRORS: a weight is missing or has another shape.
        """
        module = self.empty(part)
        renamed = self.renamed(part, module, tensors)
        tensors.clear()
        fill(module, renamed, part=part.name)
        if part.name == "vae":
            share_vae(module)
        return module.to(device)

    def without_weights(self, part: Part) -> Any:
        """A tokenizer or a scheduler.

        Raises:
            EngineError: `model_missing`: the vocabulary is not in the models folder.
        """
        if (self.config_dir / part.name).is_dir():
            return class_of(part).from_pretrained(self.config_dir, subfolder=part.name, local_files_only=True)
        # OpenCLIP's text encoders have learnt with zeros at the end, CLIP's with the end token.
        pads_with_zeros = part.name == "tokenizer_2" or self.family in (Family.SD2, Family.SD2_INPAINT)
        return clip_tokenizer(self.models_dir, pads_with_zeros=pads_with_zeros)

    def scheduler_config(self, saved: Mapping[str, Any]) -> dict[str, Any]:
        """`saved`, the configuration of the family, as this very file needs it.

        Raises:
            READ_ERRORS: the file is corrupt.
        """
        names = names_in(self.path)
        config = dict(saved)
        if self.prediction is not None:
            config["prediction_type"] = str(self.prediction)
        if _VELOCITY_MARK in names:
            config["prediction_type"] = str(Prediction.V)
        if _PURE_NOISE_MARK in names:
            config |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
        return config

    def empty(self, part: Part) -> nn.Module:
        """The component without memory for its weights. For the executor thread: this changes how torch makes modules.

        Raises:
            OSError, ValueError: its configuration cannot be read.
        """
        from accelerate import init_empty_weights

        config, found = self._config(part), class_of(part)
        takes_mapping = part.library == "diffusers"
        with init_empty_weights():
            module: nn.Module = found.from_config(config) if takes_mapping else found(found.config_class(**config))
        return module

    def renamed(self, part: Part, module: nn.Module, tensors: Tensors) -> Tensors:
        """A component's tensors under the names they have in `module`."""
        if part.name == "unet":
            return dict(_diffusers_names().convert_ldm_unet_checkpoint(tensors, self._config(part)))
        if part.name == "vae":
            return renamed_vae(self._config(part), tensors)
        stacked = next((name for name in tensors if name.endswith("positional_embedding")), None)
        if stacked is not None:
            prefix = stacked.removesuffix("positional_embedding")
            text = _diffusers_names().convert_open_clip_checkpoint(module, tensors, prefix=prefix)
        else:
            text = _diffusers_names().convert_ldm_clip_checkpoint(tensors)
        # Some programs leave out this level, and so does transformers in one of its two classes.
        bare = {name.removeprefix("text_model."): tensor for name, tensor in text.items()}
        if not hasattr(module, "text_model"):
            return bare
        return {name if name.startswith("text_projection") else f"text_model.{name}": t for name, t in bare.items()}

    def prefixes(self, part: Part) -> tuple[str, ...]:
        """What the names of a component's tensors begin with in such files."""
        if part.name == "unet":
            return (_UNET,)
        if part.name == "vae":
            return (_VAE,)
        if part.name == "text_encoder_2":
            first = any(other.name == "text_encoder" for other in self.index.parts)
            return (f"conditioner.embedders.{1 if first else 0}.model.",)
        return ("cond_stage_model.", "conditioner.embedders.0.transformer.")

    def _config(self, part: Part) -> dict[str, Any]:
        config: dict[str, Any] = json.loads((self.config_dir / part.name / "config.json").read_bytes())
        return config


def renamed_vae(config: Mapping[str, Any], tensors: Tensors) -> Tensors:
    """A VAE's tensors under diffusers' names.

    Args:
        tensors: in the training programs' layout, with or without their prefix.
    """
    return dict(_diffusers_names().convert_ldm_vae_checkpoint(tensors, config))


def _diffusers_names() -> Any:
    """The functions of diffusers, without types, that know both names of every tensor."""
    from diffusers.loaders import single_file_utils

    return single_file_utils
