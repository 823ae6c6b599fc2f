"""What is added to a tiny model, in the real formats: LoRA, IP-Adapter, ControlNet, textual inversion, from a seed."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn

from tests.tiny_files import Tensors, unet_tensors
from tests.tiny_models import HIDDEN, seeded

_TEXT_ENCODERS: Final = ("text_encoder", "text_encoder_2")
_STRENGTH: Final = 0.5
"""Standard deviation of a LoRA's factors: large enough to be seen in one step."""


class Target(NamedTuple):
    """One linear layer a LoRA changes."""

    part: str
    path: str
    layer: nn.Linear


def lora_targets(pipeline: Any, *, text: bool = True) -> Iterator[Target]:
    """The layers LoRA trainers take: attention in the denoiser, attention and feed-forward in the text encoders."""
    for path, layer in pipeline.unet.named_modules():
        if isinstance(layer, nn.Linear) and ".attn" in path:
            yield Target("unet", path, layer)
    encoders = [name for name in _TEXT_ENCODERS if text and getattr(pipeline, name, None) is not None]
    for name in encoders:
        for path, layer in getattr(pipeline, name).named_modules():
            if isinstance(layer, nn.Linear) and path != "text_projection":
                yield Target(name, path, layer)


def kohya_lora(pipeline: Any, *, rank: int = 2, alpha: float = 1.0, seed: int = 3, text: bool = True) -> Tensors:
    """A LoRA as kohya's trainer writes it: the denoiser of SDXL in SGM's names, all others in diffusers'."""
    is_xl = getattr(pipeline, "text_encoder_2", None) is not None
    names = _sgm_names(pipeline.unet) if is_xl else {}
    tensors = {}
    with seeded(seed):
        for part, path, layer in lora_targets(pipeline, text=text):
            stem = f"{_prefix(part, is_xl=is_xl)}_{names.get(path, _text_path(part, path)).replace('.', '_')}"
            tensors |= {
                f"{stem}.lora_down.weight": torch.randn(rank, layer.in_features) * _STRENGTH,
                f"{stem}.lora_up.weight": torch.randn(layer.out_features, rank) * _STRENGTH,
                f"{stem}.alpha": torch.tensor(alpha),
            }
    return tensors


def diffusers_lora(pipeline: Any, *, rank: int = 2, seed: int = 3, text: bool = True) -> Tensors:
    """The same numbers as `kohya_lora` draws with alpha equal to the rank, under the names diffusers and peft use."""
    tensors = {}
    with seeded(seed):
        for part, path, layer in lora_targets(pipeline, text=text):
            stem = f"{part}.{_text_path(part, path)}"
            tensors |= {
                f"{stem}.lora_A.weight": torch.randn(rank, layer.in_features) * _STRENGTH,
                f"{stem}.lora_B.weight": torch.randn(layer.out_features, rank) * _STRENGTH,
            }
    return tensors


def merge_lora(
    pipeline: Any, *, scale: float, rank: int = 2, alpha: float = 1.0, seed: int = 3, text: bool = True
) -> Any:
    """Add what `kohya_lora` writes for the same arguments to the pipeline's own weights; returns the pipeline."""
    with seeded(seed):
        for _, _, layer in lora_targets(pipeline, text=text):
            down, up = torch.randn(rank, layer.in_features), torch.randn(layer.out_features, rank)
            layer.weight += scale * alpha / rank * (up * _STRENGTH) @ (down * _STRENGTH)
    return pipeline


def ip_adapter(unet: Any, *, seed: int = 4, tokens: int = 4, seen: int = HIDDEN, is_plus: bool = False) -> Tensors:
    """An IP-Adapter for `unet` and `make_image_encoder`: a projection of the picture, keys and values per attention.

    Args:
        seen: width of what the image encoder tells.
        is_plus: of the kind that looks at every patch.
    """
    width = unet.config.cross_attention_dim
    with seeded(seed):
        tensors = _resampler(tokens, seen, width) if is_plus else _projection(tokens, seen, width)
        crossing = [layer for path, layer in unet.named_modules() if path.endswith("attn2")]
        for number, layer in enumerate(_as_processors_are_listed(unet, crossing)):
            for kind in ("k", "v"):
                name = f"ip_adapter.{2 * number + 1}.to_{kind}_ip.weight"
                tensors[name] = torch.randn(layer.to_k.out_features, width) * _STRENGTH
    return tensors


def _projection(tokens: int, seen: int, width: int) -> Tensors:
    return {
        "image_proj.proj.weight": torch.randn(tokens * width, seen) * _STRENGTH,
        "image_proj.proj.bias": torch.zeros(tokens * width),
        "image_proj.norm.weight": torch.ones(width),
        "image_proj.norm.bias": torch.zeros(width),
    }


