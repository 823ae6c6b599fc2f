-- What a history lists: jobs of some statuses and tasks, and those whose prompt has some words in it.

DROP INDEX jobs_by_key_and_status;
CREATE INDEX jobs_by_kind ON jobs (key_id, task, status, id);

ALTER TABLE jobs ADD COLUMN prompt TEXT GENERATED ALWAYS AS (json_extract(params, '$.prompt')) VIRTUAL;
-- Prompts stand in the index itself: looking through all of them reads no job.
CREATE INDEX jobs_by_prompt ON jobs (key_id, id, prompt) WHERE prompt IS NOT NULL;
