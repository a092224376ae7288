"""What one client may take, by size, number and time."""

from __future__ import annotations

from http3_pair import CONNECTION, GET, Pair, RawClient, frame, head

from chiron.protocols.http3 import (
    Aborted,
    BodyReceived,
    ErrorCode,
    Limits,
    RequestReceived,
    ResponseReceived,
    SettingsReceived,
)
from chiron.protocols.quic import varint
from chiron.protocols.quic.endpoint import HIGH_WATER

POST = [(b":method", b"POST"), *GET[1:]]


def answer(client: RawClient, stream: int) -> int:
    """The status of a response that is a head alone."""
    sent = client.sent(stream)
    assert client.ended(stream)
    reader = Pair()
    asked = reader.get()
    reader.served()
    reader.server_endpoint.send(CONNECTION, asked, sent, True)
    (told,) = [event for event in reader.answered() if isinstance(event, ResponseReceived)]
    assert told.end
    assert told.headers == [("content-length", "0")]
    return told.status


# --- sizes -----------------------------------------------------------------------------------------------------------


def test_rfc9114_4_2_2_a_field_section_that_is_too_large_is_431() -> None:
    limits = Limits(field_section_bytes=1000)
    client = RawClient(limits)
    fields = [*GET, (b"x", bytes(700).replace(b"\0", b"y"))]
    _, told = client.request(head(fields), True)
    assert len(told) == 1
    stream, told = client.request(head([*fields, (b"a", b"b"), (b"c", b"d"), (b"e", b"f")]), True)
    assert told == []
    assert answer(client, stream) == 431
    assert client.server.requests == 1


def test_a_headers_frame_that_is_too_long_is_431_before_it_has_come() -> None:
    client = RawClient()
    stream, told = client.request(b"\x01" + varint.encode(1 << 40) + bytes(100))
    assert told == []
    assert answer(client, stream) == 431
    assert client.server_endpoint.stopped == {stream: ErrorCode.H3_NO_ERROR}
    assert client.closed is None


def test_trailers_that_are_too_long_abort_the_request() -> None:
    client = RawClient()
    stream, _ = client.request(head(POST))
    assert client.send(stream, b"\x01" + varint.encode(1 << 40)) == [Aborted(stream, ErrorCode.H3_EXCESSIVE_LOAD)]


def test_too_many_fields_are_431() -> None:
    client = RawClient(Limits(header_fields=3))
    stream, told = client.request(head([*GET, *[(b"x", b"y")] * 4]), True)
    assert told == []
    assert answer(client, stream) == 431


def test_a_target_that_is_too_long_is_414() -> None:
    client = RawClient(Limits(target_bytes=10))
    stream, told = client.request(head([*GET[:3], (b":path", b"/" + b"a" * 10)]), True)
    assert told == []
    assert answer(client, stream) == 414


def test_a_body_that_says_that_it_is_too_large_is_413_and_not_shown() -> None:
    client = RawClient(Limits(body_bytes=10))
    stream, told = client.request(head([*POST, (b"content-length", b"11")]))
    assert told == []
    assert answer(client, stream) == 413


def test_a_body_that_gets_too_large_is_413_and_aborted() -> None:
    client = RawClient(Limits(body_bytes=10))
    stream, told = client.request(head(POST) + frame(0x00, bytes(10)))
    assert told[1:] == [BodyReceived(stream, bytes(10), False)]
    assert client.send(stream, frame(0x00, b"x")) == [Aborted(stream, ErrorCode.H3_REQUEST_CANCELLED)]
    assert answer(client, stream) == 413
    assert client.server_endpoint.stopped == {stream: ErrorCode.H3_NO_ERROR}


def test_a_frame_on_the_control_stream_that_is_too_long_is_excessive_load() -> None:
    client = RawClient(settings=None)
    client.send(client.control, b"\x00\x04" + varint.encode(1 << 40))
    assert client.closed == ErrorCode.H3_EXCESSIVE_LOAD


# --- numbers ---------------------------------------------------------------------------------------------------------


def test_one_request_too_many_at_once_is_rejected() -> None:
    client = RawClient(Limits(requests_open=2))
    first, _ = client.request(head(GET), True)
    client.request(head(GET), True)
    third, told = client.request(head(GET), True)
    assert told == []
    assert client.server_endpoint.resets == {third: ErrorCode.H3_REQUEST_REJECTED}
    client.server.respond(first, 200, [])
    _, told = client.request(head(GET), True)
    assert len(told) == 1


def test_after_its_last_request_a_connection_gets_goaway_and_time_to_go() -> None:
    pair = Pair(Limits(requests=2))
    streams = [pair.get(), pair.get(), pair.get()]
    assert [event.stream for event in pair.served() if isinstance(event, RequestReceived)] == streams[:2]
    for stream in streams[:2]:
        pair.server.respond(stream, 200, [])
    assert pair.answered()[-1] is not None
    assert pair.client.draining
    assert pair.server.deadline() == 105.0
    pair.server.expire(105.0)
    assert pair.server_endpoint.closed == (ErrorCode.H3_NO_ERROR, "")


def test_rapid_resets_are_excessive_load() -> None:
    client = RawClient(Limits(cancellations=20, cancellations_per_second=1.0))
    for _ in range(20):
        stream, _ = client.request(head(GET), True)
        client.endpoint.stop(CONNECTION, stream, ErrorCode.H3_REQUEST_CANCELLED)
        client.serve()
    assert client.closed is None
    client.now += 5.0
    for _ in range(5):
        stream, _ = client.request(head(GET))
        client.endpoint.reset(CONNECTION, stream, ErrorCode.H3_REQUEST_CANCELLED)
        client.serve()
    assert client.closed is None
    stream, _ = client.request(b"", True)
    assert client.closed == ErrorCode.H3_EXCESSIVE_LOAD


