"""SQLite through aiosqlite: one connection that writes, in groups; others that read.

Each connection has a thread of its own, so the event loop never waits for a disk. WAL lets readers go on while the
writer commits.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import aiosqlite

from service import queries
from service.migrations import DATABASE_NAME, migrate
from service.setting_values import Synchronous
from service.writer import Writer

Row = Mapping[str, Any]
_READERS: Final = 2


class StoreUnavailable(Exception):
    """The database cannot be written (disk full, file gone); what was to be stored has not been."""


class Database:
    """The database of one server, and the statements of `queries.sql` by their names. Base of `service.store.Store`."""

    def __init__(self, data_dir: Path, synchronous: Synchronous = Synchronous.NORMAL) -> None:
        self._path = data_dir / DATABASE_NAME
        self._synchronous = synchronous
        self._sql = queries.load()
        self._writer: Writer | None = None
        self._readers: list[aiosqlite.Connection] = []
        self._next_reader = cycle(self._readers)
        self.database_id = ""

    async def open(self) -> None:
        """Create or migrate the database.

        Raises:
            NewerDatabase: a newer version of this program wrote it.
            sqlite3.Error: it is not a database, or cannot be opened.
        """
        connection = sqlite3.connect(self._path)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            migrate(connection)
        finally:
            connection.close()
        self._writer = Writer(self._path)
        await self._prepare(self._writer)
        for _ in range(_READERS):
            reader = aiosqlite.connect(self._path)
            await self._prepare(reader)
            self._readers.append(reader)
        self._next_reader = cycle(self._readers)
        self.database_id = (await self._meta())["database_id"]

    async def close(self) -> None:
        for connection in [*self._readers, *([self._writer] if self._writer else [])]:
            await connection.close()
        self._readers.clear()
        self._writer = None

    async def _write(self, statements: Iterable[tuple[str, Sequence[Row]]]) -> None:
        if self._writer is None:
            raise StoreUnavailable("the store is closed")
        try:
            await self._writer.transact([(self._sql[name], rows) for name, rows in statements if rows])
        except (sqlite3.Error, ValueError) as error:
            raise StoreUnavailable(str(error)) from error

    async def _copy(self, path: Path) -> None:
        """Write all there is at one moment to a file; readers and the writer go on meanwhile."""
        try:
            reader = aiosqlite.connect(self._path)
            try:
                await self._prepare(reader)
                await reader.execute("VACUUM INTO ?", (str(path),))
            finally:
                await reader.close()
        except sqlite3.Error as error:
            raise StoreUnavailable(str(error)) from error

    async def _prepare(self, connection: aiosqlite.Connection) -> None:
        await connection
        connection.row_factory = sqlite3.Row
        await connection.execute("PRAGMA busy_timeout = 10000")
        await connection.execute(f"PRAGMA synchronous = {self._synchronous.upper()}")
        await connection.execute("PRAGMA foreign_keys = ON")

    async def _read(self, name: str, **parameters: object) -> list[Row]:
        if not self._readers:
            raise StoreUnavailable("the store is closed")
        rows = await next(self._next_reader).execute_fetchall(self._sql[name], parameters)
        return [dict(row) for row in rows]

    async def _meta(self) -> dict[str, str]:
        return {row["name"]: row["value"] for row in await self._read("meta")}
