"""A database full of ended jobs, made by SQL in bulk: what a server looks like after months of work.

Each job has the rows it would have: itself, three facts and an output.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from service.migrations import DATABASE_NAME, migrate

_AT: Final = "2026-01-01T00:00:00.000Z"
_EXPIRES_AT: Final = "2099-01-01T00:00:00.000Z"
"""So late that the server under test removes nothing."""
_FILL: Final = """
CREATE TEMP TABLE numbers (n INTEGER PRIMARY KEY, id TEXT);
WITH RECURSIVE counted(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counted WHERE n + 1 < :count)
INSERT INTO numbers SELECT n, printf('01900000-%04x-7%03x-8000-%012x', n >> 12, n & 4095, n * 2654435761 % 4294967296)
FROM counted;
"""
_JOBS: Final = """
INSERT INTO jobs (id, key_id, task, status, seq, attempt, crashes, priority, previews, params, labels, inputs,
                  input_pixels, created_at, started_at, finished_at, expires_at)
SELECT id, 'local', 'test_pattern', 'succeeded', 4, 1, 0, 'normal', 'latest', :params, '{}', '{}',
       0, :at, :at, :at, :expires_at FROM numbers
"""
_FACTS: Final = """
INSERT INTO events (cursor, job_id, key_id, seq, at, type, data)
SELECT n * 4 + :seq, id, 'local', :seq, :at, :type, :data FROM numbers
"""
_OUTPUTS: Final = "INSERT INTO outputs (job_id, number, data) SELECT id, 0, :data FROM numbers"
_PARAMS: Final = (
    '{"format":"png","quality":90,"width":256,"height":256,"images":1,"steps":4,"step_ms":0,"seed":0,'
    '"fail_at_step":null}'
)
_OUTPUT: Final = (
    '{"index":0,"url":"/v1/jobs/01900000-0000-7000-8000-000000000000/outputs/0","media_type":"image/png",'
    f'"size_bytes":1000,"sha256":"{"0" * 64}","width":256,"height":256,"timings":{{}}}}'
)
_BODIES: Final = (
    ("job.queued", '{"task":"test_pattern","priority":"normal","attempt":1}'),
    ("job.started", '{"worker":"local","device":"fake","attempt":1}'),
    ("output.ready", _OUTPUT),
    ("job.succeeded", '{"duration_s":0.5,"timings":{"step":0.4}}'),
)


def store_jobs(data_dir: Path, count: int) -> None:
    """Make a database with `count` ended jobs in `data_dir`. About 1.7 kB a job."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(data_dir / DATABASE_NAME)) as database:
        migrate(database)
        # Nobody reads it yet, and if this fails it is thrown away.
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        create, fill = _FILL.strip().split(";\n", 1)
        database.execute(create)
        database.execute(fill.rstrip(";"), {"count": count})
        database.execute(_JOBS, {"params": _PARAMS, "at": _AT, "expires_at": _EXPIRES_AT})
        for seq, (kind, data) in enumerate(_BODIES, 1):
            database.execute(_FACTS, {"seq": seq, "at": _AT, "type": kind, "data": data})
        database.execute(_OUTPUTS, {"data": _OUTPUT})
        database.execute("ANALYZE")
        database.commit()


def job_ids(data_dir: Path, step: int) -> list[str]:
    """The id of every `step`-th stored job."""
    with closing(sqlite3.connect(data_dir / DATABASE_NAME)) as database:
        return [row[0] for row in database.execute("SELECT id FROM jobs WHERE rowid % ? = 0", (step,))]
