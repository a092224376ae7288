-- Identity: verified addresses, one-time links, roles, and logins that everybody learns have ended.

-- An address belongs to whoever verified it; anybody may register with it until then, so that registering tells
-- nobody whether it has an account.
ALTER TABLE person_private ADD COLUMN verified_at timestamptz;
UPDATE person_private v SET verified_at = p.created_at FROM person p WHERE p.id = v.person;
ALTER TABLE person_private DROP CONSTRAINT person_private_email_key;
CREATE UNIQUE INDEX person_private_verified ON person_private (email) WHERE verified_at IS NOT NULL;
CREATE INDEX person_private_email ON person_private (email);
CREATE INDEX person_private_unverified ON person_private (person) WHERE verified_at IS NULL;
COMMENT ON COLUMN person_private.verified_at IS 'personal: when the address was verified';

-- One row per person and purpose: a newer link takes the place of an older one. `person` refers to nobody where a reset
-- was asked for an address without account, so that the work is the same.
CREATE TABLE proof (
    person      uuid NOT NULL,
    purpose     text NOT NULL CHECK (purpose IN ('verification', 'reset')),
    id          uuid NOT NULL UNIQUE,
    email       text NOT NULL,
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    PRIMARY KEY (person, purpose)
);
CREATE INDEX proof_expiry ON proof (expires_at);
COMMENT ON TABLE proof IS 'One-time links of mails that are not used yet. What proves is an HMAC and not stored.';
COMMENT ON COLUMN proof.person IS 'system: whose';
COMMENT ON COLUMN proof.purpose IS 'personal: what the link does';
COMMENT ON COLUMN proof.id IS 'system: first half of the token';
COMMENT ON COLUMN proof.email IS 'personal: where the mail went';
COMMENT ON COLUMN proof.created_at IS 'personal: when it was asked for';
COMMENT ON COLUMN proof.expires_at IS 'system: until when it may be used';

CREATE TABLE mentor_profile (
    person      uuid PRIMARY KEY REFERENCES person,
    state       text NOT NULL CHECK (state IN ('active', 'paused')),
    created_at  timestamptz NOT NULL,
    changed_at  timestamptz NOT NULL
);
COMMENT ON COLUMN mentor_profile.person IS 'public: who is a mentor';
COMMENT ON COLUMN mentor_profile.state IS 'public: active or paused';
COMMENT ON COLUMN mentor_profile.created_at IS 'personal: since when';
COMMENT ON COLUMN mentor_profile.changed_at IS 'personal: time of the newest change';

CREATE TABLE mentee_profile (
    person      uuid PRIMARY KEY REFERENCES person,
    state       text NOT NULL CHECK (state IN ('active', 'paused')),
    created_at  timestamptz NOT NULL,
    changed_at  timestamptz NOT NULL
);
COMMENT ON COLUMN mentee_profile.person IS 'personal: who is a mentee';
COMMENT ON COLUMN mentee_profile.state IS 'personal: active or paused';
COMMENT ON COLUMN mentee_profile.created_at IS 'personal: since when';
COMMENT ON COLUMN mentee_profile.changed_at IS 'personal: time of the newest change';

-- Every worker polls what ended since the oldest transaction that was still running at its last poll.
ALTER TABLE login ADD COLUMN ended_by xid8;
CREATE INDEX login_ended_by ON login (ended_by) WHERE ended_by IS NOT NULL;
COMMENT ON COLUMN login.ended_by IS 'system: transaction that ended it, for polling from a snapshot''s xmin on';
