"""Requests, responses and tunnels: both halves of HTTP/3 against each other, and a client that says what it likes."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from http3_pair import CONNECTION, GET, Pair, RawClient, frame, head, section
from hypothesis import given
from hypothesis import strategies as st

from chiron.protocols.http3 import (
    Aborted,
    BodyReceived,
    Closed,
    ErrorCode,
    Event,
    GoawayReceived,
    LocalProtocolError,
    Priority,
    RequestReceived,
    ResponseReceived,
    SettingsReceived,
    TrailersReceived,
    Writable,
)
from chiron.protocols.quic import varint
from chiron.protocols.quic.endpoint import HIGH_WATER, Ending, Kind

HOST = ("host", "chiron.test")
POST = [(b":method", b"POST"), *GET[1:]]
WEBSOCKET = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), *GET[1:], (b"sec-websocket-version", b"13")]


def joined(events: Iterable[Event]) -> list[Event]:
    """Events with neighbouring pieces of a body in one."""
    whole: list[Event] = []
    for event in events:
        last = whole[-1] if whole else None
        if isinstance(event, BodyReceived) and isinstance(last, BodyReceived) and last.stream == event.stream:
            whole[-1] = BodyReceived(event.stream, last.data + event.data, event.end)
        else:
            whole.append(event)
    return whole


def refused(fields: list[tuple[bytes, bytes]]) -> int | None:
    """The code with which a request's stream is reset; None when the request is taken."""
    client = RawClient()
    stream, told = client.request(head(fields), True)
    assert client.closed is None
    code = client.server_endpoint.resets.get(stream)
    assert (code is None) is (len(told) == 1)
    return code


# --- requests and responses ------------------------------------------------------------------------------------------


def test_a_get_and_its_answer() -> None:
    pair = Pair()
    assert pair.answered() == [SettingsReceived(True, True)]
    stream = pair.client.request("GET", "https", "chiron.test", "/a?b=1", [("x-y", "z")])
    (request,) = pair.served()
    assert request == RequestReceived(
        stream, "GET", "https", "chiron.test", "/a?b=1", None, [HOST, ("x-y", "z")], True, False
    )
    assert pair.server.respond(stream, 200, [("content-type", "text/plain")], b"hello")
    assert pair.server.requests == 0
    assert pair.answered() == [
        ResponseReceived(stream, 200, [("content-type", "text/plain"), ("content-length", "5")], False),
        BodyReceived(stream, b"hello", True),
    ]
    assert pair.client.requests == 0


def test_bodies_stream_both_ways_at_once() -> None:
    pair = Pair()
    stream = pair.client.request("POST", "https", "chiron.test", "/", end=False)
    pair.served()
    pair.answered()
    pair.server.respond(stream, 200, [], end=False)
    for piece in (b"a", b"b" * 1000):
        pair.client.send_data(stream, piece)
        assert pair.served() == [BodyReceived(stream, piece, False)]
        pair.server.send_data(stream, piece)
        assert joined(pair.answered())[-1] == BodyReceived(stream, piece, False)
    pair.client.send_data(stream, b"", end=True)
    assert pair.served() == [BodyReceived(stream, b"", True)]
    assert pair.server.requests == 1
    pair.server.send_data(stream, b"z", end=True)
    assert pair.answered() == [BodyReceived(stream, b"z", True)]
    assert pair.server.requests == pair.client.requests == 0


def test_rfc9114_4_1_trailers_end_a_message() -> None:
    pair = Pair()
    stream = pair.client.request("POST", "https", "chiron.test", "/", end=False)
    pair.client.send_data(stream, b"body")
    pair.client.send_trailers(stream, [("x-sum", "1")])
    assert pair.served()[1:] == [BodyReceived(stream, b"body", False), TrailersReceived(stream, [("x-sum", "1")])]
    pair.server.respond(stream, 200, [], b"answer", end=False)
    pair.server.send_trailers(stream, [("x-sum", "2")])
    assert pair.answered()[-2:] == [BodyReceived(stream, b"answer", False), TrailersReceived(stream, [("x-sum", "2")])]
    assert pair.server.requests == pair.client.requests == 0


