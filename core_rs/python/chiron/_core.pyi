"""The Rust extension: what the bytes mean.

Nothing here reads a clock: `now` is an argument, in seconds of the loop's monotonic clock (for tokens: seconds since
the Unix epoch). Nothing here makes system calls but `Quic.receive` and `Quic.flush`. All objects belong to the thread
that made them, but `Scorer`, `RequestHeads` and `ResponseHeads`, which any thread may use.

Ids of connections and links are 64-bit, of one number space, and never used twice. A call with an id that is gone does
nothing and says so with `False`, `None` or an empty list.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal, final

__all__ = [
    "SOURCE_DIGEST",
    "Admission",
    "Attach",
    "Broken",
    "Claims",
    "Command",
    "Connect",
    "Data",
    "Detach",
    "Ended",
    "Explanation",
    "Frame",
    "Hub",
    "Limiter",
    "Malformed",
    "Message",
    "PeerClosed",
    "Pong",
    "Publish",
    "Quic",
    "Refresh",
    "RequestHeads",
    "ResponseHeads",
    "Score",
    "Scorer",
    "Secured",
    "Signer",
    "Span",
    "Sync",
    "Tls",
    "Verifier",
    "Watermark",
    "Wheel",
    "normalise",
]

SOURCE_DIGEST: Final[str]
"""Digest of the Rust sources that this extension was built from (see `build.rs`)."""

# ---------------------------------------------------------------------------------------------------------------- TLS

@final
class Tls:
    """A server's TLS settings (TLS 1.2 and 1.3, ALPN http/1.1, no early data), shared by its connections."""

    def __new__(cls, certificate_chain: bytes, private_key: bytes, ticket_keys: Sequence[bytes]) -> Tls:
        """PEM chain, PEM key (PKCS#8, SEC 1 or PKCS#1); 32-byte ticket keys: the first seals, all of them open.

        Raises ValueError when the chain or the key cannot be read or do not belong together.
        """

    def reload(self, certificate_chain: bytes, private_key: bytes) -> None:
        """Use another certificate from the next handshake on. Raises ValueError and keeps the old one."""

    def set_ticket_keys(self, ticket_keys: Sequence[bytes]) -> None:
        """Rotate the session ticket keys (RFC 5077 §5.5)."""

# --------------------------------------------------------------------------------------------------------------- QUIC

@final
class Quic:
    """A `chiron.protocols.quic.endpoint.Endpoint`: QUIC version 1 (RFC 9000, 9001, 9002, 9221), ALPN h3, as a server.

    Connection ids have 8 bytes, of which the first is the worker. Early data is accepted (RFC 9001 §4.6); nothing here
    keeps it from being repeated, so act on what comes before CONNECTED only if that does no harm.
    """

    def __new__(
        cls,
        chain: bytes,
        key: bytes,
        *,
        named: tuple[bytes, bytes] | None = None,
        secret: bytes,
        ticket_keys: Sequence[bytes],
        worker: int = 0,
        now: float,
        idle_seconds: float = 30.0,
        handshake_seconds: float = 10.0,
        max_connections: int = 10_000,
        retry_handshakes: int = 256,
        streams_bidi: int = 16,
        streams_uni: int = 16,
        max_streams: int = 256,
        stream_window: int = 262_144,
        connection_window: int = 1_048_576,
        max_connection_window: int = 16_777_216,
        datagram_queue: int = 65_536,
    ) -> Quic:
        """PEM chain and PEM key for clients that name no server; those of `named` for clients that do.

        `secret`: 32 bytes shared by all workers, also after a restart: connection ids, stateless resets and address
        validation tokens depend on it. `ticket_keys` as for `Tls`. Limits are those of `chiron.protocols.quic.limits`;
        streams' own windows do not rise. From `retry_handshakes` unfinished handshakes on, new ones are answered with
        Retry (RFC 9000 §8.1.2). Raises ValueError.
        """

    def receive(self, descriptor: int, now: float) -> bool: ...
    def feed(self, datagrams: Sequence[tuple[bytes, tuple[str, int]]], now: float) -> None: ...
    def poll(self) -> list[tuple[int, int, int, bytes, int]]: ...
    def flush(self, descriptor: int, now: float) -> bool: ...
    def take(self, now: float) -> list[tuple[bytes, tuple[str, int]]]: ...
    def next_timeout(self) -> float | None: ...
    def handle_timeouts(self, now: float) -> None: ...
    def send(self, connection: int, stream: int, data: bytes, fin: bool = False) -> bool: ...
    def open_stream(self, connection: int, unidirectional: bool) -> int: ...
    def reset(self, connection: int, stream: int, code: int) -> None: ...
    def stop(self, connection: int, stream: int, code: int) -> None: ...
    def pause(self, connection: int, stream: int) -> None: ...
    def resume(self, connection: int, stream: int) -> None: ...
    def send_datagram(self, connection: int, data: bytes) -> bool: ...
    def max_datagram(self, connection: int) -> int: ...
    def buffered(self, connection: int, stream: int) -> int: ...
    def close(self, connection: int, code: int, reason: str = "") -> None: ...
    def peer(self, connection: int) -> tuple[str, int] | None: ...
    def refuse(self) -> None: ...
    def reload(self, chain: bytes, key: bytes, named: tuple[bytes, bytes] | None) -> None: ...
    def set_ticket_keys(self, keys: Sequence[bytes]) -> None: ...
    def stats(self) -> dict[str, int]: ...

