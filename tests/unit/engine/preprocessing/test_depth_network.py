"""DPT from folders of transformers, in both of its kinds."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from transformers import DPTConfig, DPTForDepthEstimation

from engine.interface import EngineError
from engine.preprocessing.depth_network import load_depth_network, nearness
from protocol.errors import ErrorCode
from tests.tiny_models import seeded

SMALL: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "patch_size": 8,
    "neck_hidden_sizes": [8, 8, 8, 8],
    "fusion_hidden_size": 16,
}
KINDS: dict[str, dict[str, Any]] = {
    "dpt-large": {"image_size": 32, "backbone_out_indices": [0, 1, 2, 3]},
    "dpt-hybrid-midas": {
        "image_size": 64,
        "is_hybrid": True,
        "neck_hidden_sizes": [8, 16, 16, 16],
        "patch_size": 16,
        "backbone_out_indices": [0, 1, 2, 3],
        "backbone_featmap_shape": [1, 32, 4, 4],
        "neck_ignore_stages": [0, 1],
        "readout_type": "project",
        "backbone_config": {
            "model_type": "bit",
            "embedding_size": 8,
            "hidden_sizes": [8, 16, 32],
            "depths": [1, 1, 1],
            "num_groups": 2,
            "global_padding": "same",
            "layer_type": "bottleneck",
            "embedding_dynamic_padding": True,
            "out_features": ["stage1", "stage2", "stage3"],
        },
    },
}
PICTURE = np.random.default_rng(4).random((40, 56, 3), np.float32)


def put(folder: Path, name: str, *, side: int | None = None) -> Any:
    """A small network in a folder, as it is published; returns the same network."""
    config: Any = DPTConfig
    with seeded(5):
        network = DPTForDepthEstimation(config(**{**SMALL, **KINDS[name]})).eval()
        for weight in network.parameters():
            weight.requires_grad_(requires_grad=False)
            if weight.ndim > 1:
                torch.nn.init.normal_(weight, std=0.2)
    network.save_pretrained(folder)
    if side is not None:
        told = {"size": {"height": side, "width": side}, "image_mean": [0.4] * 3, "image_std": [0.3] * 3}
        (folder / "preprocessor_config.json").write_text(json.dumps(told))
    return network


@pytest.mark.parametrize("name", KINDS)
def test_the_nearest_is_white_and_the_farthest_black(tmp_path: Path, name: str) -> None:
    put(tmp_path / name, name, side=64)
    made = nearness(load_depth_network(tmp_path / name / "model.safetensors", "cpu"), PICTURE)
    assert made.shape == PICTURE.shape
    assert (made[..., 0] == made[..., 2]).all()
    assert (made.min(), made.max()) == (0, 1)


def test_it_is_what_the_network_tells_of_a_picture_in_its_form(tmp_path: Path) -> None:
    network = put(tmp_path / "dpt-large", "dpt-large", side=40)
    square = PICTURE[:, :40]
    pixels = torch.from_numpy((square.transpose(2, 0, 1) - 0.4) / 0.3)[None].float()
    with torch.no_grad():
        told = network(pixels).predicted_depth[0].numpy()
    made = nearness(load_depth_network(tmp_path / "dpt-large" / "model.safetensors", "cpu"), square)
    shown = cv2.resize(told, (40, 40), interpolation=cv2.INTER_CUBIC)
    expected = (shown - shown.min()) / (shown.max() - shown.min())
    assert np.abs(made[..., 0] - expected).max() < 1e-4


def test_a_pickle_will_do(tmp_path: Path) -> None:
    network = put(tmp_path / "dpt-large", "dpt-large")
    expected = nearness(load_depth_network(tmp_path / "dpt-large" / "model.safetensors", "cpu"), PICTURE)
    (tmp_path / "dpt-large" / "model.safetensors").unlink()
    torch.save(network.state_dict(), tmp_path / "dpt-large" / "pytorch_model.bin")
    made = nearness(load_depth_network(tmp_path / "dpt-large" / "pytorch_model.bin", "cpu"), PICTURE)
    assert np.array_equal(made, expected)


@pytest.mark.parametrize("fault", ["no configuration", "no weights", "a weight is missing"])
def test_a_folder_without_all_of_it_is_refused(tmp_path: Path, fault: str) -> None:
    folder = tmp_path / "dpt-large"
    network = put(folder, "dpt-large")
    file = folder / "model.safetensors"
    if fault == "no configuration":
        (folder / "config.json").unlink()
    if fault == "no weights":
        file.write_bytes(b"none")
    if fault == "a weight is missing":
        state = network.state_dict()
        del state["head.head.0.weight"]
        network.save_pretrained(folder, state_dict=state)
    with pytest.raises(
        EngineError, match=r"dpt-large: expected a DPT .*config\.json and model\.safetensors"
    ) as refused:
        load_depth_network(file, "cpu")
    assert refused.value.code is ErrorCode.BAD_MODEL
