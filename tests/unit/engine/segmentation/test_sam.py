import numpy as np
import pytest
import torch

from engine.interface import EngineError
from engine.segmentation.embeddings import EmbeddingCache, content_key
from engine.segmentation.loading import load_segmenter
from engine.segmentation.mask_decoder import MaskDecoder
from engine.segmentation.prompt_encoder import PromptEncoder
from engine.segmentation.sam import MobileSam, scaled_size
from engine.segmentation.segmenter import Click, Edges
from engine.segmentation.tiny_vit import AttentionBlock, ConvNorm, StageSize, TinyViT
from protocol.errors import ErrorCode
from protocol.segmenting import SegmentModel

TINY = (
    StageSize(width=8, depth=1, is_reduced=True),
    StageSize(width=12, depth=1, heads=3, window=7, is_reduced=True),
    StageSize(width=16, depth=1, heads=2, window=5),
)


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def untrained():
    torch.manual_seed(0)
    return MobileSam().eval()


def test_the_pieces_of_the_encoder_do_what_it_does_as_a_whole():
    torch.manual_seed(1)
    network = TinyViT(TINY, out_width=10).eval()
    pixels = torch.rand(1, 3, 96, 96)
    value = pixels
    for piece in network.pieces():
        value = piece(value)
    assert value.shape == (1, 10, 6, 6)
    torch.testing.assert_close(value, network(pixels))


def test_a_fused_convolution_gives_what_it_gave_before():
    torch.manual_seed(4)
    block = ConvNorm(3, 5, 3).eval()
    block.bn.running_mean.uniform_(-1, 1)
    block.bn.running_var.uniform_(0.5, 2)
    pixels = torch.rand(1, 3, 6, 6)
    before = block(pixels)
    block.fuse()
    assert isinstance(block.bn, torch.nn.Identity)
    torch.testing.assert_close(block(pixels), before)


def test_attention_stays_within_its_window():
    torch.manual_seed(2)
    block = AttentionBlock(8, 2, 4).eval()
    features = torch.rand(1, 8, 8, 8)
    changed = features.clone()
    changed[..., :4, :4] += 1
    differs = (block._attend(features.permute(0, 2, 3, 1)) != block._attend(changed.permute(0, 2, 3, 1))).any(-1)[0]
    assert differs[:4, :4].any()
    assert not differs[4:].any()
    assert not differs[:, 4:].any()


def test_windows_may_reach_beyond_the_edge():
    block = AttentionBlock(8, 2, 7).eval()
    assert block(torch.rand(1, 8, 16, 9)).shape == (1, 8, 16, 9)


@pytest.mark.parametrize(
    ("size", "scaled"), [((512, 512), (1024, 1024)), ((300, 451), (681, 1024)), ((1, 5000), (1, 1024))]
)
def test_the_longer_side_fills_the_square(size, scaled):
    assert scaled_size(*size) == scaled


def test_a_prepared_picture_is_a_normalised_square_padded_with_zeros(untrained):
    white = np.ones((100, 200, 3), np.float32)
    prepared = untrained.prepare(white)
    assert prepared.shape == (1, 3, 1024, 1024)
    assert (prepared[..., 512:, :] == 0).all()
    torch.testing.assert_close(
        prepared[0, :, 100, 100],
        (255 - torch.tensor([123.675, 116.28, 103.53])) / torch.tensor([58.395, 57.12, 57.375]),
    )


@pytest.mark.parametrize(("clicks", "box", "tokens"), [(1, False, 2), (3, False, 4), (0, True, 2), (2, True, 4)])
def test_a_prompt_becomes_a_token_per_click_and_two_per_box(clicks, box, tokens):
    encoder = PromptEncoder(width=16)
    edges = torch.tensor([0.0, 0.0, 10.0, 10.0]) if box else None
    encoded = encoder(torch.rand(clicks, 2), torch.ones(clicks, dtype=torch.bool), edges)
    assert encoded.shape == (1, tokens, 16)


def test_inside_and_outside_clicks_are_told_apart():
    encoder = PromptEncoder(width=16)
    places = torch.tensor([[5.0, 6.0], [5.0, 6.0]])
    encoded = encoder(places, torch.tensor([True, False]), None)[0]
    assert not torch.equal(encoded[0], encoded[1])


def test_the_decoder_gives_four_masks_four_times_as_fine_as_the_features():
    decoder = MaskDecoder(width=32, heads=4, hidden=16)
    masks, scores = decoder(torch.rand(1, 32, 5, 5), torch.rand(1, 32, 5, 5), torch.rand(1, 3, 32))
    assert masks.shape == (4, 20, 20)
    assert scores.shape == (4,)


class _Decided(torch.nn.Module):
    """Stands in for the mask decoder: its masks are quarters of the square, its scores as given."""

    def __init__(self, scores):
        super().__init__()
        self.scores = torch.tensor(scores)

    def forward(self, features, places, prompt):
        masks = -torch.ones(4, 256, 256)
        masks[0, :, :] = 1
        masks[1, :128, :128] = 1
        masks[2, :128, 128:] = 1
        masks[3, 128:, :128] = 1
        return masks, self.scores


def decide(scores, clicks, box=None, count=1):
    network = MobileSam().eval()
    network.mask_decoder = _Decided(scores)
    return network.decode(torch.zeros(1, 256, 64, 64), (100, 100), clicks, box, count)


