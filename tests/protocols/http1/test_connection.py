"""HTTP/1 without a socket: what a client sends, and what it is told."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiron.protocols.http1 import (
    Aborted,
    Connection,
    Event,
    Finished,
    Limits,
    LocalProtocolError,
    Refused,
    Request,
    State,
)

GET = b"GET /a HTTP/1.1\r\nHost: chiron.test\r\n\r\n"


def fed(data: bytes, limits: Limits | None = None) -> tuple[Connection, list[Event]]:
    connection = Connection(0.0, limits)
    return connection, connection.receive(data, 0.0)


def refusal(data: bytes, limits: Limits | None = None) -> str:
    """The code that the client of `data` is told, whose connection then closes."""
    connection, events = fed(data, limits)
    (event,) = events
    assert isinstance(event, Refused), event
    connection.respond(event.error.row.status, [], b"{}", 0.0)
    answer = connection.to_send(0.0)
    assert answer.startswith(b"HTTP/1.1 %d " % event.error.row.status)
    assert b"connection: close\r\n" in answer.lower()
    assert connection.state is State.CLOSED
    return event.error.code


def answered(connection: Connection, body: bytes = b"ok", status: int = 200, **kwargs: bool) -> bytes:
    connection.respond(status, [("content-type", "text/plain")], body, 0.0, **kwargs)
    return connection.to_send(0.0)


# --- requests --------------------------------------------------------------------------------------------------------


def test_a_request_is_delivered_whole() -> None:
    _, events = fed(b"POST /a?b=1 HTTP/1.1\r\nHost: h\r\nX-Y:  z \r\nContent-Length: 3\r\n\r\nabc")
    assert events == [Request("POST", "/a?b=1", (("host", "h"), ("x-y", "z"), ("content-length", "3")), b"abc", "1.1")]


def test_an_answer_is_framed_and_the_connection_goes_on() -> None:
    connection, _ = fed(GET)
    assert answered(connection) == b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok"
    assert connection.state is State.IDLE
    assert len(connection.receive(GET, 1.0)) == 1


def test_rfc9112_9_3_2_pipelined_requests_come_one_at_a_time_in_order() -> None:
    connection, events = fed(GET + GET.replace(b"/a", b"/b") + GET.replace(b"/a", b"/c"))
    seen = []
    while events:
        (event,) = events
        assert isinstance(event, Request)
        seen.append(event.target)
        assert connection.paused is (event.target != "/c")
        events = connection.respond(200, [], b"", 0.0)
    assert seen == ["/a", "/b", "/c"]


def test_rfc9110_9_3_2_head_has_the_headers_of_get_and_no_body() -> None:
    connection, _ = fed(GET.replace(b"GET", b"HEAD"))
    answer = answered(connection, b"hello")
    assert b"content-length: 5\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")
    assert connection.state is State.IDLE


@pytest.mark.parametrize("status", [204, 304])
def test_rfc9110_8_6_no_content_length_where_there_is_no_content(status: int) -> None:
    connection, _ = fed(GET)
    assert b"content-length" not in answered(connection, b"", status)
    assert connection.state is State.IDLE


def test_rfc9112_9_6_connection_close_is_honoured() -> None:
    connection, _ = fed(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + GET)
    assert b"connection: close" in answered(connection).lower()
    assert connection.state is State.CLOSED
    assert connection.receive(GET, 0.0) == []


def test_an_owner_that_drains_closes_with_the_answer() -> None:
    connection, _ = fed(GET)
    assert b"connection: close" in answered(connection, close=True)
    assert connection.state is State.CLOSED


def test_rfc9112_9_3_http_1_0_closes_after_the_answer() -> None:
    connection, events = fed(b"GET / HTTP/1.0\r\n\r\n")
    assert events == [Request("GET", "/", (), b"", "1.0")]
    assert b"connection: close" in answered(connection).lower()
    assert connection.state is State.CLOSED


def test_rfc9110_10_1_1_continue_is_sent_before_the_body_and_once() -> None:
    connection = Connection(0.0)
    head = b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    assert connection.receive(head, 0.0) == []
    assert connection.to_send(0.0) == b"HTTP/1.1 100 Continue\r\n\r\n"
    (event,) = connection.receive(b"hi", 0.0)
    assert isinstance(event, Request)
    assert event.body == b"hi"
    assert connection.to_send(0.0) == b""


def test_rfc9110_10_1_1_no_continue_for_a_body_that_is_refused() -> None:
    connection, events = fed(
        b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n", Limits(body_bytes=10)
    )
    assert isinstance(events[0], Refused)
    assert connection.to_send(0.0) == b""


def test_rfc9112_7_1_chunked_body_with_extensions_and_trailers() -> None:
    _, events = fed(
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\n"
    )
    assert isinstance(events[0], Request)
    assert events[0].body == b"abcde"


def test_rfc9112_2_2_empty_lines_before_a_request_are_ignored() -> None:
    _, events = fed(b"\r\n\r\n" + GET)
    assert isinstance(events[0], Request)


def test_rfc9112_3_2_2_absolute_form_of_the_same_authority() -> None:
    _, events = fed(b"GET http://H.test?x HTTP/1.1\r\nHost: h.test\r\n\r\n")
    assert isinstance(events[0], Request)
    assert events[0].target == "/?x"


def test_rfc9110_7_8_switching_hands_over_what_came_behind() -> None:
    connection, _ = fed(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x80")
    assert connection.switch([("upgrade", "websocket"), ("connection", "Upgrade")]) == b"\x81\x80"
    assert connection.to_send(0.0).startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert connection.deadline() is None
    with pytest.raises(LocalProtocolError):
        connection.receive(b"x", 0.0)


def test_rfc9110_7_8_an_upgrade_may_be_declined() -> None:
    connection, _ = fed(GET.replace(b"\r\n\r\n", b"\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"))
    answered(connection)
    assert connection.state is State.IDLE


def test_rfc9110_15_5_22_an_upgrade_header_is_named_by_connection() -> None:
    connection, _ = fed(GET)
    connection.respond(426, [("upgrade", "websocket")], b"", 0.0, close=True)
    assert b"connection: upgrade, close\r\n" in connection.to_send(0.0)


# --- what is refused -------------------------------------------------------------------------------------------------

HOST = b"Host: h\r\n"
REFUSED = {
    "rfc9112_2_2_bare_lf": (b"GET / HTTP/1.1\nHost: h\n\n", "bad_request"),
    "rfc9112_2_2_bare_cr": (b"GET / HTTP/1.1\r\nA: b\rc\r\n" + HOST + b"\r\n", "bad_request"),
    "rfc9112_2_2_space_before_first_field": (b"GET / HTTP/1.1\r\n Host: h\r\n\r\n", "bad_request"),
    "rfc9112_2_3_no_version": (b"GET /\r\n" + HOST + b"\r\n", "bad_request"),
    "rfc9112_2_3_lower_case_version": (b"GET / http/1.1\r\n" + HOST + b"\r\n", "bad_request"),
    "rfc9112_2_3_two_digit_version": (b"GET / HTTP/1.10\r\n" + HOST + b"\r\n", "bad_request"),
    "rfc9110_15_6_6_http_2_0": (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", "version"),
    "rfc9110_15_6_6_http_0_9": (b"GET / HTTP/0.9\r\n" + HOST + b"\r\n", "version"),
    "rfc9112_3_1_method_is_a_token": (b"G(T / HTTP/1.1\r\n" + HOST + b"\r\n", "bad_request"),
    "rfc9112_3_two_spaces": (b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n", "bad_request"),
    "rfc9112_3_2_target_without_slash": (b"GET a HTTP/1.1\r\n" + HOST + b"\r\n", "bad_request"),
    "rfc9112_3_2_target_not_ascii": ("GET /ä HTTP/1.1\r\n".encode() + HOST + b"\r\n", "bad_request"),
    "rfc9112_3_2_3_connect": (b"CONNECT h:1 HTTP/1.1\r\n" + HOST + b"\r\n", "bad_request"),
    "rfc9112_3_2_3_connect_with_a_path": (b"CONNECT /h HTTP/1.1\r\n" + HOST + b"\r\n", "bad_request"),
    "rfc9112_3_2_4_asterisk_with_get": (b"GET * HTTP/1.1\r\n" + HOST + b"\r\n", "bad_request"),
    "rfc9112_3_2_2_absolute_form_of_another_host": (b"GET http://x/ HTTP/1.1\r\n" + HOST + b"\r\n", "bad_request"),
    "rfc9112_3_2_2_absolute_form_of_another_port": (b"GET http://h:1/ HTTP/1.1\r\n" + HOST + b"\r\n", "bad_request"),
    "rfc9112_3_2_2_absolute_form_with_userinfo": (b"GET http://h@h/ HTTP/1.1\r\n" + HOST + b"\r\n", "bad_request"),
    "rfc9112_3_2_no_host": (b"GET / HTTP/1.1\r\n\r\n", "bad_request"),
    "rfc9112_3_2_two_hosts": (b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", "bad_request"),
    "rfc9112_3_2_host_with_userinfo": (b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", "bad_request"),
    "rfc9112_3_2_host_with_path": (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "bad_request"),
    "rfc9112_3_2_host_with_space": (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "bad_request"),
    "rfc9112_3_2_host_list": (b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "bad_request"),
    "rfc9112_5_1_space_before_colon": (b"GET / HTTP/1.1\r\nHost : h\r\n\r\n", "bad_request"),
    "rfc9112_5_1_no_colon": (b"GET / HTTP/1.1\r\n" + HOST + b"X\r\n\r\n", "bad_request"),
    "rfc9112_5_1_empty_name": (b"GET / HTTP/1.1\r\n" + HOST + b": x\r\n\r\n", "bad_request"),
    "rfc9110_5_1_name_with_underscore_quote": (b'GET / HTTP/1.1\r\n"a": x\r\n' + HOST + b"\r\n", "bad_request"),
    "rfc9110_5_5_nul_in_value": (b"GET / HTTP/1.1\r\nA: \x00\r\n" + HOST + b"\r\n", "bad_request"),
    "rfc9112_5_2_obs_fold": (b"GET / HTTP/1.1\r\nA: b\r\n c\r\n" + HOST + b"\r\n", "bad_request"),
    "rfc9112_5_2_obs_fold_of_framing": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        "bad_request",
    ),
    "rfc9112_6_1_te_with_http_1_0": (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "bad_request"),
    "rfc9112_6_1_unknown_coding": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip\r\n\r\n",
        "not_implemented",
    ),
    "rfc9112_6_1_chunked_is_not_last": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked, identity\r\n\r\n",
        "not_implemented",
    ),
    "rfc9112_6_1_two_te_fields": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "not_implemented",
    ),
    "rfc9112_6_3_cl_and_te": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "bad_request",
    ),
    "rfc9112_6_3_two_lengths": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "bad_request",
    ),
    "rfc9112_6_3_length_list": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5, 6\r\n\r\n", "bad_request"),
    "rfc9112_6_2_length_signed": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +5\r\n\r\n", "bad_request"),
    "rfc9112_6_2_length_negative": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -5\r\n\r\n", "bad_request"),
    "rfc9112_6_2_length_hex": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 0x5\r\n\r\n", "bad_request"),
    "rfc9112_7_1_chunk_size_not_hex": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "bad_request",
    ),
    "rfc9112_7_1_chunk_longer_than_its_size": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
        "bad_request",
    ),
    "tls_client_hello_on_a_plain_port": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "bad_request"),
    "http2_preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "version"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    data, code = REFUSED[name]
    assert refusal(data) == code


SMALL = Limits(head_bytes=200, header_fields=5, body_bytes=10)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"GET /" + b"a" * 200, "target_too_long"),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * 200, "headers_too_large"),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 6, "headers_too_large"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n", "too_large"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n", "too_large"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n12345678901\r\n", "too_large"),
        (
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
            + (b"1;" + b"x" * 90 + b"\r\na\r\n") * 5,
            "too_large",
        ),
    ],
    ids=["rfc9112_3_long_target", "rfc6585_5_long_field", "many_fields", "body", "huge_length", "chunks", "extensions"],
)
def test_limits(data: bytes, code: str) -> None:
    assert refusal(data, SMALL) == code


def test_a_request_at_the_limits_is_taken() -> None:
    head = b"POST / HTTP/1.1\r\nHost: h\r\na: b\r\nc: d\r\ne: f\r\nContent-Length: 10\r\n\r\n"
    _, events = fed(head + b"0123456789", SMALL)
    assert isinstance(events[0], Request)


# --- the peer ends ---------------------------------------------------------------------------------------------------


def test_an_end_between_requests_finishes() -> None:
    connection = Connection(0.0)
    assert connection.receive_end(0.0) == [Finished()]
    assert connection.state is State.CLOSED


@pytest.mark.parametrize("data", [GET[:10], GET[:-2] + b"Content-Length: 5\r\n\r\nab"], ids=["head", "body"])
def test_an_end_inside_a_request_aborts(data: bytes) -> None:
    connection, events = fed(data)
    assert events == []
    assert connection.receive_end(0.0) == [Aborted()]


def test_rfc9112_9_6_a_client_may_close_its_half_and_still_be_answered() -> None:
    connection, _ = fed(GET + GET)
    assert connection.receive_end(0.0) == []
    (second,) = connection.respond(200, [], b"", 0.0)
    assert isinstance(second, Request)
    assert b"connection: close" not in connection.to_send(0.0)
    assert b"connection: close" in answered(connection).lower()
    assert connection.state is State.CLOSED


def test_rfc8446_6_1_an_unclean_end_aborts_the_pending_request() -> None:
    connection, _ = fed(GET)
    assert connection.receive_end(0.0, clean=False) == [Aborted()]


# --- time ------------------------------------------------------------------------------------------------------------


def test_a_silent_connection_finishes_after_the_head_time() -> None:
    connection = Connection(5.0)
    assert connection.deadline() == 15.0
    assert connection.expire(14.9) == []
    assert connection.expire(15.0) == [Finished()]


def test_a_slow_head_is_told_408_however_it_drips() -> None:
    connection = Connection(0.0)
    for second in range(10):
        assert connection.receive(GET[second : second + 1], float(second)) == []
    (event,) = connection.expire(10.0)
    assert isinstance(event, Refused)
    assert event.error.code == "timeout"


def test_an_idle_connection_is_kept_for_the_idle_time() -> None:
    connection, _ = fed(GET)
    connection.respond(200, [], b"", 100.0)
    assert connection.deadline() == 160.0
    connection.receive(b"G", 150.0)
    assert connection.deadline() == 160.0  # ten seconds for the head, from its first byte
    assert isinstance(connection.expire(160.0)[0], Refused)


def test_a_body_must_keep_its_rate_once_the_grace_is_over() -> None:
    connection = Connection(0.0)
    connection.receive(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n", 3.0)
    assert connection.deadline() == 13.0
    connection.receive(b"x" * 2048, 12.0)
    assert connection.deadline() == 15.0
    (event,) = connection.expire(15.0)
    assert isinstance(event, Refused)
    assert event.error.code == "timeout"


def test_there_is_no_deadline_while_a_decision_is_pending() -> None:
    connection, _ = fed(GET)
    assert connection.deadline() is None
    assert connection.expire(1e9) == []


def test_answering_twice_is_our_own_fault() -> None:
    connection, _ = fed(GET)
    connection.respond(200, [], b"", 0.0)
    with pytest.raises(LocalProtocolError):
        connection.respond(200, [], b"", 0.0)


# --- any cut of the bytes gives the same events ----------------------------------------------------------------------

METHODS = st.sampled_from([b"GET", b"POST", b"HEAD", b"DELETE"])


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    body = draw(st.binary(max_size=40))
    fields = draw(st.lists(st.sampled_from([b"A: b", b"Expect: 100-continue", b"Connection: keep-alive"]), max_size=3))
    if draw(st.booleans()):
        chunks = [body[i : i + 7] for i in range(0, len(body), 7)]
        fields.append(b"Transfer-Encoding: chunked")
        body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    else:
        fields.append(b"Content-Length: %d" % len(body))
    lines = [draw(METHODS) + b" /%d HTTP/1.1" % draw(st.integers(0, 99)), b"Host: h", *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def conversation(pieces: Iterable[bytes], limits: Limits) -> tuple[list[Event | str], bytes]:
    """Everything that happens when `pieces` arrive one by one and each request is answered at once."""
    connection = Connection(0.0, limits)
    seen: list[Event] = []
    sent = b""

    def act(events: list[Event]) -> None:
        nonlocal sent
        while events:
            (event,) = events
            seen.append(event)
            events = []
            if isinstance(event, Request | Refused):
                status = event.error.row.status if isinstance(event, Refused) else 200
                events = connection.respond(status, [], b"x", 0.0)
            sent += connection.to_send(0.0)

    for piece in pieces:
        act(connection.receive(piece, 0.0))
        sent += connection.to_send(0.0)
    act(connection.receive_end(0.0))
    return [_comparable(event) for event in seen], sent


def _comparable(event: Event) -> Event | str:
    return f"refused {event.error.code} {event.error.params}" if isinstance(event, Refused) else event


@given(
    st.lists(st.one_of(requests(), st.sampled_from([data for data, _ in REFUSED.values()])), max_size=4),
    st.integers(0, 2**32),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=2),
)
def test_events_do_not_depend_on_how_the_bytes_were_cut(
    parts: list[bytes], seed: int, damage: list[tuple[int, int]]
) -> None:
    stream = bytearray(b"".join(parts))
    for place, value in damage:
        if place < len(stream):
            stream[place] = value
    data, limits = bytes(stream), Limits(head_bytes=300, body_bytes=30)
    whole = conversation([data] if data else [], limits)
    single = conversation([data[i : i + 1] for i in range(len(data))], limits)
    rng = random.Random(seed)
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(5))
    ragged = conversation([data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b], limits)
    assert whole == single == ragged
