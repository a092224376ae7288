"""The start of a proxied connection without a socket. Sections are those of HAProxy's `doc/proxy-protocol.txt`."""

from __future__ import annotations

import ipaddress
import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chiron.protocols.proxy import (
    Aborted,
    Accepted,
    Connection,
    Endpoint,
    Event,
    Finished,
    Limits,
    LocalProtocolError,
    Refused,
    State,
)
from chiron.protocols.proxy.frames import SIGNATURE, crc32c

LOCAL, PROXY = 0x20, 0x21
TCP4, UDP4, TCP6, UDP6, UNIX_STREAM, UNIX_DATAGRAM = 0x11, 0x12, 0x21, 0x22, 0x31, 0x32

V4 = bytes([192, 0, 2, 7, 198, 51, 100, 1]) + (40_000).to_bytes(2, "big") + (443).to_bytes(2, "big")
FROM_V4 = Endpoint("192.0.2.7", 40_000)
TO_V4 = Endpoint("198.51.100.1", 443)
V6 = ipaddress.ip_address("2001:db8::7").packed + ipaddress.ip_address("2001:db8::1").packed + V4[8:]


def tlv(kind: int, value: bytes) -> bytes:
    return bytes([kind]) + len(value).to_bytes(2, "big") + value


def header(block: bytes = V4, first: int = PROXY, family: int = TCP4, length: int | None = None) -> bytes:
    return SIGNATURE + bytes([first, family]) + (len(block) if length is None else length).to_bytes(2, "big") + block


def summed(block: bytes = V4, *, before: bytes = b"", after: bytes = b"") -> bytes:
    """A header with its right checksum."""
    whole = header(block + before + tlv(0x03, bytes(4)) + after)
    place = len(header(block + before)) + 3
    return whole[:place] + crc32c(whole).to_bytes(4, "big") + whole[place + 4 :]


def event_of(data: bytes, limits: Limits | None = None) -> Event:
    (event,) = Connection(0.0, limits).receive(data, 0.0)
    return event


def refusal(data: bytes) -> str:
    event = event_of(data)
    assert isinstance(event, Refused), event
    return str(event.error)


# --- what is taken ---------------------------------------------------------------------------------------------------


def test_proxy_2_2_ipv4_over_tcp_names_both_ends() -> None:
    assert event_of(header()) == Accepted(FROM_V4, TO_V4, b"")


def test_proxy_2_2_ipv6_over_tcp_names_both_ends() -> None:
    event = event_of(header(V6, family=TCP6))
    assert event == Accepted(Endpoint("2001:db8::7", 40_000), Endpoint("2001:db8::1", 443), b"")


def test_proxy_2_2_what_follows_the_header_belongs_to_the_proxied_protocol() -> None:
    assert event_of(header() + b"GET / HTTP/1.1\r\n") == Accepted(FROM_V4, TO_V4, b"GET / HTTP/1.1\r\n")


@pytest.mark.parametrize("family", [0x00, TCP4, 0xFF])
@pytest.mark.parametrize("block", [b"", V4, b"anything"])
def test_proxy_2_2_local_is_taken_as_valid_and_everything_in_it_discarded(family: int, block: bytes) -> None:
    assert event_of(header(block, first=LOCAL, family=family) + b"x") == Accepted(None, None, b"x")


@pytest.mark.parametrize("block", [b"", V4, b"\x01"])
def test_proxy_2_2_unspecified_addresses_are_ignored_up_to_the_length(block: bytes) -> None:
    assert event_of(header(block, family=0) + b"x") == Accepted(None, None, b"x")


@pytest.mark.parametrize(
    ("family", "block"),
    [
        (UDP4, V4),
        (UDP6, V6),
        (UNIX_STREAM, b"/run/client\0".ljust(108, b"\0") + b"/run/proxy\0".ljust(108, b"\0")),
        (UNIX_DATAGRAM, bytes(216)),
    ],
)
def test_proxy_2_2_valid_kinds_that_name_nobody_on_tcp_fall_back_to_unspecified(family: int, block: bytes) -> None:
    assert event_of(header(block, family=family) + b"x") == Accepted(None, None, b"x")


