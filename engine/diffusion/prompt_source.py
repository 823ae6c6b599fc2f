"""What the encoding of a prompt depends on, as one value that can be a key. Imports no torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.diffusion.embedding_names import split_at_names
from engine.diffusion.prompt_weights import ParsedPrompt, parse_prompt
from protocol.prompting import PromptSyntax

Warn = Callable[[str, str], None]
"""Hears a code and a message, as `RunContext.warn`."""


def say_nothing(_code: str, _message: str) -> None:
    """Nobody is told."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text, or the name of an embedding, with its weight."""

    said: str
    weight: float = 1.0
    is_embedding: bool = False


@dataclass(frozen=True, slots=True)
class EmbeddingFile:
    """A file of vectors, as it was on disk when the prompt was read; zeros if it is not there."""

    name: str
    path: Path
    size_bytes: int
    changed_ns: int


@dataclass(frozen=True, slots=True)
class PromptSource:
    """A prompt, read.

    Attributes:
        sections: each begins a chunk; at least one, perhaps empty.
        files: the embeddings named in it, each once.
        keeps_mean: weights leave the mean of a chunk's states as it is.
    """

    sections: tuple[tuple[Piece, ...], ...] = ((),)
    files: tuple[EmbeddingFile, ...] = ()
    keeps_mean: bool = False


def read_prompt(
    text: str, offered: Mapping[str, Path], warn: Warn, syntax: PromptSyntax = PromptSyntax.A1111
) -> PromptSource:
    """Read the weights and the embeddings' names of a prompt. Never raises.

    Args:
        offered: name -> file of the embeddings that may be named.
        warn: told of `prompt_syntax_ignored` and `embedding_missing`.
    """
    parsed = parse_prompt(text, syntax)
    _warn_of_syntax(parsed, warn)
    is_fooocus = syntax is PromptSyntax.FOOOCUS
    used: dict[str, None] = {}
    sections: list[tuple[Piece, ...]] = []
    for chunk in parsed.chunks:
        pieces: list[Piece] = []
        for stretch in chunk:
            for part in split_at_names(stretch.text, offered, are_bare=not is_fooocus):
                if isinstance(part, str):
                    pieces.append(Piece(part, stretch.weight))
                elif part.name is None:
                    warn("embedding_missing", f"prompt: there is no embedding for {part.said!r}; it is left out")
                else:
                    used.setdefault(part.name)
                    pieces.append(Piece(part.name, stretch.weight, is_embedding=True))
        sections.append(tuple(pieces))
    # Equal to a prompt of the other syntax as long as nothing is weighed.
    keeps_mean = is_fooocus and parsed.is_weighted
    return PromptSource(tuple(sections), tuple(_file(name, offered[name]) for name in used), keeps_mean)


def warn_of_plain(
    text: str, offered: Mapping[str, Path], warn: Warn, syntax: PromptSyntax = PromptSyntax.A1111
) -> None:
    """Tell what of a prompt has no effect on a model that takes plain text.

    Args:
        warn: told of `prompt_syntax_ignored`, `prompt_weights_ignored` and `embedding_ignored`.
    """
    parsed = parse_prompt(text, syntax)
    _warn_of_syntax(parsed, warn)
    if parsed.is_weighted:
        warn("prompt_weights_ignored", "prompt: weights and BREAK have no effect on this model")
    parts = split_at_names(text, offered, are_bare=syntax is PromptSyntax.A1111)
    for said in dict.fromkeys(part.said for part in parts if not isinstance(part, str)):
        warn("embedding_ignored", f"prompt: {said!r}: this model takes no embeddings")


def _warn_of_syntax(parsed: ParsedPrompt, warn: Warn) -> None:
    for said in parsed.ignored:
        warn("prompt_syntax_ignored", f"prompt: {said!r} is not supported and is taken as plain text")


def _file(name: str, path: Path) -> EmbeddingFile:
    try:
        found = path.stat()
    except OSError:  # reading it will say so, with its name
        return EmbeddingFile(name, path, 0, 0)
    return EmbeddingFile(name, path, found.st_size, found.st_mtime_ns)
