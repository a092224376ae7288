"""The seams of the server: small types and protocols that every layer may import, and nothing else of ours but errors.

Who implements what: `db` the database, `platform` clock and ids, `gateway` routing, `realtime` publishing, the domains
routes, commands and channel authorities. `app.py` is the one place where they meet.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, TypeVar
from uuid import UUID

import msgspec

from chiron.errors import ChironError

T = TypeVar("T")

# --- time and ids ----------------------------------------------------------------------------------------------------


class Clock(Protocol):
    def now(self) -> datetime:
        """Wall clock, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds; the same clock as the running loop's `time()`."""
        ...


class Ids(Protocol):
    def new(self) -> UUID:
        """A uuidv7 (RFC 9562 §5.7): sortable by time of making."""
        ...


# --- database --------------------------------------------------------------------------------------------------------

Row = Mapping[str, Any]

in_transaction: ContextVar[bool] = ContextVar("in_transaction", default=False)
"""True while `Database.run` or `read` runs its `work`. What must not be awaited there (the committer) looks here.

A task that is made inside a unit of work inherits True for its life: make none there.
"""


class StatementError(Exception):
    """PostgreSQL refused a statement, and with it the unit of work: everything of it is rolled back.

    `sqlstate` is the five-character code (PostgreSQL manual, appendix A), `constraint` the name of what was violated.
    The message names no values.
    """

    def __init__(self, sqlstate: str, message: str, constraint: str | None = None) -> None:
        self.sqlstate = sqlstate
        self.constraint = constraint
        super().__init__(f"{message} [{sqlstate}]")


class Tx(Protocol):
    """One unit of work. Arguments are positional, `$1`…, as asyncpg takes them; `json` values are `str`.

    Every method raises `StatementError`, or `errors.Unavailable` when the connection is lost.
    """

    async def fetch(self, sql: str, *args: Any) -> Sequence[Row]: ...
    async def fetchrow(self, sql: str, *args: Any) -> Row | None: ...
    async def fetchval(self, sql: str, *args: Any) -> Any: ...
    async def execute(self, sql: str, *args: Any) -> str: ...
    async def executemany(self, sql: str, args: Sequence[Sequence[Any]]) -> None: ...


