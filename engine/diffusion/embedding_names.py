"""Where a prompt names a textual inversion. Imports no torch.

    embedding:NAME      anywhere, with or without the extension of its file
    NAME                on its own, if an embedding of that name is offered; not in the syntax of Fooocus

Upper and lower case are the same, unless two offered names differ in nothing else. The longest name that fits wins.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

_EXTENSIONS: Final = r"(?:\.(?:safetensors|pt|bin))?"
_PREFIX: Final = "embedding:"
_UNKNOWN: Final = rf"{_PREFIX}(?P<unknown>[\w.\-]+)"


@dataclass(frozen=True, slots=True)
class EmbeddingName:
    """A place in a prompt where an embedding is meant.

    Attributes:
        name: as it is offered; None if no such embedding is, then `said` is what the prompt has.
    """

    name: str | None
    said: str


def split_at_names(text: str, offered: Collection[str], *, are_bare: bool = True) -> list[str | EmbeddingName]:
    """Cut a text where it names embeddings.

    Args:
        offered: the names there are.
        are_bare: names count also on their own.

    Returns:
        texts and names in order; joined they are the whole text. Without a name, the text alone.
    """
    lowered = text.lower()
    # Most prompts name none of perhaps thousands, so that the expression below stays small.
    possible = sorted((name for name in offered if name and name.lower() in lowered), key=len, reverse=True)
    if not possible and _PREFIX not in lowered:
        return [text]
    parts: list[str | EmbeddingName] = []
    place = 0
    for match in _expression(possible, are_bare=are_bare).finditer(text):
        found = match.groupdict()
        said = found.get("known") or found.get("bare")
        name = None if said is None else _offered_as(said, possible)
        if name is None and found["unknown"] is None:
            continue  # equal by the expression's rules of case, not by those of `str.lower`
        if match.start() > place:
            parts.append(text[place : match.start()])
        parts.append(EmbeddingName(name, match[0]))
        place = match.end()
    if place < len(text) or not parts:
        parts.append(text[place:])
    return parts


def _expression(names: list[str], *, are_bare: bool) -> re.Pattern[str]:
    if not names:
        return re.compile(_UNKNOWN, re.IGNORECASE)
    any_name = "|".join(map(re.escape, names))
    known = rf"{_PREFIX}(?P<known>{any_name}){_EXTENSIONS}(?![\w-])"
    bare = rf"(?<![\w-])(?P<bare>{any_name})(?![\w-])"
    ways = (known, _UNKNOWN, bare) if are_bare else (known, _UNKNOWN)
    return re.compile("|".join(ways), re.IGNORECASE)


def _offered_as(said: str, names: list[str]) -> str | None:
    if said in names:
        return said
    return next((name for name in names if name.lower() == said.lower()), None)
