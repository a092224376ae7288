-- Requests that were done under an Idempotency-Key, each written in the unit of work that did it.

CREATE TABLE once (
    person      uuid NOT NULL REFERENCES person,
    name        bytea NOT NULL,
    request     bytea NOT NULL,
    outcome     bytea NOT NULL,
    made_at     timestamptz NOT NULL,
    PRIMARY KEY (person, name)
);
-- For deleting what is a day old.
CREATE INDEX once_made_at ON once (made_at);
COMMENT ON TABLE once IS 'What was decided for a request whose client may send it again; kept for a day.';
COMMENT ON COLUMN once.person IS 'system: who asked';
COMMENT ON COLUMN once.name IS 'system: SHA-256 of route, places and key';
COMMENT ON COLUMN once.request IS 'system: SHA-256 of query and body';
COMMENT ON COLUMN once.outcome IS 'personal: ids and numbers from which the answer is made again';
COMMENT ON COLUMN once.made_at IS 'personal: when';
