-- Every statement of the service, under its name. `service.queries` reads this file.

-- name: insert_event
-- A fact, once; its cursor and seq are given by the pump.
INSERT INTO events (cursor, job_id, key_id, seq, at, type, data)
VALUES (:cursor, :job_id, :key_id, :seq, :at, :type, :data);

-- name: insert_job
-- An accepted job.
INSERT INTO jobs (id, key_id, task, status, seq, attempt, crashes, priority, previews, params, given, labels, webhook,
                  inputs, input_pixels, created_at)
VALUES (:id, :key_id, :task, 'queued', 1, 1, 0, :priority, :previews, :params, :given, :labels, :webhook,
        :inputs, :input_pixels, :created_at);

-- name: update_job
-- What the facts of a job add up to now.
UPDATE jobs
SET status = :status, seq = :seq, attempt = :attempt, crashes = :crashes, started_at = :started_at,
    finished_at = :finished_at, expires_at = :expires_at, error = :error
WHERE id = :id;

-- name: insert_output
-- An output that is on disk; a repeated attempt may tell of the same one again.
INSERT INTO outputs (job_id, number, data) VALUES (:job_id, :number, :data)
ON CONFLICT (job_id, number) DO UPDATE SET data = excluded.data;

-- name: insert_idempotency
-- Which job an Idempotency-Key made.
INSERT INTO idempotency (key_id, idempotency_key, body_sha256, job_id, created_at)
VALUES (:key_id, :idempotency_key, :body_sha256, :job_id, :created_at)
ON CONFLICT (key_id, idempotency_key) DO UPDATE
SET body_sha256 = excluded.body_sha256, job_id = excluded.job_id, created_at = excluded.created_at;

-- name: insert_webhook
-- A fact somebody asked to be told of, in the transaction of the fact itself.
INSERT INTO webhook_outbox (id, job_id, url, event, next_at) VALUES (:id, :job_id, :url, :event, :next_at);

-- name: insert_foreign_request
-- What a client of a dialect asked for, with the job it became.
INSERT INTO foreign_requests (job_id, request) VALUES (:job_id, :request);

-- name: request_cancel
-- Remembered, so that a job does not start again after a crash between the asking and the end.
UPDATE jobs SET cancel_requested = 1 WHERE id = :id;

-- name: touch
-- A write that changes nothing, to see whether one is possible.
UPDATE meta SET value = value WHERE name = 'database_id';

-- name: move_position
-- How far in the stream of facts of a cluster the database of a gateway is.
INSERT INTO meta (name, value) VALUES ('position', :position)
ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: adopt
-- Cursors are those of the cluster this gateway is of.
UPDATE meta SET value = :database_id WHERE name = 'database_id';

-- name: insert_upload
-- A finished upload.
INSERT INTO uploads (id, key_id, name, media_type, width, height, size_bytes, expires_at)
VALUES (:id, :key_id, :name, :media_type, :width, :height, :size_bytes, :expires_at);

-- name: job
-- One job with its outputs, for whoever may see it (:key_id null sees all).
SELECT jobs.*, (SELECT json_group_array(json(outputs.data)) FROM outputs WHERE outputs.job_id = jobs.id) AS outputs
FROM jobs WHERE id = :id AND (:key_id IS NULL OR key_id = :key_id);

-- name: jobs_of_key
-- A page of one key's jobs, newest first.
SELECT jobs.*, (SELECT json_group_array(json(outputs.data)) FROM outputs WHERE outputs.job_id = jobs.id) AS outputs
FROM jobs
WHERE key_id = :key_id AND id < :before
ORDER BY id DESC LIMIT :limit;

