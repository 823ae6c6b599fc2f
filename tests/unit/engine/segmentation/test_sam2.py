"""SAM 2 from the authors' layout and from a folder, against transformers' own way through the same network."""

import copy

import numpy as np
import pytest
import torch

from engine.segmentation.sam2 import Sam2
from engine.segmentation.sam2_weights import (
    BASE,
    LARGE,
    SMALL,
    TINY,
    load_folder,
    load_original,
    renamed,
    sam2_config,
)
from engine.segmentation.segmenter import Click, Edges
from tests.unit.engine.segmentation.references import SIDE_PX, TINY_HIERA, original_sam2, random_weights, reference_sam2

ORIGINAL_NAMES = {
    "no_mem_embed",
    "image_encoder.trunk.pos_embed",
    "image_encoder.trunk.pos_embed_window",
    "image_encoder.trunk.patch_embed.proj.weight",
    "image_encoder.trunk.blocks.1.norm1.weight",
    "image_encoder.trunk.blocks.1.attn.qkv.weight",
    "image_encoder.trunk.blocks.1.attn.proj.bias",
    "image_encoder.trunk.blocks.1.norm2.bias",
    "image_encoder.trunk.blocks.1.mlp.layers.0.weight",
    "image_encoder.trunk.blocks.1.mlp.layers.1.weight",
    "image_encoder.trunk.blocks.1.proj.weight",
    "image_encoder.neck.convs.0.conv.weight",
    "image_encoder.neck.convs.3.conv.bias",
    "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
    "sam_prompt_encoder.point_embeddings.0.weight",
    "sam_prompt_encoder.point_embeddings.3.weight",
    "sam_prompt_encoder.not_a_point_embed.weight",
    "sam_prompt_encoder.mask_downscaling.0.weight",
    "sam_prompt_encoder.mask_downscaling.1.weight",
    "sam_prompt_encoder.mask_downscaling.3.weight",
    "sam_prompt_encoder.mask_downscaling.4.weight",
    "sam_prompt_encoder.mask_downscaling.6.weight",
    "sam_prompt_encoder.no_mask_embed.weight",
    "sam_mask_decoder.transformer.layers.0.self_attn.q_proj.weight",
    "sam_mask_decoder.transformer.layers.0.self_attn.out_proj.weight",
    "sam_mask_decoder.transformer.layers.1.norm1.weight",
    "sam_mask_decoder.transformer.layers.1.cross_attn_token_to_image.k_proj.bias",
    "sam_mask_decoder.transformer.layers.1.mlp.layers.0.weight",
    "sam_mask_decoder.transformer.layers.1.mlp.layers.1.weight",
    "sam_mask_decoder.transformer.layers.1.norm4.weight",
    "sam_mask_decoder.transformer.layers.1.cross_attn_image_to_token.v_proj.bias",
    "sam_mask_decoder.transformer.final_attn_token_to_image.out_proj.weight",
    "sam_mask_decoder.transformer.norm_final_attn.weight",
    "sam_mask_decoder.iou_token.weight",
    "sam_mask_decoder.mask_tokens.weight",
    "sam_mask_decoder.obj_score_token.weight",
    "sam_mask_decoder.output_upscaling.0.weight",
    "sam_mask_decoder.output_upscaling.1.weight",
    "sam_mask_decoder.output_upscaling.3.weight",
    "sam_mask_decoder.conv_s0.weight",
    "sam_mask_decoder.conv_s1.weight",
    "sam_mask_decoder.output_hypernetworks_mlps.3.layers.0.weight",
    "sam_mask_decoder.output_hypernetworks_mlps.3.layers.1.weight",
    "sam_mask_decoder.output_hypernetworks_mlps.3.layers.2.weight",
    "sam_mask_decoder.iou_prediction_head.layers.0.weight",
    "sam_mask_decoder.iou_prediction_head.layers.1.weight",
    "sam_mask_decoder.iou_prediction_head.layers.2.weight",
    "sam_mask_decoder.pred_obj_score_head.layers.0.weight",
    "sam_mask_decoder.pred_obj_score_head.layers.1.weight",
    "sam_mask_decoder.pred_obj_score_head.layers.2.weight",
}
"""A name of each kind, as the authors' modules are called."""
VIDEO_ONLY = {
    "maskmem_tpos_enc": torch.zeros(7, 1, 1, 64),
    "no_mem_pos_enc": torch.zeros(1, 1, 256),
    "no_obj_ptr": torch.zeros(1, 256),
    "no_obj_embed_spatial": torch.zeros(1, 64),
    "mask_downsample.weight": torch.zeros(1, 1, 4, 4),
    "memory_encoder.out_proj.weight": torch.zeros(64, 256, 1, 1),
    "memory_attention.layers.0.norm1.weight": torch.zeros(256),
    "obj_ptr_proj.layers.0.weight": torch.zeros(256, 256),
    "obj_ptr_tpos_proj.weight": torch.zeros(64, 256),
}


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def reference():
    network = reference_sam2()
    state = random_weights(network.state_dict(), 6)
    state["shared_image_embedding.positional_embedding"] = state["prompt_encoder.shared_embedding.positional_embedding"]
    network.load_state_dict(state)
    return network


@pytest.fixture(scope="module")
def ours(reference):
    return load_original(
        {"model": original_sam2(reference.state_dict()) | VIDEO_ONLY}, TINY_HIERA, "cpu", side_px=SIDE_PX
    )


