-- What clients of a dialect asked for, in their own words; and how a dialect finds its jobs, and the jobs of its files.

CREATE TABLE foreign_requests (
    job_id TEXT PRIMARY KEY,
    request TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX jobs_by_dialect
ON jobs (key_id, json_extract(labels, '$.dialect'), id, status)
WHERE json_extract(labels, '$.dialect') IS NOT NULL;

CREATE INDEX jobs_by_file_name
ON jobs (json_extract(labels, '$.file_name'), json_extract(labels, '$.dialect'), id)
WHERE json_extract(labels, '$.file_name') IS NOT NULL;