def test_rfc9110_9_3_2_head_has_the_headers_of_get_and_no_body() -> None:
    pair = Pair()
    stream = pair.client.request("HEAD", "https", "chiron.test", "/")
    pair.served()
    pair.server.respond(stream, 200, [], b"hello")
    assert pair.answered()[1:] == [ResponseReceived(stream, 200, [("content-length", "5")], True)]


@pytest.mark.parametrize("status", [204, 304])
def test_rfc9110_8_6_no_content_length_where_there_is_no_content(status: int) -> None:
    pair = Pair()
    stream = pair.get()
    pair.served()
    pair.server.respond(stream, status, [])
    assert pair.answered()[1:] == [ResponseReceived(stream, status, [], True)]


def test_rfc9110_8_6_304_may_tell_the_length_that_200_would_have() -> None:
    pair = Pair()
    stream = pair.get()
    pair.served()
    pair.server.respond(stream, 304, [("content-length", "7")])
    assert pair.answered()[1:] == [ResponseReceived(stream, 304, [("content-length", "7")], True)]


def test_rfc9114_4_1_interim_responses_precede_the_final_one() -> None:
    pair = Pair()
    stream = pair.get()
    pair.served()
    pair.server.respond(stream, 103, [("link", "</a.css>; rel=preload")])
    pair.server.respond(stream, 200, [])
    assert pair.answered()[1:] == [ResponseReceived(stream, 200, [("content-length", "0")], True)]


def test_rfc9110_10_1_1_continue_is_sent_for_a_body_that_is_taken() -> None:
    pair = Pair()
    stream = pair.client.request("POST", "https", "chiron.test", "/", [("expect", "100-continue")], end=False)
    pair.served()
    assert pair.server_endpoint.sends > 0
    assert pair.client.requests == 1
    pair.client.send_data(stream, b"x", end=True)
    assert pair.served() == [BodyReceived(stream, b"x", True)]


def test_rfc9114_4_2_fields_of_a_connection_are_not_sent() -> None:
    pair = Pair()
    stream = pair.get()
    pair.served()
    pair.server.respond(stream, 200, [("connection", "close"), ("X-Y", "z"), ("transfer-encoding", "chunked")])
    assert pair.answered()[1:] == [ResponseReceived(stream, 200, [("x-y", "z"), ("content-length", "0")], True)]


@pytest.mark.parametrize("field", [("x-y", "a\r\nb: c"), ("x-y", "a\0b"), ("x y", "z"), (":status", "500"), ("", "z")])
def test_rfc9114_10_3_our_own_fields_hold_nothing_that_another_version_would_read(field: tuple[str, str]) -> None:
    pair = Pair()
    stream = pair.get()
    pair.served()
    with pytest.raises(LocalProtocolError):
        pair.server.respond(stream, 200, [field])
    pair.server.respond(stream, 200, [("x-y", "tab\tand \xe9")])
    assert ("x-y", "tab\tand \xe9") in [
        f for e in pair.answered() if isinstance(e, ResponseReceived) for f in e.headers
    ]


def test_rfc9114_4_1_a_response_before_the_end_of_its_request_stops_the_rest() -> None:
    pair = Pair()
    stream = pair.client.request("POST", "https", "chiron.test", "/", end=False)
    pair.client.send_data(stream, b"part")
    pair.served()
    pair.server.respond(stream, 401, [])
    assert pair.server_endpoint.stopped == {stream: ErrorCode.H3_NO_ERROR}
    assert pair.server.requests == 0
    assert isinstance(pair.answered()[-1], ResponseReceived)
    pair.client.send_data(stream, b"more", end=True)
    assert pair.served() == []
    assert pair.client.requests == 0


def test_rfc9001_9_2_a_request_before_the_handshakes_end_is_early() -> None:
    client = RawClient(connected=False)
    _, (first,) = client.request(head(GET), True)
    client.server_endpoint.events.append((CONNECTION, Kind.CONNECTED, 0, b"", 1))
    _, (second,) = client.request(head(GET), True)
    assert isinstance(first, RequestReceived)
    assert isinstance(second, RequestReceived)
    assert first.early
    assert not second.early


