import re
import sqlite3
from collections.abc import Iterator
from importlib import resources

import pytest

from service import migrations
from service.migrations import NewerDatabase, migrate

FIRST = resources.files("service.migrations").joinpath("0001_core.sql").read_text("utf-8")


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    yield connection
    connection.close()


def schema(database: sqlite3.Connection) -> list[tuple[str, str]]:
    return database.execute(
        "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite%' ORDER BY name"
    ).fetchall()


def version(database: sqlite3.Connection) -> int:
    return database.execute("PRAGMA user_version").fetchone()[0]


def test_an_empty_file_becomes_a_database_of_the_newest_version(database: sqlite3.Connection) -> None:
    newest = migrate(database)
    assert version(database) == newest >= 1
    assert {"jobs", "events", "outputs", "uploads"} <= {name for name, _ in schema(database)}


def test_a_database_of_the_first_version_becomes_like_a_new_one_and_keeps_its_rows(
    database: sqlite3.Connection,
) -> None:
    database.executescript(f"{FIRST}; PRAGMA user_version = 1;")
    database.execute("INSERT INTO events VALUES (1, 'j', 'k', 1, 'at', 'job.queued', '{}')")
    database.commit()
    migrate(database)
    new = sqlite3.connect(":memory:")
    migrate(new)
    assert schema(database) == schema(new)
    assert database.execute("SELECT job_id, seq FROM events").fetchall() == [("j", 1)]
    new.close()


def test_migrating_twice_changes_nothing(database: sqlite3.Connection) -> None:
    migrate(database)
    (before,) = database.execute("SELECT value FROM meta WHERE name = 'database_id'").fetchone()
    migrate(database)
    assert database.execute("SELECT value FROM meta WHERE name = 'database_id'").fetchone() == (before,)


def test_every_database_has_an_id_of_its_own() -> None:
    ids = set()
    for _ in range(2):
        database = sqlite3.connect(":memory:")
        migrate(database)
        ids |= set(database.execute("SELECT value FROM meta WHERE name = 'database_id'").fetchall())
        database.close()
    assert len(ids) == 2


def test_a_database_of_a_newer_program_is_left_alone(database: sqlite3.Connection) -> None:
    database.execute("PRAGMA user_version = 999")
    with pytest.raises(NewerDatabase, match="version 999, this program knows up to"):
        migrate(database)
    assert schema(database) == []


def test_a_migration_that_fails_leaves_the_database_as_it_was(
    database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(database)
    before, newest = schema(database), version(database)
    scripts = {**migrations._scripts(), newest + 1: "CREATE TABLE extra (a) STRICT; CREATE TABLE jobs (a);"}
    monkeypatch.setattr(migrations, "_scripts", lambda: scripts)
    with pytest.raises(sqlite3.Error):
        migrate(database)
    assert (schema(database), version(database)) == (before, newest)


def test_migrations_are_numbered_without_a_gap() -> None:
    numbers = sorted(migrations._scripts())
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_table_refuses_values_of_the_wrong_type(database: sqlite3.Connection) -> None:
    migrate(database)
    for name, sql in schema(database):
        if sql.startswith("CREATE TABLE"):
            assert re.search(r"\)\s*STRICT", sql), name
