"""Reads `queries.sql`: every statement has a name and a one-line description."""

import re
from collections.abc import Mapping
from importlib import resources
from typing import Final

_HEADER: Final = re.compile(r"^-- name: (\w+)\n-- (.+)\n", re.MULTILINE)


def load() -> Mapping[str, str]:
    """Name -> statement.

    Raises:
        ValueError: a name stands there twice.
    """
    text = resources.files(__package__).joinpath("queries.sql").read_text("utf-8")
    headers = list(_HEADER.finditer(text))
    statements: dict[str, str] = {}
    for header, following in zip(headers, [*headers[1:], None], strict=True):
        if header[1] in statements:
            raise ValueError(f"queries.sql: {header[1]} stands there twice")
        statements[header[1]] = text[header.end() : following.start() if following else None].strip()
    return statements
