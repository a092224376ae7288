-- Mail that is to be sent: written with what it speaks of, sent after COMMIT, removed once it was taken.

CREATE TABLE outbox_mail (
    id          uuid PRIMARY KEY,
    recipient   bytea NOT NULL,
    content     bytea NOT NULL,
    put_at      timestamptz NOT NULL,
    due         timestamptz NOT NULL,
    attempts    integer NOT NULL DEFAULT 0,
    dead        text,
    died_at     timestamptz,
    CHECK ((dead IS NULL) = (died_at IS NULL))
);
CREATE INDEX outbox_mail_due ON outbox_mail (due, id) WHERE dead IS NULL;
CREATE INDEX outbox_mail_dead ON outbox_mail (died_at) WHERE dead IS NOT NULL;
COMMENT ON COLUMN outbox_mail.id IS 'system: left of the @ in the Message-ID';
COMMENT ON COLUMN outbox_mail.recipient IS 'secret: sealed address, or nobody; all of one size';
COMMENT ON COLUMN outbox_mail.content IS 'secret: sealed subject and text, with the tokens in it; sizes in steps';
COMMENT ON COLUMN outbox_mail.put_at IS 'system: the Date of the mail';
COMMENT ON COLUMN outbox_mail.due IS 'system: when to try (again); while somebody sends it, when that lease ends';
COMMENT ON COLUMN outbox_mail.attempts IS 'system: leases so far; a result counts for the lease that it is of';
COMMENT ON COLUMN outbox_mail.dead IS 'system: why it is tried no more';
COMMENT ON COLUMN outbox_mail.died_at IS 'system: since when';
