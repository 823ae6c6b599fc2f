"""Each name of `segment` loads the network of its published file: as many blocks, as wide, with as many places."""

from pathlib import Path

import pytest
import torch

from engine.interface import EngineError
from engine.segmentation import loading
from engine.segmentation.loading import load_segmenter, make_hq, make_vit
from engine.segmentation.sam2_weights import BASE, LARGE, SMALL, TINY, HieraSize, sam2_config
from engine.segmentation.vit import VIT_B, VIT_H, VIT_L, VitSize
from protocol.segmenting import SegmentModel
from tests.unit.engine.segmentation.references import original_sam2

PUBLISHED = {
    SegmentModel.SAM_VIT_B: ("sam", 12, 768, 64),
    SegmentModel.SAM_VIT_L: ("sam", 24, 1024, 64),
    SegmentModel.SAM_VIT_H: ("sam", 32, 1280, 64),
    SegmentModel.SAM_HQ_VIT_B: ("hq", 12, 768, 64),
    SegmentModel.SAM_HQ_VIT_L: ("hq", 24, 1024, 64),
    SegmentModel.SAM_HQ_VIT_H: ("hq", 32, 1280, 64),
    SegmentModel.SAM2_TINY: ("sam2", 12, 768, 7),
    SegmentModel.SAM2_SMALL: ("sam2", 16, 768, 7),
    SegmentModel.SAM2_BASE: ("sam2", 24, 896, 14),
    SegmentModel.SAM2_LARGE: ("sam2", 48, 1152, 7),
    SegmentModel.SAM2_1_TINY: ("sam2", 12, 768, 7),
    SegmentModel.SAM2_1_SMALL: ("sam2", 16, 768, 7),
    SegmentModel.SAM2_1_BASE: ("sam2", 24, 896, 14),
    SegmentModel.SAM2_1_LARGE: ("sam2", 48, 1152, 7),
}
"""Layout, blocks, channels of the last one, and learned places a side, of the authors' configurations."""
SIZES: tuple[VitSize | HieraSize, ...] = (VIT_B, VIT_L, VIT_H, TINY, SMALL, BASE, LARGE)


def contents(layout: str, size: VitSize | HieraSize):
    """What a file holds, but for the numbers."""
    with torch.device("meta"):
        if isinstance(size, HieraSize):
            from transformers import Sam2Model

            return {"model": original_sam2(Sam2Model(sam2_config(size, 1024)).state_dict())}
        return (make_hq if layout == "hq" else make_vit)(size).state_dict()


def facts(layout: str, state):
    """Of an encoder: as the rows of `PUBLISHED`."""
    trunk = "image_encoder.trunk." if layout == "sam2" else "image_encoder."
    state = state["model"] if layout == "sam2" else state
    blocks = {int(name.split("blocks.")[1].split(".")[0]) for name in state if name.startswith(f"{trunk}blocks.")}
    places = state[f"{trunk}pos_embed"].shape[2]
    return layout, len(blocks), len(state[f"{trunk}blocks.{max(blocks)}.norm2.weight"]), places


@pytest.mark.parametrize("model", PUBLISHED)
def test_a_name_loads_the_network_of_its_size_and_no_other(model, monkeypatch):
    layout = PUBLISHED[model][0]
    taken = []
    for size in SIZES:
        if isinstance(size, HieraSize) is not (layout == "sam2"):
            continue
        state = contents(layout, size)
        monkeypatch.setattr(loading, "_read", lambda _path, state=state: state)
        try:
            load_segmenter(model, Path("published.pth"), "meta")
        except EngineError:
            continue
        taken.append(facts(layout, state))
    assert taken == [PUBLISHED[model]]


@pytest.mark.parametrize("model", [SegmentModel.SAM_VIT_B, SegmentModel.SAM_HQ_VIT_B])
def test_the_plain_and_the_hq_file_of_one_size_are_told_apart(model, monkeypatch):
    other = contents("sam" if model is SegmentModel.SAM_HQ_VIT_B else "hq", VIT_B)
    monkeypatch.setattr(loading, "_read", lambda _path: other)
    with pytest.raises(EngineError, match=f"'{model.value}' cannot be used"):
        load_segmenter(model, Path("other.pth"), "meta")


def test_the_blocks_that_see_everything_are_those_of_the_published_networks():
    """No file tells of them: their weights have the same shapes there as in SAM 2's other blocks."""
    seen = [size.global_blocks for size in (TINY, SMALL, BASE, LARGE)]
    assert seen == [(5, 7, 9), (7, 10, 13), (12, 16, 20), (23, 33, 43)]
    assert [size.windows for size in (TINY, SMALL, BASE, LARGE)] == [(8, 4, 14, 7)] * 3 + [(8, 4, 16, 8)]
    assert [size.heads for size in (TINY, SMALL, BASE, LARGE)] == [1, 1, 2, 2]
    assert [size.heads for size in (VIT_B, VIT_L, VIT_H)] == [12, 16, 16]