# ------------------------------------------------------------------------------------------------------------- events

@final
class Data:
    """Plaintext of a connection that was not upgraded: bytes of HTTP/1.1."""

    data: Final[bytes]

@final
class Secured:
    """The TLS handshake is complete."""

    protocol: Final[str | None]
    """ALPN (RFC 7301): `http/1.1` or None when the client offered nothing."""
    server_name: Final[str | None]
    resumed: Final[bool]

@final
class Ended:
    """The peer will send nothing more.

    `clean`: TLS close_notify or, without TLS, an ordinary FIN. After an unclean end, a body that lasts "until close"
    is not complete (RFC 8446 §6.1).
    """

    clean: Final[bool]

@final
class Message:
    """A whole WebSocket message of a connection in mode `message` (RFC 6455 §5.4: fragments are joined)."""

    data: Final[bytes]
    text: Final[bool]

@final
class PeerClosed:
    """The peer's WebSocket close frame. The answer is queued; call `finish` and write what `flush` returns.

    `code` is 1005 when the frame had none (RFC 6455 §7.1.5).
    """

    code: Final[int]
    reason: Final[str]

@final
class Broken:
    """The peer broke a protocol or a limit; what it may be told (close frame, alert) is queued, then end it.

    `layer` is `tls`, `websocket` or `wire`; `code` the WebSocket close code (RFC 6455 §7.4.1) or, for tls, the alert;
    `reason` a sentence for the log and the close frame.
    """

    layer: Final[str]
    code: Final[int]
    reason: Final[str]

@final
class Connect:
    """`connect`: the only frame read before `bind`. After it nothing more is parsed until `bind` or the end."""

    id: Final[int]
    token: Final[str]
    device: Final[str]
    capabilities: Final[list[str]]
    epoch: Final[str | None]
    offset: Final[int | None]
    """Where to resume the personal channel: offset seen last, of `epoch`."""

@final
class Attach:
    id: Final[int]
    channel: Final[str]
    generation: Final[int]
    epoch: Final[str | None]
    after: Final[int | None]

@final
class Detach:
    id: Final[int]
    channel: Final[str]
    generation: Final[int]

@final
class Publish:
    id: Final[int]
    channel: Final[str]
    client_id: Final[str]
    """26 characters of Crockford base32 (ULID), upper case."""
    n: Final[int]
    kind: Final[str]
    ref: Final[str | None]
    body: Final[bytes]
    """A JSON object, as sent; neither NUL nor lone surrogates in any string."""
    retry_after_ms: Final[int]
    """Above 0 when the limit of the bound person refuses it: answer `limited` in the order of the publishes."""
    score: Final[Score | None]
    """Of the string `text` of the body, where the hub has a scorer, the kind is `text` and the limit lets it pass."""

@final
class Watermark:
    id: Final[int]
    channel: Final[str]
    received: Final[int | None]
    read: Final[int | None]

