"""The large encoders of Segment Anything, and HQ-SAM, against transformers' networks with the same weights."""

from pathlib import Path

import numpy as np
import pytest
import torch

from engine.segmentation.hq_sam import HqEmbedding
from engine.segmentation.loading import fill, hollow
from engine.segmentation.sam import Sam
from engine.segmentation.segmenter import Click, Edges
from engine.segmentation.vit import VIT_B, VIT_H, VIT_L, RelativeAttention, VitBlock, VitEncoder
from tests.unit.engine.segmentation.references import SIDE_PX, random_weights, reference_sam, tiny_hq, tiny_sam

MAKES = {False: tiny_sam, True: tiny_hq}
POINTS = torch.tensor([[30.0, 40.0], [100.0, 20.0]])
LABELS = torch.tensor([1, 0])
BOX = torch.tensor([10.0, 20.0, 90.0, 70.0])


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module", params=[False, True], ids=["sam", "hq"])
def pair(request, tmp_path_factory):
    """Ours, read from a file in the published layout, and transformers', with the same weights."""
    make = MAKES[request.param]
    state = random_weights(make().state_dict(), 3)
    path = tmp_path_factory.mktemp("sam") / "published.pth"
    torch.save(state, path)
    return fill(hollow(make), path, "cpu"), reference_sam(state, is_hq=request.param), request.param


def embed(network: Sam, pixels: torch.Tensor):
    for piece in network.encoder_pieces():
        pixels = piece(pixels)
    return pixels


def pixels_of(seed: int) -> torch.Tensor:
    return torch.randn(1, 3, SIDE_PX, SIDE_PX, generator=torch.Generator().manual_seed(seed))


def test_the_encoder_gives_what_that_of_transformers_gives(pair):
    network, reference, is_hq = pair
    made = embed(network, pixels_of(1))
    vision = reference.vision_encoder(pixels_of(1))
    features = made.features if is_hq else made
    assert features.shape == (1, 256, 8, 8)
    torch.testing.assert_close(features, vision.last_hidden_state, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("prompt", ["point", "points", "box", "points and box"])
@pytest.mark.parametrize("is_several", [True, False])
def test_the_candidates_of_a_prompt_are_those_of_transformers(pair, prompt, is_several):
    network, reference, is_hq = pair
    pixels = pixels_of(2)
    points, labels = (POINTS[:1], LABELS[:1]) if prompt == "point" else (POINTS, LABELS)
    has_points, has_box = prompt != "box", "box" in prompt
    tokens = network.prompt_encoder(
        points if has_points else points[:0], (labels if has_points else labels[:0]) == 1, BOX if has_box else None
    )
    logits, scores = network.candidates(embed(network, pixels), tokens)
    asked = {
        "input_points": points[None, None] if has_points else None,
        "input_labels": labels[None, None] if has_points else None,
        "input_boxes": BOX[None, None] if has_box else None,
    }
    answer = reference(pixels, multimask_output=is_several, **asked)
    if not is_several:
        ours, expected = logits[:1], scores[:1]
    elif is_hq:  # there they are sorted, the best first
        order = scores[1:].argsort(descending=True)
        ours, expected = logits[1:][order], scores[1:][order]
    else:
        ours, expected = logits[1:], scores[1:]
    torch.testing.assert_close(answer.iou_scores[0, 0], expected, rtol=1e-3, atol=1e-3)
    scale = answer.pred_masks.abs().max()
    torch.testing.assert_close(answer.pred_masks[0, 0] / scale, ours / scale, rtol=1e-3, atol=1e-4)


def test_hq_masks_are_drawn_with_what_an_early_block_saw(tmp_path):
    network = tiny_hq().eval()
    network.load_state_dict(random_weights(network.state_dict(), 4))
    made = embed(network, pixels_of(1))
    tokens = network.prompt_encoder(POINTS, LABELS == 1, None)
    logits, scores = network.candidates(made, tokens)
    blind, same = network.candidates(HqEmbedding(made.features, torch.zeros_like(made.fine)), tokens)
    assert not torch.allclose(logits, blind)
    assert torch.equal(scores, same)


def test_clicks_and_box_change_the_mask(pair):
    network, _, _ = pair
    rgb = np.random.default_rng(5).random((40, 60, 3), np.float32)
    made = embed(network, network.prepare(rgb))

    def mask(clicks, box=None):
        return network.decode(made, (40, 60), clicks, box, 1)[0].mask

    here, there = mask([Click(5, 6, True)]), mask([Click(50, 30, True)])
    assert here.shape == (40, 60)
    assert (here != there).any()
    assert (here != mask([Click(5, 6, True), Click(20, 20, False)])).any()
    assert (here != mask([], Edges(2, 3, 30, 20))).any()


def test_attention_in_parts_is_attention_as_a_whole(monkeypatch):
    torch.manual_seed(1)
    attention = RelativeAttention(24, 3, 5).eval()
    torch.nn.init.normal_(attention.rel_pos_h)
    torch.nn.init.normal_(attention.rel_pos_w)
    x = torch.randn(2, 5, 5, 24)
    whole = attention(x)
    monkeypatch.setattr("engine.segmentation.vit._MOST_WEIGHTS", 1)
    torch.testing.assert_close(attention(x), whole)


def test_windows_keep_apart_what_is_in_them():
    torch.manual_seed(2)
    block = VitBlock(8, 2, 4, 8).eval()
    features = torch.rand(1, 8, 8, 8)
    changed = features.clone()
    changed[:, :4, :4] += torch.rand(4, 4, 8)
    differs = (block(features) != block(changed)).any(-1)[0]
    assert differs[:4, :4].all()
    assert not differs[4:].any()
    assert not differs[:, 4:].any()


def test_the_published_sizes_are_those_of_the_published_files():
    """Parameters in millions, as the paper counts the encoders."""
    counts = []
    for size in (VIT_B, VIT_L, VIT_H):
        with torch.device("meta"):
            counts.append(sum(value.numel() for value in VitEncoder(size).parameters()))
    assert [round(count / 1e6) for count in counts] == [90, 308, 637]


def test_nothing_is_left_behind_on_the_cpu(tmp_path: Path):
    for make in MAKES.values():
        network = make().eval().to("meta")
        made = embed(network, network.prepare(np.zeros((20, 30, 3), np.float32)))
        tokens = network.prompt_encoder(torch.zeros(1, 2, device="meta"), torch.ones(1, device="meta") > 0, None)
        logits, scores = network.candidates(made, tokens)
        assert {logits.device.type, scores.device.type} == {"meta"}
