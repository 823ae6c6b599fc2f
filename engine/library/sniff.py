"""What a file is for, from the names and shapes of its tensors. The first row that fits decides.

    what decides                                                    kind
    --------------------------------------------------------------  ----------------------------------------------
    `image_proj` and `ip_adapter`                                   ip_adapter
    names that end as the halves of a low-rank matrix do            lora; its family: `adapters`
    `control_model.`, `input_hint_block.`, `controlnet_cond_embedding.`   controlnet
    `brushnet_down_blocks.`                                         brushnet
    `model.diffusion_model.` and a text encoder                     checkpoint
    the same, or a bare UNet or transformer, without text encoder   checkpoint, with a problem: it is not whole
    `emb_params`, `string_to_param`, `clip_l`, `clip_g`, or one
      tensor alone, as wide as text embeddings are                  embedding
    `encoder.conv_in.` and `decoder.conv_in.`                       vae
    names of TAESD's decoder, alone or with its encoder             preview_decoder; its family: `tiny_vaes`
    names of its encoder alone                                      preview_decoder, with a problem
    `vision_model.` without `text_model.`, or `visual.`             image_encoder
    names of ESRGAN, old and new, and of Compact                    upscaler
    anything else                                                   None: the folder it lies in may tell

The VAEs of SD 1, SD 2 and SDXL have the same names and shapes, and so have those of SD 3 and Flux: the family of a
single VAE file is unknown.

What a checkpoint predicts is told by `v_pred`, an empty tensor that some SDXL checkpoints carry, or by the
`modelspec` entries of the metadata.
"""

from collections.abc import Mapping
from typing import Final

from engine.library import adapters, families
from engine.library.families import has
from engine.library.records import UNTOLD, Family, ModelKind, Prediction, Shape, Sniffed

_IN_CHECKPOINT: Final = "model.diffusion_model."
_TEXT_ENCODERS: Final = ("cond_stage_model.", "conditioner.embedders.", "text_encoders.")
_CONTROL: Final = ("control_model.", "input_hint_block.", "controlnet_cond_embedding.")
_BRUSH: Final = "brushnet_down_blocks."
_EMBEDDING: Final = frozenset({"emb_params", "string_to_param", "clip_l", "clip_g"})
_EMBEDDING_RANKS: Final = (1, 2)
_UPSCALER: Final = (
    frozenset({"conv_first.weight", "conv_last.weight"}),
    frozenset({"model.0.weight", "model.1.sub.0.RDB1.conv1.0.weight"}),
    frozenset({"body.0.weight", "body.1.weight", "body.2.weight"}),
)
_TINY_DECODERS: Final = (
    frozenset({"1.weight", "3.conv.0.weight", "19.weight"}),
    frozenset({"taesd_decoder.1.weight", "taesd_decoder.3.conv.0.weight", "taesd_decoder.19.weight"}),
    frozenset({"decoder.layers.0.weight", "decoder.layers.2.conv.0.weight", "decoder.layers.18.weight"}),
)
"""In TAESD's own names, in those ComfyUI gives both halves in one file, and in those of diffusers."""
_TINY_ENCODER: Final = frozenset({"0.weight", "1.conv.0.weight", "14.weight"})
_BARE_DENOISER: Final = ("input_blocks.", "time_embedding.linear_1.", "joint_blocks.", "double_blocks.")
_FOLDER_ONLY: Final = frozenset({Family.SD3, Family.FLUX, Family.PAINT_BY_EXAMPLE, Family.OTHER})
_PREDICTIONS: Final[Mapping[str, Prediction]] = {
    "epsilon": Prediction.EPSILON,
    "eps": Prediction.EPSILON,
    "v": Prediction.V,
    "v_prediction": Prediction.V,
}

