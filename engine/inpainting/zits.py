"""`zits`: first the structure of what is missing, at a small size, then the picture along it.

Four TorchScript files:

    wireframe            the straight lines of the masked picture, at 512 px
    edge_line            edges and lines within the hole, from those around it, at 256 px
    structure_upsample   an edge or line map at twice its size, applied until it covers the picture
    inpaint              the picture, from the masked one, its structure and how deep each pixel lies in the hole

Source: Dong et al., Incremental transformer structure enhanced image inpainting with masking positional encoding,
2022; Huang et al., Learning to parse wireframes, 2018, and Cao and Fu, 2021, for the lines. Sizes, constants and
thresholds are those of IOPaint 1.6.0. It finds edges with scikit-image; here OpenCV follows the same recipe, but
rounds directions, so an edge may lie a pixel beside.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import structlog
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from engine.images import Bytes
from engine.inpainting.descriptor import EraseModelSpec, EraseOptions, Filling
from engine.inpainting.masked_positions import GRID_PX, MaskedPositions, masked_positions, shrunk_mask
from engine.inpainting.published import FILES, LICENCES, TITLES
from engine.inpainting.tensors import mask_tensor, of_shape, picture_tensor, truncated_picture
from engine.inpainting.torchscript import Script, open_scripts
from engine.interface import Call, EngineError, Where
from protocol.erasing import EraseModel
from protocol.errors import ErrorCode

logger = structlog.get_logger(__name__)

_LINES_PX: Final = 512
_LINES_MEAN: Final = (109.730, 103.832, 98.681)
_LINES_DEVIATION: Final = (22.275, 22.124, 23.229)
_LINES_HOLE: Final = 127.5
_SURE: Final = 0.85
"""A line of a lower score is left out."""
_EDGE: Final = 0.25
_LINE_SHIFT: Final = 0.05
_LINE_GAIN: Final = 4.0
_BLUR_PX: Final = 3.0
_WEAK: Final = 0.1
_STRONG: Final = 0.2
_GRADIENT_SCALE: Final = 4000
"""Gradients of grey in [0, 1] are at most 4 a side; as whole numbers of 16 bits they keep three digits."""


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    """A picture and its hole as the networks want them.

    Attributes:
        small, lined: (256, 256, 3) and (512, 512, 3) uint8.
        small_mask, lined_mask: likewise, (256, 256) and (512, 512), of 0 and 255.
        edges: (256, 256) uint8 of 0 and 255.
    """

    small: Bytes
    small_mask: Bytes
    lined: Bytes
    lined_mask: Bytes
    edges: Bytes
    positions: MaskedPositions


class ZitsNetwork:
    """See the module. Implements `engine.inpainting.descriptor.EraseNetwork`.

    Args:
        wireframe: (1, 3, 512, 512), normalised, to a dictionary: `num_proposals`, `lines_pred` (N, 4) as x, y, x, y in
            [0, 1], `lines_score` (N,) in [0, 1].
        edge_line: picture in [-1, 1], edges, lines and, by name, `masks`, all of 256 px, to the logits of edges and
            lines, (1, 1, 256, 256) each.
        structure_upsample: (1, 1, S, S) to logits (1, 1, 2S, 2S).
        inpaint: picture in [0, 1], mask, edges, lines, depth (1, H, W) and corners (1, H, W, 4) to (1, 3, H, W) in
            [0, 1].
    """

    def __init__(
        self, wireframe: Script, edge_line: Script, structure_upsample: Script, inpaint: Script, device: str
    ) -> None:
        self._wireframe = wireframe
        self._edge_line = edge_line
        self._upsample = structure_upsample
        self._inpaint = inpaint
        self._device = device

    @property
    def size_bytes(self) -> int:
        scripts = (self._wireframe, self._edge_line, self._upsample, self._inpaint)
        return sum(script.size_bytes for script in scripts)

    def __call__(self, image: Bytes, mask: Bytes, options: EraseOptions) -> Filling:
        told = options.on_step or _nobody
        steps = 3 if options.zits_wireframe else 1
        scene: _Scene = yield Call(partial(_prepare, image, mask), where=Where.POOL, stage="prepare")
        side_px = image.shape[0]
        edges = lines = torch.zeros(1, 1, side_px, side_px, device=self._device)
        if options.zits_wireframe:
            found: Tensor = yield Call(partial(self._find_lines, scene), stage="lines")
            told(1, steps)
            edges, lines = yield Call(partial(self._complete, scene, found, side_px), stage="structure")
            told(2, steps)
        result: Bytes = yield Call(partial(self._fill, image, mask, edges, lines, scene.positions), stage="fill")
        told(steps, steps)
        return result

    @torch.no_grad()
    def _find_lines(self, scene: _Scene) -> Tensor:
        """The lines of what is kept: (1, 1, 256, 256) in [0, 1]."""
        hole = mask_tensor(scene.lined_mask, self._device)
        pixels = picture_tensor(scene.lined, self._device) * 255
        mean, deviation = (pixels.new_tensor(each).view(1, 3, 1, 1) for each in (_LINES_MEAN, _LINES_DEVIATION))
        masked = pixels * (1 - hole) + _LINES_HOLE * hole
        try:
            found = self._wireframe((masked - mean) / deviation)
        except (RuntimeError, EngineError) as error:
            if "memory" in str(error).lower():
                raise
            # The published file gives up on pictures in which it finds nothing.
            logger.warning("zits.no_lines", reason=str(error).strip().rpartition("\n")[2][:200])
            found = {"num_proposals": 0}
        return torch.from_numpy(_drawn(found)).to(self._device)[None, None].float() / 255

    @torch.no_grad()
    def _complete(self, scene: _Scene, found: Tensor, side_px: int) -> tuple[Tensor, Tensor]:
        """Edges and lines with those within the hole, in the picture's size: (1, 1, H, H) each."""
        hole = mask_tensor(scene.small_mask, self._device)
        seen = 1 - hole
        picture = picture_tensor(scene.small, self._device) * 2 - 1
        edges = mask_tensor(scene.edges, self._device) * seen
        lines = found * seen
        logits = self._edge_line(picture * seen, edges, lines, masks=hole)
        if not isinstance(logits, tuple | list) or len(logits) != 2:
            raise EngineError(
                ErrorCode.BAD_MODEL, "zits, edge_line: expected edges and lines of it: it is another model"
            )
        shape = (1, 1, GRID_PX, GRID_PX)
        edge_logits, line_logits = (of_shape(each, shape, "zits, edge_line") for each in logits)
        edges = (edges + edge_logits.float().sigmoid() * hole >= _EDGE).float()
        lines = lines + ((line_logits.float() + _LINE_SHIFT) * _LINE_GAIN).sigmoid() * hole
        return self._enlarged(edges, side_px), self._enlarged(lines, side_px)

    def _enlarged(self, structure: Tensor, side_px: int) -> Tensor:
        if side_px <= GRID_PX:
            return structure
        while (side := structure.shape[2]) < side_px:
            logits = of_shape(self._upsample(structure), (1, 1, 2 * side, 2 * side), "zits, structure_upsample")
            structure = ((logits.float() + 2) * 2).sigmoid()
        return functional.interpolate(structure, size=(side_px, side_px), mode="bilinear", align_corners=False)

    @torch.no_grad()
    def _fill(self, image: Bytes, mask: Bytes, edges: Tensor, lines: Tensor, positions: MaskedPositions) -> Bytes:
        depth = torch.from_numpy(positions.depth)[None].to(self._device)
        corners = torch.from_numpy(positions.corners)[None].to(self._device)
        picture, hole = picture_tensor(image, self._device), mask_tensor(mask, self._device)
        filled = self._inpaint(picture, hole, edges, lines, depth, corners)
        return truncated_picture(of_shape(filled, (1, 3, *mask.shape), "zits, inpaint"))


