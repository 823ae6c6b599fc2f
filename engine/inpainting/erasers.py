"""The erase models there are, and how jobs get them: found, allowed, checked, loaded once for all."""

import hashlib
from collections.abc import Callable, Generator, Hashable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from engine.inpainting.descriptor import EraseModelSpec, EraseNetwork
from engine.inpainting.fcf import FCF
from engine.inpainting.lama import ANIME_LAMA, LAMA
from engine.inpainting.ldm import LDM
from engine.inpainting.manga import MANGA
from engine.inpainting.mat import MAT
from engine.inpainting.migan import MIGAN
from engine.inpainting.published import WeightFile, eraser_id
from engine.inpainting.weightless import CV2, PATCHMATCH
from engine.inpainting.weights import Weights
from engine.inpainting.zits import ZITS
from engine.interface import Call, EngineError, Where
from engine.models.residency import Residency
from protocol.errors import ErrorCode

if TYPE_CHECKING:
    import torch

SPECS: Final = {spec.name: spec for spec in (LAMA, ANIME_LAMA, LDM, ZITS, MAT, FCF, MANGA, MIGAN, CV2, PATCHMATCH)}
"""What each model is, in the order they are listed."""
_HASHED_AT_ONCE: Final = 1 << 20


class Fetch(Protocol):
    """Brings the files of a model that are nowhere."""

    def __call__(self, spec: EraseModelSpec) -> Generator[Call, Any, None]:
        """Use with `yield from`.

        Raises:
            EngineError: `model_missing`: they could not be had.
        """
        ...


class Erasers:
    """The erase models of one installation. For the executor thread.

    Args:
        residency: keeps what is loaded; they are called `eraser:NAME` there.
        weights: where the files are, and what their licences let this installation do.
        fetch: brings what is missing; None has jobs fail that need it.
    """

    def __init__(self, residency: Residency, weights: Weights | None = None, fetch: Fetch | None = None) -> None:
        self.residency = residency
        self.weights = weights or Weights(models_dir=residency.models_dir)
        self._fetch = fetch

    def use(self, spec: EraseModelSpec) -> Generator[Call, Any, EraseNetwork]:
        """The network of a model. Use with `yield from`.

        Files that hold code are opened for it only if they have the checksum they are published with, or the one the
        operator has set; a checksum set to nothing trusts any.

        Raises:
            EngineError: `forbidden`: its licence; `model_missing`; `bad_model`: a file is not what it is called, or is
                not trusted.
        """
        self.weights.check_licence(spec)
        if not spec.files:
            return spec.load((), self.residency.device, _dtype(spec, self.residency.device))
        if self._fetch is not None and not self.weights.is_present(spec):
            yield from self._fetch(spec)
        paths = self.weights.locate(spec)
        files = self.weights.files(spec)
        device = self.residency.device

        def steps() -> Generator[Call, Any, EraseNetwork]:
            load = yield from _loader(spec, files, paths)
            network: EraseNetwork = yield Call(partial(load, paths, device, _dtype(spec, device)), stage="load")
            return network

        return (
            yield from self.residency.keep(
                eraser_id(spec.name),
                spec.size_bytes,
                steps,
                stamp=_stamp(paths, files),
                files=paths,
                size_of=lambda network: network.size_bytes,
            )
        )


def _loader(
    spec: EraseModelSpec, files: Sequence[WeightFile], paths: Sequence[Path]
) -> Generator[Call, Any, "Callable[[Sequence[Path], str, torch.dtype], EraseNetwork]"]:
    scripts = [(path, file) for path, file in zip(paths, files, strict=True) if file.is_script and file.md5]
    for path, file in scripts:
        digest: str = yield Call(partial(_md5, path), where=Where.POOL, stage="read")
        if digest == file.md5:
            continue
        if spec.load_untrusted is not None:
            return spec.load_untrusted
        message = (
            f"{path.name}: it holds code, and is not the published file: expected MD5 {file.md5}, got {digest}. An "
            "operator who trusts it sets that checksum, see docs/models.md"
        )
        raise EngineError(ErrorCode.BAD_MODEL, message)
    return spec.load


def _md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as content:
        while block := content.read(_HASHED_AT_ONCE):
            digest.update(block)
    return digest.hexdigest()


def _stamp(paths: Sequence[Path], files: Sequence[WeightFile]) -> Hashable:
    """Another one when a file is replaced, or another checksum is wanted of it."""
    found = [path.stat() for path in paths]
    return tuple((look.st_size, look.st_mtime_ns, file.md5) for look, file in zip(found, files, strict=True))


def _dtype(spec: EraseModelSpec, device: str) -> "torch.dtype":
    import torch

    return torch.float16 if spec.is_half_on_cuda and device.startswith("cuda") else torch.float32
