"""Which folders of a root hold which kind of model, for our own root and for other programs' installations in place.

    layout         recognised by                                          folders looked into
    -------------  -----------------------------------------------------  ------------------------------------------
    huggingface    `models--ORG--NAME` folders, here or in `hub/`         the repositories (see `hub`)
    fooocus        `fooocus_version.py`, `models/prompt_expansion/`, or   `models/*` by its table, and what
                   a `config.txt` with `path_checkpoints`, here or, for   `config.txt` names
                   a folder `models`, beside it
    a1111          `models/Stable-diffusion/` (A1111, Forge)              `models/*` by its table, `embeddings/`
    comfyui        `models/checkpoints/`                                  `models/*` by its table, and what
                                                                          `extra_model_paths.yaml` names
    iopaint        `torch/hub/checkpoints/`, `stable_diffusion/`,         these, and `huggingface/hub/`; nothing
                   `stable_diffusion_xl/`                                 else, since its folder is the user's cache
    folder         anything else, our own models folder among them       all of it

In a plain folder the first subfolder's name is the hint: both our own names and those of the programs above count.
One that is the `models` folder of an installation of Fooocus is looked through as both.
A root is recognised anew at each look: a folder that appears in it later is seen.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from engine.inpainting.published import FILE_NAMES
from engine.library import fooocus, foreign_paths, hub
from engine.library.records import ModelKind


class Layout(StrEnum):
    """How a root is arranged."""

    HUGGINGFACE = "huggingface"
    FOOOCUS = "fooocus"
    A1111 = "a1111"
    COMFYUI = "comfyui"
    IOPAINT = "iopaint"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """A folder to find models in.

    Attributes:
        layout: None recognises it by its structure.
        source: what models found in it say they come from; "" takes the layout's name.
        ignored: what in it is no model of this library: names of files (`b.pth`, or `a/b.pth` for one that lies in a
            folder `a`) and of repositories' folders. Where only certain files count, as IOPaint's erase models, all
            of those do.
    """

    path: Path
    layout: Layout | None = None
    source: str = ""
    ignored: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFolder:
    """A folder with models in it, at any depth.

    Attributes:
        kind: of the files whose contents do not tell; None takes it from the subfolders' names.
        only: the names of the files that count; None counts all.
        apart: names of subfolders that are passed by.
    """

    path: Path
    kind: ModelKind | None = None
    only: frozenset[str] | None = None
    apart: frozenset[str] = frozenset()


_SHARED: Final[Mapping[str, ModelKind]] = {
    "checkpoints": ModelKind.CHECKPOINT,
    "diffusers": ModelKind.CHECKPOINT,
    "loras": ModelKind.LORA,
    "vae": ModelKind.VAE,
    "controlnet": ModelKind.CONTROLNET,
    "upscale_models": ModelKind.UPSCALER,
    "embeddings": ModelKind.EMBEDDING,
    "clip_vision": ModelKind.IMAGE_ENCODER,
}
_COMFYUI: Final[Mapping[str, ModelKind]] = {
    **_SHARED,
    "unet": ModelKind.CHECKPOINT,
    "diffusion_models": ModelKind.CHECKPOINT,
    "ipadapter": ModelKind.IP_ADAPTER,
    "vae_approx": ModelKind.PREVIEW_DECODER,
}
_A1111: Final[Mapping[str, ModelKind]] = {
    "Stable-diffusion": ModelKind.CHECKPOINT,
    "diffusers": ModelKind.CHECKPOINT,
    "Lora": ModelKind.LORA,
    "LyCORIS": ModelKind.LORA,
    "VAE": ModelKind.VAE,
    "VAE-taesd": ModelKind.PREVIEW_DECODER,
    "ControlNet": ModelKind.CONTROLNET,
    "ESRGAN": ModelKind.UPSCALER,
    "RealESRGAN": ModelKind.UPSCALER,
    "SwinIR": ModelKind.UPSCALER,
    "DAT": ModelKind.UPSCALER,
    "HAT": ModelKind.UPSCALER,
}
_OWN: Final[Mapping[str, ModelKind]] = {
    "brushnet": ModelKind.BRUSHNET,
    "ip_adapter": ModelKind.IP_ADAPTER,
    "image_encoders": ModelKind.IMAGE_ENCODER,
    "upscalers": ModelKind.UPSCALER,
}
HINTS: Final[Mapping[str, ModelKind]] = {
    name.casefold(): kind for table in (_A1111, _COMFYUI, _OWN) for name, kind in table.items()
}
"""Name of a subfolder, in lower case -> kind of the models in it."""


def recognise(path: Path) -> Layout:
    """How a folder is arranged; a plain folder if nothing speaks for anything else, or it cannot be read."""
    if hub.is_cache(path) or hub.is_cache(path / "hub"):
        return Layout.HUGGINGFACE
    if fooocus.home_of(path) is not None:
        return Layout.FOOOCUS
    if (path / "models" / "Stable-diffusion").is_dir():
        return Layout.A1111
    if (path / "models" / "checkpoints").is_dir() or (path / foreign_paths.COMFYUI_FILE).is_file():
        return Layout.COMFYUI
    markers = (path / "torch" / "hub" / "checkpoints", path / "stable_diffusion", path / "stable_diffusion_xl")
    return Layout.IOPAINT if any(marker.is_dir() for marker in markers) else Layout.FOLDER


def folders_of(root: Root) -> Iterator[ModelFolder]:
    """The folders to look into, whether they are there or not, the most telling first."""
    path = root.path
    match root.layout or recognise(path):
        case Layout.HUGGINGFACE:
            yield ModelFolder(path=path if hub.is_cache(path) else path / "hub")
        case Layout.FOOOCUS:
            home = fooocus.home_of(path) or path
            yield from _named_by_fooocus(home)
            yield from _by_table(home / fooocus.MODELS, _SHARED)
        case Layout.A1111:
            yield from _by_table(path / "models", _A1111)
            yield ModelFolder(path=path / "embeddings", kind=ModelKind.EMBEDDING)
            extension = path / "extensions" / "sd-webui-controlnet" / "models"
            yield ModelFolder(path=extension, kind=ModelKind.CONTROLNET)
        case Layout.COMFYUI:
            yield from _by_table(path / "models", _COMFYUI)
            named = list(foreign_paths.of_comfyui(path, _COMFYUI))
            yield from (ModelFolder(path=folder, kind=kind) for folder, kind in named)
        case Layout.IOPAINT:
            erasers = path / "torch" / "hub" / "checkpoints"
            yield ModelFolder(path=erasers, kind=ModelKind.ERASER, only=FILE_NAMES)
            for name in ("stable_diffusion", "stable_diffusion_xl"):
                yield ModelFolder(path=path / name, kind=ModelKind.CHECKPOINT)
            yield ModelFolder(path=path / "huggingface" / "hub")
        case Layout.FOLDER:
            above = fooocus.home_of_models(path)
            if above is not None:
                yield from _named_by_fooocus(above)
            yield ModelFolder(path=path, apart=fooocus.APART if above is not None else frozenset())


def _by_table(models: Path, table: Mapping[str, ModelKind]) -> Iterator[ModelFolder]:
    for name, kind in table.items():
        yield ModelFolder(path=models / name, kind=kind)


def _named_by_fooocus(home: Path) -> Iterator[ModelFolder]:
    for folder, kind in list(foreign_paths.of_fooocus(home)):
        yield ModelFolder(path=folder, kind=kind)