-- name: filtered_by_kind
-- The same, of some tasks and statuses: the newest of each pair, and of those the newest.
WITH page AS MATERIALIZED (
    SELECT found.value AS id
    FROM json_each(:tasks) AS task_name, json_each(:statuses) AS status_name, json_each((
        SELECT json_group_array(id) FROM (
            SELECT id FROM jobs
            WHERE key_id = :key_id AND task = task_name.value AND status = status_name.value AND id < :before
            ORDER BY id DESC LIMIT :limit))) AS found
    ORDER BY found.value DESC LIMIT :limit
)
SELECT jobs.*, (SELECT json_group_array(json(outputs.data)) FROM outputs WHERE outputs.job_id = jobs.id) AS outputs
FROM page CROSS JOIN jobs USING (id) ORDER BY id DESC;

-- name: filtered_by_prompt
-- The same, with words in the prompt; :pattern stands for one of them, :patterns for the others.
SELECT jobs.*, (SELECT json_group_array(json(outputs.data)) FROM outputs WHERE outputs.job_id = jobs.id) AS outputs
FROM jobs INDEXED BY jobs_by_prompt
WHERE key_id = :key_id AND id < :before AND prompt IS NOT NULL AND prompt LIKE :pattern ESCAPE '\'
  AND NOT EXISTS (SELECT 1 FROM json_each(:patterns) AS other WHERE prompt NOT LIKE other.value ESCAPE '\')
  AND +status IN (SELECT value FROM json_each(:statuses)) AND +task IN (SELECT value FROM json_each(:tasks))
  AND (:label_name IS NULL
       OR EXISTS (SELECT 1 FROM json_each(labels) AS label WHERE label.key = :label_name AND label.value = :label_value))
ORDER BY id DESC LIMIT :limit;

-- name: filtered_by_label
-- The same, with a label and whatever prompt.
SELECT jobs.*, (SELECT json_group_array(json(outputs.data)) FROM outputs WHERE outputs.job_id = jobs.id) AS outputs
FROM jobs INDEXED BY jobs_by_key
WHERE key_id = :key_id AND id < :before AND instr(labels, :label_text) > 0
  AND EXISTS (SELECT 1 FROM json_each(labels) AS label WHERE label.key = :label_name AND label.value = :label_value)
  AND +status IN (SELECT value FROM json_each(:statuses)) AND +task IN (SELECT value FROM json_each(:tasks))
ORDER BY id DESC LIMIT :limit;

-- name: job_with_foreign_id
-- The newest job that a dialect has given the id one of its clients knows it by.
SELECT jobs.*, (SELECT json_group_array(json(outputs.data)) FROM outputs WHERE outputs.job_id = jobs.id) AS outputs
FROM jobs
WHERE key_id = :key_id AND json_extract(labels, '$.dialect') = :dialect
  AND json_extract(labels, '$.foreign_id') = :foreign_id
ORDER BY id DESC LIMIT 1;

-- name: foreign_ids
-- How many jobs of one key and dialect have a foreign id, by status; and the ids of those that have not ended.
SELECT status, count(*) AS jobs,
       json_group_array(json_extract(labels, '$.foreign_id')) FILTER (WHERE status IN ('queued', 'running')) AS ids
FROM jobs
WHERE key_id = :key_id AND json_extract(labels, '$.dialect') = :dialect
  AND json_extract(labels, '$.foreign_id') IS NOT NULL
GROUP BY status;

-- name: jobs_of_dialect
-- A page of one key's jobs of a dialect, newest first, with what was asked for; :has_ended null takes all.
SELECT jobs.*, (SELECT json_group_array(json(outputs.data)) FROM outputs WHERE outputs.job_id = jobs.id) AS outputs,
       (SELECT request FROM foreign_requests WHERE foreign_requests.job_id = jobs.id) AS foreign_request
FROM jobs
WHERE key_id = :key_id AND json_extract(labels, '$.dialect') = :dialect
  AND (:has_ended IS NULL OR (status NOT IN ('queued', 'running')) = :has_ended)
ORDER BY id DESC LIMIT :limit OFFSET :offset;

-- name: begun_jobs_of_dialect
-- A page of one key's jobs of a dialect that do not wait, newest first, with what was asked for.
SELECT jobs.*, (SELECT json_group_array(json(outputs.data)) FROM outputs WHERE outputs.job_id = jobs.id) AS outputs,
       (SELECT request FROM foreign_requests WHERE foreign_requests.job_id = jobs.id) AS foreign_request
FROM jobs
WHERE key_id = :key_id AND json_extract(labels, '$.dialect') = :dialect AND status <> 'queued'
ORDER BY id DESC LIMIT :limit OFFSET :offset;

-- name: begun_jobs_of_dialect_between
-- Those of them that came within a stretch of time, oldest first.
SELECT jobs.*, (SELECT json_group_array(json(outputs.data)) FROM outputs WHERE outputs.job_id = jobs.id) AS outputs,
       (SELECT request FROM foreign_requests WHERE foreign_requests.job_id = jobs.id) AS foreign_request
FROM jobs
WHERE key_id = :key_id AND json_extract(labels, '$.dialect') = :dialect AND status <> 'queued'
  AND created_at BETWEEN :since AND :until
ORDER BY id LIMIT :limit;

-- name: times_of_dialect
-- When those jobs came, began and ended; no more of them.
SELECT id, status, created_at, started_at, finished_at
FROM jobs
WHERE key_id = :key_id AND json_extract(labels, '$.dialect') = :dialect
  AND (status NOT IN ('queued', 'running')) = :has_ended
ORDER BY id DESC LIMIT :limit;

-- name: counts_of_dialect
-- How many jobs of one key and dialect there are, by status, and the newest of each.
SELECT status, count(*) AS jobs, max(id) AS newest FROM jobs INDEXED BY jobs_by_dialect
WHERE key_id = :key_id AND json_extract(labels, '$.dialect') = :dialect
GROUP BY status;

-- name: job_with_file_name
-- The newest job whose files a dialect gave this name, whoever's it is: such files are open to all.
SELECT jobs.*, (SELECT json_group_array(json(outputs.data)) FROM outputs WHERE outputs.job_id = jobs.id) AS outputs
FROM jobs
WHERE json_extract(labels, '$.file_name') = :file_name AND json_extract(labels, '$.dialect') = :dialect
ORDER BY id DESC LIMIT 1;

-- name: foreign_request
-- What a client of a dialect asked for.
SELECT request FROM foreign_requests WHERE job_id = :job_id;

-- name: active_jobs
-- Jobs that have not ended, oldest first, without their bulky columns.
SELECT id, key_id, task, status, seq, attempt, crashes, priority, previews, input_pixels, created_at, started_at,
       cancel_requested, webhook
FROM jobs WHERE status IN ('queued', 'running') ORDER BY id;

-- name: outputs_of_active_jobs
-- How many images earlier attempts of active jobs are through with: those that have an output, or were skipped.
SELECT job_id, max(images) AS outputs FROM (
    SELECT job_id, number + 1 AS images FROM outputs
    WHERE job_id IN (SELECT id FROM jobs INDEXED BY jobs_active WHERE status IN ('queued', 'running'))
    UNION ALL
    SELECT job_id, json_extract(data, '$.index') + 1 AS images FROM events
    WHERE job_id IN (SELECT id FROM jobs INDEXED BY jobs_active WHERE status IN ('queued', 'running'))
      AND type = 'output.skipped'
)
GROUP BY job_id;

-- name: facts_of_job
-- The facts of one job after a seq.
SELECT cursor, job_id, seq, at, type, data FROM events WHERE job_id = :job_id AND seq > :after ORDER BY seq;

-- name: facts_of_key
-- The facts of all jobs of one key after a cursor.
SELECT cursor, job_id, seq, at, type, data FROM events
WHERE key_id = :key_id AND cursor > :after AND cursor <= :upto ORDER BY cursor LIMIT :limit;

-- name: last_cursor
-- Where the pump goes on numbering.
SELECT max(coalesce((SELECT max(cursor) FROM events), 0), coalesce((SELECT max(cursor) FROM forgotten), 0),
           CAST((SELECT value FROM meta WHERE name = 'forgotten_cursor') AS INTEGER)) AS cursor;

-- name: forgotten_cursor
-- Up to which cursor facts of a key may have been removed.
SELECT max(coalesce((SELECT cursor FROM forgotten WHERE key_id = :key_id), 0),
           CAST((SELECT value FROM meta WHERE name = 'forgotten_cursor') AS INTEGER)) AS cursor;

-- name: meta
-- All there is to know about the database itself.
SELECT name, value FROM meta;

-- name: idempotent_job
-- The job an Idempotency-Key made, and of which request.
SELECT job_id, body_sha256 FROM idempotency
WHERE key_id = :key_id AND idempotency_key = :idempotency_key AND created_at > :since;

-- name: upload
-- One upload, for the key that made it.
SELECT * FROM uploads WHERE id = :id AND (:key_id IS NULL OR key_id = :key_id) AND expires_at > :now;

-- name: keys
-- All API keys, revoked ones too.
SELECT id, name, hash, scopes, created_at, revoked_at FROM keys;

-- name: expired_jobs
-- Ended jobs whose time is over.
SELECT id, key_id, seq, attempt FROM jobs WHERE expires_at < :now LIMIT :limit;

-- name: ended_job
-- One job that has ended.
SELECT id, key_id, seq, attempt FROM jobs WHERE id = :id AND status NOT IN ('queued', 'running');

-- name: forget_cursor
-- Before facts are removed: their key's cursors up to the newest of them are too old from now on.
INSERT INTO forgotten (key_id, cursor)
SELECT key_id, max(cursor) FROM events WHERE job_id = :id GROUP BY key_id
ON CONFLICT (key_id) DO UPDATE SET cursor = max(forgotten.cursor, excluded.cursor);

-- name: forget_facts
-- The same, of facts that were never here.
INSERT INTO forgotten (key_id, cursor) VALUES (:key_id, :cursor)
ON CONFLICT (key_id) DO UPDATE SET cursor = max(forgotten.cursor, excluded.cursor);

-- name: delete_events
-- The facts of a job that is removed.
DELETE FROM events WHERE job_id = :id;

-- name: delete_outputs
-- Its outputs.
DELETE FROM outputs WHERE job_id = :id;

-- name: delete_foreign_request
-- What it was asked for with.
DELETE FROM foreign_requests WHERE job_id = :id;

-- name: delete_webhooks
-- What is left of it in the outbox.
DELETE FROM webhook_outbox WHERE job_id = :id;

-- name: delete_job
-- The job itself.
DELETE FROM jobs WHERE id = :id;

-- name: expired_uploads
-- Uploads whose time is over.
SELECT id FROM uploads WHERE expires_at < :now LIMIT :limit;

-- name: delete_upload
-- An expired upload.
DELETE FROM uploads WHERE id = :id;

-- name: delete_old_idempotency
-- Idempotency keys whose time is over.
DELETE FROM idempotency WHERE created_at < :before;

-- name: known_job
-- Whether a job is in the database at all.
SELECT 1 FROM jobs WHERE id = :id;

-- name: known_upload
-- Whether an upload is in the database at all.
SELECT 1 FROM uploads WHERE id = :id;

-- name: due_webhooks
-- Webhooks to be delivered now, and the dialect in whose form they are told.
SELECT id, job_id, url, event, attempt,
       (SELECT json_extract(jobs.labels, '$.dialect') FROM jobs WHERE jobs.id = webhook_outbox.job_id) AS dialect
FROM webhook_outbox
WHERE state = 'waiting' AND next_at <= :now ORDER BY next_at LIMIT :limit;

-- name: next_webhook_at
-- When the next webhook is due.
SELECT min(next_at) AS next_at FROM webhook_outbox WHERE state = 'waiting';

-- name: retry_webhook
-- It did not arrive: again later.
UPDATE webhook_outbox SET attempt = :attempt, next_at = :next_at WHERE id = :id;

-- name: delete_webhook
-- It arrived.
DELETE FROM webhook_outbox WHERE id = :id;

-- name: give_up_webhook
-- It will not arrive; kept for whoever looks for it, until its job expires.
UPDATE webhook_outbox SET state = :state WHERE id = :id;
