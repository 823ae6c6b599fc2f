"""Pictures given beside the prompt, as our own API takes them: for IP-Adapters, or for ControlNets.

Fooocus has one fixed model for each kind. Here it is the first one of the server's that is for the kind by its name
and, if both are known, of the family of the checkpoint.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from protocol.events import JobWarning
from protocol.guides import WITH_THRESHOLDS, ControlFit, Preprocess, PromptFit, Shown
from protocol.models import ModelInfo, ModelKind
from service.dialects.fooocus.choices import GuideKind
from service.dialects.fooocus.shelf import Known
from service.dialects.fooocus.wishes import Guide


@dataclass(frozen=True, slots=True)
class _Way:
    """How a kind of guide is done.

    Attributes:
        kind: of the model.
        words: one of which is in its name; the earlier the better.
        preprocess: what a ControlNet's picture is made by.
        shown: what of a picture an IP-Adapter takes.
    """

    kind: ModelKind
    words: tuple[str, ...]
    preprocess: Preprocess = Preprocess.NONE
    shown: Shown = Shown.PICTURE


_WAYS: Final[Mapping[GuideKind, _Way]] = {
    GuideKind.IMAGE_PROMPT: _Way(ModelKind.IP_ADAPTER, ("plus", "")),
    GuideKind.FACE_SWAP: _Way(ModelKind.IP_ADAPTER, ("face",), shown=Shown.FACE),
    GuideKind.PYRA_CANNY: _Way(ModelKind.CONTROLNET, ("canny",), Preprocess.PYRA_CANNY),
    GuideKind.CPDS: _Way(ModelKind.CONTROLNET, ("cpds", "depth"), Preprocess.CPDS),
}
_FACE: Final = "face"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Of 255."""

    canny_low: int
    canny_high: int


@dataclass(slots=True)
class GuideParams:
    """Parameters of ours, and what of the guides cannot be done."""

    image_prompts: list[Mapping[str, Any]] = field(default_factory=list)
    controls: list[Mapping[str, Any]] = field(default_factory=list)
    notes: list[JobWarning] = field(default_factory=list)


def guide_params(
    guides: Sequence[Guide],
    known: Known,
    *,
    family: str | None,
    thresholds: Thresholds,
    skips_preprocessing: bool = False,
) -> GuideParams:
    """What the guides of a request become.

    Args:
        family: of the checkpoint, if it is known.
        thresholds: for edges.
        skips_preprocessing: the pictures are control pictures already.
    """
    made = GuideParams()
    for guide in guides:
        way = _WAYS[guide.kind]
        model = _model(way, known, family)
        if model is None:
            what = f"{way.kind.replace('_', '-')} for {guide.kind}"
            made.notes.append(
                JobWarning(code="guide_unused", message=f"image_prompts: there is no {what} on this server; left out")
            )
        elif way.kind is ModelKind.IP_ADAPTER:
            shown = Shown.PICTURE if skips_preprocessing else way.shown
            made.image_prompts.append(
                {
                    "model": model.name,
                    "image": guide.picture,
                    "weight": float(guide.weight),
                    "end": float(guide.stop),
                    "kind": shown.value,
                    "fit": PromptFit.SQUASH.value,
                }
            )
        else:
            preprocess = Preprocess.NONE if skips_preprocessing else way.preprocess
            made.controls.append(
                {
                    "model": model.name,
                    "image": guide.picture,
                    "preprocess": preprocess.value,
                    **(asdict(thresholds) if preprocess in WITH_THRESHOLDS else {}),
                    "fit": ControlFit.COVER.value,
                    "scale": float(guide.weight),
                    "end": float(guide.stop),
                }
            )
    return made


def _model(way: _Way, known: Known, family: str | None) -> ModelInfo | None:
    there = [model for model in known.all(way.kind) if family is None or model.family is None or model.family == family]
    for word in way.words:
        for model in there:
            name = model.name.casefold()
            if word in name and (_FACE in way.words or _FACE not in name):
                return model
    return None
