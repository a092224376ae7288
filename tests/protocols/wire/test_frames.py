"""One protocol, two readers: the server's parser in Rust and the `msgspec` types mean the same by the same bytes.

Clients' frames reach the Rust parser the way they do in the server, through a link.
"""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiron import _core
from chiron.protocols.wire import frames

CORPUS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "corpus.json").read_text())
FRAMES = [case for case in CORPUS if "frames" in case]
VIOLATIONS = [case for case in CORPUS if "violation" in case]

FIELDS: dict[str, list[str]] = {
    "Connect": ["id", "token", "device", "capabilities", "epoch", "offset"],
    "Attach": ["id", "channel", "generation", "epoch", "after"],
    "Detach": ["id", "channel", "generation"],
    "Publish": ["id", "channel", "client_id", "n", "kind", "ref", "body", "retry_after_ms"],
    "Watermark": ["id", "channel", "received", "read"],
    "Sync": ["id", "channel", "after", "before", "limit"],
    "Refresh": ["id", "token", "generation"],
    "Command": ["id", "name", "params", "retry_after_ms"],
    "Pong": [],
    "Malformed": ["id", "code", "field", "reason"],
}


def name(case: dict[str, Any]) -> str:
    return str(case["name"])


def record(message: bytes) -> bytes:
    """A message behind its length as a QUIC integer (RFC 9000 §16), as pull links carry it."""
    return (len(message) | 2 << 30).to_bytes(4, "big") + message


def parse(message: bytes, *, first: bool = False) -> list[dict[str, Any]]:
    """The events of one message, as the corpus writes them: of the first of a link, or of one behind `connect`."""
    hub = _core.Hub(bytearray(4096))
    link = hub.open_link(0.0)
    if not first:
        hub.feed_link(link, record(b'{"op":"connect","id":0,"token":"t"}'), 0.0)
        assert hub.bind(link, "somebody", 0.0, rate=1e6, burst=1e6) == []
    return [described(event) for event in hub.feed_link(link, record(message), 0.0)]


def described(event: Any) -> dict[str, Any]:
    kind = type(event).__name__
    if kind == "Broken":
        return {"type": kind, "layer": event.layer, "code": event.code}
    members = {field: getattr(event, field) for field in FIELDS[kind]}
    return {"type": kind} | {
        key: value.decode() if isinstance(value, bytes) else value for key, value in members.items()
    }


def as_event(frame: frames.ClientFrame) -> dict[str, Any]:
    """What the parser should give for a frame that `msgspec` has read."""
    members = msgspec.structs.asdict(frame)
    if "gen" in members:
        members["generation"] = members.pop("gen")
    match frame:
        case frames.Connect(resume=resume):
            del members["resume"]
            members |= {"epoch": resume and resume.epoch, "offset": resume and resume.offset}
        case frames.Publish(client_id=client_id):
            members |= {"client_id": client_id.upper(), "retry_after_ms": 0}
        case frames.Command():
            members |= {"retry_after_ms": 0}
    return {"type": type(frame).__name__} | members


def with_read_objects(event: dict[str, Any]) -> dict[str, Any]:
    objects = {key: msgspec.json.decode(event[key]) for key in ("body", "params") if key in event}
    return event | objects


@pytest.mark.parametrize("case", FRAMES, ids=name)
def test_rust_reads_the_corpus(case: dict[str, Any]) -> None:
    first = any(frame["type"] == "Connect" for frame in case["frames"])
    assert parse(case["bytes"].encode(), first=first) == case["frames"]


@pytest.mark.parametrize("case", VIOLATIONS, ids=name)
def test_rust_ends_the_link_where_the_corpus_says_so(case: dict[str, Any]) -> None:
    assert parse(case["bytes"].encode()) == [{"type": "Broken", "layer": "wire", "code": case["violation"]}]


@pytest.mark.parametrize("case", FRAMES, ids=name)
def test_msgspec_reads_well_formed_frames_alike(case: dict[str, Any]) -> None:
    message = case["bytes"].strip()
    raws = msgspec.json.decode(message, type=list[msgspec.Raw]) if message.startswith("[") else [msgspec.Raw(message)]
    expected = iter(case["frames"])
    for raw in raws:
        if json.loads(bytes(raw)) == {"op": "dance"}:
            continue  # an unknown operation that nobody waits for is ignored
        event = next(expected)
        if event["type"] != "Malformed":
            assert as_event(msgspec.json.decode(raw, type=frames.ClientFrame)) == with_read_objects(event)
    assert list(expected) == []


