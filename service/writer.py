"""The connection that writes: whole transactions, each in one turn of its thread."""

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import aiosqlite

Statements: TypeAlias = Sequence[tuple[str, Sequence[Mapping[str, Any]]]]
"""SQL, and the rows it is executed with."""

_CHUNK_ROWS: Final = 64


class Writer(aiosqlite.Connection):
    """An aiosqlite connection that can do a transaction as one.

    Statement by statement, each would be a hand-over to the thread and back, which costs more than the statement; and
    between two of them other coroutines could get in.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(lambda: sqlite3.connect(path), _CHUNK_ROWS)

    async def transact(self, statements: Statements) -> None:
        """Execute all and commit; whole, or not at all.

        Raises:
            sqlite3.Error: it could not be done; nothing has been written.
            ValueError: the connection is closed.
        """
        await self._execute(self._transact, statements)  # type: ignore[no-untyped-call] # aiosqlite left it untyped

    def _transact(self, statements: Statements) -> None:
        """On the connection's thread."""
        try:
            for sql, rows in statements:
                self._conn.executemany(sql, rows)
            self._conn.commit()
        except BaseException:
            self._conn.rollback()
            raise
