"""Whole diffusion models of a few thousand weights, made from a seed: the real classes and formats, in no time.

Every `make_*` gives a stock pipeline with random weights on the CPU in float32; `save_pretrained` writes it as a
diffusers folder. Weights want no gradients: whether they do decides how torch folds its products, and so how these are
rounded. Four VAE stages, so a latent is 8 pixels wide as in the real families; the pictures are noise.
The layouts of single files are in `tests.tiny_files`, the adapters in `tests.tiny_adapters`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    DDIMScheduler,
    DiffusionPipeline,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    PixArtSigmaPipeline,
    PixArtTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLInpaintPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

CHANNELS: Final = (8, 8, 16, 16)
XL_CHANNELS: Final = (8, 16, 16)
GROUPS: Final = 4
HIDDEN: Final = 16
"""Width of the only text encoder of SD 1 and 2, and of the first of SDXL."""
HIDDEN_2: Final = 24
"""Width of SDXL's second: another one, since files are told apart by it."""
TIME_IDS_WIDTH: Final = 8
TOKENS: Final = 77
START, END = 512, 513
SIDE_PX: Final = 64
"""The size all of them are native to: 8 latents."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Weights made inside depend on `seed` alone, and what is drawn outside does not change by it."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        yield


def byte_letters() -> list[str]:
    """The 256 letters that stand for bytes in CLIP's vocabulary, in the order of their ids."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(byte) for byte in printable] + [chr(256 + at) for at in range(256 - len(printable))]


def make_tokenizer(pad_token: str = "<|endoftext|>") -> CLIPTokenizer:
    """CLIP's tokenizer with bytes for words: 514 entries, no merges."""
    letters = byte_letters()
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: at for at, word in enumerate(words)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], pad_token=pad_token, model_max_length=TOKENS)


def make_text_encoder(hidden: int = HIDDEN, layers: int = 2, *, projects: bool = False, act: str = "quick_gelu") -> Any:
    config = CLIPTextConfig(
        vocab_size=END + 1,
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=2,
        max_position_embeddings=TOKENS,
        projection_dim=hidden,
        hidden_act=act,
        bos_token_id=START,
        eos_token_id=END,
        pad_token_id=END,
    )
    return (
        (CLIPTextModelWithProjection if projects else CLIPTextModel)(config).requires_grad_(requires_grad=False).eval()
    )


def make_vae(scaling_factor: float = 0.18215, latent_channels: int = 4, **more: Any) -> AutoencoderKL:
    return (
        AutoencoderKL(
            block_out_channels=CHANNELS,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=1,
            norm_num_groups=GROUPS,
            latent_channels=latent_channels,
            sample_size=SIDE_PX,
            scaling_factor=scaling_factor,
            **more,
        )
        .requires_grad_(requires_grad=False)
        .eval()
    )


def make_unet(in_channels: int = 4, *, linear: bool = False) -> UNet2DConditionModel:
    """The four blocks of SD 1 and 2."""
    return (
        UNet2DConditionModel(
            sample_size=SIDE_PX // 8,
            in_channels=in_channels,
            block_out_channels=CHANNELS,
            down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
            up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
            layers_per_block=1,
            cross_attention_dim=HIDDEN,
            attention_head_dim=2,
            norm_num_groups=GROUPS,
            use_linear_projection=linear,
        )
        .requires_grad_(requires_grad=False)
        .eval()
    )


def make_xl_unet(
    in_channels: int = 4, *, is_refiner: bool = False, layers: tuple[int, ...] = (1, 1, 2)
) -> UNet2DConditionModel:
    text = HIDDEN_2 if is_refiner else HIDDEN + HIDDEN_2
    attention = ("CrossAttnDownBlock2D",) * 2
    return (
        UNet2DConditionModel(
            sample_size=SIDE_PX // 8,
            in_channels=in_channels,
            block_out_channels=CHANNELS if is_refiner else XL_CHANNELS,
            down_block_types=("DownBlock2D", *attention, *(("DownBlock2D",) if is_refiner else ())),
            up_block_types=(*(("UpBlock2D",) if is_refiner else ()), *("CrossAttnUpBlock2D",) * 2, "UpBlock2D"),
            transformer_layers_per_block=2 if is_refiner else layers,
            layers_per_block=1,
            cross_attention_dim=text,
            attention_head_dim=2,
            norm_num_groups=GROUPS,
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=TIME_IDS_WIDTH,
            projection_class_embeddings_input_dim=HIDDEN_2 + (5 if is_refiner else 6) * TIME_IDS_WIDTH,
        )
        .requires_grad_(requires_grad=False)
        .eval()
    )


