import pytest

from engine.library.records import Family, ModelKind, Prediction, Sniffed
from engine.library.sniff import NO_CONFIGURATION, NOT_WHOLE, sniff
from tests.unit.engine.library import model_files
from tests.unit.engine.library.model_files import CLIP, CROSS, OPEN_CLIP, PROJ_IN, UNET, VAE_FILE, first

BARE_UNET = {"time_embedding.linear_1.bias": (2,), "down_blocks.0.x": (2,)}
TEXT = {"text_encoders.clip_l.transformer.text_model.final_layer_norm.bias": (2,)}


@pytest.mark.parametrize(
    ("shapes", "family"),
    [
        (model_files.SD1, Family.SD1),
        (model_files.SD1_INPAINT, Family.SD1_INPAINT),
        ({**model_files.SD1, **first(8)}, Family.INSTRUCT_PIX2PIX),
        (model_files.SD2, Family.SD2),
        (model_files.SD2_INPAINT, Family.SD2_INPAINT),
        (model_files.SDXL, Family.SDXL),
        (model_files.SDXL_INPAINT, Family.SDXL_INPAINT),
        (model_files.SDXL_REFINER, Family.SDXL_REFINER),
        # Models smaller than any published one are told by their names alone.
        ({**first(4), CROSS: (2, 32), PROJ_IN: (2, 2, 1, 1), CLIP: (2,)}, Family.SD1),
        ({**first(4), CROSS: (2, 32), OPEN_CLIP: (2,)}, Family.SD2),
        ({**first(4), CROSS: (2, 32), PROJ_IN: (2, 2), CLIP: (2,)}, Family.SD2),
        ({**first(9), CROSS: (2, 32), PROJ_IN: (2, 2), CLIP: (2,)}, Family.SD2_INPAINT),
    ],
)
def test_checkpoint_is_told_by_its_text_encoders_and_the_width_of_their_embeddings(shapes, family):
    sniffed = sniff(shapes)
    assert (sniffed.kind, sniffed.family, sniffed.problem) == (ModelKind.CHECKPOINT, family, None)


@pytest.mark.parametrize(
    ("shapes", "family"),
    [
        ({f"{UNET}joint_blocks.0.x": (2,), **TEXT}, Family.SD3),
        ({f"{UNET}double_blocks.0.x": (2,), f"{UNET}img_in.weight": (2, 64), **TEXT}, Family.FLUX),
        ({f"{UNET}double_blocks.0.x": (2,), f"{UNET}img_in.weight": (2, 384), **TEXT}, Family.OTHER),
        (
            {f"{UNET}double_blocks.0.x": (2,), f"{UNET}distilled_guidance_layer.in_proj.bias": (2,), **TEXT},
            Family.OTHER,
        ),
        ({**model_files.SD2, **first(8)}, Family.OTHER),
        ({**model_files.SD1, **first(5)}, Family.OTHER),
        ({**model_files.SD1_INPAINT, "cond_stage_model.mapper.resblocks.0.ln_1.bias": (2,)}, Family.PAINT_BY_EXAMPLE),
        ({**model_files.SDXL, "edm_mean": (1,)}, Family.OTHER),
    ],
)
def test_checkpoint_that_only_a_folder_describes_has_a_problem(shapes, family):
    sniffed = sniff(shapes)
    assert (sniffed.kind, sniffed.family, sniffed.problem) == (ModelKind.CHECKPOINT, family, NO_CONFIGURATION)


@pytest.mark.parametrize(
    ("shapes", "family"),
    [
        ({name: shape for name, shape in model_files.SDXL.items() if name.startswith(UNET)}, Family.SDXL),
        ({"double_blocks.0.img_attn.norm.key_norm.scale": (2,)}, Family.FLUX),
        ({**BARE_UNET, "conv_in.weight": (2, 4, 3, 3)}, Family.SD1),
        ({**BARE_UNET, "conv_in.weight": (2, 9, 3, 3)}, Family.SD1_INPAINT),
    ],
)
def test_denoiser_alone_is_a_checkpoint_that_is_not_whole(shapes, family):
    sniffed = sniff(shapes)
    assert (sniffed.kind, sniffed.family, sniffed.problem) == (ModelKind.CHECKPOINT, family, NOT_WHOLE)