def test_rfc9204_7_1_field_sections_that_expand_cost_more() -> None:
    """One byte of a section may refer to KiB of the table."""
    client = RawClient(Limits(cancellations=25))
    value = b"v" * 1000
    client.open(b"\x02\x3f\xe1\x1f" + b"\x41x" + b"\x7f\xe9\x06" + value)
    bomb = frame(0x01, b"\x02\x00" + b"\x80" * 10_000)
    for _ in range(2):
        stream, told = client.request(bomb, True)
        assert told == []
        assert answer(client, stream) == 431
    client.request(bomb, True)
    assert client.closed == ErrorCode.H3_EXCESSIVE_LOAD


def test_a_capsule_that_breaks_a_session_at_its_acceptance_counts_without_an_exception() -> None:
    client = RawClient(Limits(cancellations=0))
    fields = [(b":method", b"CONNECT"), (b":protocol", b"webtransport"), *GET[1:]]
    session, _ = client.request(head(fields) + frame(0x00, b"\x00\x05ab"), True)
    assert client.server.accept_session(session) == []
    assert client.closed == ErrorCode.H3_EXCESSIVE_LOAD


def test_resets_of_streams_that_never_said_anything_count_as_well() -> None:
    client = RawClient(Limits(cancellations=3))
    for _ in range(4):
        stream = client.endpoint.open_stream(CONNECTION, False)
        client.endpoint.reset(CONNECTION, stream, ErrorCode.H3_REQUEST_CANCELLED)
        client.serve()
    assert client.closed == ErrorCode.H3_EXCESSIVE_LOAD


def test_frames_that_carry_nothing_are_counted() -> None:
    for kind in (0x00, 0x21):
        client = RawClient(Limits(idle_frames=10))
        stream, _ = client.request(head(POST) + frame(kind, b"") * 10)
        assert client.closed is None
        client.send(stream, frame(kind, b""))
        assert client.closed == ErrorCode.H3_EXCESSIVE_LOAD
    client = RawClient(Limits(control_frames=10))
    client.send(client.control, frame(0x21, b"") * 9)
    assert client.closed is None
    client.send(client.control, frame(0x21, b""))
    assert client.closed == ErrorCode.H3_EXCESSIVE_LOAD


# --- time ------------------------------------------------------------------------------------------------------------


def test_a_head_that_takes_too_long_is_408() -> None:
    client = RawClient()
    stream, _ = client.request(head(GET)[:10])
    assert client.server.deadline() == 110.0
    assert client.expire(109.9) == []
    assert client.server.requests == 1
    assert client.expire(110.0) == []
    assert answer(client, stream) == 408
    assert client.server.requests == 0
    assert client.server.deadline() is None


def test_a_stream_that_does_not_say_what_it_is_is_stopped() -> None:
    client = RawClient()
    request, _ = client.request(b"\x40")
    single, _ = client.open(b"\x40")
    assert client.server.deadline() == 110.0
    client.expire(110.0)
    assert sorted(client.server_endpoint.stopped) == [request, single]
    assert client.server.deadline() is None


def test_a_body_that_comes_too_slowly_is_408_and_aborted() -> None:
    client = RawClient(Limits(body_grace_seconds=10.0, body_bytes_per_second=100.0))
    stream, _ = client.request(head(POST) + frame(0x00, bytes(500)))
    assert client.server.deadline() == 115.0
    assert client.expire(115.0) == [Aborted(stream, ErrorCode.H3_REQUEST_CANCELLED)]
    assert answer(client, stream) == 408


def test_the_time_of_a_pause_does_not_count() -> None:
    client = RawClient(Limits(body_grace_seconds=10.0))
    stream, _ = client.request(head(POST))
    client.server.pause(stream)
    assert client.server.deadline() is None
    client.expire(150.0)
    client.server.resume(stream)
    assert client.server.deadline() == 160.0


def test_a_slow_body_behind_an_answer_that_has_begun_is_reset() -> None:
    client = RawClient()
    stream, _ = client.request(head(POST))
    client.server.respond(stream, 200, [], b"so far", end=False)
    assert client.expire(110.0) == [Aborted(stream, ErrorCode.H3_REQUEST_CANCELLED)]
    assert client.server_endpoint.resets == {stream: ErrorCode.H3_REQUEST_CANCELLED}


def test_a_response_that_nobody_reads_is_given_up() -> None:
    client = RawClient()
    stream, _ = client.request(head(GET), True)
    assert not client.server.respond(stream, 200, [], bytes(HIGH_WATER), end=False)
    assert client.server.deadline() == 160.0
    assert client.expire(160.0) == [Aborted(stream, ErrorCode.H3_REQUEST_CANCELLED)]
    assert client.server_endpoint.resets == {stream: ErrorCode.H3_REQUEST_CANCELLED}
    assert client.server.requests == 0


def test_a_response_that_is_read_slowly_goes_on() -> None:
    client = RawClient()
    stream, _ = client.request(head(GET), True)
    assert not client.server.respond(stream, 200, [], bytes(4 * HIGH_WATER))
    del client.server_endpoint.sending[stream].data[:1000]
    assert client.expire(160.0) == []
    assert client.server.deadline() == 220.0
    client.sent(stream)
    client.expire(220.0)
    assert client.server_endpoint.resets == {}
    assert client.server.deadline() is None


def test_an_idle_connection_has_no_deadline() -> None:
    pair = Pair()
    assert pair.answered() == [SettingsReceived(True, True)]
    stream = pair.get()
    pair.served()
    assert pair.server.deadline() is None
    pair.server.respond(stream, 200, [])
    assert pair.server.deadline() is None