def make_scheduler(prediction: str = "epsilon") -> DDIMScheduler:
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction,
    )


def make_sd1(seed: int = 0, *, is_inpaint: bool = False) -> DiffusionPipeline:
    """Stable Diffusion 1: one CLIP text encoder; nine input channels in the inpainting form."""
    with seeded(seed):
        unet, vae, text_encoder = make_unet(9 if is_inpaint else 4), make_vae(), make_text_encoder()
    return (StableDiffusionInpaintPipeline if is_inpaint else StableDiffusionPipeline)(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=make_tokenizer(),
        unet=unet,
        scheduler=make_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def make_sd2(seed: int = 0, *, prediction: str = "v_prediction", is_inpaint: bool = False) -> DiffusionPipeline:
    """Stable Diffusion 2: OpenCLIP's text encoder, padding with `!`, linear projections, v-prediction."""
    with seeded(seed):
        unet, vae = make_unet(9 if is_inpaint else 4, linear=True), make_vae()
        text_encoder = make_text_encoder(act="gelu")
    return (StableDiffusionInpaintPipeline if is_inpaint else StableDiffusionPipeline)(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=make_tokenizer("!"),
        unet=unet,
        scheduler=make_scheduler(prediction),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def make_sdxl(seed: int = 0, *, is_inpaint: bool = False, is_deep: bool = False) -> DiffusionPipeline:
    """SDXL base: two text encoders of different widths, the second with ten layers and a projection.

    Args:
        is_deep: with more cross attentions than SD 1 has, by which IP-Adapters of this width are told apart.
    """
    with seeded(seed):
        layers = (1, 2, 4) if is_deep else (1, 1, 2)
        unet, vae = make_xl_unet(9 if is_inpaint else 4, layers=layers), make_vae(0.13025)
        # Of three layers one is left out in any case: with another, one is left.
        first, second = make_text_encoder(layers=3), make_text_encoder(HIDDEN_2, 10, projects=True, act="gelu")
    return (StableDiffusionXLInpaintPipeline if is_inpaint else StableDiffusionXLPipeline)(
        vae=vae,
        text_encoder=first,
        text_encoder_2=second,
        tokenizer=make_tokenizer(),
        tokenizer_2=make_tokenizer("!"),
        unet=unet,
        scheduler=_euler(),
        add_watermarker=False,
    )


def make_sdxl_refiner(seed: int = 0) -> DiffusionPipeline:
    """SDXL's refiner: the second text encoder alone, and an aesthetic score."""
    with seeded(seed):
        unet, vae = make_xl_unet(is_refiner=True), make_vae(0.13025)
        second = make_text_encoder(HIDDEN_2, 10, projects=True, act="gelu")
    return StableDiffusionXLImg2ImgPipeline(
        vae=vae,
        text_encoder=None,
        text_encoder_2=second,
        tokenizer=None,
        tokenizer_2=make_tokenizer("!"),
        unet=unet,
        scheduler=_euler(),
        requires_aesthetics_score=True,
        force_zeros_for_empty_prompt=False,
        add_watermarker=False,
    )


def make_t5(width: int) -> tuple[T5Tokenizer, T5EncoderModel]:
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    pieces += [(chr(ord("a") + at), -3.0) for at in range(26)]
    tokenizer = T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=TOKENS)
    config = T5Config(vocab_size=len(pieces), d_model=width, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    return tokenizer, T5EncoderModel(config).requires_grad_(requires_grad=False).eval()


def make_flux(seed: int = 0, *, guidance_embeds: bool = False) -> DiffusionPipeline:
    """Flux: a transformer on packed latents, CLIP's pooled text and T5's, flow matching."""
    with seeded(seed):
        tokenizer_2, text_encoder_2 = make_t5(32)
        transformer = (
            FluxTransformer2DModel(
                in_channels=16,
                num_layers=1,
                num_single_layers=1,
                attention_head_dim=16,
                num_attention_heads=2,
                joint_attention_dim=32,
                pooled_projection_dim=HIDDEN,
                axes_dims_rope=(4, 4, 8),
                guidance_embeds=guidance_embeds,
            )
            .requires_grad_(requires_grad=False)
            .eval()
        )
        text_encoder = make_text_encoder()
        vae = make_vae(0.3611, shift_factor=0.1159, use_quant_conv=False, use_post_quant_conv=False)
    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=make_tokenizer(),
        text_encoder_2=text_encoder_2,
        tokenizer_2=tokenizer_2,
        transformer=transformer,
    )


def make_sd3(seed: int = 0) -> DiffusionPipeline:
    """Stable Diffusion 3: two CLIP text encoders with projections and T5, flow matching."""
    with seeded(seed):
        tokenizer_3, text_encoder_3 = make_t5(48)
        transformer = (
            SD3Transformer2DModel(
                sample_size=SIDE_PX // 8,
                patch_size=2,
                in_channels=16,
                out_channels=16,
                num_layers=2,
                attention_head_dim=8,
                num_attention_heads=2,
                joint_attention_dim=48,
                caption_projection_dim=16,
                pooled_projection_dim=HIDDEN + HIDDEN_2,
                pos_embed_max_size=16,
            )
            .requires_grad_(requires_grad=False)
            .eval()
        )
        first = make_text_encoder(layers=3, projects=True)
        second = make_text_encoder(HIDDEN_2, 3, projects=True, act="gelu")
        vae = make_vae(1.5305, 16, shift_factor=0.0609, use_quant_conv=False, use_post_quant_conv=False)
    return StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=vae,
        text_encoder=first,
        tokenizer=make_tokenizer(),
        text_encoder_2=second,
        tokenizer_2=make_tokenizer("!"),
        text_encoder_3=text_encoder_3,
        tokenizer_3=tokenizer_3,
    )