@final
class Sync:
    id: Final[int]
    channel: Final[str]
    after: Final[int | None]
    before: Final[int | None]
    limit: Final[int]

@final
class Refresh:
    id: Final[int]
    token: Final[str]
    generation: Final[int]

@final
class Command:
    """Any other command of the server, by name; `params` is a JSON object, as sent (b"{}" when left out)."""

    id: Final[int]
    name: Final[str]
    params: Final[bytes]
    retry_after_ms: Final[int]

@final
class Pong:
    """The answer to the server's ping."""

@final
class Malformed:
    """A frame that names a known operation but breaks its schema: answer with an error; the link goes on.

    `id` is None when the frame had no usable one. `code` is a code of `chiron.errors.CODES`.
    """

    id: Final[int | None]
    code: Final[str]
    field: Final[str]
    reason: Final[str]

_Event = (
    Data
    | Secured
    | Ended
    | Message
    | PeerClosed
    | Broken
    | Connect
    | Attach
    | Detach
    | Publish
    | Watermark
    | Sync
    | Refresh
    | Command
    | Pong
    | Malformed
)

# -------------------------------------------------------------------------------------------------------------- frames

@final
class Frame:
    """One frame of the server. Encoded lazily, once per codec and framing, and shared by all who are sent it.

    Constructors raise ValueError when what is to become part of the frame (`body`, `params`, `result`) is not JSON.
    """

    @staticmethod
    def delivery(
        number: int,
        offset: int,
        message: str,
        ordinal: int,
        time: int,
        author: str,
        kind: str,
        ref: str | None,
        body: bytes,
        client_id: str | None = None,
        verdict: str | None = None,
    ) -> Frame:
        """A durable record. `time` in milliseconds since the Unix epoch; `body` a JSON object."""
    @staticmethod
    def event(number: int, kind: str, body: bytes) -> Frame:
        """An ephemeral event: no offset, may be dropped or replaced."""
    @staticmethod
    def welcome(id: int, body: bytes) -> Frame:
        """`body`: the JSON object whose members follow `op` and `id` (see docs/protocol.md)."""
    @staticmethod
    def attached(
        id: int, channel: str, number: int, generation: int, outcome: str, epoch: str, head: int, origin: int | None
    ) -> Frame:
        """`origin` is the `from` of outcome `truncated`: the first offset that can still be read."""
    @staticmethod
    def ok(id: int, result: bytes | None = None) -> Frame: ...
    @staticmethod
    def ack(
        id: int, message: str, offset: int, ordinal: int, time: int, duplicate: bool, verdict: str | None = None
    ) -> Frame: ...
    @staticmethod
    def page(
        id: int, channel: str, number: int, items: Sequence[Frame], more: bool, head: int, floor: int, epoch: str
    ) -> Frame:
        """`items` are deliveries, in order of offset."""
    @staticmethod
    def error(
        id: int | None,
        code: str,
        params: bytes,
        temporary: bool,
        scope: Literal["command", "channel", "link"],
        action: str,
        retry_after_ms: int | None = None,
    ) -> Frame: ...
    @staticmethod
    def lag(number: int, head: int) -> Frame: ...
    @staticmethod
    def detached(number: int, reason: str) -> Frame:
        """The server ended an attachment (membership removed)."""
    @staticmethod
    def token_expiring(expires_in_ms: int) -> Frame: ...
    @staticmethod
    def ping() -> Frame: ...
    @staticmethod
    def close(code: int, reason: str, reconnect_in_ms: int, resumable: bool) -> Frame: ...
    def json(self) -> bytes:
        """The frame as JSON, without framing."""

# ----------------------------------------------------------------------------------------------------------------- hub