# --- backpressure ----------------------------------------------------------------------------------------------------


def test_sending_stops_above_high_water_and_goes_on_at_writable() -> None:
    pair = Pair()
    stream = pair.get()
    pair.served()
    assert not pair.server.respond(stream, 200, [], bytes(HIGH_WATER), end=False)
    assert pair.served() == [Writable(stream)]
    assert pair.server.send_data(stream, b"z", end=True)


def test_a_paused_request_leaves_its_client_without_credit() -> None:
    pair = Pair()
    stream = pair.client.request("POST", "https", "chiron.test", "/", end=False)
    pair.served()
    pair.server.pause(stream)
    pair.client.send_data(stream, b"body", end=True)
    assert pair.served() == []
    assert pair.client_endpoint.buffered(CONNECTION, stream) > 0
    pair.server.resume(stream)
    assert pair.served() == [BodyReceived(stream, b"body", True)]


def test_a_blocked_head_gives_its_client_no_credit_until_it_is_decoded() -> None:
    """A head that refers to an insertion which has not come (RFC 9204 §2.1.2)."""
    client = RawClient()
    # Required Insert Count 1 (encoded 2), base 1: the first dynamic entry.
    block = b"\x02\x00\xd1\xd7\x50\x0bchiron.test\xc1\x80"
    stream, told = client.request(frame(0x01, block) + frame(0x00, b"body"))
    assert told == []
    assert stream in client.server_endpoint.paused
    assert client.server.deadline() == 110.0
    # Set the capacity to 220, insert `x-y: z` (RFC 9204 §4.3).
    _, told = client.open(b"\x02\x3f\xbd\x01" + b"\x43x-y\x01z")
    (request, body) = told
    assert isinstance(request, RequestReceived)
    assert request.headers == [HOST, ("x-y", "z")]
    assert body == BodyReceived(stream, b"body", False)
    assert stream not in client.server_endpoint.paused


def test_a_whole_request_whose_head_is_blocked_waits_for_the_encoder_stream() -> None:
    client = RawClient()
    block = b"\x02\x00\xd1\xd7\x50\x0bchiron.test\xc1\x80"
    first, told = client.request(frame(0x01, block), True)
    second, also = client.request(frame(0x01, block), True)
    assert told == also == []
    _, told = client.open(b"\x02\x3f\xbd\x01" + b"\x43x-y\x01z")
    assert [(event.stream, event.headers, event.end) for event in told if isinstance(event, RequestReceived)] == [
        (first, [HOST, ("x-y", "z")], True),
        (second, [HOST, ("x-y", "z")], True),
    ]
    client.server.respond(first, 200, [])
    client.server.respond(second, 200, [])
    assert client.server.requests == 0
    assert client.server.deadline() is None


# --- cancelling ------------------------------------------------------------------------------------------------------


def test_rfc9114_4_1_1_a_cancelled_request_is_told_once() -> None:
    client = RawClient()
    stream, _ = client.request(head(POST))
    client.endpoint.reset(CONNECTION, stream, ErrorCode.H3_REQUEST_CANCELLED)
    client.endpoint.stop(CONNECTION, stream, ErrorCode.H3_REQUEST_CANCELLED)
    assert client.serve() == [Aborted(stream, ErrorCode.H3_REQUEST_CANCELLED)]
    assert client.server_endpoint.resets[stream] == ErrorCode.H3_REQUEST_CANCELLED
    assert client.server.respond(stream, 200, [], b"late")
    assert client.server.requests == 0


def test_a_response_that_is_not_wanted_any_more_is_aborted() -> None:
    pair = Pair()
    stream = pair.get()
    pair.served()
    pair.server.respond(stream, 200, [], bytes(10), end=False)
    pair.client.reset(stream, ErrorCode.H3_REQUEST_CANCELLED)
    assert pair.served() == [Aborted(stream, ErrorCode.H3_REQUEST_CANCELLED)]
    assert pair.client.requests == pair.server.requests == 0


def test_a_server_that_gives_up_aborts_the_clients_request() -> None:
    pair = Pair()
    stream = pair.get()
    pair.served()
    pair.server.reset(stream, ErrorCode.H3_INTERNAL_ERROR)
    assert pair.answered()[1:] == [Aborted(stream, ErrorCode.H3_INTERNAL_ERROR)]


