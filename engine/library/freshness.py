"""Whether what was found on the disk is still what lies there."""

from engine.library.records import FoundModel
from engine.library.walk import signature_of


def is_as_found(model: FoundModel) -> bool:
    """Whether the model's files are those of the last look; false also if they have gone. Looks at the disk."""
    signature = signature_of(model.path)
    newest = max((modified_ns for _, _, modified_ns, _ in signature), default=0) / 1e9
    is_as_large = model.is_folder or sum(size for _, size, _, _ in signature) == model.size_bytes
    return bool(signature) and newest == model.modified_at and is_as_large