def test_a_mask_that_obeys_the_clicks_goes_before_one_with_a_higher_score():
    (best,) = decide([0.1, 0.2, 0.9, 0.3], [Click(20, 20, True)])
    assert best.score == pytest.approx(0.2)
    assert best.mask[:49, :49].all()
    assert not best.mask[51:].any()


def test_among_masks_that_obey_alike_the_higher_score_goes_first():
    answers = decide([0.5, 0.2, 0.9, 0.3], [], Edges(0, 0, 50, 50), count=3)
    assert [answer.score for answer in answers] == pytest.approx([0.9, 0.5, 0.3])


def test_the_mask_for_clear_prompts_is_no_candidate_for_a_single_click():
    answers = decide([0.99, 0.2, 0.3, 0.4], [Click(20, 20, True)], count=3)
    assert [answer.score for answer in answers] == pytest.approx([0.2, 0.4, 0.3])


def test_an_excluded_place_is_kept_out():
    (best,) = decide([0.9, 0.2, 0.3, 0.1], [Click(80, 20, True), Click(20, 80, False)])
    assert best.score == pytest.approx(0.3)


def test_a_mask_has_the_size_of_a_picture_that_is_not_square(untrained):
    (answer,) = untrained.decode(torch.rand(1, 256, 64, 64), (30, 77), [Click(3, 4, True)], None, 1)
    assert answer.mask.shape == (30, 77)
    assert answer.mask.dtype == np.bool_


@pytest.mark.parametrize("model", SegmentModel)
def test_a_file_with_other_parameters_is_refused_with_the_names_of_model_and_file(model, tmp_path):
    torch.save({"image_encoder.something": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(EngineError, match=rf"'{model.value}' cannot be used: other\.pt does not hold") as refused:
        load_segmenter(model, tmp_path / "other.pt", "cpu")
    assert refused.value.code is ErrorCode.BAD_MODEL
    assert str(tmp_path) not in refused.value.message


@pytest.mark.parametrize("model", [SegmentModel.MOBILE_SAM, SegmentModel.SAM_HQ_VIT_B, SegmentModel.SAM2_TINY])
def test_a_file_that_would_run_code_is_not_unpickled(model, tmp_path, capsys):
    class Evil:
        def __reduce__(self):
            return (print, ("unpickled",))

    torch.save({"image_encoder.something": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(EngineError, match="holds no weights that can be read"):
        load_segmenter(model, tmp_path / "evil.pt", "cpu")
    assert capsys.readouterr().out == ""


def test_embeddings_that_were_not_used_for_longest_go_first():
    cache = EmbeddingCache(2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (1, None, 3)
    assert len(cache) == 2


def test_the_key_of_a_picture_is_its_content(tmp_path):
    (tmp_path / "a").write_bytes(b"same")
    (tmp_path / "b").write_bytes(b"same")
    (tmp_path / "c").write_bytes(b"other")
    keys = [content_key(tmp_path / name, "sam_vit_b") for name in "abc"]
    assert keys[0] == keys[1] != keys[2]


def test_what_one_model_made_of_a_picture_is_not_given_to_another(tmp_path):
    (tmp_path / "a").write_bytes(b"same")
    assert content_key(tmp_path / "a", "sam_vit_b") != content_key(tmp_path / "a", "sam_hq_vit_b")


@pytest.mark.models
def test_the_published_weights_fit(models_dir):
    load_segmenter(SegmentModel.MOBILE_SAM, models_dir / "mobile_sam.pt", "cpu")


def test_nothing_is_left_behind_on_the_cpu_when_the_network_is_elsewhere():
    """On torch's device without memory, which refuses to mix with tensors that lie elsewhere."""
    network = MobileSam().eval().to("meta")
    network.image_encoder.to(memory_format=torch.channels_last)
    value = network.prepare(np.zeros((40, 60, 3), np.float32))
    assert (value.device.type, value.shape) == ("meta", (1, 3, 1024, 1024))
    for piece in network.encoder_pieces():
        value = piece(value)
    points, included = torch.zeros(2, 2, device="meta"), torch.ones(2, dtype=torch.bool, device="meta")
    for box in (None, torch.zeros(4, device="meta")):
        tokens = network.prompt_encoder(points, included, box)
        places = network.prompt_encoder.pe_layer.grid(value.shape[-1])
        logits, scores = network.mask_decoder(value, places, tokens)
        assert {logits.device.type, scores.device.type} == {"meta"}
        assert network._enlarged(logits[0], (40, 60)).shape == (40, 60)


def test_the_encoder_takes_any_order_of_memory():
    torch.manual_seed(5)
    network = TinyViT(TINY, out_width=10).eval()
    pixels = torch.rand(1, 3, 96, 96)
    expected = network(pixels)
    network.to(memory_format=torch.channels_last)
    torch.testing.assert_close(network(pixels.contiguous(memory_format=torch.channels_last)), expected)


def test_the_prepared_picture_does_not_depend_on_where_the_network_is(monkeypatch):
    """A picture so long that CUDA could not scale it is scaled before it goes there."""
    scaled_on = []
    scale = torch.nn.functional.interpolate
    monkeypatch.setattr(
        torch.nn.functional,
        "interpolate",
        lambda pixels, *more, **named: scaled_on.append(pixels.device.type) or scale(pixels, *more, **named),
    )
    MobileSam().to("meta").prepare(np.zeros((2, 9000, 3), np.float32))
    assert scaled_on == ["cpu"]
