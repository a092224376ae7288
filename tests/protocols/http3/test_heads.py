"""What the extension reads of a plain request, against pylsqpack and `fields`."""

from __future__ import annotations

import pylsqpack
import pytest
from http3_pair import GET, RawClient, frame, section
from hypothesis import example, given
from hypothesis import strategies as st

from chiron._core import RequestHeads
from chiron.protocols.http3 import ErrorCode, Limits, RequestReceived, fields
from chiron.protocols.http3.errors import Malformed, Unacceptable
from chiron.protocols.http3.heads import Head, answer, reader

Raw = list[tuple[bytes, bytes]]

LIMITS = Limits(field_section_bytes=1_500, header_fields=12, target_bytes=100)
SMALL = reader(LIMITS)
USUAL = reader(Limits())
TOKEN = "e30K" * 75
"""As long as a bearer's usually is."""

REAL: dict[str, Raw] = {
    "Chromium, a page": [
        (b":method", b"GET"),
        (b":authority", b"chiron.test:4433"),
        (b":scheme", b"https"),
        (b":path", b"/"),
        (b"sec-ch-ua", b'"Chromium";v="143", "Not A(Brand";v="24"'),
        (b"sec-ch-ua-mobile", b"?0"),
        (b"sec-ch-ua-platform", b'"Linux"'),
        (b"upgrade-insecure-requests", b"1"),
        (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0"),
        (b"accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"),
        (b"sec-fetch-site", b"none"),
        (b"sec-fetch-mode", b"navigate"),
        (b"sec-fetch-user", b"?1"),
        (b"sec-fetch-dest", b"document"),
        (b"accept-encoding", b"gzip, deflate, br, zstd"),
        (b"accept-language", b"en-GB,en;q=0.9"),
        (b"cookie", b"a=1"),
        (b"cookie", b"session=" + TOKEN.encode()),
        (b"priority", b"u=0, i"),
    ],
    "Chromium, fetch": [
        (b":method", b"GET"),
        (b":authority", b"chiron.test"),
        (b":scheme", b"https"),
        (b":path", b"/v1/conversations?limit=50&before=AbC_-%3D"),
        (b"authorization", b"Bearer " + TOKEN.encode()),
        (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0"),
        (b"accept", b"*/*"),
        (b"sec-fetch-site", b"same-origin"),
        (b"referer", b"https://chiron.test/"),
        (b"priority", b"u=1, i"),
    ],
    "curl": [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", b"[::1]:8443"),
        (b":path", b"/health"),
        (b"user-agent", b"curl/8.17.0"),
        (b"accept", b"*/*"),
    ],
    "curl -X DELETE": [
        (b":method", b"DELETE"),
        (b":scheme", b"https"),
        (b":authority", b"127.0.0.1:8443"),
        (b":path", b"/v1/sessions/1"),
        (b"user-agent", b"curl/8.17.0"),
        (b"accept", b"*/*"),
        (b"content-length", b"0"),
    ],
    "aioquic": [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", b"localhost:4433"),
        (b":path", b"/50000"),
        (b"user-agent", b"aioquic/1.3.0"),
    ],
    "a proxy": [
        (b":method", b"HEAD"),
        (b":scheme", b"http"),
        (b":path", b"/a"),
        (b"host", b"chiron.test"),
        (b"te", b"trailers"),
        (b"x-forwarded-for", b"192.0.2.1"),
        (b"x-note", b"caf\xe9"),
    ],
    "OPTIONS *": [(b":method", b"OPTIONS"), *GET[1:3], (b":path", b"*"), (b"origin", b"https://other.test")],
}


def encoded(raw: Raw) -> bytes:
    """A HEADERS frame by pylsqpack, with Huffman coding and without a dynamic table."""
    instructions, block = pylsqpack.Encoder().encode(0, raw)
    assert not instructions
    return frame(1, block)


def unframed(block: bytes) -> bytes:
    """The field section of a HEADERS frame of up to 16,383 bytes."""
    return block[3 if block[1] & 0x40 else 2 :]


def blocks(raw: Raw) -> list[bytes]:
    """Fields in literals, and by pylsqpack where it takes them."""
    if any(not name for name, _ in raw):
        return [section(raw)]
    return [section(raw), pylsqpack.Encoder().encode(0, raw)[1]]


def checked(block: bytes, limits: Limits) -> Head | None:
    """The same of a field section, by pylsqpack and `fields`; None for one that they refuse."""
    try:
        _, raw = pylsqpack.Decoder(0, 0).feed_header(0, block)
        head = fields.request(raw, limits)
    except (pylsqpack.DecompressionFailed, pylsqpack.StreamBlocked, Malformed, Unacceptable):
        return None
    return head.method, head.scheme, head.authority, head.path, head.headers, head.priority


def agree(block: bytes, heads: RequestHeads, limits: Limits) -> bool:
    """Whether a section was read, which must be to what others read."""
    read = heads.read(frame(1, block))
    assert heads.read(frame(1, block)) == read  # the second time from what was kept
    if read is not None:
        assert read == checked(block, limits)
    return read is not None


@pytest.mark.parametrize("client", REAL)
def test_rfc9114_4_3_1_what_clients_ask_is_read(client: str) -> None:
    raw = REAL[client]
    for block in (encoded(raw), frame(1, section(raw))):
        for _ in range(2):
            head = USUAL.read(block)
            assert head is not None
            _, read = pylsqpack.Decoder(0, 0).feed_header(0, unframed(block))
            assert head == checked(section(raw), Limits())
            assert read == raw
            assert dict(head[4])["host"] == head[2]


NAME = st.one_of(
    st.sampled_from([b"accept", b"cookie", b"te", b"host", b"priority", b"content-length", b"expect", b"x-y"]),
    st.sampled_from([b"authorization", b"user-agent", b"upgrade", b":path", b":status", b":protocol", b"A", b""]),
    st.text("!#$%&'*+-.^_`|~0123456789abcxyz", min_size=1, max_size=80).map(str.encode),
    st.binary(max_size=8),
)
VALUE = st.one_of(
    st.sampled_from([b"", b"0", b"1", b"*/*", b"trailers", b"chiron.test", b"u=1", b"a=1", b"gzip, deflate, br"]),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=300).map(str.encode),
    st.binary(max_size=20),
)
METHOD = st.sampled_from([b"GET", b"HEAD", b"POST", b"OPTIONS", b"CONNECT", b"PATCH", b"G T", b""])
PATH = st.one_of(st.sampled_from([b"/", b"*", b"", b"a", b"/#", b"/a?b=c"]), VALUE.map(lambda value: b"/" + value))
AUTHORITY = st.sampled_from([b"chiron.test", b"[::1]:1", b"a:", b"u@a", b"", b"[]", b"a:b", b"\xe9"])
SCHEME = st.sampled_from([b"https", b"http", b"", b"1"])
PSEUDO = st.tuples(METHOD, SCHEME, AUTHORITY, PATH).map(
    lambda values: [(name, value) for (name, _), value in zip(GET, values, strict=True)]
)
HEAD = st.tuples(
    st.one_of(st.just(GET), st.permutations(GET), PSEUDO, PSEUDO.map(lambda head: head[1:])),
    st.lists(st.tuples(NAME, VALUE), max_size=14),
).map(lambda parts: [*parts[0], *parts[1]])


@given(HEAD)
@example([*GET, (b"cookie", b"a"), (b"x", b"y"), (b"cookie", b"b"), (b"host", b"chiron.test")])
@example([*GET, (b"priority", b"u=1"), (b"priority", b"i")])
@example([*GET[:3], (b":path", b"/" * 101)])
@example([*GET, *[(b"x", b"y")] * 13])
@example([*GET, (b"x", b"y" * 1_400)])
def test_a_head_is_read_as_others_read_it_or_not(raw: Raw) -> None:
    told = {agree(block, SMALL, LIMITS) for block in blocks(raw)}
    assert len(told) == 1 or (b"cookie", b"") in raw  # an entry of the static table that nobody sends


@given(HEAD, st.lists(st.tuples(st.integers(0, 400), st.one_of(st.none(), st.integers(0, 255))), max_size=3))
def test_bytes_that_were_changed_are_read_as_others_read_them_or_not(
    raw: Raw, changes: list[tuple[int, int | None]]
) -> None:
    for block in blocks(raw):
        changed = bytearray(block)
        for place, byte in changes:
            at = place % (len(changed) or 1)
            changed[at : at + 1] = b"" if byte is None else bytes((byte,))
        agree(bytes(changed), SMALL, LIMITS)


@given(st.binary(max_size=60), st.sampled_from([b"\x5f\x50", b"\xd1\xd7\x50\x01a\xc1", b""]))
def test_any_bytes_are_read_as_others_read_them_or_not(data: bytes, front: bytes) -> None:
    agree(b"\0\0" + front + data, SMALL, LIMITS)
    SMALL.read(data)


@given(st.binary(max_size=60))
def test_rfc7541_5_2_a_huffman_code_is_read_as_others_read_it(data: bytes) -> None:
    good = section(GET)
    value = b"\x23x-h" + bytes([0x80 | len(data)]) + data
    read = agree(good + value, SMALL, LIMITS)
    assert read == (checked(good + value, LIMITS) is not None)


@given(st.lists(st.tuples(st.sampled_from(["accept", "x-some", "user-agent", "age"]), st.text("ab 1/*", max_size=9))))
def test_lines_of_our_own_are_read(headers: list[tuple[str, str]]) -> None:
    told = [(name, value.strip()) for name, value in headers][:12]
    lines = unframed(answer(200, told, None, b"")).removeprefix(unframed(answer(200, [], None, b"")))
    head = SMALL.read(frame(1, section(GET) + lines))
    assert head is not None
    assert head[4] == [("host", "chiron.test"), *told]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\1",
        b"\1\0",
        frame(1, section(GET))[:-1],
        frame(1, section(GET)) + b"\0\0",
        frame(1, section(GET)) + frame(0, b"x"),
        frame(0x21, b"") + frame(1, section(GET)),
        frame(1, b"\2" + section(GET)[1:]),
        frame(1, section(GET) + b"\x80"),
    ],
)
def test_what_is_more_or_less_than_a_head_is_not_read(data: bytes) -> None:
    assert USUAL.read(data) is None