def test_proxy_2_2_1_type_length_values_are_skipped() -> None:
    vectors = (
        tlv(0x01, b"h2") + tlv(0x02, b"chiron.test") + tlv(0x04, bytes(300)) + tlv(0xEA, b"\x01vpce") + tlv(0x05, b"")
    )
    assert event_of(header(V4 + vectors) + b"x") == Accepted(FROM_V4, TO_V4, b"x")


def test_proxy_2_2_3_a_right_checksum_is_taken_wherever_it_stands() -> None:
    for data in (summed(), summed(before=tlv(0x01, b"h2")), summed(before=tlv(0x04, bytes(9)), after=tlv(0x02, b"h"))):
        assert event_of(data + b"x") == Accepted(FROM_V4, TO_V4, b"x")


def test_rfc9260_appendix_a_the_checksum_is_the_castagnoli_one() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4
    assert crc32c(bytes(range(32))) == 0x46DD794E


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n", b"PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n", b"\x16\x03\x01", b"\r\n\r\nG"]
)
def test_proxy_4_what_does_not_begin_with_the_signature_is_refused_at_once(data: bytes) -> None:
    assert "does not begin with" in refusal(data)


@pytest.mark.parametrize("first", [0x01, 0x11, 0x31, 0xF1])
def test_proxy_2_2_other_versions_are_refused(first: int) -> None:
    assert "version" in refusal(header(first=first))


@pytest.mark.parametrize("command", range(2, 16))
def test_proxy_2_2_other_commands_are_refused(command: int) -> None:
    assert "command" in refusal(header(first=0x20 | command))


@pytest.mark.parametrize("family", sorted(set(range(256)) - {0, TCP4, UDP4, TCP6, UDP6, UNIX_STREAM, UNIX_DATAGRAM}))
def test_proxy_2_2_reserved_families_and_protocols_are_refused(family: int) -> None:
    assert "family" in refusal(header(bytes(216), family=family))


@pytest.mark.parametrize(("family", "size"), [(TCP4, 12), (UDP4, 12), (TCP6, 36), (UNIX_STREAM, 216)])
def test_proxy_2_2_a_length_below_that_of_the_addresses_is_refused(family: int, size: int) -> None:
    assert "too short" in refusal(header(bytes(size - 1), family=family))
    assert isinstance(event_of(header(bytes(size), family=family)), Accepted)


@pytest.mark.parametrize("vectors", [b"\x01", b"\x01\x00", b"\x01\x00\x03ab", tlv(1, b"h2") + b"\x04\xff\xff"])
def test_proxy_2_2_1_a_type_length_value_over_the_end_is_refused(vectors: bytes) -> None:
    assert "cut off" in refusal(header(V4 + vectors))


