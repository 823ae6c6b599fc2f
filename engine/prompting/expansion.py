"""Words of quality behind a prompt, drawn by the seed of the picture: the style `Fooocus V2`.

The style of that name in Fooocus has a language model go on with the prompt, limited to a list of words. Neither is
used here, for their licences: a few words of each of some groups (light, detail, ...) are drawn from lists of our own.
"""

from functools import cache
from pathlib import Path
from random import Random
from typing import Final

import orjson

WORDS_FILE: Final = Path(__file__).parent / "quality_words.json"
WORDS_PER_GROUP: Final = 3
_SEEDS: Final = 2**32


def quality_words(seed: int, *, beside: str = "") -> str:
    """Words with commas between them, the same for the same seed and prompt; none twice.

    Args:
        beside: the prompt; what it says already is not said again.
    """
    lots = Random(seed % _SEEDS)  # noqa: S311 - nothing secret: a seed has to give the same words for ever
    said = beside.casefold()
    drawn: list[str] = []
    for words in _groups():
        drawn += [word for word in lots.sample(words, len(words)) if word not in said][:WORDS_PER_GROUP]
    return ", ".join(drawn)


def expanded(prompt: str, seed: int) -> str:
    """The prompt with words of quality behind it."""
    return f"{prompt}, {quality_words(seed, beside=prompt)}"


@cache
def _groups() -> tuple[tuple[str, ...], ...]:
    groups: dict[str, list[str]] = orjson.loads(WORDS_FILE.read_bytes())
    return tuple(tuple(words) for words in groups.values())
