"""Which models a request names, and where."""

from collections.abc import Sequence
from dataclasses import dataclass

from protocol.brushnet import BrushNet
from protocol.generation import GenerationParams
from protocol.loading import LoadModelParams
from protocol.models import ModelKind
from protocol.params import TaskParams


@dataclass(frozen=True, slots=True)
class NamedModel:
    """One place of a request where a model is named.

    Attributes:
        kind: that the model has to be of.
        name: None: the server's default model.
        place: the JSONPath below `params`, as in `loras[0].name`.
    """

    kind: ModelKind
    name: str | None
    place: str


def named_models(params: TaskParams) -> Sequence[NamedModel]:
    """Every model that parameters name outside of prompts, in the order a job asks for them.

    Packaged models are not among them: those are values of an enum.
    """
    if isinstance(params, LoadModelParams):
        return [NamedModel(ModelKind.CHECKPOINT, params.model, "model")]
    if not isinstance(params, GenerationParams):
        return []
    named = [NamedModel(ModelKind.CHECKPOINT, params.model, "model")]
    if params.vae is not None:
        named.append(NamedModel(ModelKind.VAE, params.vae, "vae"))
    named += [
        NamedModel(ModelKind.CONTROLNET, control.model, f"controls[{number}].model")
        for number, control in enumerate(params.controls)
    ]
    brushnet: BrushNet | None = getattr(params, "brushnet", None)
    if brushnet is not None:
        named.append(NamedModel(ModelKind.BRUSHNET, brushnet.model, "brushnet.model"))
    named += [
        NamedModel(ModelKind.LORA, lora.name, f"loras[{number}].name") for number, lora in enumerate(params.loras)
    ]
    named += [
        NamedModel(ModelKind.IP_ADAPTER, prompt.model, f"image_prompts[{number}].model")
        for number, prompt in enumerate(params.image_prompts)
    ]
    if params.refiner is not None:
        named.append(NamedModel(ModelKind.CHECKPOINT, params.refiner, "refiner"))
    return named