@final
class Hub:
    """Connections, links and channels of one worker: bytes in, typed events out; frames in, bytes out."""

    def __new__(
        cls,
        receive_buffer: bytearray,
        *,
        limiter: Limiter | None = None,
        scorer: Scorer | None = None,
        durable_bytes: int = 262_144,
        ephemeral_bytes: int = 65_536,
        control_bytes: int = 262_144,
        write_bytes: int = 16_384,
    ) -> Hub:
        """`receive_buffer` is what transports read into; it must not be resized. Lanes are bounded in bytes per link.

        `write_bytes` is the most that one flush gives for one connection (before TLS). With `scorer`, publishes of
        kind `text` that the limit lets pass carry their score.
        """

    # Transports (the edge).
    def open(self, tls: Tls | None, now: float) -> int:
        """A connection whose bytes are HTTP/1.1 until `upgrade`; its id."""
    def feed(self, connection: int, size: int, now: float) -> list[_Event]:
        """The transport read `size` bytes into the receive buffer."""
    def feed_end(self, connection: int, now: float) -> list[_Event]:
        """The transport, or the stream of a link, saw FIN."""
    def upgrade(
        self, connection: int, mode: Literal["message", "link"], trailing: bytes, max_message: int, now: float
    ) -> list[_Event]:
        """From here on the bytes are WebSocket frames (RFC 6455); `trailing` came behind the HTTP request.

        In mode `link`, messages are wire frames and only `Connect` (≤ 8 KiB) is parsed until `bind`.
        """
    def send(self, connection: int, data: bytes) -> bool:
        """Queue plaintext of a connection that was not upgraded."""
    def send_message(self, connection: int, data: bytes, text: bool) -> bool:
        """Queue one WebSocket message (mode `message`)."""
    def finish(self, connection: int, code: int | None = None, reason: str = "") -> bool:
        """No more is queued: what waits is sent, then the close frame (upgraded connections), then close_notify.

        `flush` marks the last bytes. Lanes but control are dropped. `code` is 1000 when left out (RFC 6455 §7.4.1); it
        is not used when a close frame is queued already, nor on a stream, whose owner says the code.
        """
    def pause(self, connection: int) -> bool:
        """The transport takes no more: nothing leaves the lanes until `resume`."""
    def resume(self, connection: int) -> bool: ...
    def close(self, connection: int) -> bool:
        """The transport is gone: forget everything of it, attachments too."""
    def queued(self, connection: int) -> int:
        """Bytes that wait in the lanes of a connection or link; 0 when it is gone."""
    def flush(self, limit: int, now: float) -> list[tuple[int, bytes, bool]]:
        """What at most `limit` dirty connections and links may send now: (its id, bytes, last), each once.

        `last`: nothing follows; half-close after writing it. `dirty` tells whether to call again. The bytes of a link
        on a stream are whole records, more than `write_bytes` only where one record alone is longer.
        """
    def take_routed(self) -> tuple[int, list[Any], list[int], list[int]]:
        """What the last `flush` gave to the endpoints of links that have a `route`.

        (bytes; the endpoints that have something to send now, most often each once; the links whose stream wants no
        more until it is writable; the links whose datagram found no room, so that an event is lost)
        """
    @property
    def dirty(self) -> bool:
        """Whether `flush` has something to do for a connection that is not paused."""

    # Links (realtime). A link over TCP has its connection's id.
    def open_link(self, now: float, *, datagram: int = 0) -> int:
        """A link on a stream (QUIC), whose bytes are records of at most 64 KiB, each behind its length as a QUIC
        variable-length integer (RFC 9000 §16): `feed_link` takes them in any pieces, and `flush` gives whole ones.

        `datagram` is what `set_datagram` says.
        """
    def set_datagram(self, link: int, size: int) -> bool:
        """Ephemeral events of at most `size` bytes leave as datagrams from now on; 0: none does.

        They count towards `write_bytes`, and wait while the link is paused, so that newer ones can replace them.
        """
    def route(self, link: int, endpoint: Any, connection: int, stream: int, prefix: bytes) -> bool:
        """From now on `flush` gives the link's bytes to a stream itself, and datagrams, each behind `prefix`, to the
        stream's connection. Only the last bytes still come to the caller. The datagrams of other links are dropped.

        `endpoint` is a `Quic`, or anything with such a `send` and `send_datagram`, which must not call the hub.
        """
    def feed_link(self, link: int, data: bytes, now: float) -> list[_Event]:
        """Bytes of a link that did not come through the receive buffer: of its stream or, where a connection was made
        by `open` and `upgrade` (RFC 9220), WebSocket frames."""
    def feed_datagram(self, link: int, data: bytes, now: float) -> list[_Event]:
        """One message that came as a datagram beside the stream of a link. Before `bind` it is ignored: it overtook.

        Only `Pong` and `Watermark` travel so; any other frame is `Malformed` (`protocol`).
        """
    def bind(self, link: int, person: str, now: float, *, rate: float, burst: float) -> list[_Event]:
        """The link speaks for `person` from now on; events of what arrived behind `connect`.

        Publishes and commands of all links of one person share one limit: `rate` per second, `burst` at once.
        """
    def send_frame(self, link: int, frame: Frame) -> bool:
        """Queue on the control lane, which is never dropped; a link that overflows it is reported by `take_overflown`.

        It still takes as much again, so that `close` finds room. False when the link is gone or closing, or beyond
        that.
        """

    # Channels (realtime).
    def attach(self, link: int, number: int, generation: int, after: int) -> bool:
        """Begin an attachment that expects offset `after` + 1; live frames wait until `go_live`.

        False when the link is gone, closing or has a newer generation. An older attachment of the link is replaced, and
        what waits of it dropped.
        """
    def fill(self, link: int, number: int, generation: int, frames: Sequence[Frame]) -> bool:
        """Deliveries read from the log, in order; those below the expected offset are skipped.

        False when the attachment is gone, of another generation, or pull-only (`lagging`): read no further.
        """
    def go_live(self, link: int, number: int, generation: int) -> int | None:
        """Release what arrived meanwhile. None: it is live (or gone); else the offset to read on after."""
    def detach(self, link: int, number: int, generation: int) -> bool:
        """False when gone or when the attachment is of a newer generation."""
    def drop(self, number: int, person: str, frame: Frame | None = None) -> list[int]:
        """End all attachments of a person to a channel, its queued durable frames included.

        Links that had one get `frame`; they are returned.
        """
    def publish(
        self, number: int, frame: Frame, offset: int, sender: int = 0, author: tuple[str, Frame] | None = None
    ) -> int:
        """Queue a delivery for every live attachment but the link `sender`'s, whose expectation only advances.

        With `author`, (person, frame of the same offset), links of that person are given their frame instead: a message
        that is held is whole for its author alone. Returns how many links were given either. An attachment that would
        overflow its durable lane becomes pull-only and is sent `lag`; one that sees a gap falls back to filling and is
        reported by `take_gaps`.
        """
    def publish_event(self, number: int, key: str, frame: Frame, sender: int = 0) -> int:
        """Queue an ephemeral event for every attachment but the sender's; how many links were given it.

        One of the same channel and key that still waits is replaced.
        """
    def take_gaps(self) -> list[tuple[int, int, int, int]]:
        """(link, number, generation, offset to read on after) of attachments that fell back to filling."""
    def take_overflown(self) -> list[int]:
        """Links whose control lane overflowed: close them, resumably."""
    def attached(self, link: int, number: int) -> Literal["filling", "live", "lagging"] | None: ...
    def stats(self) -> dict[str, int]:
        """What there is now: connections, links, attachments, queued_bytes and its parts queued_begun_bytes (the rest
        of frames that have left in part), queued_control_bytes, queued_durable_bytes and queued_ephemeral_bytes.

        Since the start: frames (sent to links, and the answers that opened them), dropped_events, lagged (attachments
        that became pull-only).
        """

