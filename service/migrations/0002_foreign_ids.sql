-- Dialects whose clients choose ids of their own find the jobs behind them by two labels.

CREATE INDEX jobs_by_foreign_id
ON jobs (key_id, json_extract(labels, '$.dialect'), json_extract(labels, '$.foreign_id'), id)
WHERE json_extract(labels, '$.foreign_id') IS NOT NULL;