def test_rfc9114_4_1_a_request_that_ends_before_its_head_is_request_incomplete() -> None:
    for data in (b"", frame(0x21, b"")):
        client = RawClient()
        stream, told = client.request(data, True)
        assert told == []
        assert client.server_endpoint.resets == {stream: ErrorCode.H3_REQUEST_INCOMPLETE}
        assert client.closed is None
    client = RawClient()
    stream, _ = client.request(b"\x01")
    client.endpoint.reset(CONNECTION, stream, ErrorCode.H3_REQUEST_CANCELLED)
    client.turn()
    assert client.server_endpoint.resets == {stream: ErrorCode.H3_REQUEST_INCOMPLETE}
    assert client.server.requests == 0


def test_rfc9114_7_1_a_frame_that_the_end_cuts_off_is_frame_error() -> None:
    for data in (b"\x40", b"\x01", b"\x01\x05ab", head(GET) + b"\x00\x05ab"):
        client = RawClient()
        client.request(data, True)
        assert client.closed == ErrorCode.H3_FRAME_ERROR


# --- what a message may say ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        [*GET, (b"X-Y", b"z")],
        [*GET, (b"x y", b"z")],
        [*GET, (b"x:y", b"z")],
        [*GET, (b"x-y", b"a\rb")],
        [*GET, (b"x-y", b"a\nb")],
        [*GET, (b"x-y", b"a\0b")],
        [*GET, (b"x-y", b" a")],
        [*GET, (b"x-y", b"a\t")],
        [*GET, (b"x-y", b"a\x7fb")],
    ],
)
def test_rfc9114_4_2_fields_with_characters_that_they_must_not_have(fields: list[tuple[bytes, bytes]]) -> None:
    assert refused(fields) == ErrorCode.H3_MESSAGE_ERROR