# ------------------------------------------------------------------------------------------------------------- scoring

@final
class Scorer:
    """Scores texts by a model, listed terms and detectors, and by no policy. Any number of threads may use one.

    `model` is a file as `training/reference/model.py` writes it down. `terms` are UTF-8 lines of a severity, 1 (mild)
    to 3 (slur or worst) or the word `identity`, a tab and a term, with a tab and flags behind it where there are some,
    separated by commas: `sub` also finds the term inside words, `spaced` also its words written together. `allow` has
    one phrase a line: a term inside one does not count. Empty lines and those that begin with `#` are left out.

    The same text has the same score on every machine: arithmetic is of integers.
    """

    def __new__(cls, model: bytes, terms: bytes, allow: bytes) -> Scorer:
        """Raises ValueError with the reason, naming the line of a list."""
    def follow(self, other: Scorer) -> None:
        """Score from now on by what `other` scores by; calls that are under way end with what they began with."""
    def score(self, text: str) -> Score:
        """Reads at most 16,384 bytes. Texts over 2 KiB give other threads the interpreter meanwhile.

        Raises UnicodeEncodeError for lone surrogates.
        """
    def explain(self, text: str) -> Explanation:
        """The same with the places that matter; several times slower."""
    @property
    def thresholds(self) -> dict[str, dict[str, float]]:
        """By head: the probabilities from which `attention`, `flag`, `hold` and `block` begin, of the model in use."""
    @property
    def model(self) -> str:
        """SHA-256 of the model in use, in hexadecimal: the one that ends its file."""

