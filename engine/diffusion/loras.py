"""The LoRAs of one model in memory: loaded once, laid over its modules for the jobs that want them.

name a LoRA -> `bring` loads it beside the device -> `state` is what a job's scope switches to and fro
"""

import hashlib
import json
from collections import Counter, OrderedDict
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog
from safetensors import safe_open
from torch import nn

from engine.diffusion.families import PipelineKind
from engine.diffusion.kinship import may_fit
from engine.diffusion.loaded import LoadedModel
from engine.diffusion.lora_layers import LoraLayers
from engine.diffusion.movable import bytes_of
from engine.diffusion.scope import NO_ADAPTERS, AdapterState, switch_adapters
from engine.diffusion.unusable import READ_ERRORS, ModelUnusable, explain, let_go
from engine.diffusion.weights import Tensors, read_tensors
from engine.interface import Call, EngineError, Where
from engine.library.records import FoundModel
from protocol.errors import ErrorCode

logger = structlog.get_logger(__name__)

MOST_BYTES: Final = 1 << 30
_SETTINGS: Final = "lora_adapter_metadata"
"""Where diffusers keeps ranks and alphas in a file's metadata."""


def ask_nobody(_size_bytes: int) -> None:
    """There is room for whatever comes."""


@dataclass(frozen=True, slots=True)
class WeighedLora:
    """A LoRA in memory and how much of it a job wants.

    Attributes:
        adapter: its name in the libraries.
        has_effect: whether it changes any layer of the model.
    """

    adapter: str
    weight: float
    has_effect: bool


@dataclass(frozen=True, slots=True)
class _File:
    tensors: Tensors
    settings: Mapping[str, Any] | None


class Loras:
    """All LoRAs that are in memory over one model. For the executor thread.

    Args:
        most_bytes: of LoRAs that no job uses and of those that jobs use, together; the least recently used go.
        make_room: has others leave memory for so many bytes, as far as they can.
    """

    def __init__(
        self, model: LoadedModel, *, most_bytes: int = MOST_BYTES, make_room: Callable[[int], None] = ask_nobody
    ) -> None:
        self._model = model
        self._make_room = make_room
        self._most_bytes = most_bytes
        self._layers = {module: LoraLayers(module) for name, module in model.modules() if not name.startswith("vae")}
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._users: Counter[str] = Counter()

    @property
    def size_bytes(self) -> int:
        """Of all in memory."""
        return sum(self._sizes.values())

    @property
    def adapters(self) -> tuple[str, ...]:
        """Those in memory, the least recently used first."""
        return tuple(self._sizes)

    def bring(self, found: FoundModel, weight: float) -> Generator[Call, Any, WeighedLora]:
        """The LoRA in memory, loaded if it is not. Use with `yield from`, and hold it at once with `in_use`.

        Raises:
            EngineError: `invalid_params`: it is for other models than this one; `bad_model`: it cannot be loaded. The
                model is then exactly as it was.
        """
        self._check(found)
        adapter = _adapter_of(found)
        while adapter not in self._sizes:
            try:
                file = yield Call(partial(_read, found.path), Where.POOL, "read")
                yield Call(partial(self._load, adapter, file), stage="load")
            except READ_ERRORS as error:
                let_go(error)
                problem = explain(error, found.path)
                raise ModelUnusable(found.name, problem) from None
        self._sizes.move_to_end(adapter)
        return WeighedLora(adapter, weight, any(layers.has(adapter) for layers in self._layers.values()))

    @contextmanager
    def in_use(self, loras: Sequence[WeighedLora]) -> Iterator[None]:
        """Within it these stay in memory."""
        names = [lora.adapter for lora in loras]
        self._users.update(names)
        try:
            yield
        finally:
            self._users.subtract(names)
            self._shrink()

    def state(self, loras: Sequence[WeighedLora]) -> AdapterState:
        """These over the model, and nothing else of them."""
        weights: dict[str, float] = {}
        for lora in loras:
            if lora.has_effect:
                weights[lora.adapter] = weights.get(lora.adapter, 0.0) + lora.weight
        weights = {adapter: weight for adapter, weight in weights.items() if weight}
        if not weights:
            return NO_ADAPTERS
        return AdapterState(("loras", *weights.items()), partial(self._show, weights), self._hide)

    def _check(self, found: FoundModel) -> None:
        mine = self._model.family
        if not may_fit(found.family, mine):
            message = (
                f"the lora {found.name!r} is made for {found.family}, and {self._model.name!r} is of the family {mine}"
            )
            raise EngineError(ErrorCode.INVALID_PARAMS, message)

    def _load(self, adapter: str, file: _File) -> None:
        """Add a LoRA to the modules, or leave them as they are. A device call."""
        if adapter in self._sizes:
            return  # another job was quicker
        for module in self._layers:
            switch_adapters(module, NO_ADAPTERS)
        self._make_room(sum(map(bytes_of, file.tensors.values())))
        try:
            self._inject(adapter, file)
        except BaseException:
            self._delete(adapter)
            raise
        self._sizes[adapter] = sum(layers.size_bytes(adapter) for layers in self._layers.values())
        logger.info("lora.loaded", model=self._model.name, size_bytes=self._sizes[adapter])
        self._shrink(keep=adapter)

    def _inject(self, adapter: str, file: _File) -> None:
        kind = next(kind for kind in PipelineKind if self._model.can(kind))
        pipeline = self._model.pipeline(kind, self._model.components["scheduler"])
        if not hasattr(pipeline, "load_lora_weights"):
            raise ValueError(f"{self._model.name!r} takes no loras")
        convert = pipeline.lora_state_dict

        def converted(*given: Any, **how: Any) -> Any:
            # What diffusers reads along with a file it opens itself.
            state, *rest = convert(*given, **how)
            if len(rest) == 1:  # of the families that know no alphas of their own
                return state, file.settings
            alphas = rest[0]
            return state, alphas, None if alphas else file.settings

        pipeline.lora_state_dict = converted
        with _all_open(list(self._layers.values())):
            pipeline.load_lora_weights(dict(file.tensors), adapter_name=adapter)

    def _show(self, weights: Mapping[str, float], module: nn.Module) -> None:
        if module in self._layers:
            self._layers[module].show(weights)

    def _hide(self, module: nn.Module) -> None:
        if module in self._layers:
            self._layers[module].hide()

    def _shrink(self, *, keep: str | None = None) -> None:
        """Let the least recently used go until the rest is small enough."""
        for adapter in list(self._sizes):
            if self.size_bytes <= self._most_bytes:
                return
            if not self._users[adapter] and adapter != keep:
                self._delete(adapter)

    def _delete(self, adapter: str) -> None:
        for module, layers in self._layers.items():
            switch_adapters(module, NO_ADAPTERS)
            layers.delete(adapter)
        self._sizes.pop(adapter, None)


@contextmanager
def _all_open(layers: Sequence[LoraLayers]) -> Iterator[None]:
    if not layers:
        yield
        return
    with layers[0].open(), _all_open(layers[1:]):
        yield


def _adapter_of(found: FoundModel) -> str:
    """The same for the same file, another one once its contents are replaced."""
    told = f"{found.path}\n{found.size_bytes}\n{found.modified_at}"
    return f"lora_{hashlib.sha256(told.encode()).hexdigest()[:16]}"


def _read(path: Path) -> _File:
    """On the side pool."""
    settings = None
    if path.suffix == ".safetensors":
        with safe_open(path, framework="pt") as file:
            told = (file.metadata() or {}).get(_SETTINGS)
        settings = None if told is None else json.loads(told)
    return _File(read_tensors(path, (), None), settings)