CONTROL_LORA_MARK: Final = "lora_controlnet"
"""An empty tensor in ControlNets that are changes to a model's own UNet."""
NOT_WHOLE: Final = "it holds the denoiser without its text encoders; such a model is read from a diffusers folder"
ENCODER_ONLY: Final = "it is the encoding half of a tiny VAE; previews are made with the other"
NO_CONFIGURATION: Final = "its family is read from a diffusers folder only"


def sniff(shapes: Mapping[str, Shape], metadata: Mapping[str, str] | None = None) -> Sniffed:
    """Kind and family of the file with these tensors.

    Args:
        shapes: tensor name -> shape; of a pickle also other strings, with shape ().
        metadata: what its maker wrote into it; believed only where the tensors do not tell.
    """
    metadata = metadata or {}
    if has(shapes, "image_proj") and has(shapes, "ip_adapter"):
        return Sniffed(kind=ModelKind.IP_ADAPTER, family=adapters.of_ip_adapter(shapes))
    if adapters.is_lora(shapes):
        return Sniffed(kind=ModelKind.LORA, family=adapters.of_lora(shapes, metadata))
    if any(has(shapes, part) for part in _CONTROL):
        return Sniffed(kind=ModelKind.CONTROLNET, family=families.of_unet(shapes))
    if has(shapes, _BRUSH):
        return Sniffed(kind=ModelKind.BRUSHNET, family=families.of_unet(shapes))
    if has(shapes, _IN_CHECKPOINT) or any(has(shapes, part) for part in _BARE_DENOISER):
        return _checkpoint(shapes, metadata)
    if _is_embedding(shapes):
        return Sniffed(kind=ModelKind.EMBEDDING, family=adapters.of_embedding(shapes))
    if has(shapes, "encoder.conv_in.") and has(shapes, "decoder.conv_in."):
        return Sniffed(kind=ModelKind.VAE)
    if any(names <= shapes.keys() for names in _TINY_DECODERS):
        return Sniffed(kind=ModelKind.PREVIEW_DECODER)
    if shapes.keys() >= _TINY_ENCODER:
        return Sniffed(kind=ModelKind.PREVIEW_DECODER, problem=ENCODER_ONLY)
    if (has(shapes, "vision_model.") or has(shapes, "visual.")) and not has(shapes, "text_model."):
        return Sniffed(kind=ModelKind.IMAGE_ENCODER, family=Family.OTHER)
    if any(names <= shapes.keys() for names in _UPSCALER):
        return Sniffed(kind=ModelKind.UPSCALER, family=Family.OTHER)
    return UNTOLD


def _checkpoint(shapes: Mapping[str, Shape], metadata: Mapping[str, str]) -> Sniffed:
    family = families.of_transformer(shapes)
    if family is Family.UNKNOWN:
        is_unet = has(shapes, "input_blocks.") or has(shapes, "down_blocks.")
        family = families.of_unet(shapes) if is_unet else Family.OTHER
    problem = None
    if not any(has(shapes, part) for part in _TEXT_ENCODERS):
        problem = NOT_WHOLE
    elif family in _FOLDER_ONLY:
        problem = NO_CONFIGURATION
    prediction = _prediction(shapes, metadata)
    return Sniffed(kind=ModelKind.CHECKPOINT, family=family, problem=problem, prediction=prediction)


def _prediction(shapes: Mapping[str, Shape], metadata: Mapping[str, str]) -> Prediction | None:
    if "v_pred" in shapes:
        return Prediction.V
    told = metadata.get("modelspec.prediction_type") or metadata.get("modelspec.predict_key") or ""
    return _PREDICTIONS.get(told.strip().casefold())


def _is_embedding(shapes: Mapping[str, Shape]) -> bool:
    if not _EMBEDDING.isdisjoint(shapes):
        return True
    tensors = [shape for shape in shapes.values() if shape]
    if len(tensors) != 1:
        return False
    return len(tensors[0]) in _EMBEDDING_RANKS and tensors[0][-1] in adapters.TEXT_WIDTHS
