"""Which network looks at pictures: the safety checker of Stable Diffusion where its file is there, else Open NSFW."""

from collections.abc import Generator
from pathlib import Path
from typing import Any, Final, Protocol

from engine.images import Bytes
from engine.interface import Call
from engine.models.residency import Residency
from engine.plugins.files import PluginFiles

CLIP_CHECKER: Final = "stable-diffusion-safety-checker"
OPEN_NSFW: Final = "open-nsfw"


class SafetyChecker(Protocol):
    """A network in memory."""

    def is_unsafe(self, image: Bytes) -> bool:
        """Whether a picture, (H, W, 3) uint8 RGB, is not to be shown. A device call."""
        ...


def bring_checker(plugins: PluginFiles, residency: Residency) -> Generator[Call, Any, SafetyChecker]:
    """The network in memory, loaded if it is not. Use with `yield from`.

    Raises:
        EngineError: `model_missing`: there is none, and the command that fetches one; `bad_model`.
    """
    if plugins.find(CLIP_CHECKER) is not None:
        return (yield from plugins.use(CLIP_CHECKER, residency, _load_clip))
    return (yield from residency.use(OPEN_NSFW, _load_open_nsfw))


def _load_clip(path: Path, device: str) -> SafetyChecker:
    from engine.safety.clip_checker import load_clip_checker

    return load_clip_checker(path, device)


def _load_open_nsfw(path: Path, device: str) -> SafetyChecker:
    from engine.safety.open_nsfw import load_open_nsfw

    return load_open_nsfw(path, device)
