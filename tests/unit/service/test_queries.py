"""Every statement is used, fits the schema, and finds its rows by an index."""

import inspect
import re
import sqlite3
from collections.abc import Iterator

import pytest

from service import database as database_module
from service import job_filter, queries, store
from service.migrations import migrate

STATEMENTS = queries.load()
ASKED = {name: sql for name, sql in STATEMENTS.items() if sql.startswith("SELECT")}
SMALL = {"meta", "keys"}
"""Read as a whole, and small: a few rows for each server, a row for each key."""


@pytest.fixture(scope="module")
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    migrate(connection)
    yield connection
    connection.close()


def plan(database: sqlite3.Connection, sql: str) -> list[str]:
    parameters = dict.fromkeys(re.findall(r":(\w+)", sql))
    return [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]


def test_every_statement_is_used_and_none_is_missing() -> None:
    source = "".join(map(inspect.getsource, (store, database_module, job_filter)))
    used = set(re.findall(r'"(\w+)"', source))
    assert set(STATEMENTS) <= used, set(STATEMENTS) - used
    asked_for = set(re.findall(r'_read\(\s*"(\w+)"', source)) | set(re.findall(r'\("(\w+)", \[', source))
    assert asked_for <= set(STATEMENTS)


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_a_statement_fits_the_schema(database: sqlite3.Connection, name: str) -> None:
    assert plan(database, STATEMENTS[name]) is not None
    assert STATEMENTS[name].endswith(";")


@pytest.mark.parametrize("name", sorted(set(STATEMENTS) - SMALL))
def test_a_statement_looks_at_no_table_from_end_to_end(database: sqlite3.Connection, name: str) -> None:
    for line in plan(database, STATEMENTS[name]):
        # What is inside a subquery has lines of its own; a list in a parameter is a table, too.
        is_small = any(word in line for word in ("CONSTANT ROW", "(subquery", "VIRTUAL TABLE", "SCAN page"))
        if line.startswith("SCAN") and not is_small:
            # Only an index that holds nothing else than what is looked for may be walked along.
            assert "jobs_active" in line or "outbox_due" in line, line


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("job", "sqlite_autoindex_jobs_1"),
        ("jobs_of_key", "jobs_by_key "),
        ("filtered_by_kind", "COVERING INDEX jobs_by_kind"),
        ("filtered_by_prompt", "jobs_by_prompt"),
        ("filtered_by_label", "jobs_by_key "),
        ("job_with_foreign_id", "jobs_by_foreign_id"),
        ("jobs_of_dialect", "jobs_by_dialect"),
        ("times_of_dialect", "jobs_by_dialect"),
        ("job_with_file_name", "jobs_by_file_name"),
        ("foreign_request", "PRIMARY KEY (job_id=?)"),
        ("active_jobs", "jobs_active"),
        ("facts_of_job", "sqlite_autoindex_events_1"),
        ("facts_of_key", "events_by_key"),
        ("expired_jobs", "jobs_expiring"),
        ("expired_uploads", "uploads_expiring"),
        ("due_webhooks", "webhook_outbox_due"),
        ("delete_events", "sqlite_autoindex_events_1"),
        ("delete_webhooks", "webhook_outbox_by_job"),
        ("delete_old_idempotency", "idempotency_by_age"),
    ],
)
def test_a_statement_uses_its_index_and_sorts_nothing(database: sqlite3.Connection, name: str, index: str) -> None:
    lines = plan(database, STATEMENTS[name])
    assert index in " ".join(lines) + " ", lines
    # A page of a few kinds is sorted, and no more than that.
    assert not [line for line in lines if "TEMP B-TREE" in line] or name == "filtered_by_kind"


def test_a_name_that_stands_there_twice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Twice:
        def joinpath(self, _name: str) -> "Twice":
            return self

        def read_text(self, _encoding: str) -> str:
            return "-- name: a\n-- One.\nSELECT 1;\n-- name: a\n-- Two.\nSELECT 2;\n"

    monkeypatch.setattr(queries.resources, "files", lambda _package: Twice())
    with pytest.raises(ValueError, match="a stands there twice"):
        queries.load()
