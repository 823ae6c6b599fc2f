-- Jobs and their facts, outputs, uploads, keys, idempotency keys and the webhook outbox.

CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
-- Cursors of another database are refused by this.
INSERT INTO meta VALUES ('database_id', lower(hex(randomblob(4))));
-- Facts up to this cursor have been removed; a cursor before it is too old.
INSERT INTO meta VALUES ('forgotten_cursor', '0');

CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    key_id TEXT NOT NULL,
    task TEXT NOT NULL,
    status TEXT NOT NULL,
    seq INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    crashes INTEGER NOT NULL,
    priority TEXT NOT NULL,
    previews TEXT NOT NULL,
    params TEXT NOT NULL,
    labels TEXT NOT NULL,
    webhook TEXT,
    inputs TEXT NOT NULL,
    input_pixels INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    started_at TEXT,
    finished_at TEXT,
    expires_at TEXT,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    error TEXT
) STRICT;
CREATE INDEX jobs_by_key ON jobs (key_id, id);
CREATE INDEX jobs_by_key_and_status ON jobs (key_id, status, id);
CREATE INDEX jobs_active ON jobs (id) WHERE status IN ('queued', 'running');
CREATE INDEX jobs_expiring ON jobs (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE events (
    cursor INTEGER PRIMARY KEY,
    job_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    at TEXT NOT NULL,
    type TEXT NOT NULL,
    data TEXT NOT NULL,
    UNIQUE (job_id, seq)
) STRICT;
CREATE INDEX events_by_key ON events (key_id, cursor);

CREATE TABLE outputs (
    job_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (job_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
    key_id TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    body_sha256 TEXT NOT NULL,
    job_id TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (key_id, idempotency_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_age ON idempotency (created_at);

CREATE TABLE uploads (
    id TEXT PRIMARY KEY,
    key_id TEXT NOT NULL,
    name TEXT,
    media_type TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    expires_at TEXT NOT NULL
) STRICT;
CREATE INDEX uploads_expiring ON uploads (expires_at);

CREATE TABLE keys (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    created_at TEXT NOT NULL,
    revoked_at TEXT
) STRICT;

CREATE TABLE webhook_outbox (
    id TEXT PRIMARY KEY,
    job_id TEXT NOT NULL,
    url TEXT NOT NULL,
    event TEXT NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    next_at REAL NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting'
) STRICT;
CREATE INDEX webhook_outbox_due ON webhook_outbox (next_at) WHERE state = 'waiting';
CREATE INDEX webhook_outbox_by_job ON webhook_outbox (job_id);
