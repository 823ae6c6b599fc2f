"""Textual inversion files: vectors that stand for a concept in a prompt.

    A1111                {"string_to_param": {"*": (n, width)}, ...}, a pickle; also with a ParameterDict inside
    diffusers            {TOKEN: (width) or (n, width)}
    kohya and others     {"emb_params": (n, width)}
    SDXL                 {"clip_l": (n, width), "clip_g": (n, width_2)}: one tensor for each text encoder

Each as safetensors, or as a pickle read with `weights_only`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import safetensors.torch
import torch
from torch import Tensor

from engine.diffusion.unusable import READ_ERRORS, ModelUnusable, explain
from engine.interface import EngineError
from protocol.errors import ErrorCode

MAX_FILE_BYTES: Final = 64 << 20
"""Known files have a few hundred kilobytes at most."""
MAX_VECTORS: Final = 1024


class EncoderRole(StrEnum):
    """Which of a family's text encoders one is, by the names SDXL embeddings give them."""

    CLIP_L = "clip_l"
    CLIP_G = "clip_g"


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """The vectors of one file, on the CPU.

    Attributes:
        by_role: (n, width) float, finite, one tensor for each text encoder the file tells apart; a file that does not
            tell has one under None.
    """

    name: str
    by_role: Mapping[EncoderRole | None, Tensor]

    def vectors(self, role: EncoderRole, width: int) -> Tensor:
        """The vectors for one text encoder, (n, width).

        Raises:
            EngineError: `invalid_params`: there are none of this width; made for another kind of model.
        """
        vectors = self.by_role.get(role, self.by_role.get(None))
        if vectors is None:
            raise EngineError(
                ErrorCode.INVALID_PARAMS,
                f"embedding {self.name!r} was made for another kind of model: it has no vectors of {width} values for "
                f"the text encoder {role}",
            )
        if vectors.shape[1] != width:
            raise EngineError(
                ErrorCode.INVALID_PARAMS,
                f"embedding {self.name!r} was made for another kind of model: its vectors have {vectors.shape[1]} "
                f"values, the text encoder {role} of this one takes {width}",
            )
        return vectors


def load_embedding(name: str, path: Path) -> Embedding:
    """Read an embedding file, whole or not at all.

    Args:
        name: used in messages, which never show the path.

    Raises:
        ModelUnusable: missing, truncated, hostile, or not an embedding.
    """
    try:
        size_bytes = path.stat().st_size
        if size_bytes > MAX_FILE_BYTES:
            raise ModelUnusable(name, f"{size_bytes} bytes are too many for an embedding")
        content = _read(path)
    except READ_ERRORS as error:
        raise ModelUnusable(name, explain(error, path)) from error
    if not isinstance(content, Mapping):
        raise ModelUnusable(name, "it holds no dictionary of tensors, so it is no embedding")
    by_role = {role: _checked(name, tensor) for role, tensor in _tensors(content)}
    if not by_role:
        shown = ", ".join(sorted(str(key)[:40] for key in content)[:4])
        raise ModelUnusable(name, f"it is no embedding of a known form; it has: {shown or 'nothing'}")
    if len({len(vectors) for vectors in by_role.values()}) > 1:
        raise ModelUnusable(name, "its tensors for the two text encoders differ in their number of vectors")
    return Embedding(name, by_role)


def _read(path: Path) -> Any:
    if path.suffix.lower() == ".safetensors":
        return safetensors.torch.load_file(path)
    # Files of the original repository hold their tensors in this class; all it does is to keep them.
    with torch.serialization.safe_globals([torch.nn.ParameterDict]):
        return torch.load(path, map_location="cpu", weights_only=True)


def _tensors(content: Mapping[Any, Any]) -> Iterator[tuple[EncoderRole | None, Tensor]]:
    roles = [role for role in EncoderRole if isinstance(content.get(role.value), Tensor)]
    if roles:
        yield from ((role, content[role.value]) for role in roles)
        return
    held = content.get("string_to_param", content)
    if isinstance(held, torch.nn.ParameterDict):
        held = dict(held.named_parameters(recurse=False))
    if not isinstance(held, Mapping):
        return
    found = [value for value in held.values() if isinstance(value, Tensor)]
    if isinstance(vectors := held.get("emb_params"), Tensor):
        yield None, vectors
    elif len(found) == 1:
        yield None, found[0]


def _checked(name: str, tensor: Tensor) -> Tensor:
    vectors = tensor.detach()
    if vectors.ndim == 1:
        vectors = vectors.unsqueeze(0)
    shape = tuple(tensor.shape)
    if vectors.ndim != 2 or 0 in shape or not vectors.is_floating_point() or vectors.layout is not torch.strided:
        raise ModelUnusable(name, f"a tensor of shape {shape} and type {tensor.dtype} is no embedding")
    if len(vectors) > MAX_VECTORS:
        raise ModelUnusable(name, f"it has {len(vectors)} vectors; at most {MAX_VECTORS} are taken")
    vectors = vectors.float()
    if not bool(torch.isfinite(vectors).all()):
        raise ModelUnusable(name, "its vectors hold values that are not finite")
    return vectors
