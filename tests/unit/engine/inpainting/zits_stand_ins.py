"""Small networks in the place of the four of `zits`."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class TwoLines(nn.Module):
    """In the place of the finder of lines: one it is sure of, from corner to corner, and one it is not."""

    def forward(self, picture: Tensor) -> dict[str, Tensor]:
        ends = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 1.0, 0.0]])
        return {"num_proposals": torch.tensor(2), "lines_pred": ends, "lines_score": torch.tensor([0.9, 0.5])}


class NoLines(nn.Module):
    """A finder that gives up, as the published one does where it sees nothing."""

    def forward(self, picture: Tensor) -> dict[str, Tensor]:
        return {"num_proposals": torch.cat(torch.jit.annotate(list[Tensor], []))}


class Structure(nn.Module):
    """In the place of the transformer: edges in the left half of the hole, lines where lines are, and a little more."""

    def forward(self, picture: Tensor, edges: Tensor, lines: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        columns = torch.arange(edges.shape[3], dtype=edges.dtype).view(1, 1, 1, -1).expand_as(edges)
        edge_logits = 20.0 * (columns < edges.shape[3] // 2).to(edges.dtype) - 10.0
        line_logits = lines * 2.0 - 0.05 + picture[:, 0:1] * 0.0 + masks * 0.0
        return edge_logits, line_logits


class Twice(nn.Module):
    """In the place of the upsampler: logits that come back as what went in, sharpened."""

    def forward(self, structure: Tensor) -> Tensor:
        return functional.interpolate(structure, scale_factor=2.0) * 4.0 - 4.0


class Paint(nn.Module):
    """In the place of the painter: red where edges are, green where lines are, blue by depth; corners darken it."""

    def forward(
        self, picture: Tensor, mask: Tensor, edges: Tensor, lines: Tensor, depth: Tensor, corners: Tensor
    ) -> Tensor:
        deep = depth.unsqueeze(1).to(picture.dtype) / 128.0
        dark = corners.sum(3).unsqueeze(1).to(picture.dtype) * 0.05
        made = torch.cat((edges, lines, deep), 1) - dark
        return picture * (1 - mask) + made.clamp(0, 1) * mask


STAND_INS: Any = (TwoLines, Structure, Twice, Paint)
"""In the order of the files."""
