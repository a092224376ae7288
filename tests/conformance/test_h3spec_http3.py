"""h3spec's cases of HTTP/3 and QPACK (kazu-yamamoto/h3spec, `HTTP3Error.hs`), restated with the same bytes (its
`:autority` spelt out).

h3spec takes a stream error for a malformed message, as RFC 9114 §4.1.2 has it, and a connection error for the rest.
"""

from __future__ import annotations

from http3_pair import GET, RawClient, frame, head

from chiron.protocols.http3 import ErrorCode

REQUEST = frame(0x01, b"\x00\x00\xd1\xd7\x50\x09127.0.0.1\xc1")
"""GET https://127.0.0.1/, by the static table."""


def reset_with(block: bytes) -> int | None:
    """The code with which a request stream is reset, while the connection goes on."""
    client = RawClient()
    stream, told = client.request(frame(0x01, block))
    assert told == []
    assert client.closed is None
    _, told = client.request(REQUEST, True)
    assert len(told) == 1
    assert client.endpoint.stopped == {}
    assert client.server_endpoint.stopped[stream] == client.server_endpoint.resets[stream]
    return client.server_endpoint.resets.get(stream)


def closed_by_request(data: bytes) -> int | None:
    client = RawClient()
    client.request(data)
    return client.closed


def closed_by_control(data: bytes) -> int | None:
    client = RawClient()
    client.send(client.control, data)
    return client.closed


def test_what_is_right_is_taken() -> None:
    client = RawClient()
    _, told = client.request(REQUEST, True)
    assert len(told) == 1
    _, told = client.request(head(GET), True)
    assert len(told) == 1


def test_rfc9114_4_1_data_before_headers_is_frame_unexpected() -> None:
    assert closed_by_request(frame(0x00, b"") + REQUEST) == ErrorCode.H3_FRAME_UNEXPECTED


def test_rfc9114_4_1_1_a_repeated_pseudo_header_is_message_error() -> None:
    assert reset_with(b"\x00\x00\xd1\xd7\x50\x09127.0.0.1\xc1\xd1") == ErrorCode.H3_MESSAGE_ERROR


def test_rfc9114_4_1_3_a_missing_pseudo_header_is_message_error() -> None:
    assert reset_with(b"\x00\x00\xd1\xd7\xc1") == ErrorCode.H3_MESSAGE_ERROR


def test_rfc9114_4_1_3_a_prohibited_pseudo_header_is_message_error() -> None:
    block = b"\x00\x00\xd1\xd7\x27\x03:authority\x09127.0.0.1\xc1\x24:foo\x03bar"
    assert reset_with(block) == ErrorCode.H3_MESSAGE_ERROR


def test_rfc9114_4_1_3_a_pseudo_header_behind_fields_is_message_error() -> None:
    assert (
        reset_with(b"\x00\x00\xd1\xd7\x27\x03:authority\x09127.0.0.1\x23foo\x03bar\xc1") == ErrorCode.H3_MESSAGE_ERROR
    )


def test_rfc9114_6_2_1_a_control_stream_that_begins_otherwise_is_missing_settings() -> None:
    client = RawClient(settings=None)
    client.send(client.control, b"\x00" + frame(0x0D, b"\x01") + frame(0x04, b""))
    assert client.closed == ErrorCode.H3_MISSING_SETTINGS


def test_rfc9114_7_2_1_data_on_the_control_stream_is_frame_unexpected() -> None:
    assert closed_by_control(frame(0x00, b"")) == ErrorCode.H3_FRAME_UNEXPECTED


def test_rfc9114_7_2_2_headers_on_the_control_stream_is_frame_unexpected() -> None:
    assert closed_by_control(frame(0x01, b"")) == ErrorCode.H3_FRAME_UNEXPECTED


def test_rfc9114_7_2_4_a_second_settings_is_frame_unexpected() -> None:
    assert closed_by_control(frame(0x04, b"")) == ErrorCode.H3_FRAME_UNEXPECTED


def test_rfc9114_7_2_4_1_settings_of_http2_are_settings_error() -> None:
    client = RawClient(settings=bytes.fromhex("0740640240c80150000680008000"))
    assert client.closed == ErrorCode.H3_SETTINGS_ERROR


def test_rfc9114_7_2_5_cancel_push_on_a_request_stream_is_frame_unexpected() -> None:
    assert closed_by_request(frame(0x03, b"") + REQUEST) == ErrorCode.H3_FRAME_UNEXPECTED


def test_rfc9204_3_1_an_invalid_static_index_is_decompression_failed() -> None:
    block = b"\x00\x00\xd1\xd7\x50\x09127.0.0.1\xc1\xff\x24"
    assert closed_by_request(frame(0x01, block)) == ErrorCode.QPACK_DECOMPRESSION_FAILED


def test_rfc9204_4_1_3_a_dynamic_table_beyond_the_limit_is_encoder_stream_error() -> None:
    client = RawClient()
    client.open(b"\x02\x3f\xe1\xc7\xaf\xa0\x25")
    assert client.closed == ErrorCode.QPACK_ENCODER_STREAM_ERROR


def test_rfc9204_4_2_the_end_of_the_control_stream_is_closed_critical_stream() -> None:
    client = RawClient()
    client.send(client.control, b"", True)
    assert client.closed == ErrorCode.H3_CLOSED_CRITICAL_STREAM


def test_rfc9204_4_2_the_end_of_a_qpack_stream_is_closed_critical_stream() -> None:
    for kind in (b"\x02", b"\x03"):
        client = RawClient()
        client.open(kind, True)
        assert client.closed == ErrorCode.H3_CLOSED_CRITICAL_STREAM


def test_rfc9204_4_4_3_an_insert_count_increment_of_0_is_decoder_stream_error() -> None:
    client = RawClient()
    client.open(b"\x03\x00")
    assert client.closed == ErrorCode.QPACK_DECODER_STREAM_ERROR
