"""Tiny models that change pictures in ways of their own: by instruction, by example, by PowerPaint's learned words."""

import json
from pathlib import Path
from typing import Any, Final

import torch
from diffusers import (
    DiffusionPipeline,
    PaintByExamplePipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionInstructPix2PixPipeline,
)
from diffusers.pipelines.deprecated.paint_by_example.image_encoder import PaintByExampleImageEncoder
from safetensors.torch import load_file, save_file
from transformers import CLIPImageProcessor, CLIPTokenizer, CLIPVisionConfig

from tests.tiny_models import (
    HIDDEN,
    make_scheduler,
    make_text_encoder,
    make_tokenizer,
    make_unet,
    make_vae,
    seeded,
)

SEES_PX: Final = 32
"""Side of the square an example is seen at."""
WORDS: Final = ("P_ctxt", "P_shape", "P_obj")
VECTORS: Final = 3
"""Of each learned word; the published model has ten."""


def make_pix2pix(seed: int = 0) -> DiffusionPipeline:
    """InstructPix2Pix: SD 1 with the picture's latents beside the noise."""
    with seeded(seed):
        unet, vae, text_encoder = make_unet(8), make_vae(), make_text_encoder()
    return StableDiffusionInstructPix2PixPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=make_tokenizer(),
        unet=unet,
        scheduler=make_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


class PublishedPaintByExample(PaintByExamplePipeline):
    """Is saved as the published folder was, by libraries of its time: other names of a module and of weights."""

    def save_pretrained(self, save_directory: str | Path, *args: Any, **kwargs: Any) -> None:
        super().save_pretrained(save_directory, *args, **kwargs)
        folder = Path(save_directory)
        index = json.loads((folder / "model_index.json").read_text())
        index["_class_name"] = "PaintByExamplePipeline"
        index["image_encoder"] = ["paint_by_example", "PaintByExampleImageEncoder"]
        index["feature_extractor"] = ["transformers", "CLIPFeatureExtractor"]
        (folder / "model_index.json").write_text(json.dumps(index))
        file = folder / "image_encoder" / "model.safetensors"
        tensors = load_file(file)
        old = {name.replace("model.", "model.vision_model.", 1): tensor for name, tensor in tensors.items()}
        ours = {name for name in tensors if not name.startswith("model.")}
        renamed = {name: tensor for name, tensor in old.items() if name not in ours}
        save_file({**renamed, **{name: tensors[name] for name in ours}}, file, metadata={"format": "pt"})


def make_paint_by_example(seed: int = 0) -> DiffusionPipeline:
    """Paint by Example: SD 1 for inpainting, with what is seen in a picture instead of a prompt."""
    config = CLIPVisionConfig(
        hidden_size=HIDDEN,
        intermediate_size=2 * HIDDEN,
        projection_dim=HIDDEN,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=SEES_PX,
        patch_size=8,
    )
    with seeded(seed):
        unet, vae = make_unet(9), make_vae()
        encoder = PaintByExampleImageEncoder(config, proj_size=HIDDEN)
        torch.nn.init.normal_(encoder.uncond_vector)
        torch.nn.init.normal_(encoder.proj_out.weight)
    processor: Any = CLIPImageProcessor
    return PublishedPaintByExample(
        vae=vae,
        image_encoder=encoder.requires_grad_(requires_grad=False).eval(),
        unet=unet,
        scheduler=make_scheduler(),
        safety_checker=None,
        feature_extractor=processor(size=SEES_PX, crop_size=SEES_PX),
        requires_safety_checker=False,
    )


def make_powerpaint(seed: int = 0) -> DiffusionPipeline:
    """PowerPaint 1: SD 1 for inpainting whose text encoder has vectors for three words more."""
    tokenizer = with_task_words(make_tokenizer())
    with seeded(seed):
        unet, vae, text_encoder = make_unet(9), make_vae(), make_text_encoder()
        text_encoder.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    return StableDiffusionInpaintPipeline(
        vae=vae,
        text_encoder=text_encoder.requires_grad_(requires_grad=False),
        tokenizer=tokenizer,
        unet=unet,
        scheduler=make_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def with_task_words(tokenizer: CLIPTokenizer) -> CLIPTokenizer:
    """The tokenizer, with PowerPaint's words added to it."""
    for word in WORDS:
        tokenizer.add_tokens([f"{word}_{number}" for number in range(VECTORS)])
    return tokenizer
