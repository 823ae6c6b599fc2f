"""A blur that stops where another picture of the same place has an edge."""

from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import pad

SIDE: Final = 13
"""Of the square of neighbours each value is an average of."""
SPREAD_PX: Final = 3.0
SPREAD_OF_GUIDE: Final = 3.0


def blurred_along(picture: Tensor, guide: Tensor) -> Tensor:
    """Each value averaged with its neighbours, the more the nearer and the more alike they are in the guide.

    The guide counts relative to its own mean and deviation; how unlike two places of it are is the sum of the
    differences over its channels. Beyond the edge both pictures are mirrored.

    Args:
        picture: (1, C, H, W).
        guide: (1, any channels, H, W).

    Returns:
        Like `picture`.

    Source: the joint bilateral filter, Petschnigg and others 2004, after Tomasi and Manduchi 1998; its size and
        spreads are those of Fooocus' sharpness.
    """
    height, width = picture.shape[-2:]
    deviation, mean = torch.std_mean(guide.float(), dim=(1, 2, 3), keepdim=True)
    standard = (guide.float() - mean) / (deviation + 1e-5)
    reach = SIDE // 2
    # A picture can be mirrored by less than its own size only.
    mode = "reflect" if min(height, width) > reach else "replicate"
    around = pad(picture.float(), (reach,) * 4, mode=mode)
    around_guide = pad(standard, (reach,) * 4, mode=mode)
    offsets = torch.arange(-reach, reach + 1, device=picture.device, dtype=torch.float32)
    near = torch.exp(-0.5 * (offsets / SPREAD_PX) ** 2)
    total = torch.zeros_like(standard[:, :1])
    summed = torch.zeros_like(picture, dtype=torch.float32)
    # A row of neighbours at once: all of them would take 169 times the memory of the picture.
    for row in range(SIDE):
        at = slice(row, row + height)
        unlike = (around_guide[:, :, at].unfold(3, SIDE, 1) - standard[..., None]).abs().sum(1, keepdim=True)
        weights = torch.exp(-0.5 * (unlike / SPREAD_OF_GUIDE) ** 2) * near * near[row]
        total += weights.sum(-1)
        summed += (weights * around[:, :, at].unfold(3, SIDE, 1)).sum(-1)
    return (summed / total).to(picture.dtype)
