"""One look at one candidate: what it holds, and if it cannot be used, why.

What is in a file counts before where it lies:

the contents tell                       as they say
they do not, but the folder does        a pickle or an upscaler: of that kind, the loader will see;
                                        a preview decoder: with a problem
                                        a safetensors file: of that kind, with a problem
neither                                 a checkpoint, with a problem
"""

from dataclasses import dataclass, replace
from typing import Final

from engine.library.folders import look_into
from engine.library.headers import BadHeader, read_header
from engine.library.pickles import BadPickle, read_pickle
from engine.library.records import UNTOLD, Family, ModelKind, Sniffed
from engine.library.sniff import sniff
from engine.library.tiny_vaes import family_of
from engine.library.walk import Candidate

UNKNOWN_TENSORS: Final = "its tensors are those of no model known here"
UNKNOWN_PICKLE: Final = "its contents do not tell what it is for; put it in the folder of its kind"
_VAE_BESIDE: Final = ".vae"
"""A1111 takes `NAME.vae.pt` for the VAE of the checkpoint `NAME`."""
_TOLD_BY_LOADER: Final = frozenset({ModelKind.UPSCALER, ModelKind.ERASER})


@dataclass(frozen=True, slots=True)
class Look:
    """What a candidate is.

    Attributes:
        size_bytes: of the weights a loader would read.
    """

    kind: ModelKind
    sniffed: Sniffed
    is_pickle: bool
    size_bytes: int


def look_at(candidate: Candidate) -> Look | None:
    """What the candidate is; None if it is no model. Never raises for what it finds."""
    try:
        if candidate.is_folder:
            return _look_into_folder(candidate)
        if candidate.is_safetensors:
            return _look_at_safetensors(candidate)
        return _look_at_pickle(candidate)
    except OSError as error:
        problem = f"it cannot be read: {error.strerror or type(error).__name__}"
        is_pickle = not candidate.is_folder and not candidate.is_safetensors
        return _decided(candidate, Sniffed(kind=None, problem=problem), is_pickle=is_pickle)


def _look_into_folder(candidate: Candidate) -> Look | None:
    look = look_into(candidate.path)
    if look is None:
        return None
    size_bytes = sum(path.stat().st_size for path in look.weights)
    kind = look.sniffed.kind or ModelKind.CHECKPOINT
    return Look(kind, look.sniffed, look.is_pickle, size_bytes)


def _look_at_safetensors(candidate: Candidate) -> Look:
    try:
        header = read_header(candidate.path)
    except BadHeader as error:
        return _decided(candidate, Sniffed(kind=None, problem=str(error)), is_pickle=False)
    sniffed = sniff(header.shapes, header.metadata)
    if sniffed.kind is None and candidate.hint not in _TOLD_BY_LOADER:
        sniffed = replace(sniffed, problem=UNKNOWN_TENSORS)
    return _decided(candidate, sniffed, is_pickle=False)


def _look_at_pickle(candidate: Candidate) -> Look | None:
    if candidate.hint is ModelKind.ERASER:
        return _decided(candidate, UNTOLD, is_pickle=True)  # mostly compiled programs, which have no such names
    try:
        # A look at a pickle may end early, so that something seems to be missing says nothing.
        sniffed = sniff(read_pickle(candidate.path))
        if sniffed.kind is not ModelKind.PREVIEW_DECODER:
            sniffed = replace(sniffed, problem=None)
    except BadPickle as error:
        if candidate.hint is None and candidate.path.suffix.casefold() == ".bin":
            return None  # the extension means anything: firmware, networks of other programs
        sniffed = Sniffed(kind=None, problem=str(error))
    if sniffed == UNTOLD and candidate.hint is ModelKind.PREVIEW_DECODER:
        sniffed = replace(sniffed, problem=UNKNOWN_TENSORS)
    elif sniffed == UNTOLD and candidate.hint is None and not _is_vae_by_name(candidate):
        sniffed = replace(sniffed, problem=UNKNOWN_PICKLE)
    return _decided(candidate, sniffed, is_pickle=True)


def _decided(candidate: Candidate, sniffed: Sniffed, *, is_pickle: bool) -> Look:
    kind = sniffed.kind
    if kind is None:
        kind = ModelKind.VAE if _is_vae_by_name(candidate) else candidate.hint or ModelKind.CHECKPOINT
        if kind in _TOLD_BY_LOADER:
            sniffed = replace(sniffed, family=Family.OTHER)
    if kind is ModelKind.PREVIEW_DECODER:
        sniffed = replace(sniffed, family=family_of(candidate.relative))
    return Look(kind, sniffed, is_pickle, candidate.size_bytes)


def _is_vae_by_name(candidate: Candidate) -> bool:
    return candidate.relative.casefold().endswith(_VAE_BESIDE)