def normalise(
    text: str,
) -> tuple[
    str,
    list[tuple[int, int]],
    str,
    list[tuple[int, int]],
    list[tuple[int, int, str]],
    list[tuple[int, int, str]],
    bool,
]:
    """A text as detectors read it, and as lists and the model do, each with the code points of the written text
    (half-open) that its characters come from; the latter's words and symbols, as code points of it and kinds; suspect
    parts of the written text; whether it was cut.

    As `training/reference/normalise.py` defines it.
    """

@final
class Score:
    heads: Final[tuple[float, float, float, float, float]]
    """Calibrated probabilities: abuse, hate, sexual, threat, spam. Multiples of 1/65536."""
    severity: Final[int]
    """Of the worst listed term: 0 none, 1 mild, 2 strong, 3 slur or worst."""
    contact: Final[tuple[str, ...]]
    """Kinds of details found, each once: mail, phone, handle, upi, link, payment."""
    suspicious: Final[bool]
    """Invisible characters in clusters inside words, or several words of mixed scripts."""
    identity_only: Final[bool]
    """Abuse or hate are at `flag` by the mention of a group alone: without it no head is at `attention`, and no term is
    listed."""
    cut: Final[bool]
    """The text was longer than is read."""

@final
class Explanation:
    score: Final[Score]
    spans: Final[list[Span]]
    """In order of their beginning."""
    features: Final[list[tuple[str, str, float]]]
    """(head, piece of text, its share of the head's logit), strongest first, at most 10."""

@final
class Span:
    """A place in the text, as half-open indices of its code points."""

    start: Final[int]
    end: Final[int]
    label: Final[str]
    """term, mail, phone, handle, upi, link, payment, invisible or mixed_script; or the head that a word weighs for:
    of `features` those with at least a quarter of the head's greatest share."""
    severity: Final[int]
    """Of a term; else 0."""
    text: Final[str]
    """The listed term, as it was matched; else the place as it stands in the text."""

# -------------------------------------------------------------------------------------------------------------- HTTP/3

@final
class RequestHeads:
    """Reads requests that are plain (RFC 9114 §4.3.1); made once for all connections, which any thread may have."""

    def __new__(cls, *, field_section_bytes: int, header_fields: int, target_bytes: int) -> RequestHeads:
        """As in `chiron.protocols.http3.Limits`."""
    def read(self, data: bytes) -> tuple[str, str, str, str, list[tuple[str, str]], str | None] | None:
        """Method, scheme, authority, path, fields and priority of a request, from all bytes of its stream.

        Fields as `chiron.protocols.http3.RequestReceived` has them. None unless the bytes are one HEADERS frame that
        refers to no dynamic table, and the request is well-formed, within the limits, complete without a body, and
        asks for nothing besides its answer; nothing has happened then. Raises RuntimeError if an earlier call panicked.
        """

@final
class ResponseHeads:
    """Writes responses (RFC 9114 §4.3.2) without a dynamic table; made once for all connections."""

    def __new__(cls) -> ResponseHeads: ...
    def write(self, status: int, fields: Sequence[tuple[str, str]], length: int | None, content: bytes) -> bytes:
        """Frames: the head, with Content-Length of `length` unless `fields` have one, and `content`, if there is any.

        Fields that belong to a connection of HTTP/1 are left out. Raises ValueError for what may not be sent,
        RuntimeError if an earlier call panicked.
        """

# --------------------------------------------------------------------------------------------------------------- tools

