"""Values that files hold as text: numbers, tuples and lists as Python writes them. What is none of it reads as None."""

import ast
import math
import re
from collections.abc import Iterable
from typing import Any, Final

_SIZE: Final = re.compile(r"\(?\s*(\d{1,6})\s*[x×*,]\s*(\d{1,6})\s*\)?", re.IGNORECASE)
_MOST_TEXT: Final = 20_000


def number(value: object) -> float | None:
    """A finite number, given as one or as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        read = float(value)
    except (ValueError, OverflowError):
        return None
    return read if math.isfinite(read) else None


def whole(value: object) -> int | None:
    """A whole number, given as one or as text; seeds have more digits than a float can hold."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return int(value)
    except (ValueError, OverflowError):
        return None


def text(value: object) -> str | None:
    """A text that says something: not empty, and not the word for nothing."""
    return value if isinstance(value, str) and value.strip() and value != "None" else None


def texts(value: object) -> tuple[str, ...]:
    """The texts in a list, given as one or as text."""
    read = _literal(value) if isinstance(value, str) else value
    return tuple(each for each in read if isinstance(each, str)) if isinstance(read, list | tuple) else ()


def numbers(value: object, count: int) -> tuple[float, ...] | None:
    """So many numbers, given as a list or as text."""
    read = _literal(value) if isinstance(value, str) else value
    if not isinstance(read, list | tuple):
        return None
    found = tuple(each for each in map(number, read) if each is not None)
    return found if len(found) == len(read) == count else None


def size(value: object) -> tuple[int, int] | None:
    """Width and height: `(1152, 896)`, `1152x896`."""
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    return None if found is None else (int(found[1]), int(found[2]))


def tuple_text(values: Iterable[float]) -> str:
    """Numbers as Python writes a tuple of them."""
    return f"({', '.join(map(number_text, values))})"


def number_text(value: float) -> str:
    """A number as Python writes it; a whole one without its fraction."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _literal(value: str) -> Any:
    if len(value) > _MOST_TEXT:
        return None
    try:
        return ast.literal_eval(value.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