@pytest.mark.parametrize("name", [b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"])
def test_rfc9114_4_2_fields_of_a_connection_are_malformed(name: bytes) -> None:
    assert refused([*GET, (name, b"x")]) == ErrorCode.H3_MESSAGE_ERROR


def test_rfc9114_4_2_te_may_say_trailers_alone() -> None:
    assert refused([*GET, (b"te", b"trailers")]) is None
    assert refused([*GET, (b"te", b"trailers, deflate")]) == ErrorCode.H3_MESSAGE_ERROR


def test_rfc9114_4_2_1_crumbs_of_cookies_are_joined() -> None:
    client = RawClient()
    fields = [*GET, (b"cookie", b"a=1"), (b"x-y", b"z"), (b"cookie", b"b=2")]
    _, (request,) = client.request(head(fields), True)
    assert isinstance(request, RequestReceived)
    assert request.headers == [HOST, ("cookie", "a=1; b=2"), ("x-y", "z")]


@pytest.mark.parametrize(
    "fields",
    [
        GET[1:],
        [GET[0], *GET[2:]],
        [*GET[:2], GET[3]],
        GET[:3],
        [*GET, GET[3]],
        [(b":status", b"200"), *GET],
        [*GET[:3], (b"x", b"y"), GET[3]],
        [*GET[:2], (b":authority", b""), GET[3]],
        [*GET[:2], (b":authority", b"user@chiron.test"), GET[3]],
        [*GET[:3], (b":path", b"")],
        [*GET[:3], (b":path", b"a")],
        [*GET[:3], (b":path", b"*")],
        [*GET[:3], (b":path", b"/a#b")],
        [*GET[:3], (b":path", b"/a b")],
        [(b":method", b"G T"), *GET[1:]],
        [GET[0], (b":scheme", b"1"), *GET[2:]],
        [(b":protocol", b"websocket"), *GET],
    ],
)
def test_rfc9114_4_3_1_pseudo_headers_of_a_request(fields: list[tuple[bytes, bytes]]) -> None:
    assert refused(fields) == ErrorCode.H3_MESSAGE_ERROR


def test_rfc9114_4_3_1_host_stands_in_for_authority_and_must_agree_with_it() -> None:
    client = RawClient()
    host = (b"host", b"chiron.test")
    _, (request,) = client.request(head([*GET[:2], GET[3], host]), True)
    assert isinstance(request, RequestReceived)
    assert (request.authority, request.headers) == ("chiron.test", [("host", "chiron.test")])
    assert refused([*GET, host]) is None
    assert refused([*GET, (b"host", b"other.test")]) == ErrorCode.H3_MESSAGE_ERROR
    assert refused([*GET, host, host]) == ErrorCode.H3_MESSAGE_ERROR


def test_rfc9114_4_3_1_options_may_ask_for_the_whole_server() -> None:
    assert refused([(b":method", b"OPTIONS"), *GET[1:3], (b":path", b"*")]) is None


def test_rfc9114_4_4_a_plain_connect_has_no_scheme_or_path_and_is_not_served_here() -> None:
    client = RawClient()
    stream, told = client.request(head([(b":method", b"CONNECT"), GET[2]]))
    assert told == []
    assert client.ended(stream)
    assert client.server_endpoint.resets == {}
    assert refused([(b":method", b"CONNECT"), *GET[1:]]) == ErrorCode.H3_MESSAGE_ERROR


@pytest.mark.parametrize(
    ("lengths", "body", "right"),
    [
        ([b"3"], b"abc", True),
        ([b"3", b"3"], b"abc", True),
        ([b"3, 3"], b"abc", True),
        ([b"3"], b"ab", False),
        ([b"3"], b"abcd", False),
        ([b"0"], b"a", False),
        ([b"1"], b"", False),
        ([b"3", b"4"], b"abc", False),
        ([b"+3"], b"abc", False),
        ([b"3_0"], bytes(30), False),
        ([b""], b"", False),
    ],
)
def test_rfc9114_4_1_2_content_length_is_the_sum_of_all_data(lengths: list[bytes], body: bytes, right: bool) -> None:
    client = RawClient()
    fields = [*POST, *((b"content-length", length) for length in lengths)]
    stream, _ = client.request(head(fields) + frame(0x00, body[:1]) + frame(0x00, body[1:]), True)
    assert client.server_endpoint.resets.get(stream) == (None if right else ErrorCode.H3_MESSAGE_ERROR)
    assert client.closed is None
    aborted = [event for event in client.told if isinstance(event, Aborted)]
    begun = [event for event in client.told if isinstance(event, RequestReceived)]
    assert len(aborted) == (len(begun) if not right else 0)


def test_rfc9114_4_1_trailers_may_be_empty() -> None:
    client = RawClient()
    stream, told = client.request(head(POST) + head([]), True)
    assert told[-1] == TrailersReceived(stream, [])


def test_rfc9114_4_3_trailers_have_no_pseudo_headers() -> None:
    client = RawClient()
    stream, told = client.request(head(POST) + frame(0x00, b"x") + head([(b":path", b"/")]), True)
    assert told[-1] == Aborted(stream, ErrorCode.H3_MESSAGE_ERROR)
    assert client.server_endpoint.resets == {stream: ErrorCode.H3_MESSAGE_ERROR}


@pytest.mark.parametrize(
    "fields",
    [[], [(b":status", b"20")], [(b":status", b"101")], [(b":status", b"200"), (b":path", b"/")], [(b"x", b"y")]],
)
def test_rfc9114_4_3_2_a_client_takes_no_malformed_response(fields: list[tuple[bytes, bytes]]) -> None:
    pair = Pair()
    stream = pair.get()
    pair.served()
    pair.server_endpoint.send(CONNECTION, stream, head(fields), True)
    assert pair.answered()[1:] == [Aborted(stream, ErrorCode.H3_MESSAGE_ERROR)]
    assert pair.client.requests == 0


def test_rfc9114_4_1_a_response_without_a_head_is_malformed() -> None:
    pair = Pair()
    stream = pair.get()
    pair.served()
    pair.server_endpoint.send(CONNECTION, stream, b"", True)
    assert pair.answered()[1:] == [Aborted(stream, ErrorCode.H3_MESSAGE_ERROR)]


# --- tunnels ---------------------------------------------------------------------------------------------------------


def test_rfc9220_3_a_websocket_is_a_connect_with_data_both_ways() -> None:
    pair = Pair()
    stream = pair.client.request("CONNECT", "https", "chiron.test", "/ws", protocol="websocket", end=False)
    (request,) = pair.served()
    assert isinstance(request, RequestReceived)
    assert (request.method, request.protocol, request.end) == ("CONNECT", "websocket", False)
    pair.server.respond(stream, 200, [], end=False)
    assert pair.answered()[-1] == ResponseReceived(stream, 200, [], False)
    pair.client.send_data(stream, b"ping")
    assert pair.served() == [BodyReceived(stream, b"ping", False)]
    pair.server.send_data(stream, b"pong", end=True)
    assert pair.answered() == [BodyReceived(stream, b"pong", True)]
    assert pair.server.requests == 1
    assert pair.server.deadline() is None
    pair.client.send_data(stream, b"bye", end=True)
    assert pair.served() == [BodyReceived(stream, b"bye", True)]
    assert pair.server.requests == pair.client.requests == 0


def test_rfc9220_3_a_websocket_that_is_refused_has_a_body() -> None:
    pair = Pair()
    stream = pair.client.request("CONNECT", "https", "chiron.test", "/ws", protocol="websocket", end=False)
    pair.served()
    pair.server.respond(stream, 401, [], b"no")
    assert pair.answered()[-1] == BodyReceived(stream, b"no", True)
    pair.served()
    assert pair.server.requests == pair.client.requests == 0


def test_rfc9220_3_a_client_waits_for_the_setting() -> None:
    pair = Pair(early=True)
    fresh = type(pair.client)(pair.client_endpoint, CONNECTION, client=True, now=0.0)
    with pytest.raises(LocalProtocolError):
        fresh.request("CONNECT", "https", "chiron.test", "/ws", protocol="websocket")


def test_rfc9114_4_4_headers_in_a_tunnel_are_frame_unexpected() -> None:
    client = RawClient()
    client.request(head(WEBSOCKET) + head([(b"x", b"y")]))
    assert client.closed == ErrorCode.H3_FRAME_UNEXPECTED


@given(st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=5), st.data())
def test_rfc9220_frames_of_a_websocket_are_the_same_however_data_and_bytes_are_cut(
    frames: list[bytes], data: st.DataObject
) -> None:
    client = RawClient()
    sent = head(WEBSOCKET) + b"".join(frame(0x00, piece) for piece in frames)
    stream = client.endpoint.open_stream(CONNECTION, False)
    cuts = sorted({len(sent), *data.draw(st.lists(st.integers(1, len(sent)), max_size=8))})
    begin = 0
    for end in cuts:
        client.send(stream, sent[begin:end], end == len(sent))
        begin = end
    request, *bodies = joined(client.told)
    assert isinstance(request, RequestReceived)
    assert bodies == [BodyReceived(stream, b"".join(frames), True)]


@given(st.data())
def test_a_message_is_the_same_however_it_is_cut(data: st.DataObject) -> None:
    body = data.draw(st.binary(max_size=50))
    fields = [*POST, (b"content-length", str(len(body)).encode())]
    sent = frame(0x21, b"grease") + head(fields)
    for piece in (body[:20], body[20:]):
        sent += frame(0x00, piece) + frame(0x1F * 7 + 0x21, b"")
    if trailers := data.draw(st.booleans()):
        sent += head([(b"x-sum", b"1")])
    client = RawClient()
    stream = client.endpoint.open_stream(CONNECTION, False)
    begin = 0
    for end in sorted({len(sent), *data.draw(st.lists(st.integers(1, len(sent)), max_size=8))}):
        client.send(stream, sent[begin:end])
        begin = end
    client.send(stream, b"", True)
    request, *rest = client.told
    assert isinstance(request, RequestReceived)
    assert request.method == "POST"
    assert b"".join(event.data for event in rest if isinstance(event, BodyReceived)) == body
    assert rest[-1] == (TrailersReceived(stream, [("x-sum", "1")]) if trailers else BodyReceived(stream, b"", True))


# --- the connection --------------------------------------------------------------------------------------------------


def test_rfc9114_5_2_goaway_lets_what_is_open_end_and_rejects_the_rest() -> None:
    pair = Pair()
    first = pair.get()
    pair.served()
    pair.server.goaway()
    second = pair.get()
    assert pair.served() == []
    assert pair.answered()[1:] == [
        GoawayReceived(second),
        Aborted(second, ErrorCode.H3_REQUEST_REJECTED),
    ]
    assert pair.client.draining
    with pytest.raises(LocalProtocolError):
        pair.get()
    pair.server.respond(first, 200, [])
    assert isinstance(pair.answered()[-1], ResponseReceived)
    assert pair.server.requests == 0


def test_rfc9114_5_2_goaway_must_not_grow_or_name_another_kind_of_stream() -> None:
    for identifiers in ((1,), (4, 8)):
        pair = Pair()
        control = 3
        for identifier in identifiers:
            pair.server_endpoint.send(CONNECTION, control, frame(0x07, varint.encode(identifier)))
        pair.turn()
        assert pair.client_endpoint.closed is not None
        assert pair.client_endpoint.closed[0] == ErrorCode.H3_ID_ERROR


def test_a_connection_that_closes_says_so_once() -> None:
    pair = Pair()
    stream = pair.get()
    pair.served()
    pair.server.close(ErrorCode.H3_NO_ERROR, "done")
    assert pair.served() == [Closed(ErrorCode.H3_NO_ERROR, "done", Ending.LOCAL)]
    assert pair.answered()[-1] == Closed(ErrorCode.H3_NO_ERROR, "done", Ending.APPLICATION)
    assert pair.server.respond(stream, 200, [])
    assert pair.client.request("GET", "https", "chiron.test", "/") == -1
    assert pair.server.deadline() is None


def test_rfc9114_6_2_3_unknown_streams_are_stopped_and_unknown_frames_ignored() -> None:
    client = RawClient()
    stream, told = client.open(b"\x21" + b"grease")
    assert told == []
    assert client.server_endpoint.stopped == {stream: ErrorCode.H3_STREAM_CREATION_ERROR}
    client.send(client.control, frame(0x40 * 0x1F + 0x21, bytes(100_000)) + frame(0x0D, b"\x05"))
    _, told = client.request(frame(0x21, bytes(100_000)) + head(GET), True)
    assert len(told) == 1
    client.open(b"\x40", True)
    assert client.closed is None


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x00", ErrorCode.H3_STREAM_CREATION_ERROR),
        (b"\x01\x00", ErrorCode.H3_STREAM_CREATION_ERROR),
    ],
    ids=["second_control", "push"],
)
def test_rfc9114_6_2_streams_that_a_client_must_not_open(data: bytes, code: ErrorCode) -> None:
    client = RawClient()
    client.open(data)
    assert client.closed == code


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(0x07, b""), ErrorCode.H3_FRAME_ERROR),
        (frame(0x07, b"\x00\x00"), ErrorCode.H3_FRAME_ERROR),
        (frame(0x03, b"\x00"), ErrorCode.H3_ID_ERROR),
        (frame(0x0D, b"\x05") + frame(0x0D, b"\x04"), ErrorCode.H3_ID_ERROR),
        (frame(0xF0700, b"\x01u=1"), ErrorCode.H3_ID_ERROR),
        (frame(0xF0701, b"\x00u=1"), ErrorCode.H3_ID_ERROR),
        (frame(0x05, b""), ErrorCode.H3_FRAME_UNEXPECTED),
        (frame(0x02, b""), ErrorCode.H3_FRAME_UNEXPECTED),
    ],
)
def test_rfc9114_7_2_frames_on_the_control_stream(data: bytes, code: ErrorCode) -> None:
    client = RawClient()
    client.send(client.control, data)
    assert client.closed == code