@final
class Wheel:
    """Hashed timing wheel (Varghese and Lauck, 1987): one timer per (key, kind); setting it again moves it.

    Raises ValueError for times that are not finite. A deadline that has passed fires with the current tick.
    """

    def __new__(cls, now: float, *, tick: float = 0.05) -> Wheel: ...
    def set(self, key: int, kind: int, deadline: float) -> None: ...
    def cancel(self, key: int, kind: int) -> bool: ...
    def expire(self, now: float) -> list[tuple[int, int]]:
        """(key, kind) of every timer whose deadline is at or before `now`, never early, at most one tick late."""
    def next(self) -> float | None:
        """When to call `expire` next: never before the earliest deadline, at most one tick after it."""
    def __len__(self) -> int: ...

@final
class Limiter:
    """GCRA (ITU-T I.371): one timestamp per key, at most `capacity` keys.

    Exact while live keys fit. Evicts only entries that equal absent ones; full of live entries, it refuses new keys.
    """

    def __new__(cls, capacity: int) -> Limiter: ...
    def check(self, key: str, cost: float, rate: float, burst: float, now: float) -> float:
        """0.0 when `cost` fits into `rate` per second with `burst` at once, and takes it; else seconds to wait.

        Infinity when `cost` is more than `burst`. Raises ValueError unless all are finite, `rate` and `burst` above 0,
        `cost` and `now` not below.
        """
    def take(self, key: str, cost: float, rate: float, burst: float, now: float) -> tuple[float, float, float]:
        """The same as (wait, left, rest): what `check` returns, the cost that could be taken now, and the seconds
        until a whole burst could be."""
    def __len__(self) -> int: ...

@final
class Signer:
    """Makes access tokens: JWS compact (RFC 7515), EdDSA with Ed25519 (RFC 8037), `typ` at+jwt (RFC 9068)."""

    def __new__(cls, kid: str, seed: bytes) -> Signer:
        """`kid`: 1 to 64 visible ASCII characters; `seed`: the 32-byte Ed25519 private key. Raises ValueError."""
    @property
    def public_key(self) -> bytes: ...
    def sign(self, claims: bytes) -> str:
        """`claims`: a JSON object of at most 32 members, each name once. Raises ValueError."""

@final
class Claims:
    iss: Final[str]
    sub: Final[str]
    aud: Final[str]
    exp: Final[int]
    iat: Final[int]
    jti: Final[str]
    sid: Final[str]
    client_id: Final[str]
    scope: Final[str]
    """Names with spaces between (RFC 9068 §2.2.3); empty when left out."""

@final
class Verifier:
    """Checks access tokens; remembers checked ones, and still checks expiry and key on every hit."""

    def __new__(cls, issuer: str, audience: str, *, leeway: float = 0.0, cache: int = 4096) -> Verifier: ...
    def set_keys(self, keys: Sequence[tuple[str, bytes]]) -> None:
        """(kid, 32-byte Ed25519 public key) of every key that is accepted from now on. Raises ValueError."""
    def verify(self, token: str, now: float) -> Claims:
        """Raises ValueError whose one argument is `expired` or says what is wrong; never quotes the token."""
    def recall(self, token: str, now: float) -> Any:
        """What was attached to a token that `verify` would accept; None where nothing was."""
    def attach(self, token: str, what: Any) -> None:
        """Keep something with a token that was checked, for as long as that is remembered."""
    def detach(self) -> None:
        """Forget all that was attached."""

@final
class Admission:
    """A limiter and a verifier, asked together: the short way in for a request that will get in.

    Its token is one to which something was attached, and its address and person are within their limits.
    """

    def __new__(
        cls,
        limiter: Limiter,
        verifier: Verifier,
        *,
        address: tuple[float, float],
        person: tuple[float, float],
        policy: tuple[str, str],
    ) -> Admission:
        """`address`, `person`: rate per second and burst. `policy`: the second field of `admit`. Raises ValueError."""
    def admit(
        self, authorization: str, address: str, cost: float, now: float, wall: float
    ) -> tuple[Any, tuple[tuple[str, str], tuple[str, str]]] | None:
        """What was attached to the bearer token, and the fields `ratelimit` and `ratelimit-policy` of the person.

        `address` is its key at the limiter, of which one is taken, and `cost` of `person:` with the token's `sub`.
        `now` is of the limiter's clock, `wall` in seconds since the Unix epoch. None: nothing was taken, and the
        request has to go the long way. Raises ValueError for numbers that have no meaning.
        """
