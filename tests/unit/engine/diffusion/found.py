"""Records of model files, as the library makes them, and the models loaded at once."""

from pathlib import Path
from typing import Any

import torch

from engine.diffusion.loaded import LoadedModel
from engine.diffusion.loading import loading
from engine.library.records import Family, FoundModel, ModelKind
from engine.steps import run_through


def found_at(path: Path, family: Family, kind: ModelKind = ModelKind.CHECKPOINT, **more: Any) -> FoundModel:
    """The record of what lies at `path`; its name is the file's own."""
    facts = {
        "name": path.stem,
        "kind": kind,
        "family": family,
        "path": path,
        "is_folder": path.is_dir(),
        "size_bytes": 0,
        "source": "tests",
        "problem": None,
        "is_pickle": path.suffix in {".ckpt", ".pt"},
        "modified_at": 0.0,
        "relative": path.stem,
    }
    return FoundModel(**{**facts, **more})


def load_model(found: FoundModel, device: str, dtype: torch.dtype, **more: Any) -> LoadedModel:
    """What `loading` loads, in one go."""
    return run_through(loading(found, device, dtype, **more))
