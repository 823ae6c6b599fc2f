"""Which models there are, by the names clients know them by; what is not there is replaced, as in Fooocus, and told.

Fooocus names models by their files; here `ModelInfo.name` is a file's name without its extension.
"""

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from protocol.models import ModelInfo, ModelKind
from service.profiles import Part
from service.wiring import Services

_LOOK_AGAIN_S: Final = 5.0
_KIND_FOLDER: Final = re.compile(r"^(models/)?(checkpoints|loras|vae|controlnet|ip_adapter|Stable-diffusion|Lora|VAE)/")
_EXTENSION: Final = re.compile(r"\.(safetensors|ckpt|pth|pt|bin|gguf|fooocus\.patch)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Known:
    """The models there are at one moment."""

    by_stem: Mapping[tuple[ModelKind, str], ModelInfo]
    default: ModelInfo | None = None
    """The checkpoint of a request that names none."""
    styles: tuple[str, ...] = ()
    """Names, in the order they are listed."""

    def find(self, kind: ModelKind, name: str) -> ModelInfo | None:
        """The usable model that a name means, with or without folders and extension, in whatever letters."""
        return self.by_stem.get((kind, _stem(name)))

    def has_style(self, name: str) -> bool:
        return name in self.styles

    def all(self, kind: ModelKind) -> list[ModelInfo]:
        """Those of a kind that can be used, in the order they are listed."""
        return [model for (each, _), model in self.by_stem.items() if each is kind]


class Shelf(Part):
    """What is known of one server's models. For the event loop only."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._known = Known({})
        self._look_at = float("-inf")
        self._looking = asyncio.Lock()

    async def __aexit__(self, *_: object) -> None:
        """Nothing is open here."""

    async def known(self) -> Known:
        """The models of now, or of a few seconds ago. Looks at the disk now and then."""
        async with self._looking:
            if time.monotonic() >= self._look_at:
                return await self.look()
        return self._known

    async def look(self) -> Known:
        """Look at the disk."""
        models = [
            model
            for model in (await self._services.models.list()).models
            if model.is_present and model.problem is None and model.kind is not None
        ]
        default = next((model for model in models if model.is_default), None)
        by_stem: dict[tuple[ModelKind, str], ModelInfo] = {}
        for model in models:
            assert model.kind is not None
            by_stem.setdefault((model.kind, _stem(model.name)), model)
        styles = tuple(style.name for style in (await self._services.styles.list()).styles)
        self._known = Known(by_stem, default, styles)
        self._look_at = time.monotonic() + _LOOK_AGAIN_S
        return self._known


def file_name(model: ModelInfo) -> str:
    """What clients know a model by: its file, below the folder of its kind; of a folder its name."""
    return model.name if model.file is None else _KIND_FOLDER.sub("", model.file)


def _stem(name: str) -> str:
    return _EXTENSION.sub("", name.strip().replace("\\", "/").rpartition("/")[2]).casefold()
