-- The spine: people, logins, conversations, members, messages.
-- The comment of each column that holds something of a person starts with its privacy class:
--   public     anybody signed in may see it          shared   members of the same conversation may see it
--   personal   the person alone may see it           secret   nobody sees it; sealed or hashed
--   system     numbers and references without content
-- `person` rows are never deleted; erasure empties `person_private`.

CREATE TABLE instance (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    restored    integer NOT NULL DEFAULT 0
);
COMMENT ON TABLE instance IS 'One row. `restored` is raised after any copy of the files, and is part of the epoch.';
INSERT INTO instance DEFAULT VALUES;

-- One sequence for the channel numbers of every kind: 53 bits, safe as a JSON number.
CREATE SEQUENCE channel_number AS bigint MINVALUE 1 MAXVALUE 9007199254740991;

CREATE TABLE person (
    id          uuid PRIMARY KEY,
    number      bigint NOT NULL UNIQUE,
    head        bigint NOT NULL DEFAULT 0,
    locale      text NOT NULL DEFAULT 'en',
    zone        text NOT NULL DEFAULT 'UTC',
    created_at  timestamptz NOT NULL
);
COMMENT ON COLUMN person.id IS 'public: uuidv7';
COMMENT ON COLUMN person.number IS 'system: number of the personal channel';
COMMENT ON COLUMN person.head IS 'system: newest offset of the personal channel';
COMMENT ON COLUMN person.locale IS 'personal: BCP 47';
COMMENT ON COLUMN person.zone IS 'personal: IANA time zone';
COMMENT ON COLUMN person.created_at IS 'personal: time of registration';

CREATE TABLE person_private (
    person      uuid PRIMARY KEY REFERENCES person,
    email       text NOT NULL UNIQUE,
    name        text NOT NULL,
    password    text NOT NULL
);
COMMENT ON COLUMN person_private.person IS 'system: whose';
COMMENT ON COLUMN person_private.email IS 'personal: lower case, NFC';
COMMENT ON COLUMN person_private.name IS 'shared: what others see';
COMMENT ON COLUMN person_private.password IS 'secret: argon2id, PHC string';

CREATE TABLE login (
    id          uuid PRIMARY KEY,
    person      uuid NOT NULL REFERENCES person,
    secret      bytea NOT NULL,
    generation  bigint NOT NULL DEFAULT 0,
    device      text NOT NULL DEFAULT '',
    created_at  timestamptz NOT NULL,
    refreshed_at timestamptz NOT NULL,
    ended_at    timestamptz
);
CREATE INDEX login_of_person ON login (person, id) WHERE ended_at IS NULL;
CREATE INDEX login_ended ON login (ended_at) WHERE ended_at IS NOT NULL;
COMMENT ON COLUMN login.id IS 'personal: the sid claim';
COMMENT ON COLUMN login.person IS 'system: whose';
COMMENT ON COLUMN login.secret IS 'secret: sealed; refresh token n is HMAC(secret, n)';
COMMENT ON COLUMN login.generation IS 'system: number of the refresh token that is valid now';
COMMENT ON COLUMN login.device IS 'personal: what the client said it is';
COMMENT ON COLUMN login.created_at IS 'personal: time of sign-in';
COMMENT ON COLUMN login.refreshed_at IS 'personal: time of the newest refresh';
COMMENT ON COLUMN login.ended_at IS 'personal: time of sign-out';

CREATE TABLE conversation (
    id          uuid PRIMARY KEY,
    number      bigint NOT NULL UNIQUE,
    kind        text NOT NULL CHECK (kind IN ('direct', 'group')),
    title       text NOT NULL DEFAULT '',
    pair        text UNIQUE CHECK ((kind = 'direct') = (pair IS NOT NULL)),
    head        bigint NOT NULL DEFAULT 0,
    ordinal     bigint NOT NULL DEFAULT 0,
    floor       bigint NOT NULL DEFAULT 0,
    members     integer NOT NULL DEFAULT 0,
    created_by  uuid NOT NULL REFERENCES person,
    created_at  timestamptz NOT NULL,
    changed_at  timestamptz NOT NULL
) WITH (fillfactor = 70);
COMMENT ON COLUMN conversation.id IS 'shared: uuidv7';
COMMENT ON COLUMN conversation.number IS 'system: channel number';
COMMENT ON COLUMN conversation.kind IS 'shared: direct or group';
COMMENT ON COLUMN conversation.title IS 'shared: title of a group';
COMMENT ON COLUMN conversation.pair IS 'system: the two person ids of a direct conversation, sorted: one per pair';
COMMENT ON COLUMN conversation.head IS 'system: newest offset';
COMMENT ON COLUMN conversation.ordinal IS 'system: how many rows so far count as unread';
COMMENT ON COLUMN conversation.floor IS 'system: offsets up to here are gone (retention)';
COMMENT ON COLUMN conversation.members IS 'shared: how many have not left';
COMMENT ON COLUMN conversation.created_by IS 'shared: who made it';
COMMENT ON COLUMN conversation.created_at IS 'shared: when';
COMMENT ON COLUMN conversation.changed_at IS 'shared: time of the newest offset';

