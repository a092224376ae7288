"""WebTransport sessions (draft-ietf-webtrans-http3-02), both halves of HTTP/3 against each other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from http3_pair import CONNECTION, Pair, RawClient, frame, head
from hypothesis import given
from hypothesis import strategies as st

from chiron.protocols.http3 import (
    Aborted,
    ErrorCode,
    Event,
    Limits,
    LocalProtocolError,
    RequestReceived,
    ResponseReceived,
    SessionClosed,
    SessionData,
    SessionDatagram,
    SessionStream,
    SessionStreamAborted,
)
from chiron.protocols.quic import varint
from chiron.protocols.webtransport import Limits as SessionLimits
from chiron.protocols.webtransport import capsules, draft02

CONNECT = head(
    [
        (b":method", b"CONNECT"),
        (b":protocol", b"webtransport"),
        (b":scheme", b"https"),
        (b":authority", b"chiron.test"),
        (b":path", b"/v1/realtime"),
        (b"sec-webtransport-http3-draft02", b"1"),
        (b"origin", b"https://chiron.test"),
    ]
)
"""As Chromium sends it."""
SETTINGS = varint.encode(draft02.SETTING_ENABLE) + b"\x01\x33\x01\x08\x01"


def asked(pair: Pair) -> int:
    return pair.client.request("CONNECT", "https", "chiron.test", "/v1/realtime", protocol="webtransport", end=False)


def opened(pair: Pair) -> int:
    """A session that both sides know of."""
    session = asked(pair)
    (request,) = pair.served()
    assert isinstance(request, RequestReceived)
    assert pair.server.accept_session(session) == []
    (answer,) = pair.answered()[-1:]
    assert isinstance(answer, ResponseReceived)
    return session


def test_draft02_3_3_a_session_is_a_connect_that_is_accepted() -> None:
    pair = Pair()
    session = asked(pair)
    (request,) = pair.served()
    assert isinstance(request, RequestReceived)
    assert (request.method, request.protocol, request.path) == ("CONNECT", "webtransport", "/v1/realtime")
    assert ("sec-webtransport-http3-draft02", "1") in request.headers
    assert pair.server.accept_session(session, [("x-y", "z")]) == []
    assert pair.answered()[-1] == ResponseReceived(
        session, 200, [("sec-webtransport-http3-draft", "draft02"), ("x-y", "z")], False
    )


def test_draft02_4_streams_both_ways_opened_by_each() -> None:
    pair = Pair()
    session = opened(pair)
    for mine, his, told in ((pair.client, pair.server, pair.served), (pair.server, pair.client, pair.answered)):
        stream = mine.open_session_stream(session, False)
        assert mine.send_stream(stream, b"there")
        assert told() == [SessionStream(session, stream, True), SessionData(session, stream, b"there", False)]
        his.send_stream(stream, b"and back", True)
        back = pair.answered() if told == pair.served else pair.served()
        assert back == [SessionData(session, stream, b"and back", True)]
        mine.send_stream(stream, b"", True)
        assert told() == [SessionData(session, stream, b"", True)]
        single = mine.open_session_stream(session, True)
        mine.send_stream(single, b"one way", True)
        assert told() == [SessionStream(session, single, False), SessionData(session, single, b"one way", True)]


def test_draft02_4_4_datagrams() -> None:
    pair = Pair()
    session = opened(pair)
    assert pair.client.max_session_datagram(session) == 1199
    assert pair.client.send_session_datagram(session, b"a")
    assert pair.served() == [SessionDatagram(session, b"a")]
    assert pair.server.send_session_datagram(session, b"")
    assert pair.answered() == [SessionDatagram(session, b"")]
    assert not pair.server.send_session_datagram(session, bytes(1200))
    assert not pair.server.send_session_datagram(session + 4, b"a")


def test_rfc9297_3_5_datagrams_in_capsules() -> None:
    client = RawClient(settings=SETTINGS)
    session, _ = client.request(CONNECT)
    client.server.accept_session(session)
    data = capsules.encode(capsules.DATAGRAM, b"a") + capsules.encode(0x1234, bytes(300)) + capsules.encode(0, b"b")
    assert client.send(session, frame(0x00, data)) == [SessionDatagram(session, b"a"), SessionDatagram(session, b"b")]


def test_draft02_5_a_close_has_code_and_reason_and_ends_all_streams() -> None:
    pair = Pair()
    session = opened(pair)
    stream = pair.client.open_session_stream(session, False)
    pair.client.send_stream(stream, b"x")
    pair.served()
    pair.server.close_session(session, 7, "bye – für heute")
    assert pair.server.requests == 0
    assert pair.answered()[-1] == SessionClosed(session, 7, "bye – für heute", True)
    assert pair.client.requests == 0
    assert pair.server_endpoint.resets[stream] == draft02.SESSION_GONE
    assert pair.server_endpoint.stopped[stream] == draft02.SESSION_GONE
    assert pair.client_endpoint.sending[session].fin
    assert pair.client.open_session_stream(session, True) == -1
    assert pair.served() == []


def test_draft02_5_a_reason_is_cut_to_1024_bytes_between_characters() -> None:
    pair = Pair()
    session = opened(pair)
    pair.client.close_session(session, 1, "é" * 1023)
    assert pair.served() == [SessionClosed(session, 1, "é" * 512, True)]


def test_draft02_5_the_end_of_the_connect_stream_is_code_0() -> None:
    client = RawClient(settings=SETTINGS)
    session, _ = client.request(CONNECT)
    client.server.accept_session(session)
    assert client.send(session, b"", True) == [SessionClosed(session, 0, "", True)]
    assert client.ended(session)
    assert client.server.requests == 0


def test_draft02_5_a_session_whose_connect_stream_is_reset_did_not_end_cleanly() -> None:
    client = RawClient(settings=SETTINGS)
    session, _ = client.request(CONNECT)
    client.server.accept_session(session)
    stream, _ = client.request(draft02.stream_header(session, unidirectional=False))
    client.endpoint.reset(CONNECTION, session, ErrorCode.H3_REQUEST_CANCELLED)
    assert client.serve() == [SessionClosed(session, 0, "", False)]
    assert client.server_endpoint.resets[stream] == draft02.SESSION_GONE


@pytest.mark.parametrize(
    "data",
    [
        capsules.encode(draft02.CAPSULE_CLOSE, b"abc"),
        capsules.encode(draft02.CAPSULE_CLOSE, bytes(4 + 1025)),
        b"\x00\x05ab",
    ],
    ids=["no_code", "reason_too_long", "cut_off"],
)
def test_rfc9297_3_3_a_malformed_capsule_ends_the_session_with_message_error(data: bytes) -> None:
    client = RawClient(settings=SETTINGS)
    session, _ = client.request(CONNECT)
    client.server.accept_session(session)
    assert client.send(session, frame(0x00, data), True) == [SessionClosed(session, 0, "", False)]
    assert client.server_endpoint.resets[session] == ErrorCode.H3_MESSAGE_ERROR
    assert client.closed is None


def test_draft02_4_3_resets_carry_the_applications_code() -> None:
    pair = Pair()
    session = opened(pair)
    stream = pair.client.open_session_stream(session, False)
    pair.client.send_stream(stream, b"x")
    pair.served()
    pair.client.reset_stream(stream, 42)
    assert pair.served() == [SessionStreamAborted(session, stream, 42, False)]
    pair.client.stop_stream(stream, 43)
    assert pair.served() == [SessionStreamAborted(session, stream, 43, True)]
    assert pair.client_endpoint.resets[stream] == draft02.to_http_code(42)
    assert pair.server_endpoint.resets[stream] == draft02.to_http_code(43)


# --- what comes before the session -----------------------------------------------------------------------------------


def test_draft02_4_5_streams_before_the_answer_wait_for_it() -> None:
    client = RawClient(settings=SETTINGS)
    session, _ = client.request(CONNECT)
    stream, told = client.request(draft02.stream_header(session, unidirectional=False) + b"early")
    assert told == []
    assert stream in client.server_endpoint.paused
    client.endpoint.send_datagram(CONNECTION, varint.encode(session // 4) + b"d")
    assert client.turn() == []
    assert client.server.accept_session(session) == [
        SessionStream(session, stream, True),
        SessionData(session, stream, b"early", False),
        SessionDatagram(session, b"d"),
    ]
    assert stream not in client.server_endpoint.paused
    assert client.send(stream, b"on time") == [SessionData(session, stream, b"on time", False)]


def test_draft02_4_5_streams_before_the_request_wait_for_it() -> None:
    client = RawClient(settings=SETTINGS)
    session = client.endpoint.open_stream(CONNECTION, False)
    stream, _ = client.open(draft02.stream_header(session, unidirectional=True) + b"early", True)
    client.send(session, CONNECT)
    assert client.server.accept_session(session) == [
        SessionStream(session, stream, False),
        SessionData(session, stream, b"early", True),
    ]


def test_draft02_4_5_too_many_early_streams_are_refused() -> None:
    client = RawClient(Limits(webtransport=SessionLimits(early_streams=2)), settings=SETTINGS)
    session, _ = client.request(CONNECT)
    header = draft02.stream_header(session, unidirectional=False)
    streams = [client.request(header + b"x")[0] for _ in range(3)]
    assert client.server_endpoint.resets == {streams[2]: draft02.BUFFERED_STREAM_REJECTED}
    assert client.server_endpoint.stopped == {streams[2]: draft02.BUFFERED_STREAM_REJECTED}
    assert len(client.server.accept_session(session)) == 4
    stream, told = client.request(header)
    assert told == [SessionStream(session, stream, True)]


def test_draft02_4_5_too_many_early_bytes_are_refused() -> None:
    client = RawClient(Limits(webtransport=SessionLimits(early_bytes=10)), settings=SETTINGS)
    session, _ = client.request(CONNECT)
    header = draft02.stream_header(session, unidirectional=True)
    kept, _ = client.open(header + bytes(6))
    lost, _ = client.open(header + bytes(6))
    assert client.server_endpoint.stopped == {lost: draft02.BUFFERED_STREAM_REJECTED}
    assert client.server.accept_session(session) == [
        SessionStream(session, kept, False),
        SessionData(session, kept, bytes(6), False),
    ]


def test_a_session_that_is_expected_and_does_not_come_is_given_up() -> None:
    client = RawClient(settings=SETTINGS)
    session = client.endpoint.open_stream(CONNECTION, False)
    stream, _ = client.request(draft02.stream_header(session, unidirectional=False))
    assert client.server.deadline() == 110.0
    assert client.expire(110.0) == []
    assert client.server_endpoint.resets[stream] == draft02.BUFFERED_STREAM_REJECTED
    assert client.server.deadline() is None


def test_a_session_that_is_refused_takes_its_early_streams_along() -> None:
    client = RawClient(settings=SETTINGS)
    session, _ = client.request(CONNECT)
    stream, _ = client.request(draft02.stream_header(session, unidirectional=False) + b"x")
    client.server.respond(session, 403, [])
    assert client.server_endpoint.resets == {stream: draft02.BUFFERED_STREAM_REJECTED}
    _, told = client.request(draft02.stream_header(session, unidirectional=False) + b"x")
    assert told == []


def test_draft02_5_a_stream_for_a_session_that_is_over_is_session_gone() -> None:
    client = RawClient(settings=SETTINGS)
    session, _ = client.request(CONNECT)
    client.server.accept_session(session)
    client.send(session, b"", True)
    stream, told = client.request(draft02.stream_header(session, unidirectional=False) + b"x")
    assert told == []
    assert client.server_endpoint.resets[stream] == draft02.SESSION_GONE


@pytest.mark.parametrize("session", [1, 2, 3])
def test_draft02_4_a_session_that_no_stream_can_have_is_id_error(session: int) -> None:
    client = RawClient(settings=SETTINGS)
    client.request(draft02.stream_header(session, unidirectional=False))
    assert client.closed == ErrorCode.H3_ID_ERROR


def test_capsules_before_the_answer_wait_for_it() -> None:
    client = RawClient(settings=SETTINGS)
    close = capsules.encode(draft02.CAPSULE_CLOSE, b"\0\0\0\x05why")
    session, told = client.request(CONNECT + frame(0x00, close), True)
    assert len(told) == 1
    assert client.server.accept_session(session) == [SessionClosed(session, 5, "why", True)]
    assert client.server.requests == 0


def test_a_session_that_the_client_gives_up_before_the_answer_is_aborted() -> None:
    client = RawClient(settings=SETTINGS)
    session, _ = client.request(CONNECT)
    client.endpoint.reset(CONNECTION, session, ErrorCode.H3_REQUEST_CANCELLED)
    assert client.serve() == [Aborted(session, ErrorCode.H3_REQUEST_CANCELLED)]
    assert client.server.accept_session(session) == []


def test_the_client_hears_of_the_session_before_the_servers_first_stream() -> None:
    pair = Pair()
    session = asked(pair)
    pair.served()
    pair.server.accept_session(session)
    stream = pair.server.open_session_stream(session, True)
    pair.server.send_stream(stream, b"hello", True)
    sending = pair.server_endpoint.sending.pop(session)
    pair.client_told.clear()
    assert pair.answered() == []
    pair.server_endpoint.sending[session] = sending
    answer, *rest = pair.answered()
    assert isinstance(answer, ResponseReceived)
    assert rest == [SessionStream(session, stream, False), SessionData(session, stream, b"hello", True)]


# --- limits ----------------------------------------------------------------------------------------------------------


def test_one_session_too_many_is_429() -> None:
    pair = Pair(Limits(webtransport=SessionLimits(sessions=2)))
    first = opened(pair)
    opened(pair)
    third = asked(pair)
    assert pair.served() == []
    (answer,) = pair.answered()[:1]
    assert isinstance(answer, ResponseReceived)
    assert (answer.stream, answer.status) == (third, 429)
    pair.client.close_session(first)
    pair.served()
    opened(pair)


def test_one_stream_too_many_is_refused_until_another_ends() -> None:
    pair = Pair(Limits(webtransport=SessionLimits(streams=1)))
    session = opened(pair)
    first = pair.client.open_session_stream(session, True)
    second = pair.client.open_session_stream(session, True)
    assert pair.served() == [SessionStream(session, first, False)]
    pair.client.send_stream(first, b"", True)
    pair.served()
    assert pair.server_endpoint.stopped == {second: draft02.BUFFERED_STREAM_REJECTED}
    third = pair.client.open_session_stream(session, True)
    assert pair.served() == [SessionStream(session, third, False)]


def test_our_own_mistakes_are_told() -> None:
    pair = Pair()
    session = asked(pair)
    pair.served()
    with pytest.raises(LocalProtocolError):
        pair.server.respond(session, 200, [])
    pair.server.accept_session(session)
    with pytest.raises(LocalProtocolError):
        pair.server.accept_session(session)
    plain = pair.get()
    pair.served()
    with pytest.raises(LocalProtocolError):
        pair.server.accept_session(plain)


# --- however it is cut -----------------------------------------------------------------------------------------------


def joined(events: Sequence[Event]) -> list[object]:
    """Events with the data of each stream in one piece."""
    data: dict[int, bytes] = {}
    ends: set[int] = set()
    others: list[object] = []
    for event in events:
        if isinstance(event, SessionData):
            data[event.stream] = data.get(event.stream, b"") + event.data
            if event.end:
                ends.add(event.stream)
        else:
            others.append(event)
    return [others, data, ends]


@given(st.data())
def test_streams_of_a_session_are_the_same_however_their_bytes_are_cut(data: st.DataObject) -> None:
    client = RawClient(settings=SETTINGS)
    session, _ = client.request(CONNECT)
    client.server.accept_session(session)
    bidirectional, body = data.draw(st.booleans()), data.draw(st.binary(max_size=40))
    sent = draft02.stream_header(session, unidirectional=not bidirectional) + body
    cuts = sorted({0, len(sent), *data.draw(st.lists(st.integers(0, len(sent)), max_size=6))})
    stream = client.endpoint.open_stream(CONNECTION, not bidirectional)
    told: list[Event] = []
    for begin, end in pairwise(cuts):
        told += client.send(stream, sent[begin:end], end == len(sent))
    assert joined(told) == [[SessionStream(session, stream, bidirectional)], {stream: body}, {stream}]