def make_pixart(seed: int = 0) -> DiffusionPipeline:
    """PixArt-Sigma, which stands for all families that only diffusers' own map of pipelines knows: T5 and a DiT.

    256 pixels square, the least its pipeline makes.
    """
    with seeded(seed):
        tokenizer, text_encoder = make_t5(32)
        transformer = (
            PixArtTransformer2DModel(
                sample_size=32,
                patch_size=2,
                num_layers=1,
                in_channels=4,
                out_channels=8,
                attention_head_dim=8,
                num_attention_heads=2,
                cross_attention_dim=16,
                caption_channels=32,
                norm_num_groups=GROUPS,
            )
            .requires_grad_(requires_grad=False)
            .eval()
        )
        vae = make_vae(0.13025)
    return PixArtSigmaPipeline(
        tokenizer=tokenizer,
        text_encoder=text_encoder,
        vae=vae,
        transformer=transformer,
        scheduler=make_scheduler(),
    )


def make_controlnet(seed: int = 1) -> ControlNetModel:
    """A ControlNet for `make_sd1`; its last layers, zero in an untrained one, are random."""
    with seeded(seed):
        model = ControlNetModel.from_unet(make_unet(), conditioning_embedding_out_channels=(4, 8, 8, 8))
        for layer in (
            *model.controlnet_down_blocks,
            model.controlnet_mid_block,
            model.controlnet_cond_embedding.conv_out,
        ):
            torch.nn.init.normal_(layer.weight, std=0.5)
    return model.requires_grad_(requires_grad=False).eval()


def make_image_encoder(
    seed: int = 2, *, width: int = HIDDEN, projection: int = HIDDEN, heads: int = 2, act: str = "quick_gelu"
) -> CLIPVisionModelWithProjection:
    """What an IP-Adapter sees a picture with: 32 pixels square."""
    config = CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=2 * HIDDEN,
        projection_dim=projection,
        num_hidden_layers=2,
        num_attention_heads=heads,
        hidden_act=act,
        image_size=32,
        patch_size=8,
    )
    with seeded(seed):
        return CLIPVisionModelWithProjection(config).requires_grad_(requires_grad=False).eval()


def _euler() -> EulerDiscreteScheduler:
    return EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, timestep_spacing="leading"
    )
