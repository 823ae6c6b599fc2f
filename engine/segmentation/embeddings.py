"""What the encoder made of the pictures seen last, so that the next click on one of them is answered at once."""

import hashlib
from collections import OrderedDict
from pathlib import Path
from typing import Final, Generic, TypeVar

T = TypeVar("T")

MOST_PICTURES: Final = 16
"""An embedding of SAM has 4 MB, of HQ-SAM 13 MB, of SAM 2 17 MB."""


class EmbeddingCache(Generic[T]):
    """Embeddings by the content of the picture's file; the least recently used goes first. For the executor thread."""

    def __init__(self, most: int = MOST_PICTURES) -> None:
        if most < 1:
            raise ValueError(f"most: expected at least 1, got {most}")
        self._most = most
        self._kept: OrderedDict[str, T] = OrderedDict()

    def get(self, key: str) -> T | None:
        embedding = self._kept.get(key)
        if embedding is not None:
            self._kept.move_to_end(key)
        return embedding

    def put(self, key: str, embedding: T) -> None:
        self._kept[key] = embedding
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def clear(self) -> None:
        self._kept.clear()

    def __len__(self) -> int:
        return len(self._kept)


def content_key(file: Path, model: str) -> str:
    """What an embedding is kept under: the SHA-256 of the picture's file, and who made it."""
    with file.open("rb") as opened:
        return f"{hashlib.file_digest(opened, 'sha256').hexdigest()} by {model}"
