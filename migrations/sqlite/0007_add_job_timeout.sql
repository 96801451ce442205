-- The time limit of one attempt of a job, from its claim; NULL for none. Its worker enforces it.
ALTER TABLE jobs ADD COLUMN timeout_ms BIGINT CONSTRAINT jobs_timeout_ms_check CHECK (timeout_ms > 0);
