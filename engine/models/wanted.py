"""Whether a server has the models that a request names: asked before there is a job. No torch.

Implements `service.model_check.Wanted`.
"""

import threading
import time
from collections.abc import Iterator
from typing import Final

from engine.diffusion.prompt_loras import take_out_loras
from engine.interface import EngineError
from engine.library.default import default_checkpoint
from engine.library.library import Library
from engine.library.records import FoundModel, ModelKind
from protocol.errors import ErrorCode, ProtocolError
from protocol.generation import GenerationParams
from protocol.named_models import NamedModel, named_models
from protocol.params import TaskParams
from protocol.prompting import PromptSyntax

_NO_DEFAULT: Final = "there is no model to make pictures with on this server"


class WantedModels:
    """See the module. Any thread may call anything.

    Args:
        default_model: what a request gets that names none.
    """

    def __init__(self, library: Library, default_model: str | None = None) -> None:
        self._library = library
        self._default_model = default_model
        self._looking = threading.Lock()
        self._looked_at = float("-inf")

    def check(self, params: TaskParams, at: str = "$") -> None:
        """Look for every model that `params` name among those known, and whether its file is there still. Blocks.

        Args:
            at: JSONPath of the request in what the client sent.

        Raises:
            ProtocolError: of the first that cannot be had: `model_missing`, with the names that are close; `bad_model`:
                it is damaged; `invalid_params`: the name means several.
        """
        for wanted in _named(params):
            place = f"{at}.params.{wanted.place}"
            try:
                found = self._find(wanted)
            except EngineError as error:
                hint = self._of_another_kind(wanted) if error.code is ErrorCode.MODEL_MISSING else ""
                message = f"{_parameter(wanted)}: {error.message}{hint}, at {place}"
                raise ProtocolError(error.code, message, place) from None
            if not found.path.exists():
                message = f"{_parameter(wanted)}: the file of {found.name!r} has gone, at {place}"
                raise ProtocolError(ErrorCode.MODEL_MISSING, message, place)
            if found.problem is not None:
                message = f"{_parameter(wanted)}: {found.name!r} cannot be used: {found.problem}, at {place}"
                raise ProtocolError(ErrorCode.BAD_MODEL, message, place)

    def has(self, named: NamedModel) -> bool:
        """Whether there is something of that kind which the name means, usable or not. Blocks."""
        try:
            return self._find(named).path.exists()
        except EngineError as error:
            return error.code is not ErrorCode.MODEL_MISSING

    def look(self, asked_at: float) -> None:
        """Look at the disk, unless somebody has begun to since. Blocks.

        Args:
            asked_at: of `time.monotonic`.
        """
        with self._looking:
            if self._looked_at < asked_at:
                began = time.monotonic()
                self._library.refresh()
                self._looked_at = began

    def _find(self, wanted: NamedModel) -> FoundModel:
        name = self._default_model if wanted.name is None else wanted.name
        if name is not None:
            return self._library.find(name, wanted.kind)
        found = default_checkpoint(self._library.models)
        if found is None:
            raise EngineError(ErrorCode.MODEL_MISSING, _NO_DEFAULT)
        return found

    def _of_another_kind(self, wanted: NamedModel) -> str:
        kinds = sorted(model.kind for model in self._library.models if model.name == wanted.name)
        return f"; {wanted.name!r:.80} is of the kind {' and '.join(kinds)}" if kinds else ""


def _named(params: TaskParams) -> Iterator[NamedModel]:
    yield from named_models(params)
    # In the syntax of Fooocus a LoRA that is not there is left out, and told.
    if isinstance(params, GenerationParams) and params.prompt_syntax is PromptSyntax.A1111:
        _, tagged = take_out_loras(params.prompt)
        yield from (NamedModel(ModelKind.LORA, lora.name, "prompt") for lora in tagged)


def _parameter(wanted: NamedModel) -> str:
    return wanted.place.partition("[")[0]
