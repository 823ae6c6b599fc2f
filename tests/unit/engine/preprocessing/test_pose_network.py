"""The network for poses: the published file's layers, and what it makes of a picture."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from engine.interface import EngineError
from engine.preprocessing.pose_network import PoseNetwork, layer_names, load_pose_network, look
from protocol.errors import ErrorCode
from tests.tiny_models import seeded

WIDTHS = {"conv1": 64, "conv2": 128, "conv3": 256, "conv4": 512}
PUBLISHED_BYTES = 209_267_595


def shapes(share: float = 1.0) -> dict[str, torch.Size]:
    """Of the published layers' weights, with so many of their channels."""
    made, seen = {}, 3
    features = 0
    for name in layer_names():
        side, wide = 3, WIDTHS.get(name[:5], 128)
        if name.endswith("_CPM") and "conv4" in name:
            wide = 256 if "4_3" in name else 128
        if name.startswith(("conv5_1", "Mconv1_")):
            seen = features + (57 if name.startswith("M") else 0)
        if name.startswith("M"):
            side = 1 if name.startswith(("Mconv6", "Mconv7")) else 7
        if name.startswith(("conv5_4", "conv5_5")):
            side, wide = 1, 512
        wide = max(2, int(wide * share))
        if name.startswith(("conv5_5", "Mconv7")):
            wide = 38 if name.endswith("L1") else 19
        made[name] = torch.Size((wide, seen, side, side))
        seen = wide
        if name == "conv4_4_CPM":
            features = wide
    return made


def state(share: float = 1 / 32) -> dict[str, Tensor]:
    tensors = {}
    with seeded(3):
        for name, shape in shapes(share).items():
            tensors[f"{name}.weight"] = torch.randn(shape) * (1.5 / (shape[1] * shape[2] ** 2) ** 0.5)
            tensors[f"{name}.bias"] = torch.randn(shape[0]) * 0.1
    return tensors


def test_the_published_file_is_as_large_as_our_layers_are() -> None:
    with torch.device("meta"):
        network = PoseNetwork(shapes())
    weights = sum(weight.numel() for weight in network.parameters())
    assert 0 < PUBLISHED_BYTES - 4 * weights < 30_000, "the rest are the names of 184 tensors"


@pytest.mark.parametrize("prefix", ["", "model0.", "model.body."])
def test_it_tells_what_the_paper_says(tmp_path: Path, prefix: str) -> None:
    tensors = state()
    torch.save({prefix + name: tensor for name, tensor in tensors.items()}, tmp_path / "body_pose_model.pth")
    network = load_pose_network(tmp_path / "body_pose_model.pth", "cpu")
    with seeded(4):
        pixels = torch.randn(1, 3, 24, 32)

    def run(names: str, seen: Tensor) -> Tensor:
        """Layers by name; a bar halves, and the last one is not cut off at 0 where it stands after a slash."""
        *before, last = names.split()
        for name in before:
            seen = functional.max_pool2d(seen, 2) if name == "|" else functional.relu(layer(name, seen))
        return layer(last.removeprefix("/"), seen) if last.startswith("/") else functional.relu(layer(last, seen))

    def layer(name: str, seen: Tensor) -> Tensor:
        weight = tensors[f"{name}.weight"]
        return functional.conv2d(seen, weight, tensors[f"{name}.bias"], padding=weight.shape[-1] // 2)

    trunk = (
        "conv1_1 conv1_2 | conv2_1 conv2_2 | conv3_1 conv3_2 conv3_3 conv3_4 | conv4_1 conv4_2 conv4_3_CPM conv4_4_CPM"
    )
    features = run(trunk, pixels)
    first = "conv5_1_CPM_{0} conv5_2_CPM_{0} conv5_3_CPM_{0} conv5_4_CPM_{0} /conv5_5_CPM_{0}"
    fields, joints = (run(first.format(branch), features) for branch in ("L1", "L2"))
    for stage in range(2, 7):
        seen = torch.cat([fields, joints, features], dim=1)
        following = " ".join(f"Mconv{n}_stage{stage}_{{0}}" for n in range(1, 7)) + f" /Mconv7_stage{stage}_{{0}}"
        fields, joints = (run(following.format(branch), seen) for branch in ("L1", "L2"))
    made = network(pixels)
    assert made[0].shape == (1, 38, 3, 4)
    assert torch.allclose(made[0], fields, atol=1e-5)
    assert torch.allclose(made[1], joints, atol=1e-5)


def test_a_picture_is_looked_at_at_half_the_height_of_the_training(tmp_path: Path) -> None:
    torch.save(state(), tmp_path / "body_pose_model.pth")
    network = load_pose_network(tmp_path / "body_pose_model.pth", "cpu")
    seen: list[Any] = []
    network.register_forward_pre_hook(lambda _module, given: seen.append(given[0]))
    picture = np.zeros((368, 400, 3), np.float32)
    picture[..., 0] = 1.0
    maps = look(network, picture)
    assert (maps.joints.shape, maps.fields.shape) == ((18, 184, 200), (38, 184, 200))
    (pixels,) = seen
    assert pixels.shape == (1, 3, 184, 200)
    assert pixels[0, :, 90, 90].tolist() == pytest.approx([-0.5, -0.5, 255 / 256 - 0.5]), "blue, green, red"
    look(network, np.ones((100, 61, 3), np.float32))
    assert seen[1].shape == (1, 3, 184, 112)
    assert (seen[1] >= -0.5).all()


@pytest.mark.parametrize("fault", ["a layer is missing", "other joints", "another file"])
def test_another_file_is_refused(tmp_path: Path, fault: str) -> None:
    tensors = state()
    if fault == "a layer is missing":
        del tensors["Mconv3_stage4_L2.weight"]
    if fault == "other joints":
        tensors["Mconv7_stage6_L2.weight"] = tensors["Mconv7_stage6_L2.weight"][:15]
        tensors["Mconv7_stage6_L2.bias"] = tensors["Mconv7_stage6_L2.bias"][:15]
    if fault == "another file":
        tensors = {"weight": torch.zeros(3)}
    torch.save(tensors, tmp_path / "body_pose_model.pth")
    with pytest.raises(EngineError, match="expected the weights of OpenPose") as refused:
        load_pose_network(tmp_path / "body_pose_model.pth", "cpu")
    assert refused.value.code is ErrorCode.BAD_MODEL