@pytest.mark.parametrize("client", REAL)
def test_a_request_is_the_same_in_one_piece_or_two(client: str) -> None:
    data = encoded(REAL[client])
    whole, cut = RawClient(), RawClient()
    _, (told,) = whole.request(data, True)
    stream, _ = cut.request(data[:9])
    head, *_ = cut.send(stream, data[9:], True)
    assert isinstance(told, RequestReceived)
    assert isinstance(head, RequestReceived)
    assert head == told


def test_rfc9204_4_4_the_decoder_is_silent_about_what_refers_to_nothing() -> None:
    client = RawClient()
    before = {stream: len(sending.data) for stream, sending in client.server_endpoint.sending.items()}
    stream, _ = client.request(encoded(REAL["curl"]), True)
    client.server.respond(stream, 200, [])
    after = {stream: len(sending.data) for stream, sending in client.server_endpoint.sending.items()}
    assert {number for number, size in after.items() if size != before.get(number, 0)} == {stream}


def test_limits_of_a_connection_hold_for_plain_requests() -> None:
    client = RawClient(Limits(requests_open=2, requests=3))
    data = encoded(REAL["curl"])
    streams = [client.request(data, True)[0] for _ in range(3)]
    assert client.server_endpoint.resets == {streams[2]: ErrorCode.H3_REQUEST_REJECTED}
    assert client.server.requests == 2
    assert not client.server.draining
    client.server.respond(streams[0], 200, [])
    assert len(client.request(data, True)[1]) == 1
    assert client.server.draining
    assert client.request(data, True)[1] == []


def test_rfc9218_7_1_the_priority_of_a_plain_request_counts() -> None:
    client = RawClient()
    stream, _ = client.request(encoded([*GET, (b"priority", b"u=5, i")]), True)
    priority = client.server.priority(stream)
    assert (priority.urgency, priority.incremental) == (5, True)
