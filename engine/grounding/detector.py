"""Grounding DINO: boxes around what words name.

    picture, words -> numbers (`prepare`) -> network, in pieces (`look`) -> boxes, scores and labels (`read`)

Source: Liu et al., "Grounding DINO: Marrying DINO with Grounded Pre-Training for Open-Set Object Detection", 2023; the
network is that of transformers.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from engine.diffusion.intercepted import intercept_forward
from engine.diffusion.scope import JobScope, job_scope
from engine.images import Floats
from engine.interface import Call, EngineError
from engine.plugins.worded_network import load_worded_network
from engine.steps import blocking
from protocol.errors import ErrorCode

_MEAN: Final = (0.485, 0.456, 0.406)
_DEVIATION: Final = (0.229, 0.224, 0.225)
_SHORT_PX: Final = 800
_LONG_PX: Final = 1333
"""The shorter side is seen at so many pixels, unless the longer one were more than this."""
_HAIR: Final = 1e-6
"""By which a whole number may be missed when it is calculated."""
_STOP: Final = "."
_STAGE: Final = "detect"

Question: TypeAlias = Mapping[str, Tensor]
"""What the network is given."""


@dataclass(frozen=True, slots=True)
class Detection:
    """One thing that was found.

    Attributes:
        label: the words it goes with; "" if none goes with it closely enough.
        score: 0..1.
        left, top, right, bottom: in pixels of the picture, parts of them.
    """

    label: str
    score: float
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What the network made of a question: (Q, T) scores of each place for each token, and (Q, 4) places.

    Places are centre, width and height, as shares of the picture's sides.
    """

    scores: Tensor
    places: Tensor


class Detector:
    """A network and its words. For the executor thread."""

    def __init__(self, network: Any, tokenizer: Any) -> None:
        self._network = network
        self._tokenizer = tokenizer
        # A whole look takes seconds on a CPU; so others come between the layers.
        for piece in _pieces(network):
            intercept_forward(piece, stage=_STAGE, group=False)

    def prepare(self, rgb: Floats, text: str) -> Question:
        """
        Args:
            rgb: (H, W, 3) in [0, 1].
            text: see `engine.grounding.words.as_read`.

        Raises:
            EngineError: `invalid_params`: more words than the network can read.
        """
        device = next(self._network.parameters()).device
        read = self._tokenizer(text, return_tensors="pt")
        most = int(self._network.config.max_text_len)
        if read["input_ids"].shape[1] > most:
            message = f"text: expected at most {most} tokens, got {read['input_ids'].shape[1]}, at $.params"
            raise EngineError(ErrorCode.INVALID_PARAMS, message)
        words = {name: read[name].to(device) for name in ("input_ids", "token_type_ids", "attention_mask")}
        return {"pixel_values": seen(rgb).to(device), **words}

    def look(self, question: Question) -> Generator[Call, Any, Sight]:
        """What the network sees; each of its layers is a device call of stage `detect`. Use with `yield from`."""
        told: list[Sight] = []
        yield from blocking(lambda: told.append(self._sight(question)))
        return told[0]

    def _sight(self, question: Question) -> Sight:
        with job_scope(JobScope()):
            answer = self._network(**question)
        return Sight(answer.logits[0].sigmoid().float().cpu(), answer.pred_boxes[0].float().cpu())

    def read(
        self,
        sight: Sight,
        question: Question,
        size: tuple[int, int],
        *,
        box_threshold: float,
        text_threshold: float,
        most: int,
    ) -> list[Detection]:
        """What was found, best first.

        Args:
            size: height and width of the picture.
            box_threshold: a place counts whose best score is above this.
            text_threshold: a word belongs to its label whose score is above this.
            most: of them; 0 is all.
        """
        height, width = size
        tokens: list[int] = question["input_ids"][0].tolist()
        best = sight.scores.amax(dim=1)
        order = [int(place) for place in best.argsort(descending=True, stable=True) if best[place] > box_threshold]
        found = []
        for place in order[:most] if most else order:
            x, y, wide, high = sight.places[place].tolist()
            # The first and the last token are no words.
            said = [
                token for at, token in enumerate(tokens[1:-1], 1) if float(sight.scores[place, at]) > text_threshold
            ]
            found.append(
                Detection(
                    self._label(said),
                    float(best[place]),
                    (x - wide / 2) * width,
                    (y - high / 2) * height,
                    (x + wide / 2) * width,
                    (y + high / 2) * height,
                )
            )
        return found

    def _label(self, tokens: list[int]) -> str:
        text = str(self._tokenizer.decode(tokens, skip_special_tokens=True))
        return " ".join(text.replace(_STOP, " ").split())


def seen(rgb: Floats) -> Tensor:
    """A picture as the network was trained to see it: (1, 3, h, w) float32, on the CPU."""
    height, width = seen_size(rgb.shape[0], rgb.shape[1])
    pixels = torch.from_numpy(np.ascontiguousarray(rgb, np.float32)).permute(2, 0, 1)[None]
    pixels = functional.interpolate(pixels, (height, width), mode="bilinear", antialias=True).clamp(0, 1)
    mean, deviation = (pixels.new_tensor(values).view(1, 3, 1, 1) for values in (_MEAN, _DEVIATION))
    return (pixels - mean) / deviation


def seen_size(height: int, width: int) -> tuple[int, int]:
    """Height and width at which a picture is looked at."""
    short, long = sorted((height, width))
    scale = min(_SHORT_PX / short, _LONG_PX / long)
    seen_short, seen_long = max(1, round(short * scale)), max(1, int(long * scale + _HAIR))
    return (seen_long, seen_short) if height > width else (seen_short, seen_long)


def load_detector(path: Path, device: str) -> Detector:
    """Read the folder that a file of weights lies in: with its configuration and its tokenizer.

    Raises:
        EngineError: `bad_model`: something of it is missing, or is another's.
    """
    loaded = load_worded_network(
        path,
        device,
        architecture="GroundingDinoForObjectDetection",
        model_type="grounding-dino",
        called="Grounding DINO",
        # Compiling them is nothing a server should begin with, and those of the hub would be downloaded.
        disable_custom_kernels=True,
    )
    return Detector(loaded.network, loaded.tokenizer)


def _pieces(network: Any) -> list[torch.nn.Module]:
    """What of the network takes long, none within another."""
    model = network.model
    eyes = [each for each in model.backbone.modules() if type(each).__name__ == "SwinStage"]
    return [*(eyes or [model.backbone]), model.text_backbone, *model.encoder.layers, *model.decoder.layers]