@pytest.mark.parametrize("case", [case for case in VIOLATIONS if case["violation"] == 1007], ids=name)
def test_msgspec_agrees_on_what_is_not_json(case: dict[str, Any]) -> None:
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(case["bytes"])


def test_the_corpus_has_every_frame() -> None:
    shown = {event["type"] for case in FRAMES for event in case["frames"]}
    assert shown == set(FIELDS)


# What a client may send, and what a server may: text that PostgreSQL takes, integers of 53 bits.
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
integer = st.integers(0, 2**53 - 1)
channel = st.from_regex(r"[a-z]{1,8}:[0-9a-z-]{1,64}", fullmatch=True)
uuid = st.uuids().map(str)
ulid = st.tuples(
    st.sampled_from("01234567"), st.text("0123456789ABCDEFGHJKMNPQRSTVWXYZ", min_size=25, max_size=25)
).map("".join)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(text, values, max_size=4)
client_frames = st.one_of(
    st.builds(
        frames.Connect,
        id=integer,
        token=text,
        device=text,
        capabilities=st.lists(text, max_size=3),
        resume=st.none() | st.builds(frames.Resume, epoch=text, offset=integer),
    ),
    st.builds(
        frames.Attach, id=integer, channel=channel, gen=integer, epoch=st.none() | text, after=st.none() | integer
    ),
    st.builds(frames.Detach, id=integer, channel=channel, gen=integer),
    st.builds(
        frames.Publish,
        id=integer,
        channel=channel,
        client_id=ulid,
        n=st.integers(1, 2**53 - 1),
        kind=text,
        ref=st.none() | uuid,
        body=objects,
    ),
    st.builds(frames.Watermark, id=integer, channel=channel, received=st.none() | integer, read=st.none() | integer),
    st.builds(frames.Sync, id=integer, channel=channel, after=integer, limit=st.integers(1, 500)),
    st.builds(frames.Sync, id=integer, channel=channel, before=integer, limit=st.integers(1, 500)),
    st.builds(frames.Refresh, id=integer, token=text, gen=integer),
    st.builds(frames.Command, id=integer, name=text, params=objects),
    st.builds(frames.Pong),
)


@settings(deadline=None)
@given(client_frames)
def test_what_a_client_sends_is_what_the_server_reads(frame: frames.ClientFrame) -> None:
    (event,) = parse(msgspec.json.encode(frame), first=isinstance(frame, frames.Connect))
    assert with_read_objects(event) == as_event(frame)


@settings(deadline=None)
@given(st.lists(client_frames.filter(lambda frame: not isinstance(frame, frames.Connect)), min_size=1, max_size=16))
def test_frames_of_one_message_keep_their_order(sent: list[frames.ClientFrame]) -> None:
    events = parse(msgspec.json.encode(sent))
    assert [with_read_objects(event) for event in events] == [as_event(frame) for frame in sent]


def encoded(value: Any) -> bytes:
    return msgspec.json.encode(value)


def read(frame: _core.Frame) -> frames.ServerFrame:
    read: frames.ServerFrame = msgspec.json.decode(frame.json(), type=frames.ServerFrame)
    return read


deliveries = st.builds(
    frames.Delivery,
    number=integer,
    offset=integer,
    message=text,
    ordinal=integer,
    time=integer,
    author=text,
    kind=text,
    body=objects,
    ref=st.none() | text,
    client_id=st.none() | text,
    verdict=st.none() | text,
)
outcomes = st.sampled_from(["complete", "more", "truncated", "denied", "epoch_changed"])
scopes = st.sampled_from(["command", "channel", "link"])


def delivery(of: frames.Delivery) -> _core.Frame:
    return _core.Frame.delivery(
        of.number,
        of.offset,
        of.message,
        of.ordinal,
        of.time,
        of.author,
        of.kind,
        of.ref,
        encoded(of.body),
        client_id=of.client_id,
        verdict=of.verdict,
    )


@given(deliveries)
def test_deliveries(of: frames.Delivery) -> None:
    assert read(delivery(of)) == of


@given(st.builds(frames.Event, number=integer, kind=text, body=objects))
def test_events(of: frames.Event) -> None:
    assert read(_core.Frame.event(of.number, of.kind, encoded(of.body))) == of