def test_rfc9114_6_2_1_a_reset_of_the_control_stream_is_closed_critical_stream() -> None:
    client = RawClient()
    client.endpoint.reset(CONNECTION, client.control, 0)
    client.serve()
    assert client.closed == ErrorCode.H3_CLOSED_CRITICAL_STREAM
    client = RawClient()
    client.endpoint.stop(CONNECTION, 3, 0)
    client.serve()
    assert client.closed == ErrorCode.H3_CLOSED_CRITICAL_STREAM


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        (b"\x08\x02", ErrorCode.H3_SETTINGS_ERROR),
        (b"\x33\x02", ErrorCode.H3_SETTINGS_ERROR),
        (b"\x06\x01\x06\x01", ErrorCode.H3_SETTINGS_ERROR),
        (b"\x06", ErrorCode.H3_FRAME_ERROR),
    ],
)
def test_rfc9114_7_2_4_1_settings(settings: bytes, code: ErrorCode) -> None:
    assert RawClient(settings=settings).closed == code


def test_rfc9297_2_1_1_datagrams_need_the_transport_parameter() -> None:
    pair = Pair(datagrams=0)
    assert pair.server_endpoint.closed is not None
    assert pair.server_endpoint.closed[0] == ErrorCode.H3_SETTINGS_ERROR


