"""Parts with weights of their own that go with a model: what tells those apart that are made of one file."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch

from engine.library.records import FoundModel


def variant_of(found: FoundModel, built_like: Mapping[str, Any], dtype: torch.dtype) -> str:
    """The same for models that a part can be shared by.

    A single file holds weights alone and is built by the model it goes with: so it is another part for another sort of
    model.

    Args:
        built_like: the configuration a single file is built with.
    """
    if found.is_folder:
        return ""
    config = json.dumps(dict(built_like), sort_keys=True, default=str)
    return hashlib.sha256(f"{config} {dtype}".encode()).hexdigest()[:8]
