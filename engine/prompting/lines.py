"""A prompt as lines, and lines as one text again."""

import re
from collections.abc import Iterable
from typing import Final

_SPACES: Final = re.compile(r"\s+")
_AT_THE_ENDS: Final = ",. \t"


def tidy(text: str) -> str:
    """On one line, without runs of blanks, and without blanks, commas and full stops at its ends."""
    return _SPACES.sub(" ", text).strip(_AT_THE_ENDS)


def split_lines(text: str) -> list[str]:
    """The lines that say something, tidied; the first is the main one. Empty if none does."""
    return [line for line in map(tidy, text.splitlines()) if line]


def joined(texts: Iterable[str]) -> str:
    """Texts as one, for a model that reads but one: with commas between them."""
    return ", ".join(text.strip(_AT_THE_ENDS) if at else text.rstrip(_AT_THE_ENDS) for at, text in _counted(texts))


def _counted(texts: Iterable[str]) -> Iterable[tuple[int, str]]:
    return enumerate(text for text in texts if text.strip(_AT_THE_ENDS))