@given(
    st.builds(
        frames.Welcome,
        id=integer,
        link=text,
        person=text,
        number=integer,
        epoch=text,
        head=integer,
        outcome=outcomes,
        time=integer,
        ping_ms=integer,
        token_ms=integer,
        limits=st.builds(
            frames.Limits,
            frame_bytes=integer,
            text_bytes=integer,
            in_flight=integer,
            rate=st.floats(0, 1e6),
            burst=st.floats(0, 1e6),
        ),
    )
)
def test_welcomes(of: frames.Welcome) -> None:
    members = msgspec.to_builtins(of)
    body = {key: value for key, value in members.items() if key not in ("op", "id")}
    assert read(_core.Frame.welcome(of.id, encoded(body))) == of


@given(
    st.builds(
        frames.Attached,
        id=integer,
        channel=channel,
        number=integer,
        gen=integer,
        outcome=outcomes,
        epoch=text,
        head=integer,
        from_=st.none() | integer,
    )
)
def test_attached(of: frames.Attached) -> None:
    frame = _core.Frame.attached(of.id, of.channel, of.number, of.gen, of.outcome, of.epoch, of.head, of.from_)
    assert read(frame) == of


@given(st.builds(frames.Ok, id=integer, result=values))
def test_oks(of: frames.Ok) -> None:
    assert read(_core.Frame.ok(of.id, encoded(of.result))) == of
    assert read(_core.Frame.ok(of.id)) == frames.Ok(id=of.id)


@given(
    st.builds(
        frames.Ack,
        id=integer,
        message=text,
        offset=integer,
        ordinal=integer,
        time=integer,
        duplicate=st.booleans(),
        verdict=st.none() | text,
    )
)
def test_acks(of: frames.Ack) -> None:
    frame = _core.Frame.ack(of.id, of.message, of.offset, of.ordinal, of.time, of.duplicate, verdict=of.verdict)
    assert read(frame) == of


@given(
    st.builds(
        frames.Page,
        id=integer,
        channel=channel,
        number=integer,
        items=st.lists(deliveries, max_size=4),
        more=st.booleans(),
        head=integer,
        floor=integer,
        epoch=text,
    )
)
def test_pages(of: frames.Page) -> None:
    items = [delivery(item) for item in of.items]
    frame = _core.Frame.page(of.id, of.channel, of.number, items, of.more, of.head, of.floor, of.epoch)
    assert read(frame) == of
    assert all(item["op"] == "delivery" for item in msgspec.json.decode(frame.json())["items"])


@given(
    st.builds(
        frames.Error,
        id=st.none() | integer,
        code=text,
        params=objects,
        temporary=st.booleans(),
        scope=scopes,
        action=text,
        retry_after_ms=st.none() | integer,
    )
)
def test_errors(of: frames.Error) -> None:
    frame = _core.Frame.error(
        of.id, of.code, encoded(of.params), of.temporary, of.scope, of.action, retry_after_ms=of.retry_after_ms
    )
    assert read(frame) == of


@given(integer, integer, text, st.booleans(), st.integers(0, 0xFFFF))
def test_what_the_server_says_on_its_own(number: int, other: int, reason: str, resumable: bool, code: int) -> None:
    said = {
        _core.Frame.lag(number, other): frames.Lag(number=number, head=other),
        _core.Frame.detached(number, reason): frames.Detached(number=number, reason=reason),
        _core.Frame.token_expiring(number): frames.TokenExpiring(expires_in_ms=number),
        _core.Frame.ping(): frames.Ping(),
        _core.Frame.close(code, reason, other, resumable): frames.Close(
            code=code, reason=reason, reconnect_in_ms=other, resumable=resumable
        ),
    }
    for frame, expected in said.items():
        assert read(frame) == expected


@given(st.text(string.printable, max_size=12))
def test_only_json_becomes_part_of_a_frame(body: str) -> None:
    try:
        is_object = isinstance(msgspec.json.decode(body), dict)
    except msgspec.DecodeError:
        is_object = False
    if not is_object:
        with pytest.raises(ValueError, match="body is not a JSON object"):
            _core.Frame.event(1, "x", body.encode())


def test_pages_refuse_what_is_no_delivery() -> None:
    with pytest.raises(ValueError, match="items of a page are deliveries"):
        _core.Frame.page(1, "conv:1", 9, [_core.Frame.ping()], False, 0, 0, "e")
