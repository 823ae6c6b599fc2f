"""The database's schema, version by version: `NNNN_name.sql`, each run once, in order, whole or not at all."""

import re
import sqlite3
from importlib import resources
from typing import Final

DATABASE_NAME: Final = "safelight.db"
_NAME: Final = re.compile(r"(\d{4})_\w+\.sql")


class NewerDatabase(Exception):
    """The database was written by a newer version of this program."""


def migrate(connection: sqlite3.Connection) -> int:
    """Bring a database to the newest version; returns that version.

    The version lives in SQLite's `user_version`.

    Raises:
        NewerDatabase: it is newer than this program knows.
        sqlite3.Error: a migration failed; the database is as it was before it.
    """
    scripts = _scripts()
    newest = max(scripts)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > newest:
        raise NewerDatabase(f"the database has schema version {version}, this program knows up to {newest}; update it")
    for number in range(version + 1, newest + 1):
        try:
            connection.executescript(f"BEGIN IMMEDIATE; {scripts[number]}; PRAGMA user_version = {number}; COMMIT;")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.rollback()
            raise
    return newest


def _scripts() -> dict[int, str]:
    scripts = {}
    for entry in resources.files(__package__).iterdir():
        if match := _NAME.fullmatch(entry.name):
            scripts[int(match[1])] = entry.read_text("utf-8")
    return scripts
