-- Moderation: what spoke against messages, what was decided on those that were held, and who decides.

-- Written in the transaction that writes or blocks the message. Of a message that was blocked nothing that was said is
-- kept, here or elsewhere.
CREATE TABLE finding (
    message     uuid PRIMARY KEY,
    conversation uuid NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('direct', 'group')),
    "offset"    bigint,
    sender      uuid NOT NULL,
    verdict     text NOT NULL CHECK (verdict IN ('flag', 'hold', 'block')),
    done        text NOT NULL CHECK (done IN ('allow', 'flag', 'hold', 'block')),
    reasons     text[] NOT NULL,
    scores      real[] NOT NULL,
    severity    smallint NOT NULL,
    detail      json NOT NULL,
    model       text NOT NULL,
    created_at  timestamptz NOT NULL,
    decision    text CHECK (decision IN ('release', 'refuse')),
    decided_by  uuid REFERENCES person,
    decided_at  timestamptz,
    CHECK ((done = 'block') = ("offset" IS NULL)),
    CHECK ((decision IS NULL) = (decided_at IS NULL) AND (decision IS NULL) = (decided_by IS NULL)),
    CHECK (decision IS NULL OR done = 'hold')
);
CREATE INDEX finding_held ON finding (message) WHERE done = 'hold' AND decision IS NULL;
CREATE INDEX finding_of_sender ON finding (sender, message);
COMMENT ON TABLE finding IS 'Messages that got another verdict than allow, also where nothing was done about it.';
COMMENT ON COLUMN finding.message IS 'system: id of the message, or that it would have had';
COMMENT ON COLUMN finding.conversation IS 'system: where';
COMMENT ON COLUMN finding.kind IS 'system: of the conversation: direct or group';
COMMENT ON COLUMN finding."offset" IS 'system: of the message; none when it was blocked';
COMMENT ON COLUMN finding.sender IS 'personal: author';
COMMENT ON COLUMN finding.verdict IS 'personal: what the policy said';
COMMENT ON COLUMN finding.done IS 'personal: what was done: nothing (allow) in shadow mode';
COMMENT ON COLUMN finding.reasons IS 'personal: the strongest first';
COMMENT ON COLUMN finding.scores IS 'personal: probabilities of abuse, hate, sexual, threat, spam';
COMMENT ON COLUMN finding.severity IS 'personal: of the worst listed term, 0 to 3';
COMMENT ON COLUMN finding.detail IS 'personal: places in the text and the strongest features; without text when blocked';
COMMENT ON COLUMN finding.model IS 'system: SHA-256 of the model that scored';
COMMENT ON COLUMN finding.created_at IS 'personal: when';
COMMENT ON COLUMN finding.decision IS 'personal: of a held message: release or refuse; none while it waits';
COMMENT ON COLUMN finding.decided_by IS 'personal: moderator who decided';
COMMENT ON COLUMN finding.decided_at IS 'personal: when';

CREATE TABLE moderator (
    person      uuid PRIMARY KEY REFERENCES person,
    granted_at  timestamptz NOT NULL
);
COMMENT ON TABLE moderator IS 'Who may read and decide on held messages. The operator grants it, on the command line.';
COMMENT ON COLUMN moderator.person IS 'personal: who';
COMMENT ON COLUMN moderator.granted_at IS 'personal: since when';
