"""What a database holds, to compare two of them row by row."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from service.migrations import DATABASE_NAME

_OWN: Final = {"webhook_outbox": {"next_at", "attempt"}}
"""Columns each gateway has for itself: when it would deliver next, should it be in charge."""
_OWN_TABLES: Final = {"forgotten"}
"""What was removed before a gateway knew of it, it need not forget."""


def tables(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows of all tables of the database in a data folder, in some fixed order; without what is a gateway's own."""
    with closing(sqlite3.connect(folder / DATABASE_NAME)) as database:
        database.row_factory = sqlite3.Row
        names = [row["name"] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: sorted(
                (
                    {column: value for column, value in dict(row).items() if column not in _OWN.get(name, ())}
                    for row in database.execute(f"SELECT * FROM {name}")
                ),
                key=repr,
            )
            for name in names
            if name not in _OWN_TABLES
        }
