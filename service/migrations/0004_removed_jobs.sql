-- How far the facts of one key have been removed: what one key removes costs no other its place in its own facts.
-- Before this the mark was one for all, `forgotten_cursor`; it still counts.

CREATE TABLE forgotten (
    key_id TEXT PRIMARY KEY,
    cursor INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