def _resampler(tokens: int, seen: int, width: int, *, hidden: int = 32, head: int = 64, layers: int = 4) -> Tensors:
    """What reads the states of all patches into as many tokens: one attention head, of the only width there is."""
    norm = {"weight": torch.ones(hidden), "bias": torch.zeros(hidden)}
    tensors = {
        "latents": torch.randn(1, tokens, hidden),
        "proj_in.weight": torch.randn(hidden, seen) * _STRENGTH,
        "proj_in.bias": torch.zeros(hidden),
        "proj_out.weight": torch.randn(width, hidden) * _STRENGTH,
        "proj_out.bias": torch.zeros(width),
        "norm_out.weight": torch.ones(width),
        "norm_out.bias": torch.zeros(width),
    }
    for layer in range(layers):
        place = f"layers.{layer}"
        for name in (f"{place}.0.norm1", f"{place}.0.norm2", f"{place}.1.0"):
            tensors |= {f"{name}.{kind}": tensor.clone() for kind, tensor in norm.items()}
        tensors |= {
            f"{place}.0.to_q.weight": torch.randn(head, hidden) * _STRENGTH,
            f"{place}.0.to_kv.weight": torch.randn(2 * head, hidden) * _STRENGTH,
            f"{place}.0.to_out.weight": torch.randn(hidden, head) * _STRENGTH,
            f"{place}.1.1.weight": torch.randn(4 * hidden, hidden) * _STRENGTH,
            f"{place}.1.3.weight": torch.randn(hidden, 4 * hidden) * _STRENGTH,
        }
    return {f"image_proj.{name}": tensor for name, tensor in tensors.items()}


def controlnet_tensors(controlnet: Any, prefix: str = "control_model.") -> Tensors:
    """A ControlNet as a single file holds it."""
    own = {name: t for name, t in controlnet.state_dict().items() if not name.startswith("controlnet_")}
    tensors = unet_tensors(controlnet, own)
    for name, tensor in controlnet.state_dict().items():
        place, _, kind = name.rpartition(".")
        *_, number = place.split(".")
        if name.startswith("controlnet_down_blocks."):
            tensors[f"zero_convs.{number}.0.{kind}"] = tensor
        elif name.startswith("controlnet_mid_block."):
            tensors[f"middle_block_out.0.{kind}"] = tensor
        elif name.startswith("controlnet_cond_embedding."):
            layer = {"conv_in": 0, "conv_out": 14}.get(number)
            tensors[f"input_hint_block.{2 * int(number) + 2 if layer is None else layer}.{kind}"] = tensor
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


def control_lora(net: Any, *, rank: int = 2, seed: int = 6) -> Tensors:
    """A Control-LoRA, as a file holds it, for the UNet that `net` was made of; `net` becomes what it stands for.

    Weights are changed by low-rank matrices, biases and norms replaced, and what only a ControlNet has is whole.
    """
    tensors: Tensors = {"lora_controlnet": torch.empty(0)}
    state = net.state_dict()
    named = {tensor.data_ptr(): name for name, tensor in controlnet_tensors(net, "").items()}
    names = {name: named[tensor.data_ptr()] for name, tensor in state.items()}
    with seeded(seed):
        for name, weight in state.items():
            layer, _, kind = names[name].rpartition(".")
            if name.startswith("controlnet_"):
                tensors[names[name]] = weight.clone()
            elif kind == "weight" and weight.ndim > 1:
                down = torch.randn(rank, *weight.shape[1:]) * _STRENGTH
                up = torch.randn(weight.shape[0], rank, *(1 for _ in weight.shape[2:])) * _STRENGTH
                weight += (up.flatten(1) @ down.flatten(1)).reshape(weight.shape)
                tensors |= {f"{layer}.down": down, f"{layer}.up": up}
            else:
                weight += torch.randn(weight.shape) * 0.1
                tensors[names[name]] = weight.clone()
    return tensors


def embedding(vectors: int = 2, *, width: int = HIDDEN, seed: int = 5) -> Tensor:
    """A textual inversion: so many new words. As a file: `{"emb_params": ...}`, or as `pickled_embedding`."""
    with seeded(seed):
        return torch.randn(vectors, width)


def pickled_embedding(vectors: Tensor, name: str = "mine") -> dict[str, Any]:
    """What training programs save as `.pt`."""
    return {"string_to_token": {"*": 265}, "string_to_param": {"*": vectors}, "name": name, "step": 500}


def _prefix(part: str, *, is_xl: bool) -> str:
    if part == "unet":
        return "lora_unet"
    return {"text_encoder": "lora_te1", "text_encoder_2": "lora_te2"}[part] if is_xl else "lora_te"


def _text_path(part: str, path: str) -> str:
    return path if part == "unet" or path.startswith("text_model.") else f"text_model.{path}"


def _sgm_names(unet: Any) -> dict[str, str]:
    """Path of a module in diffusers -> its path in SGM."""
    weights = [name for name in unet.state_dict() if name.endswith(".weight")]
    renamed = unet_tensors(unet, dict.fromkeys(weights))
    return {old.removesuffix(".weight"): new.removesuffix(".weight") for old, new in zip(weights, renamed, strict=True)}


def _as_processors_are_listed(unet: Any, crossing: list[Any]) -> list[Any]:
    by_processor = {id(layer.processor): layer for layer in crossing}
    listed = [by_processor[id(p)] for p in unet.attn_processors.values() if id(p) in by_processor]
    assert len(listed) == len(crossing)
    return listed
