-- Which parameters a client gave, as a JSON array of names; the others stand in `params` with what they default to.
-- Read back, a request must not seem to ask for what nobody asked for. Null in rows from before.

ALTER TABLE jobs ADD COLUMN given TEXT;