@pytest.mark.parametrize(
    ("extra", "metadata", "prediction"),
    [
        ({}, {}, None),
        ({"v_pred": (0,)}, {}, Prediction.V),
        ({}, {"modelspec.prediction_type": "v"}, Prediction.V),
        ({}, {"modelspec.prediction_type": "epsilon"}, Prediction.EPSILON),
        ({}, {"modelspec.prediction_type": "nonsense"}, None),
    ],
)
def test_prediction_is_what_the_file_says_of_itself(extra, metadata, prediction):
    assert sniff({**model_files.SDXL, **extra}, metadata).prediction is prediction


ATTENTION = "down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
DOTTED = "down_blocks.0.attentions.0.transformer_blocks.0.attn2"
FIRST_BLOCK = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q.lora_down.weight"


@pytest.mark.parametrize(
    ("shapes", "metadata", "family"),
    [
        (model_files.LORA_SD1, {}, Family.SD1),
        ({f"lora_unet_{ATTENTION}.lora_down.weight": (1, 1024)}, {}, Family.SD2),
        ({f"lora_unet_{ATTENTION}.lora_down.weight": (1, 2048)}, {}, Family.SDXL),
        ({f"lora_unet_{ATTENTION}.lora_down.weight": (1, 1280)}, {}, Family.SDXL_REFINER),
        ({f"lora_unet_{ATTENTION}.hada_w1_b": (1, 2048)}, {}, Family.SDXL),
        ({f"unet.{DOTTED}.to_k.lora_A.weight": (1, 768)}, {}, Family.SD1),
        (
            {"unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.lora.down.weight": (1, 2048)},
            {},
            Family.SDXL,
        ),
        (
            {"down_blocks.0.attentions.0.transformer_blocks.0.attn2.processor.to_k_lora.down.weight": (1, 768)},
            {},
            Family.SD1,
        ),
        ({"lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight": (1, 8)}, {}, Family.SDXL),
        ({"text_encoder_2.text_model.encoder.layers.0.mlp.fc1.lora_A.weight": (1, 8)}, {}, Family.SDXL),
        ({"lora_unet_input_blocks_4_1_transformer_blocks_1_attn1_to_q.lora_down.weight": (1, 8)}, {}, Family.SDXL),
        ({"lora_te_text_model_encoder_layers_0_self_attn_q_proj.lora_down.weight": (1, 1024)}, {}, Family.SD2),
        ({FIRST_BLOCK: (1, 8)}, {}, Family.SD1),
        ({FIRST_BLOCK: (1, 8)}, {"ss_base_model_version": "sd_v2_v"}, Family.SD2),
        ({FIRST_BLOCK: (1, 8)}, {"modelspec.architecture": "stable-diffusion-xl-v1-base/lora"}, Family.SDXL),
        ({"lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight": (1, 8)}, {}, Family.SD2),
        ({"lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight": (1, 8, 1, 1)}, {}, Family.SD1),
        ({"lora_unet_double_blocks_0_img_attn_proj.lora_down.weight": (1, 3072)}, {}, Family.FLUX),
        ({"transformer.single_transformer_blocks.0.attn.to_k.lora_A.weight": (1, 3072)}, {}, Family.FLUX),
        ({"transformer.transformer_blocks.0.attn.add_q_proj.lora_A.weight": (1, 1536)}, {}, Family.SD3),
        ({"diffusion_model.blocks.0.cross_attn.k.lora_A.weight": (1, 5120)}, {}, Family.OTHER),
        ({"encoder.layer.0.attention.lora_A.default.weight": (1, 8)}, {}, Family.UNKNOWN),
    ],
)
def test_lora_is_told_by_what_it_adds_to(shapes, metadata, family):
    sniffed = sniff(shapes, metadata)
    assert (sniffed.kind, sniffed.family) == (ModelKind.LORA, family)


@pytest.mark.parametrize(
    ("shapes", "family"),
    [
        (model_files.CONTROLNET, Family.SD1),
        ({"controlnet_cond_embedding.conv_in.weight": (2, 3, 3, 3), "conv_in.weight": (2, 4, 3, 3)}, Family.SD1),
        (
            {
                "controlnet_cond_embedding.conv_in.weight": (2, 3, 3, 3),
                "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.weight": (2, 1024),
            },
            Family.SD2,
        ),
        ({"controlnet_cond_embedding.conv_in.weight": (2, 3, 3, 3), "add_embedding.linear_1.bias": (2,)}, Family.SDXL),
    ],
)
def test_controlnet_is_told_in_both_forms(shapes, family):
    sniffed = sniff(shapes)
    assert (sniffed.kind, sniffed.family, sniffed.problem) == (ModelKind.CONTROLNET, family, None)