@pytest.mark.parametrize("data", [b"", b"\x40", varint.encode(1 << 60)])
def test_rfc9297_2_1_a_datagram_of_no_stream_is_datagram_error(data: bytes) -> None:
    client = RawClient()
    client.endpoint.send_datagram(CONNECTION, data)
    client.turn()
    assert client.closed == ErrorCode.H3_DATAGRAM_ERROR


def test_rfc9297_2_1_a_datagram_of_a_stream_without_a_session_is_dropped() -> None:
    client = RawClient()
    client.request(head(POST))
    client.endpoint.send_datagram(CONNECTION, b"\x00x")
    assert client.turn() == []
    assert client.closed is None


def test_rfc9114_6_1_a_server_opens_no_bidirectional_stream_that_is_none_of_a_session() -> None:
    pair = Pair()
    pair.server_endpoint.send(CONNECTION, 1, head(GET))
    pair.turn()
    assert pair.client_endpoint.closed is not None
    assert pair.client_endpoint.closed[0] == ErrorCode.H3_STREAM_CREATION_ERROR


def test_rfc9114_4_6_a_push_that_was_not_allowed_is_id_error() -> None:
    for stream, data in ((15, b"\x01\x00"), (0, frame(0x05, b"\x00" + section(GET)))):
        pair = Pair()
        pair.get()
        pair.served()
        pair.server_endpoint.send(CONNECTION, stream, data)
        pair.turn()
        assert pair.client_endpoint.closed is not None
        assert pair.client_endpoint.closed[0] == ErrorCode.H3_ID_ERROR


