"""The WebSocket parser against another implementation of RFC 6455, on the same bytes, however they are cut.

`websockets` judges a frame when all of it is there and leaves the UTF-8 of messages to its callers; the parser here
judges each octet as it comes. So a stream is continued until both had their say, and where one frame breaks several
rules, the two may name different ones.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from chiron._core import Broken, Hub, Message, PeerClosed

MAX_MESSAGE = 300
CONTROL = (Opcode.CLOSE, Opcode.PING, Opcode.PONG)


@dataclass
class Reading:
    """What a parser made of a stream."""

    messages: list[tuple[bytes, bool]] = field(default_factory=list)
    closed: tuple[int, str] | None = None
    """Code and reason of the peer's close frame."""
    broken: int | None = None
    reason: str = ""

    @property
    def over(self) -> bool:
        return self.closed is not None or self.broken is not None


def read_here(pieces: Iterable[bytes]) -> Reading:
    buffer = bytearray(4096)
    hub = Hub(buffer)
    connection = hub.open(None, 0.0)
    hub.upgrade(connection, "message", b"", MAX_MESSAGE, 0.0)
    reading = Reading()
    for piece in pieces:
        buffer[: len(piece)] = piece
        for event in hub.feed(connection, len(piece), 0.0):
            assert not reading.over, "an event behind the end"
            if isinstance(event, Message):
                reading.messages.append((event.data, event.text))
            elif isinstance(event, PeerClosed):
                reading.closed = (event.code, event.reason)
            elif isinstance(event, Broken):
                reading.broken, reading.reason = event.code, event.reason
    return reading


def read_there(stream: bytes) -> Reading:
    protocol = ServerProtocol(state=State.OPEN, max_size=MAX_MESSAGE)
    protocol.receive_data(stream)
    reading = Reading()
    whole, text = b"", False
    for event in protocol.events_received():
        assert isinstance(event, Frame)
        if event.opcode in CONTROL:
            continue
        if event.opcode is not Opcode.CONT:
            whole, text = b"", event.opcode is Opcode.TEXT
        whole += event.data
        if event.fin:
            if text and not is_utf8(whole):
                reading.broken = 1007
                return reading
            reading.messages.append((whole, text))
    if protocol.parser_exc is not None:
        assert protocol.close_sent is not None
        reading.broken, reading.reason = int(protocol.close_sent.code), protocol.close_sent.reason
    elif protocol.close_rcvd is not None:
        reading.closed = (int(protocol.close_rcvd.code), protocol.close_rcvd.reason)
    return reading


def is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def cut(stream: bytes, places: Iterable[int]) -> list[bytes]:
    edges = sorted({0, len(stream), *(place % (len(stream) + 1) for place in places)})
    return [stream[start:end] for start, end in itertools.pairwise(edges)]


def frame(
    opcode: int, data: bytes, *, fin: bool = True, reserved: int = 0, mask: bytes | None = b"\x01\x80\xfe\x55"
) -> bytes:
    """A frame that may break any rule but that of the shortest length."""
    head = bytes([fin << 7 | reserved << 4 | opcode])
    flag = 0x80 if mask is not None else 0
    if len(data) < 126:
        head += bytes([flag | len(data)])
    else:
        head += struct.pack("!BH", flag | 126, len(data))
    if mask is None:
        return head + data
    return head + mask + bytes(octet ^ mask[i % 4] for i, octet in enumerate(data))


TEXTS = st.text("\0a\u00e9\u20ac\U0001f409", max_size=40)
"""Characters of one to four octets."""


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """One message in any number of fragments, with control frames between them."""
    text = draw(st.booleans())
    data = draw(TEXTS).encode() if text else draw(st.binary(max_size=150))
    pieces = cut(data, draw(st.lists(st.integers(0, 200), max_size=3))) or [b""]
    masks = st.binary(min_size=4, max_size=4)
    stream = b""
    for index, piece in enumerate(pieces):
        opcode = Opcode.CONT if index else Opcode.TEXT if text else Opcode.BINARY
        stream += frame(opcode, piece, fin=index == len(pieces) - 1, mask=draw(masks))
        for control in draw(st.lists(st.sampled_from((Opcode.PING, Opcode.PONG)), max_size=1)):
            stream += frame(control, draw(st.binary(max_size=125)), mask=draw(masks))
    return stream


