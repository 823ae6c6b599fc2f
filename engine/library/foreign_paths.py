"""Where other programs' settings say that their models lie.

    ComfyUI   `extra_model_paths.yaml`: sections with `base_path` and, per kind of model, one path or several lines
    Fooocus   `config.txt`: JSON with `path_checkpoints` and others, each a path or a list of them

A file that cannot be read says nothing; that is logged.

Source: the example file of ComfyUI, and the settings Fooocus writes.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import structlog
import yaml

from engine.library.records import ModelKind

COMFYUI_FILE: Final = "extra_model_paths.yaml"
_FOOOCUS_FILE: Final = "config.txt"
_FOOOCUS_KEYS: Final[Mapping[str, ModelKind]] = {
    "path_checkpoints": ModelKind.CHECKPOINT,
    "path_loras": ModelKind.LORA,
    "path_embeddings": ModelKind.EMBEDDING,
    "path_vae": ModelKind.VAE,
    "path_upscale_models": ModelKind.UPSCALER,
    "path_controlnet": ModelKind.CONTROLNET,
    "path_clip_vision": ModelKind.IMAGE_ENCODER,
}
_FOOOCUS_WILDCARDS: Final = "path_wildcards"
_MAX_BYTES: Final = 1024 * 1024
_MAX_PATHS: Final = 1000

logger = structlog.get_logger(__name__)


def of_comfyui(root: Path, kinds: Mapping[str, ModelKind]) -> Iterator[tuple[Path, ModelKind]]:
    """The folders that `extra_model_paths.yaml` adds, with the kind of models in them.

    Args:
        root: the installation; relative paths without `base_path` start here.
        kinds: name of a kind in ComfyUI -> ours; other names are passed by.
    """
    path = root / COMFYUI_FILE
    try:
        parsed = yaml.safe_load(_text(path))
    except FileNotFoundError:
        return
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        logger.warning("library.settings_unreadable", path=str(path), error=type(error).__name__)
        return
    left = _MAX_PATHS
    for section in parsed.values() if isinstance(parsed, dict) else ():
        if not isinstance(section, dict):
            continue
        base = _expanded(section.get("base_path"), root) or root
        for name, kind in kinds.items():
            for line in _lines(section.get(name)):
                folder = _expanded(line, base)
                left -= 1
                if folder is None or left < 0:
                    continue
                yield folder, kind


def is_fooocus_config(path: Path) -> bool:
    """Whether a file is Fooocus' settings."""
    return not _FOOOCUS_KEYS.keys().isdisjoint(_settings(path, log=logger.debug))


def of_fooocus(root: Path) -> Iterator[tuple[Path, ModelKind]]:
    """The folders that Fooocus' settings name. Relative ones start, as there, in the folder of its modules."""
    settings = _settings(root / _FOOOCUS_FILE, log=logger.warning)
    for key, kind in _FOOOCUS_KEYS.items():
        yield from ((folder, kind) for folder in _named_by(settings, key, root))


def wildcards_of_fooocus(root: Path) -> Iterator[Path]:
    """The folders of wildcards that Fooocus' settings name."""
    yield from _named_by(_settings(root / _FOOOCUS_FILE, log=logger.warning), _FOOOCUS_WILDCARDS, root)


def _named_by(settings: Mapping[str, object], key: str, root: Path) -> Iterator[Path]:
    named = settings.get(key)
    for text in (named if isinstance(named, list) else [named])[:_MAX_PATHS]:
        folder = _expanded(text, root / "modules")
        if folder is not None:
            yield folder


def _settings(path: Path, *, log: Callable[..., object]) -> Mapping[str, object]:
    try:
        parsed = json.loads(_text(path))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        log("library.settings_unreadable", path=str(path), error=type(error).__name__)
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _text(path: Path) -> str:
    if not path.is_file():  # a pipe would be waited for
        raise FileNotFoundError(path)
    with path.open("rb") as file:
        text = file.read(_MAX_BYTES + 1)
    if len(text) > _MAX_BYTES:
        raise ValueError("too large for settings")
    return text.decode("utf-8-sig")


def _lines(value: object) -> list[str]:
    return [line.strip() for line in value.splitlines() if line.strip()] if isinstance(value, str) else []


def _expanded(text: object, base: Path) -> Path | None:
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        return None
    # Windows users write their paths with backslashes in files that are read elsewhere, too.
    clean = os.path.expandvars(text.strip()).replace("\\", "/") if os.sep == "/" else os.path.expandvars(text.strip())
    return Path(os.path.normpath(base / os.path.expanduser(clean)))  # noqa: PTH111  # unlike pathlib's, never raises