# --- priorities ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", Priority(3, False)),
        ("u=0", Priority(0, False)),
        ("u=5, i", Priority(5, True)),
        ("i=?0,u=7", Priority(7, False)),
        ("u=1;x=2 , other=3, i=?1", Priority(1, True)),
        ("u=8, i", Priority(3, True)),
        ("u=-1", Priority(3, False)),
        ("u", Priority(3, False)),
        ("?, u=1", Priority(3, False)),
    ],
)
def test_rfc9218_4_priorities_are_read(value: str, expected: Priority) -> None:
    pair = Pair()
    stream = pair.client.request("GET", "https", "chiron.test", "/", [("priority", value)])
    pair.served()
    assert pair.server.priority(stream) == expected


def test_rfc9218_7_an_update_counts_from_when_it_comes_and_may_come_first() -> None:
    client = RawClient()
    fields = head([*GET, (b"priority", b"u=5")])
    stream, _ = client.request(fields, True)
    assert client.server.priority(stream) == Priority(5, False)
    client.send(client.control, frame(0xF0700, varint.encode(stream) + b"u=1"))
    assert client.server.priority(stream) == Priority(1, False)
    client.send(client.control, frame(0xF0700, varint.encode(stream + 4) + b"u=2, i"))
    later, _ = client.request(fields, True)
    assert client.server.priority(later) == Priority(2, True)


def test_rfc9218_7_2_an_update_on_a_request_stream_is_frame_unexpected() -> None:
    client = RawClient()
    client.request(frame(0xF0700, b"\x00u=1"))
    assert client.closed == ErrorCode.H3_FRAME_UNEXPECTED