class Database(Protocol):
    async def run(
        self, work: Callable[[Tx], Awaitable[T]], *, landed: Callable[[Tx], Awaitable[T | None]] | None = None
    ) -> T:
        """Run `work` in one transaction (READ COMMITTED) and commit it.

        Deadlock and serialization failures run it again. An interrupted COMMIT is resolved by `landed`, run in a fresh
        transaction: what it returns is the result, None means that nothing was written and `work` runs again.
        Raises `errors.Unavailable` (nothing was changed), `errors.Unknown` (without `landed`, or when the database did
        not come back in time to look) and `StatementError`.
        """
        ...

    async def read(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """Run `work` in a read-only transaction with one snapshot (REPEATABLE READ). Raises `errors.Unavailable`."""
        ...

    async def single(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """Run `work`, of which each statement is a transaction of its own: for one statement, in one round trip.

        It must do no harm twice, as it runs again after what makes `run` do so and once after a lost connection; when
        `errors.Unavailable` is raised, it may have taken effect. Raises `StatementError`.
        """
        ...


# --- who asks, and what they may --------------------------------------------------------------------------------------


class Principal(msgspec.Struct, frozen=True, gc=False):
    """Who a checked access token speaks for."""

    person: UUID
    login: UUID
    expires_at: float
    """Seconds since the Unix epoch."""
    client: str = ""
    verified: bool = False
    """Whether the person's e-mail address was verified when the token was issued."""


VERIFIED_SCOPE = "verified"
"""Scope (RFC 9068 §2.2.3) of an access token whose person had a verified e-mail address when it was issued."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may use a route or command. Checked before the body is read and before the handler runs.

    `check` sees the principal and the parameters (path parameters, or a command's decoded params as a mapping) and
    raises `errors.Refused`. A rule is not the last word where state can change meanwhile: services check again inside
    their transaction.
    """

    name: str
    signed_in: bool = True
    verified: bool = False
    check: Callable[[Principal, Mapping[str, Any]], Awaitable[None]] | None = None
    refusals: tuple[str, ...] = ()
    """Codes with which `check` may refuse."""


ANYONE = Rule("anyone", signed_in=False)
SIGNED_IN = Rule("signed_in")
VERIFIED = Rule("verified", verified=True)


# --- HTTP ------------------------------------------------------------------------------------------------------------


Scheme = Literal["http", "https"]


class Request(msgspec.Struct, frozen=True, gc=False):
    """One HTTP request, whatever the version. Header names are lower case; `target` is as it was sent."""

    method: str
    target: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    address: str
    """Of the client, as far as proxies of ours tell."""
    scheme: Scheme = "https"
    """Of the client's own connection, likewise."""
    version: str = "1.1"

    def header(self, name: str) -> str | None:
        for key, value in self.headers:
            if key == name:
                return value
        return None


class Response(msgspec.Struct, frozen=True, gc=False):
    status: int
    body: bytes = b""
    headers: Sequence[tuple[str, str]] = ()


@dataclass(slots=True)
class Once:
    """One request that its client may send again with the same `Idempotency-Key`, and how the server knows it again.

    A unit of work asks `platform.once.recall` first and calls `keep` last, so that the outcome commits with the effect.
    """

    person: UUID
    route: str
    """Method and path with its places filled in."""
    key: str
    body_hash: bytes
    """SHA-256 of query and body: another request under the same key is refused."""
    outcome: bytes | None = None
    """What was decided the first time, once that was found: this is a replay."""


class Replays(Protocol):
    async def find(self, once: Once) -> None:
        """Set `once.outcome` if the request was done before.

        Raises `Refused` idempotency_key_reused, `Unavailable`.
        """
        ...


class Call(msgspec.Struct, frozen=True):
    """What a handler gets: checked, decoded, limited."""

    principal: Principal | None
    params: Mapping[str, Any]
    """Typed path parameters (UUID, int or str)."""
    body: Any = None
    query: Any = None
    request: Request | None = None
    once: Once | None = None
    """Only where the route says `once="kept"` and the client sent a key."""

    @property
    def person(self) -> UUID:
        assert self.principal is not None, "the route's rule lets anybody in"
        return self.principal.person


Handler = Callable[[Call], Awaitable[Any]]


class Rate(msgspec.Struct, frozen=True, gc=False):
    """Units of cost per second, and how many at once after a rest."""

    per_second: float
    burst: float


@dataclass(frozen=True, slots=True)
class Route:
    """`path` has typed places: `/v1/conversations/{conversation:uuid}/messages`; types are `uuid`, `int`, `str`.

    `body` and `query` are `msgspec` types; the handler returns a `msgspec` type, None (204) or a `Response`.
    `cost` weighs the request in the limits; what costs 0 and lets anybody in is not limited at all. `limit` is a limit
    of its own besides the common ones: of each person, or of each address where the rule lets anybody in.

    `once` says what becomes of an `Idempotency-Key`: `kept`, the handler's unit of work keeps the outcome under
    `Call.once`; `needless`, a repeat does no harm by itself; `refused`, a client that relies on it must learn that it
    cannot. With `kept`, `rule.check` is not asked about a replay: it was when the effect took place, which may be why
    it would refuse now (who has left is no member), so the answer shows only what the first one showed.

    `shown_to` tells for which requests there is such an address at all: for any other there is none, whatever its
    method. Without it, there is for all.

    What `/openapi.json` says of the route is all here; what only it reads:
    `summary` (one line), `description` (CommonMark), `refusals` (codes of the handler's own, beyond those that follow
    from rule, body and query), `also` (other statuses with which `result` may come) and `media` (its content type).
    """

    method: str
    path: str
    handler: Handler
    rule: Rule
    body: type | None = None
    query: type | None = None
    result: Any = None
    status: int = 200
    cost: float = 1.0
    limit: Rate | None = None
    once: Literal["kept", "needless", "refused"] = "refused"
    shown_to: Callable[[Request], bool] | None = None
    summary: str = ""
    description: str = ""
    refusals: tuple[str, ...] = ()
    also: tuple[int, ...] = ()
    media: str = "application/json"


@dataclass(frozen=True, slots=True)
class Command:
    """The same over a link: `command` frames by name. `params` is a `msgspec` type.

    The handler gets the decoded struct as `call.body` and its members, typed, as `call.params`.
    """

    name: str
    handler: Handler
    rule: Rule
    params: type | None = None
    cost: float = 1.0
    limit: Rate | None = None
    """Of each person, besides the common limit."""
    reads: bool = False
    """Whether it changes nothing, as GET does over HTTP."""


class Gateway(Protocol):
    """What the edge calls for each request. Never raises: every failure is a response."""

    async def respond(self, request: Request) -> Response:
        """In a `contextvars` context of the request's own: what is logged in it carries the request's ids."""
        ...

    def admit(self, request: Request) -> Response | None:
        """Whether a WebSocket may be opened by this request (path, Origin, capacity); None admits."""
        ...

    def refuse(self, error: ChironError, *, address: str) -> Response:
        """The answer to what is no request (broken syntax, too slow, too large) or no valid handshake."""
        ...


class Proxies(Protocol):
    """Which peers are proxies of ours, and for whom they ask. Nothing raises."""

    def trusts(self, address: str) -> bool:
        """Whether a peer is one, so that `client` is to be asked."""
        ...

    def may_announce(self, address: str) -> bool:
        """Whether a peer may begin with a header of the PROXY protocol, where one is expected."""
        ...

    def client(self, peer: str, scheme: Scheme, headers: Sequence[tuple[str, str]]) -> tuple[str, Scheme]:
        """Address and scheme of who asked the trusted `peer`; the peer's own where it does not say."""
        ...


# --- channels and publishing ------------------------------------------------------------------------------------------


class Record(msgspec.Struct, frozen=True, gc=False):
    """One row of a channel's log."""

    number: int
    offset: int
    message: UUID
    ordinal: int
    time: datetime
    author: UUID
    kind: str
    body: bytes
    """A JSON object."""
    ref: UUID | None = None
    client_id: str | None = None
    verdict: str | None = None
    """What was made of it, where that is not `allow`."""

    def redacted(self) -> Record:
        """As everybody but its author has it while it is held, and after it was refused: its place, without what was
        said."""
        return msgspec.structs.replace(self, body=b"{}", ref=None, client_id=None)


@dataclass(frozen=True, slots=True)
class ChannelView:
    """A channel as one person may see it now."""

    number: int
    head: int
    floor: int
    """The person may read offsets above this (the larger of retention floor and `visible_from`)."""


@dataclass(frozen=True, slots=True)
class Page:
    view: ChannelView
    records: Sequence[Record]
    """In order of offset."""
    more: bool


class Run:
    """Publishes of one link to one channel, in one order: once one has failed temporarily, those behind it must too.

    Publishes are submitted without waiting for the one before. What fails in the first step of `publish`, nothing has
    passed yet; realtime submits no more behind it. So that nothing passes a draft that was accepted and fails later,
    the authority sets `failed` in the same step in which it decides that it does so with `Unavailable`, and from then
    on writes no other draft of the run: it fails them with `Unavailable("after_failed")`. `failed` is therefore not for
    a draft that was not accepted: those before it may still be written.
    """

    __slots__ = ("failed",)

    def __init__(self) -> None:
        self.failed = False


class Draft(msgspec.Struct, frozen=True, gc=False):
    """A publish, not yet decided."""

    principal: Principal
    target: UUID
    client_id: str
    kind: str
    body: bytes
    ref: UUID | None = None
    link: int = 0
    """Link that sent it: its ack stands for the delivery."""
    run: Run | None = None
    score: Any = None
    """`_core.Score` of its text, where whoever read it has scored it."""


class Ack(msgspec.Struct, frozen=True, gc=False):
    message: UUID
    offset: int
    ordinal: int
    time: datetime
    duplicate: bool = False
    verdict: str | None = None


class ChannelAuthority(Protocol):
    """One per kind of channel (`conv`, `person`): what a person may see and do there."""

    kind: str

    async def view(self, principal: Principal, target: UUID) -> ChannelView:
        """Raises `Refused` not_found when the person may not attach; the two cases look alike."""
        ...

    async def read(
        self, principal: Principal, target: UUID, *, after: int | None, before: int | None, limit: int
    ) -> Page:
        """Records above `after` (the oldest first) or below `before` (the newest first picked), at most `limit`.

        View and records are of one snapshot.
        """
        ...

    async def publish(self, draft: Draft) -> Ack:
        """Raises `Refused` or `Unavailable`. Calls for one target take offsets in the order in which they were made.

        Many calls are open at a time; `Run` says what a temporary failure means for those behind it.
        """
        ...

    async def watermark(
        self, principal: Principal, target: UUID, *, received: int | None, read: int | None
    ) -> None: ...


class Publisher(Protocol):
    """From the domains to whoever listens, after COMMIT. Never blocks, never raises."""

    def publish(self, record: Record, *, link: int = 0) -> None:
        """A durable record; `link` is the sender's, which gets an ack instead.

        What is held is whole for links of its author, and `Record.redacted` for everybody else's.
        """
        ...

    def event(self, number: int, kind: str, key: str, body: bytes, *, link: int = 0) -> None:
        """An ephemeral event of a channel, conflated by `key`."""
        ...

    def tell(self, person: UUID, kind: str, key: str, body: bytes) -> None:
        """An ephemeral event of a personal channel (heads, unread), conflated by `key`, at most one a second."""
        ...

    def revoke(self, number: int, person: UUID) -> None:
        """The person is no longer a member: end their attachments to the channel now."""
        ...

    def end_login(self, login: UUID) -> None:
        """The login has ended: close its links now."""
        ...


class Links(Protocol):
    """The realtime side of an upgraded connection, as the edge sees it. Events are those of `_core.Hub.feed`.

    None of the three raises or blocks.
    """

    def opened(self, link: int, *, address: str) -> None:
        """The connection was upgraded in mode `link`; called before its first `received`."""
        ...

    def received(self, link: int, events: Sequence[Any]) -> None:
        """Client frames in order of arrival. What concerns the connection itself (`Broken`, `PeerClosed`, `Ended`) is
        the edge's own: the link ends with `closed`."""
        ...

    def closed(self, link: int) -> None:
        """The transport is gone, whoever ended it; called once."""
        ...


class LinkTransport(Protocol):
    """What realtime asks of the edge for an upgraded connection. All may be called for a link that is gone."""

    def received(self, link: int, events: Sequence[Any]) -> None:
        """What `Hub.bind` had held back, as if it were read now: frames come back by `Links.received`, before this
        returns, and what ends the connection ends it."""
        ...

    def wake(self) -> None:
        """Frames were queued in the hub: have them flushed at the end of this turn of the loop. Cheap to repeat."""
        ...

    def end(self, link: int, code: int, reason: str) -> None:
        """The link's last frame is queued: `Hub.finish(link, code, reason)`, flush, close, linger at most 2 s.

        `code` is a WebSocket close code of `docs/protocol.md`, "Closing"; `reason` at most 123 bytes of UTF-8 (RFC 6455
        §5.5). `Links.closed` follows, later than this call; events that still arrive are ignored.
        """
        ...


class Commands(Protocol):
    """The commands by name that links may call (the gateway makes them of the domains' `Command`s)."""

    async def run(self, name: str, principal: Principal, params: bytes) -> bytes | None:
        """`params` is a JSON object; the result is JSON or None. Raises `ChironError`, unknown_command among them."""
        ...


# --- moderation -------------------------------------------------------------------------------------------------------

VERDICTS = ("allow", "flag", "hold", "block")
"""What may become of a message, mildest first: delivered; delivered and noted; shown to its author alone until somebody
decides; not written."""

HEADS = ("abuse", "hate", "sexual", "threat", "spam")
"""What a score gives a probability for, in the order of `_core.Score.heads`."""

REASONS = (*HEADS, "term", "contact", "payment", "disguise")
"""Why a message may be more than allowed: a head, a listed term, details of contact or of payment, hidden letters."""


class Judgement(msgspec.Struct, frozen=True, gc=False):
    """What one policy makes of a score."""

    verdict: str = "allow"
    done: str = "allow"
    """What is done about it: in shadow mode nothing, so `allow`."""
    reasons: tuple[str, ...] = ()
    """The strongest first."""


class Judgements(msgspec.Struct, frozen=True):
    """A message under the policies of all kinds of conversation: the kind is known for sure under the lock alone."""

    direct: Judgement = Judgement()
    group: Judgement = Judgement()
    evidence: Any = None
    """For `Screening.keep`; what it is, is moderation's own affair."""

    def of(self, kind: str) -> Judgement:
        return self.direct if kind == "direct" else self.group


ALLOWED = Judgements()
"""What nearly everything gets."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A message that got another verdict than `allow`, in its place."""

    message: UUID
    conversation: UUID
    kind: str
    """Of the conversation."""
    offset: int | None
    """None: it was blocked, and so not written."""
    sender: UUID
    time: datetime
    judgement: Judgement
    evidence: Any


class Screening(Protocol):
    """What chat asks moderation about every message: what is to become of it, before it is written."""

    def judge(self, score: Any, text: Callable[[], str]) -> Judgements:
        """By a `_core.Score` where there is one, else by that of the text. `ALLOWED` itself where there is nothing to
        keep."""
        ...

    async def keep(self, tx: Tx, findings: Sequence[Finding]) -> None:
        """Write down what spoke against messages, in the transaction that writes or blocks them."""
        ...

    async def has_kept(self, tx: Tx, message: UUID) -> bool:
        """Whether `keep` was committed for this message."""
        ...


# --- the rest ---------------------------------------------------------------------------------------------------------


class People(Protocol):
    """What other domains ask identity, in their own transaction."""

    async def by_id(self, tx: Tx, people: Sequence[UUID]) -> dict[UUID, str]:
        """Names of those that exist and have verified their address."""
        ...

    async def by_email(self, tx: Tx, email: str, *, asker: UUID) -> UUID | None:
        """Who has verified this address, which `asker` wants to know.

        Raises `Refused` invalid when it cannot be one, `Unavailable` limited when they ask after too many.
        """
        ...


class Cursors(Protocol):
    """Opaque, authenticated paging cursors. `scope` names the listing and whose it is: a cursor opens nothing else."""

    def seal(self, scope: str, position: bytes) -> str: ...

    def open(self, scope: str, cursor: str) -> bytes:
        """Raises `Refused` invalid, with field cursor."""
        ...


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail to one person, in plain text."""

    id: UUID
    """Becomes the Message-ID, so that a mail that was sent twice is recognized as one (RFC 5322 §3.6.4)."""
    to: str | None
    """None: the same work is done and nothing is sent, so that nobody can tell by the time whether there was a mail."""
    subject: str
    text: str


class MailQueue(Protocol):
    """Mail as an effect of a unit of work: sent after COMMIT, at least once; never when it was rolled back."""

    async def put(self, tx: Tx, mail: Mail, now: datetime) -> None:
        """In the caller's transaction."""
        ...

    def wake(self) -> None:
        """Something was committed: look now instead of at the next poll."""
        ...


class TokenVerifier(Protocol):
    def verify(self, token: str) -> Principal:
        """Raises `Refused` with unauthenticated, token_expired or login_ended."""
        ...

    def require_fresh(self) -> None:
        """Before anything is written for somebody: raises `Unavailable` when it is not known who was signed out.

        Who was signed out elsewhere is learnt from the database; while that cannot be asked, `verify` may still know
        people by tokens that are no longer good, which is enough to read and not to write.
        """
        ...


class Distribution:
    """How measured values are spread: what a histogram of `/metrics` is made of. Cheap enough for every request.

    Parts measure into one of their own, on the loop's thread; whoever shows it reads it.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        """`bounds`: ascending; each is the largest value of its bucket, and one bucket more takes the rest."""
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


@dataclass(frozen=True, slots=True)
class Health:
    """Parts that are asked how they are; each returns None when well, else a sentence."""

    checks: dict[str, Callable[[], Awaitable[str | None]]] = field(default_factory=dict)


class Lifespan(Protocol):
    """A part with background work: started by the app, drained in reverse order."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...


__all__ = [
    "ALLOWED",
    "ANYONE",
    "HEADS",
    "REASONS",
    "SIGNED_IN",
    "VERDICTS",
    "VERIFIED",
    "Ack",
    "Call",
    "ChannelAuthority",
    "ChannelView",
    "Clock",
    "Command",
    "Commands",
    "Cursors",
    "Database",
    "Distribution",
    "Draft",
    "Finding",
    "Gateway",
    "Handler",
    "Health",
    "Ids",
    "Judgement",
    "Judgements",
    "Lifespan",
    "LinkTransport",
    "Links",
    "Mail",
    "MailQueue",
    "Once",
    "Page",
    "People",
    "Principal",
    "Proxies",
    "Publisher",
    "Rate",
    "Record",
    "Replays",
    "Request",
    "Response",
    "Route",
    "Row",
    "Rule",
    "Run",
    "Scheme",
    "Screening",
    "TokenVerifier",
    "Tx",
    "in_transaction",
]
