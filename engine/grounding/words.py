"""The words that a detector is asked for, as it wants to read them. Imports no torch.

Source: Liu et al., "Grounding DINO", 2023: names in small letters, each ended by a full stop.
"""

import re
from typing import Final

_BETWEEN: Final = re.compile(r"[.,;\n]")


def names_in(text: str) -> list[str]:
    """What a text names, each once, in small letters. Full stops, commas, semicolons and line ends are between."""
    named = (" ".join(part.split()).lower() for part in _BETWEEN.split(text))
    return list(dict.fromkeys(name for name in named if name))


def as_read(names: list[str]) -> str:
    """The names as one text."""
    return " ".join(f"{name}." for name in names)
