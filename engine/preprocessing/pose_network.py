"""The network that finds the joints of bodies and how they belong together, in plain torch.

Source: Cao, Simon, Wei and Sheikh, "Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields", 2017. The
names of its layers are those of the published `body_pose_model.pth`, which are those of the authors' own definition.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from engine.images import Floats
from engine.interface import EngineError
from engine.preprocessing.bodies import FIELDS, JOINTS
from engine.upscaling.published import read_state
from protocol.errors import ErrorCode

_TRUNK: Final = (
    *("conv1_1", "conv1_2", "", "conv2_1", "conv2_2", ""),
    *("conv3_1", "conv3_2", "conv3_3", "conv3_4", ""),
    *("conv4_1", "conv4_2", "conv4_3_CPM", "conv4_4_CPM"),
)
"""Of VGG 19, with two more layers; where there is no name, what is seen is halved."""
_BRANCHES: Final = ("L1", "L2")
"""What tells the fields between joints, and what tells the joints."""
_STAGES: Final = 6
_STRIDE_PX: Final = 8
_SEEN_PX: Final = 184
"""Height at which a picture is looked at: half of that of the training, as ControlNets for poses were trained."""
_MOST_SEEN_PX: Final = 736
"""And its width, however wide it is."""
_GREY: Final = 128 / 256 - 0.5
_WHITE: Final = 255 / 256


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """What the network says of a picture, at the size it saw.

    Attributes:
        joints: (18, h, w), how likely each pixel is such a joint.
        fields: (38, h, w), for each limb across and down the way it goes.
    """

    joints: NDArray[np.float32]
    fields: NDArray[np.float32]


class PoseNetwork(nn.Module):
    """Takes (N, 3, H, W) in [-0.5, 0.5], BGR, sides in multiples of 8; gives fields and joints, an eighth as large.

    Args:
        shapes: layer -> shape of its weight.

    Raises:
        KeyError: a layer has no shape.
    """

    def __init__(self, shapes: Mapping[str, torch.Size]) -> None:
        super().__init__()
        self.layers = nn.ModuleDict()
        for name in layer_names():
            wide, seen, height, _ = shapes[name]
            self.layers[name] = nn.Conv2d(seen, wide, height, padding=height // 2)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        features = pixels
        for name in _TRUNK:
            features = functional.relu(self.layers[name](features)) if name else functional.max_pool2d(features, 2)
        fields, joints = (self._branch(_first(branch), features) for branch in _BRANCHES)
        for stage in range(2, _STAGES + 1):
            seen = torch.cat([fields, joints, features], dim=1)
            fields, joints = (self._branch(_following(stage, branch), seen) for branch in _BRANCHES)
        return fields, joints

    def _branch(self, names: Sequence[str], seen: Tensor) -> Tensor:
        for name in names[:-1]:
            seen = functional.relu(self.layers[name](seen))
        told: Tensor = self.layers[names[-1]](seen)
        return told


def load_pose_network(path: Path, device: str) -> PoseNetwork:
    """Read a file and put the network on `device`.

    Raises:
        EngineError: `bad_model`: it holds another network, or not all of this one.
    """
    # Some copies have the names of the parts of a program before those of the layers.
    state = {".".join(name.split(".")[-2:]): tensor for name, tensor in read_state(path).items()}
    try:
        network = PoseNetwork({name: state[f"{name}.weight"].shape for name in layer_names()})
        network.layers.load_state_dict(state)
        _check(network)
    except (KeyError, ValueError, RuntimeError) as error:
        message = f"{path.name}: expected the weights of OpenPose's body network (body_pose_model.pth)"
        raise EngineError(ErrorCode.BAD_MODEL, message) from error
    return network.requires_grad_(False).to(device).eval()


def look(network: PoseNetwork, picture: Floats) -> Maps:
    """Have the network look at a picture. A device call.

    Args:
        picture: (H, W, 3), RGB in [0, 1].
    """
    height, width = picture.shape[:2]
    scale = min(_SEEN_PX / height, _MOST_SEEN_PX / width)
    seen_height, seen_width = (max(1, round(side * scale)) for side in (height, width))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    resized = cv2.resize(picture, (seen_width, seen_height), interpolation=method)
    device = next(network.parameters()).device
    planes = torch.from_numpy(np.ascontiguousarray(resized[..., ::-1].transpose(2, 0, 1))).to(device)[None]
    missing = [-side % _STRIDE_PX for side in (seen_width, seen_height)]
    pixels = functional.pad(planes.clamp(0, 1) * _WHITE - 0.5, (0, missing[0], 0, missing[1]), value=_GREY)
    with torch.inference_mode():
        fields, joints = (
            functional.interpolate(told, scale_factor=_STRIDE_PX, mode="bicubic", align_corners=False)[0]
            for told in network(pixels)
        )
    return Maps(*(told[:, :seen_height, :seen_width].float().cpu().numpy() for told in (joints[:JOINTS], fields)))


def layer_names() -> list[str]:
    """All of them, in the order of the published file's stages."""
    names = [name for name in _TRUNK if name]
    for branch in _BRANCHES:
        names += _first(branch)
    for stage in range(2, _STAGES + 1):
        for branch in _BRANCHES:
            names += _following(stage, branch)
    return names


def _first(branch: str) -> list[str]:
    return [f"conv5_{number}_CPM_{branch}" for number in range(1, 6)]


def _following(stage: int, branch: str) -> list[str]:
    return [f"Mconv{number}_stage{stage}_{branch}" for number in range(1, 8)]


def _check(network: PoseNetwork) -> None:
    told: Iterable[nn.Module] = (network.layers[_following(_STAGES, branch)[-1]] for branch in _BRANCHES)
    channels = [each.out_channels for each in told if isinstance(each, nn.Conv2d)]
    # The background is one joint more.
    if channels != [FIELDS, JOINTS + 1]:
        raise ValueError(f"it tells {channels}")
