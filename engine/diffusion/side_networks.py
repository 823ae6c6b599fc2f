"""Networks that work beside a model's denoiser, as ControlNets and BrushNets do: from files, and for which models."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from engine.diffusion.folder_modules import module_loading
from engine.diffusion.folders import read_json
from engine.diffusion.kinship import may_fit
from engine.diffusion.loaded import LoadedModel
from engine.diffusion.quiet import quieten
from engine.diffusion.studio import ReadyModel
from engine.diffusion.unusable import READ_ERRORS, ModelUnusable, explain, let_go
from engine.diffusion.weights import Tensors, read_tensors
from engine.interface import Call, EngineError, Where
from engine.library.records import FoundModel
from protocol.errors import ErrorCode

_STAGE: Final = "load"


@dataclass(frozen=True, slots=True, kw_only=True)
class SideNetwork:
    """One kind of them.

    Attributes:
        field: the parameter that asks for one.
        part: its name among the parts of a model.
        class_name: what a folder of one is marked with.
        network: its class, which is imported only then.
        build: one for the denoiser of a model, at the model's home, out of the weights of a single file.
        alike: settings in which it has to be like the denoiser it works with.
    """

    field: str
    part: str
    class_name: str
    network: Callable[[], Any]
    build: Callable[[Tensors, LoadedModel], Any]
    alike: Sequence[str]


def side_network_loading(kind: SideNetwork, found: FoundModel, model: LoadedModel) -> Generator[Call, Any, Any]:
    """Load one to use with `model`, in calls: at the model's home. Use with `yield from`.

    Raises:
        ModelUnusable: it is corrupt, incomplete or none of this kind.
    """
    if found.problem is not None:
        raise ModelUnusable(found.name, found.problem)
    quieten()
    try:
        if found.is_folder:
            return (yield from _from_folder(kind, found, model))
        tensors = yield Call(partial(read_tensors, found.path, (), model.dtype), where=Where.POOL, stage=_STAGE)
        return (yield Call(partial(kind.build, tensors, model), stage=_STAGE))
    except READ_ERRORS as error:
        let_go(error)
        problem = explain(error, found.path)
    raise ModelUnusable(found.name, problem)


def check_kinship(kind: SideNetwork, found: FoundModel, model: ReadyModel) -> None:
    """Raises EngineError: `invalid_params`; its file tells that it is made for another family."""
    if not may_fit(found.family, model.loaded.family):
        raise of_another_family(kind, found, model, f"is made for {found.family}")


def check_likeness(kind: SideNetwork, found: FoundModel, model: ReadyModel, network: Any) -> None:
    """Raises EngineError: `invalid_params`; the network, as loaded, is unlike the denoiser of the model."""
    unet: Any = model.loaded.denoiser
    for setting in kind.alike:
        its, wanted = (_plain(each.config.get(setting)) for each in (network, unet))
        if its != wanted:
            raise of_another_family(kind, found, model, f"has {its!r:.80} for {setting}")


def of_another_family(kind: SideNetwork, found: FoundModel, model: ReadyModel, what: str) -> EngineError:
    """That a network is made for other models.

    Args:
        what: how that is known, as the end of a sentence about it.
    """
    message = f"{kind.field}: {found.name!r} {what}, and {model.found.name!r} is of the family {model.loaded.family}"
    return EngineError(ErrorCode.INVALID_PARAMS, message)


def _from_folder(kind: SideNetwork, found: FoundModel, model: LoadedModel) -> Generator[Call, Any, Any]:
    named = read_json(found.path / "config.json").get("_class_name")
    if named != kind.class_name:
        raise ValueError(f"it is a {named!r:.80}; {kind.class_name} is all that is known here")
    return (yield from module_loading(kind.network(), found.path, model.dtype, model.home, part=kind.part))


def _plain(value: object) -> object:
    """Lists and tuples of the same are the same: which one it is depends on the file it came from."""
    return list(value) if isinstance(value, list | tuple) else value
