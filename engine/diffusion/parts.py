"""Parts with weights of their own that go with a model: what they are called in memory."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch

from engine.diffusion.studio import resident_name
from engine.library.records import FoundModel


def part_name(found: FoundModel, built_like: Mapping[str, Any], dtype: torch.dtype) -> str:
    """What a part is called among everything in memory.

    A single file holds weights alone and is built by the model it goes with: so it is another part for another sort of
    model.

    Args:
        built_like: the configuration a single file is built with.
    """
    name = resident_name(found)
    if found.is_folder:
        return name
    config = json.dumps(dict(built_like), sort_keys=True, default=str)
    return f"{name} {hashlib.sha256(f'{config} {dtype}'.encode()).hexdigest()[:8]}"