@pytest.mark.parametrize(
    ("more", "family"),
    [
        ({}, Family.SD1),
        ({"down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight": (320, 768)}, Family.SD1),
        ({"add_embedding.linear_1.weight": (1280, 2816)}, Family.SDXL),
    ],
    ids=["sd1", "with attention", "sdxl"],
)
def test_brushnet_is_no_checkpoint_without_its_text_encoder(more, family):
    names = ("conv_in_condition.weight", "time_embedding.linear_1.weight", "brushnet_down_blocks.0.weight")
    sniffed = sniff({**dict.fromkeys(names, (320, 9, 3, 3)), **more})
    assert (sniffed.kind, sniffed.family, sniffed.problem) == (ModelKind.BRUSHNET, family, None)


@pytest.mark.parametrize(
    ("told", "family"),
    [
        ({"input_blocks.4.1.transformer_blocks.0.attn2.to_k.down": (128, 2048)}, Family.SDXL),
        ({"input_blocks.1.1.transformer_blocks.0.attn2.to_k.down": (128, 768)}, Family.SD1),
        ({"label_emb.0.0.down": (128, 2816)}, Family.SDXL),
    ],
    ids=["keys of SDXL", "keys of SD 1", "sizes"],
)
def test_control_lora_is_a_controlnet_of_the_family_it_changes(told, family):
    shapes = {"lora_controlnet": (0,), "input_hint_block.0.weight": (2, 3, 3, 3)}
    shapes |= {"input_blocks.0.0.down": (128, 4, 3, 3), **told}
    assert sniff(shapes) == Sniffed(kind=ModelKind.CONTROLNET, family=family)


@pytest.mark.parametrize(
    ("shapes", "kind", "family"),
    [
        (model_files.IP_ADAPTER, ModelKind.IP_ADAPTER, Family.SD1),
        ({"image_proj.norm.bias": (2,), "ip_adapter.1.to_k_ip.weight": (2, 2048)}, ModelKind.IP_ADAPTER, Family.SDXL),
        # As a pickle shows it: the names above are nested.
        ({"image_proj": (), "ip_adapter": (), "1.to_k_ip.weight": (2, 2048)}, ModelKind.IP_ADAPTER, Family.SDXL),
        (model_files.EMBEDDING, ModelKind.EMBEDDING, Family.SD1),
        ({"emb_params": (2, 1024)}, ModelKind.EMBEDDING, Family.SD2),
        ({"clip_l": (2, 768), "clip_g": (2, 1280)}, ModelKind.EMBEDDING, Family.SDXL),
        ({"string_to_param": (), "*": (2, 768), "name": ()}, ModelKind.EMBEDDING, Family.SD1),
        ({"<cat-toy>": (768,)}, ModelKind.EMBEDDING, Family.SD1),
        (VAE_FILE, ModelKind.VAE, Family.UNKNOWN),
        ({f"first_stage_model.{name}": shape for name, shape in VAE_FILE.items()}, ModelKind.VAE, Family.UNKNOWN),
        (model_files.IMAGE_ENCODER, ModelKind.IMAGE_ENCODER, Family.OTHER),
        (model_files.UPSCALER, ModelKind.UPSCALER, Family.OTHER),
        ({"model.0.weight": (2,), "model.1.sub.0.RDB1.conv1.0.weight": (2,)}, ModelKind.UPSCALER, Family.OTHER),
        (
            {"body.0.weight": (2, 3, 3, 3), "body.1.weight": (2,), "body.2.weight": (2,)},
            ModelKind.UPSCALER,
            Family.OTHER,
        ),
        ({}, None, Family.UNKNOWN),
        ({"text_model.x": (2,), "visual_projection.weight": (2, 2)}, None, Family.UNKNOWN),
        ({"weight": (3, 768), "bias": (768,)}, None, Family.UNKNOWN),
    ],
)
def test_other_kinds_are_told_by_their_names(shapes, kind, family):
    sniffed = sniff(shapes)
    assert (sniffed.kind, sniffed.family, sniffed.problem) == (kind, family, None)