def embed(network, pixels):
    for piece in network.encoder_pieces():
        pixels = piece(pixels)
    return pixels


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(7).random((40, 60, 3), np.float32)


def test_the_authors_names_are_those_the_test_writes(reference):
    there = original_sam2(reference.state_dict())
    assert set(there) >= ORIGINAL_NAMES


def test_every_weight_gets_to_its_place(reference):
    state = reference.state_dict()
    back = renamed(original_sam2(state) | VIDEO_ONLY)
    assert set(back) == set(state)
    assert all(torch.equal(back[name], value) for name, value in state.items())


def test_what_was_made_of_a_picture_is_what_transformers_makes(reference, ours, picture):
    pixels = ours.prepare(picture)
    assert pixels.shape == (1, 3, SIDE_PX, SIDE_PX)
    made = embed(ours, pixels)
    expected = reference.get_image_embeddings(pixels)
    for one, other in zip([*made.finer, made.features], expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("is_several", [True, False])
@pytest.mark.parametrize(("clicks", "has_box"), [(1, False), (2, False), (0, True), (2, True)])
def test_the_candidates_of_a_prompt_are_those_of_transformers(reference, ours, picture, clicks, has_box, is_several):
    points, included = torch.tensor([[30.0, 40.0], [100.0, 20.0]])[:clicks], torch.tensor([True, False])[:clicks]
    box = torch.tensor([10.0, 20.0, 90.0, 70.0]) if has_box else None
    pixels = ours.prepare(picture)
    logits, scores = ours._candidates(embed(ours, pixels), ours._prompt(points, included, box), is_several=is_several)
    plain = copy.deepcopy(reference)
    plain.mask_decoder.dynamic_multimask_via_stability = False
    answer = plain(
        pixels,
        input_points=points[None, None] if clicks else None,
        input_labels=included.int()[None, None] if clicks else None,
        input_boxes=None if box is None else box[None, None],
        multimask_output=is_several,
    )
    assert len(scores) == (3 if is_several else 1)
    torch.testing.assert_close(scores, answer.iou_scores[0, 0], rtol=1e-3, atol=1e-3)
    scale = logits.abs().max()
    torch.testing.assert_close(logits / scale, answer.pred_masks[0, 0] / scale, rtol=1e-3, atol=1e-4)


def test_clicks_and_box_are_scaled_to_the_square_and_change_the_mask(ours, picture):
    made = embed(ours, ours.prepare(picture))

    def masks(clicks, box=None, count=1):
        return [answer.mask for answer in ours.decode(made, (40, 60), clicks, box, count)]

    (here,), (there,) = masks([Click(5, 6, True)]), masks([Click(50, 30, True)])
    assert here.shape == (40, 60)
    assert here.dtype == np.bool_
    assert (here != there).any()
    assert (here != masks([Click(5, 6, True), Click(20, 20, False)])[0]).any()
    assert (here != masks([], Edges(2, 3, 30, 20))[0]).any()
    assert len(masks([], Edges(2, 3, 30, 20), 3)) == 3


def test_a_click_at_the_edge_of_a_wide_picture_is_at_the_edge_of_the_square(ours, monkeypatch):
    seen = []
    monkeypatch.setattr(ours, "_prompt", lambda points, included, box: seen.append((points, box)) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        ours.decode(None, (40, 80), [Click(80, 20, True)], Edges(0, 0, 40, 40), 1)
    ((points, box),) = seen
    assert points.tolist() == [[SIDE_PX, SIDE_PX / 2]]
    assert box.tolist() == [0, 0, SIDE_PX / 2, SIDE_PX]


def test_a_folder_of_the_hub_gives_the_same_network(reference, ours, picture, tmp_path):
    reference.save_pretrained(tmp_path / "sam2")
    other = load_folder(tmp_path / "sam2", "cpu")
    pixels = ours.prepare(picture)
    torch.testing.assert_close(embed(other, pixels).features, embed(ours, pixels).features)


def test_a_folder_that_lacks_weights_is_refused(reference, tmp_path):
    state = {name: value for name, value in reference.state_dict().items() if "conv_s0" not in name}
    reference.save_pretrained(tmp_path / "sam2", state_dict=state)
    with pytest.raises(ValueError, match="conv_s0"):
        load_folder(tmp_path / "sam2", "cpu")


@pytest.mark.parametrize(("size", "millions"), [(TINY, 39), (SMALL, 46), (BASE, 81), (LARGE, 224)])
def test_the_published_sizes_are_those_of_the_published_networks(size, millions):
    """As the authors count them; about a sixth of the smallest is for videos, and not here."""
    from transformers import Sam2Model

    with torch.device("meta"):
        count = sum(value.numel() for value in Sam2Model(sam2_config(size, 1024)).parameters())
    assert millions - 8 < count / 1e6 < millions


def test_nothing_is_left_behind_on_the_cpu(picture):
    network = Sam2(reference_sam2().to("meta"))
    made = embed(network, network.prepare(picture))
    points, included, box = (torch.zeros(shape, device="meta") for shape in ((2, 2), (2,), (4,)))
    logits, scores = network._candidates(made, network._prompt(points, included > 0, box), is_several=True)
    assert {logits.device.type, scores.device.type} == {"meta"}