CLOSES = st.one_of(
    st.just(b""),
    st.builds(
        lambda code, reason: frame(Opcode.CLOSE, struct.pack("!H", code) + reason.encode()[:123]),
        st.sampled_from((1000, 1001, 1003, 1007, 1011, 1014, 3000, 4999)),
        TEXTS,
    ),
    st.just(frame(Opcode.CLOSE, b"")),
)

STREAMS = st.builds(lambda parts, close: b"".join(parts) + close, st.lists(messages(), max_size=6), CLOSES)
CUTS = st.lists(st.integers(0, 5000), max_size=30)

FAULTS = {
    "reserved bit": frame(Opcode.TEXT, b"x", reserved=1),
    "reserved bits of a control frame": frame(Opcode.PING, b"x", reserved=4),
    "reserved opcode": frame(0x3, b""),
    "reserved control opcode": frame(0xB, b""),
    "no mask": frame(Opcode.TEXT, b"x", mask=None),
    "long control frame": frame(Opcode.PING, b"x" * 126),
    "fragmented control frame": frame(Opcode.PING, b"x", fin=False),
    "continuation of nothing": frame(Opcode.CONT, b"x"),
    "message inside a message": frame(Opcode.TEXT, b"x", fin=False) + frame(Opcode.BINARY, b"y"),
    "text that is not UTF-8": frame(Opcode.TEXT, b"good\xed\xa0\x80"),
    "text that is cut": frame(Opcode.TEXT, "é".encode()[:1]),
    "text that is not UTF-8 over fragments": frame(Opcode.TEXT, b"\xf4", fin=False)
    + frame(Opcode.CONT, b"\x90\x80\x80"),
    "half a close code": frame(Opcode.CLOSE, b"\x03"),
    "close code that must not travel": frame(Opcode.CLOSE, struct.pack("!H", 1005)),
    "close code of nobody": frame(Opcode.CLOSE, struct.pack("!H", 2999)),
    "close code that is too high": frame(Opcode.CLOSE, struct.pack("!H", 5000)),
    "close reason that is not UTF-8": frame(Opcode.CLOSE, b"\x03\xe8\xff"),
    "message that is too large": frame(Opcode.BINARY, b"x" * (MAX_MESSAGE + 1)),
    "fragments that are too large": frame(Opcode.BINARY, b"x" * 200, fin=False) + frame(Opcode.CONT, b"x" * 101),
}


@given(STREAMS, CUTS)
def test_well_formed_streams_are_read_alike(stream: bytes, cuts: list[int]) -> None:
    here = read_here(cut(stream, cuts))
    assert here == read_there(stream)
    assert here.broken is None


@given(st.lists(messages(), max_size=4), st.sampled_from(sorted(FAULTS)), STREAMS, CUTS)
def test_each_broken_rule_ends_the_stream_with_the_same_code(
    before: list[bytes], fault: str, behind: bytes, cuts: list[int]
) -> None:
    stream = b"".join(before) + FAULTS[fault] + behind
    here, there = read_here(cut(stream, cuts)), read_there(stream)
    assert here.broken is not None
    assert (here.messages, here.broken) == (there.messages, there.broken)


@given(STREAMS, st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=4), CUTS)
def test_mangled_streams_are_read_alike(stream: bytes, damage: list[tuple[int, int]], cuts: list[int]) -> None:
    mangled = bytearray(stream or b"\0")
    for place, octet in damage:
        mangled[place % len(mangled)] = octet
    # Long enough to complete whatever the damage began: both have to decide.
    whole = bytes(mangled) + bytes(2 * MAX_MESSAGE)
    here, there = read_here(cut(whole, cuts)), read_there(whole)
    if "shortest form" in here.reason:
        # RFC 6455 §5.2 demands it; `websockets` takes any form.
        assert here.broken == 1002
        assert here.messages == there.messages[: len(here.messages)]
        return
    assert (here.messages, here.closed) == (there.messages, there.closed)
    assert here.over
    assert there.over
    if here.broken != there.broken:
        assert {here.broken, there.broken} <= {1002, 1007, 1009}


@given(STREAMS, st.integers(0, 5000), CUTS)
def test_a_stream_that_is_cut_short_gives_what_was_complete(stream: bytes, end: int, cuts: list[int]) -> None:
    short = stream[: end % (len(stream) + 1)]
    here = read_here(cut(short, cuts))
    assert here == read_there(short)