@given(st.integers(0, len(summed(after=tlv(0x02, b"name"))) * 8 - 1))
def test_proxy_2_2_3_a_wrong_bit_never_names_somebody_else(bit: int) -> None:
    data = bytearray(summed(after=tlv(0x02, b"name")))
    data[bit // 8] ^= 1 << bit % 8
    events = Connection(0.0).receive(bytes(data), 0.0)
    # A longer length waits for more; LOCAL and an unspecified family name nobody; what is no checksum is not checked.
    sources = [event.source for event in events if isinstance(event, Accepted)]
    assert not sources or sources[0] in (None, FROM_V4)


def test_proxy_2_2_3_a_checksum_of_another_size_is_refused() -> None:
    assert "four bytes" in refusal(header(V4 + tlv(0x03, bytes(5))))


def test_a_header_over_the_limit_is_refused_before_it_has_come() -> None:
    limits = Limits(block_bytes=520)
    assert isinstance(event_of(header(V4 + tlv(0x04, bytes(520 - 12 - 3))), limits), Accepted)
    event = event_of(header(V4, length=521)[:16], limits)
    assert isinstance(event, Refused)


# --- time and the end ------------------------------------------------------------------------------------------------


def test_proxy_2_a_header_that_does_not_come_is_refused_at_the_deadline() -> None:
    connection = Connection(10.0, Limits(header_seconds=3.0))
    connection.receive(header()[:-1], 12.0)
    assert connection.deadline() == 13.0
    assert connection.expire(12.9) == []
    (event,) = connection.expire(13.0)
    assert isinstance(event, Refused)
    assert connection.deadline() is None
    assert connection.expire(20.0) == []


def test_a_peer_that_leaves_before_or_inside_the_header() -> None:
    assert Connection(0.0).receive_end(0.0) == [Finished()]
    connection = Connection(0.0)
    assert connection.receive(SIGNATURE, 0.0) == []
    assert connection.receive_end(0.0) == [Aborted()]
    assert connection.receive_end(0.0) == []


def test_proxy_2_nothing_is_sent_and_nothing_read_behind_the_event() -> None:
    connection = Connection(0.0)
    connection.receive(header(), 0.0)
    assert (connection.state, connection.deadline(), connection.to_send(0.0)) == (State.DONE, None, b"")
    with pytest.raises(LocalProtocolError):
        connection.receive(b"x", 0.0)


# --- properties ------------------------------------------------------------------------------------------------------

VALID = [header(), header(V6, family=TCP6), header(b"", first=LOCAL, family=0), summed(after=tlv(0x20, bytes(40)))]


def outcome(pieces: list[bytes]) -> object:
    """The event, with everything behind the header as its trailing bytes; None when more is needed."""
    connection = Connection(0.0)
    event: Event | None = None
    behind = b""
    for piece in pieces:
        if connection.state is State.DONE:
            behind += piece
        else:
            event = next(iter(connection.receive(piece, 0.0)), event)
    match event:
        case Accepted(source, destination, trailing):
            return source, destination, trailing + behind
        case Refused(error):
            return str(error)
        case _:
            return event


def cut(data: bytes, seed: int) -> list[bytes]:
    rng = random.Random(seed)
    places = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(8)))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


@given(
    st.sampled_from(VALID), st.binary(max_size=20), st.integers(0, 200), st.integers(0, 255), st.integers(0, 1 << 30)
)
def test_any_split_of_the_bytes_gives_the_same(valid: bytes, behind: bytes, place: int, value: int, seed: int) -> None:
    data = bytearray(valid + behind)
    if place < len(data):
        data[place] = value
    pieces = cut(bytes(data), seed)
    assert outcome(pieces) == outcome([bytes(data)])
    assert outcome([bytes([byte]) for byte in data]) == outcome([bytes(data)])


@given(st.binary(max_size=300))
@example(SIGNATURE)
def test_whatever_comes_ends_in_one_event_at_most(data: bytes) -> None:
    for whole in (data, SIGNATURE + data, SIGNATURE + b"\x21\x11" + data):
        connection = Connection(0.0)
        events = connection.receive(whole, 0.0)
        events += connection.receive_end(0.0) + connection.expire(9.0)
        assert len(events) == 1


@given(st.ip_addresses(v=4), st.ip_addresses(v=4), st.integers(0, 65535), st.integers(0, 65535), st.binary(max_size=64))
def test_what_a_proxy_writes_is_what_is_read(
    source: ipaddress.IPv4Address, destination: ipaddress.IPv4Address, port: int, other: int, value: bytes
) -> None:
    block = source.packed + destination.packed + port.to_bytes(2, "big") + other.to_bytes(2, "big")
    event = event_of(header(block + tlv(0xE0, value)))
    assert event == Accepted(Endpoint(str(source), port), Endpoint(str(destination), other), b"")