def find_edges(rgb: Bytes) -> Bytes:
    """The edges of a picture: (H, W, 3) uint8 to (H, W) uint8 of 0 and 255.

    Source: J. Canny, A computational approach to edge detection, 1986; blur and thresholds as scikit-image has them.
    """
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    size = (2 * round(4 * _BLUR_PX) + 1,) * 2
    blurred, weight = (
        cv2.GaussianBlur(each, size, _BLUR_PX, borderType=cv2.BORDER_CONSTANT) for each in (grey, np.ones_like(grey))
    )
    smooth = np.asarray(
        blurred / weight, np.float32
    )  # what lies beyond the border counts nothing, rather than as black
    across, down = (
        np.rint(cv2.Sobel(smooth, cv2.CV_32F, *order) * _GRADIENT_SCALE).astype(np.int16) for order in ((1, 0), (0, 1))
    )
    thresholds = (_WEAK * _GRADIENT_SCALE, _STRONG * _GRADIENT_SCALE)
    return np.asarray(cv2.Canny(across, down, *thresholds, L2gradient=True), np.uint8)


def _prepare(image: Bytes, mask: Bytes) -> _Scene:
    small = _resized(image, GRID_PX)
    return _Scene(
        small=small,
        small_mask=shrunk_mask(mask, GRID_PX),
        lined=_resized(image, _LINES_PX),
        lined_mask=shrunk_mask(mask, _LINES_PX),
        edges=find_edges(small),
        positions=masked_positions(mask),
    )