CREATE TABLE member (
    conversation uuid NOT NULL REFERENCES conversation,
    person      uuid NOT NULL REFERENCES person,
    role        text NOT NULL CHECK (role IN ('owner', 'member')),
    visible_from bigint NOT NULL,
    left_at     bigint,
    received    bigint NOT NULL DEFAULT 0,
    read        bigint NOT NULL DEFAULT 0,
    read_ordinal bigint NOT NULL DEFAULT 0,
    joined_at   timestamptz NOT NULL,
    PRIMARY KEY (conversation, person)
) WITH (fillfactor = 70);
CREATE INDEX member_of_person ON member (person, conversation) WHERE left_at IS NULL;
COMMENT ON COLUMN member.conversation IS 'shared: of what';
COMMENT ON COLUMN member.person IS 'shared: who';
COMMENT ON COLUMN member.role IS 'shared: owner or member';
COMMENT ON COLUMN member.visible_from IS 'shared: offsets above this one may be read';
COMMENT ON COLUMN member.left_at IS 'shared: offset of leaving; the row stays for a later return';
COMMENT ON COLUMN member.received IS 'shared: every offset up to here reached a device';
COMMENT ON COLUMN member.read IS 'shared: every offset up to here was read';
COMMENT ON COLUMN member.read_ordinal IS 'personal: ordinal at `read`; unread = conversation.ordinal - read_ordinal';
COMMENT ON COLUMN member.joined_at IS 'shared: when';

CREATE TABLE message (
    conversation uuid NOT NULL,
    "offset"    bigint NOT NULL,
    id          uuid NOT NULL,
    ordinal     bigint NOT NULL,
    sender      uuid NOT NULL,
    client_id   text NOT NULL,
    kind        text NOT NULL,
    version     smallint NOT NULL DEFAULT 1,
    ref         uuid,
    body        json NOT NULL,
    body_hash   bytea NOT NULL,
    verdict     text NOT NULL DEFAULT 'allow',
    created_at  timestamptz NOT NULL,
    written_by  xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (conversation, "offset"),
    UNIQUE (conversation, sender, client_id)
) PARTITION BY HASH (conversation);
COMMENT ON TABLE message IS 'The log of every conversation. Rows are only added.';
COMMENT ON COLUMN message.conversation IS 'shared: of what';
COMMENT ON COLUMN message."offset" IS 'system: gapless per conversation, from 1';
COMMENT ON COLUMN message.id IS 'shared: uuidv7';
COMMENT ON COLUMN message.ordinal IS 'system: rows so far that count as unread, this one included if it does';
COMMENT ON COLUMN message.sender IS 'shared: author';
COMMENT ON COLUMN message.client_id IS 'system: ULID chosen by the client; makes repeats harmless';
COMMENT ON COLUMN message.kind IS 'shared: text, member.added, member.removed, member.left';
COMMENT ON COLUMN message.version IS 'system: version of the body type';
COMMENT ON COLUMN message.ref IS 'shared: message that this one answers';
COMMENT ON COLUMN message.body IS 'shared: typed by kind and version';
COMMENT ON COLUMN message.body_hash IS 'system: SHA-256 over kind, ref and body as first sent';
COMMENT ON COLUMN message.verdict IS 'shared: allow until scoring says otherwise';
COMMENT ON COLUMN message.created_at IS 'shared: when';
COMMENT ON COLUMN message.written_by IS 'system: writing transaction, for polling below the snapshot''s xmin';
DO $$ BEGIN
    FOR part IN 0..7 LOOP
        EXECUTE format('CREATE TABLE message_%s PARTITION OF message FOR VALUES WITH (MODULUS 8, REMAINDER %s)', part, part);
    END LOOP;
END $$;

CREATE TABLE person_log (
    person      uuid NOT NULL REFERENCES person,
    "offset"    bigint NOT NULL,
    id          uuid NOT NULL,
    kind        text NOT NULL,
    body        json NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (person, "offset")
);
COMMENT ON TABLE person_log IS 'The personal channel: what a person must learn on every device and what changes rarely.';
COMMENT ON COLUMN person_log.person IS 'system: whose';
COMMENT ON COLUMN person_log."offset" IS 'system: gapless per person, from 1';
COMMENT ON COLUMN person_log.id IS 'system: uuidv7';
COMMENT ON COLUMN person_log.kind IS 'personal: membership.added, membership.removed';
COMMENT ON COLUMN person_log.body IS 'personal: typed by kind';
COMMENT ON COLUMN person_log.created_at IS 'personal: when';