def _resized(image: Bytes, side_px: int) -> Bytes:
    interpolation = cv2.INTER_AREA if min(image.shape[:2]) > side_px else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (side_px, side_px), interpolation=interpolation), np.uint8)


def _drawn(found: object) -> Bytes:
    """The lines that are sure enough: (256, 256) uint8.

    Raises:
        EngineError: `bad_model`: this is no list of lines.
    """
    canvas = np.zeros((GRID_PX, GRID_PX), np.uint8)
    for ends, score in _lines_of(found):
        if score > _SURE:
            x1, y1, x2, y2 = (int(each) for each in np.clip(ends, -1, 2) * GRID_PX)
            cv2.line(canvas, (x1, y1), (x2, y2), 255, 1, cv2.LINE_AA)
    return canvas


def _lines_of(found: object) -> list[tuple[NDArray[np.float32], float]]:
    if isinstance(found, Mapping):
        count: Any = found.get("num_proposals")
        if count is not None and int(count) == 0:
            return []
        ends, scores = found.get("lines_pred"), found.get("lines_score")
        if isinstance(ends, Tensor) and isinstance(scores, Tensor) and ends.shape == (len(scores), 4):
            return list(zip(ends.float().cpu().numpy(), scores.float().tolist(), strict=True))
    raise EngineError(
        ErrorCode.BAD_MODEL, "zits, wireframe: expected lines and their scores of it: it is another model"
    )


def _nobody(_done: int, _of: int) -> None:
    """Nobody wants to know."""


def _load(paths: Sequence[Path], device: str, dtype: torch.dtype) -> ZitsNetwork:
    wireframe, edge_line, structure_upsample, inpaint = open_scripts(paths, device, dtype)
    return ZitsNetwork(wireframe, edge_line, structure_upsample, inpaint, device)


ZITS: Final = EraseModelSpec(
    name=EraseModel.ZITS,
    title=TITLES[EraseModel.ZITS],
    source="Dong et al., Incremental transformer structure enhanced image inpainting, 2022",
    licence=LICENCES[EraseModel.ZITS].name,
    is_commercial=LICENCES[EraseModel.ZITS].is_commercial,
    load=_load,
    files=FILES[EraseModel.ZITS],
    pad_multiple=32,
    min_px=256,
    is_square=True,
)
