"""h3spec's cases of HTTP/3 and QPACK (kazu-yamamoto/h3spec, `HTTP3Error.hs`), restated with the same bytes (its
`:autority` spelt out) on both engines, and against a server that runs.

h3spec takes a stream error for a malformed message, as RFC 9114 §4.1.2 has it, and a connection error for the rest.
"""

from __future__ import annotations

import pylsqpack
import pytest
from http3_pair import GET, frame, head
from quic_path import CONNECTION, Path
from remote_quic import Remote

from chiron.protocols.http3 import Connection, ErrorCode, RequestReceived
from chiron.protocols.quic import varint
from chiron.protocols.quic.endpoint import Ending, Event, Kind

REQUEST = frame(0x01, b"\x00\x00\xd1\xd7\x50\x09127.0.0.1\xc1")
"""GET https://127.0.0.1/, by the static table."""


class Client:
    """A connection on which streams say what they like, byte by byte. It is there for `settings`, if any."""

    def __init__(self, path: Path, settings: bytes | None = b"") -> None:
        self._path = path
        self._guest = path.connect()
        self.control = self.open(b"" if settings is None else b"\x00" + frame(0x04, settings))

    def send(self, stream: int, data: bytes, fin: bool = False) -> None:
        self._guest.endpoint.send(CONNECTION, stream, data, fin)

    def open(self, data: bytes, fin: bool = False) -> int:
        """Begin a unidirectional stream."""
        stream = self._guest.endpoint.open_stream(CONNECTION, True)
        self.send(stream, data, fin)
        return stream

    def request(self, data: bytes, fin: bool = False) -> int:
        """Begin a request stream."""
        stream = self._guest.endpoint.open_stream(CONNECTION, False)
        self.send(stream, data, fin)
        return stream

    def status(self, stream: int) -> int:
        """Of the whole answer on a request stream, once it is there."""
        self._path.run(lambda: self._guest.ended(stream))
        answer = self._guest.stream(stream)
        kind, at = varint.decode(answer) or (0, 0)
        length, at = varint.decode(answer, at) or (0, 0)
        assert kind == 0x01
        _, fields = pylsqpack.Decoder(0, 0).feed_header(stream, answer[at : at + length])
        return int(dict(fields)[b":status"])

    def reset(self, stream: int) -> int:
        """The code with which a request stream was given up both ways, without an answer."""
        path, guest = self._path, self._guest
        path.run(lambda: bool(self._codes(Kind.RESET, stream) and self._codes(Kind.STOPPED, stream)))
        (code,) = self._codes(Kind.RESET, stream)
        assert self._codes(Kind.STOPPED, stream) == [code]
        assert guest.stream(stream) == b""
        return code

    def closed(self) -> int:
        """The code with which HTTP/3 has closed the connection."""
        self._path.run(lambda: bool(self._guest.of(Kind.CLOSED)))
        ((_, _, ending, _, code),) = self._guest.of(Kind.CLOSED)
        assert ending == Ending.APPLICATION
        # What one client does wrong is nobody else's loss.
        other = Client(self._path)
        assert other.status(other.request(REQUEST, True)) == 200
        return code

    def _codes(self, kind: Kind, stream: int) -> list[int]:
        return [event[4] for event in self._guest.of(kind) if event[2] == stream]


def serve(path: Path) -> None:
    """Have an engine in memory speak HTTP/3, and answer whatever it takes for a request."""
    connections: dict[int, Connection] = {}

    def handle(event: Event) -> None:
        number = event[0]
        if event[1] == Kind.OPENED:
            connections[number] = Connection(path.server, number, now=path.now)
        for told in connections[number].receive(event, path.now):
            if isinstance(told, RequestReceived):
                connections[number].respond(told.stream, 200, [], b"")

    path.handle = handle


@pytest.fixture
def site(path: Path) -> Path:
    """The way to a server of HTTP/3."""
    if not isinstance(path.server, Remote):
        serve(path)
    return path


def reset_with(site: Path, block: bytes) -> int:
    """The code with which a request stream is reset, while the connection goes on."""
    client = Client(site)
    code = client.reset(client.request(frame(0x01, block)))
    assert client.status(client.request(REQUEST, True)) == 200
    return code


def closed_by_request(site: Path, data: bytes) -> int:
    client = Client(site)
    client.request(data)
    return client.closed()


def closed_by_control(site: Path, data: bytes, fin: bool = False) -> int:
    client = Client(site)
    client.send(client.control, data, fin)
    return client.closed()


def closed_by_stream(site: Path, data: bytes, fin: bool = False) -> int:
    client = Client(site)
    client.open(data, fin)
    return client.closed()


def test_what_is_right_is_taken(site: Path) -> None:
    client = Client(site)
    assert client.status(client.request(REQUEST, True)) == 200
    assert client.status(client.request(head(GET), True)) == 200


def test_rfc9114_4_1_data_before_headers_is_frame_unexpected(site: Path) -> None:
    assert closed_by_request(site, frame(0x00, b"") + REQUEST) == ErrorCode.H3_FRAME_UNEXPECTED


def test_rfc9114_4_1_1_a_repeated_pseudo_header_is_message_error(site: Path) -> None:
    assert reset_with(site, b"\x00\x00\xd1\xd7\x50\x09127.0.0.1\xc1\xd1") == ErrorCode.H3_MESSAGE_ERROR


def test_rfc9114_4_1_3_a_missing_pseudo_header_is_message_error(site: Path) -> None:
    assert reset_with(site, b"\x00\x00\xd1\xd7\xc1") == ErrorCode.H3_MESSAGE_ERROR


def test_rfc9114_4_1_3_a_prohibited_pseudo_header_is_message_error(site: Path) -> None:
    block = b"\x00\x00\xd1\xd7\x27\x03:authority\x09127.0.0.1\xc1\x24:foo\x03bar"
    assert reset_with(site, block) == ErrorCode.H3_MESSAGE_ERROR


def test_rfc9114_4_1_3_a_pseudo_header_behind_fields_is_message_error(site: Path) -> None:
    assert (
        reset_with(site, b"\x00\x00\xd1\xd7\x27\x03:authority\x09127.0.0.1\x23foo\x03bar\xc1")
        == ErrorCode.H3_MESSAGE_ERROR
    )


def test_rfc9114_6_2_1_a_control_stream_that_begins_otherwise_is_missing_settings(site: Path) -> None:
    client = Client(site, None)
    client.send(client.control, b"\x00" + frame(0x0D, b"\x01") + frame(0x04, b""))
    assert client.closed() == ErrorCode.H3_MISSING_SETTINGS


def test_rfc9114_7_2_1_data_on_the_control_stream_is_frame_unexpected(site: Path) -> None:
    assert closed_by_control(site, frame(0x00, b"")) == ErrorCode.H3_FRAME_UNEXPECTED


def test_rfc9114_7_2_2_headers_on_the_control_stream_is_frame_unexpected(site: Path) -> None:
    assert closed_by_control(site, frame(0x01, b"")) == ErrorCode.H3_FRAME_UNEXPECTED


def test_rfc9114_7_2_4_a_second_settings_is_frame_unexpected(site: Path) -> None:
    assert closed_by_control(site, frame(0x04, b"")) == ErrorCode.H3_FRAME_UNEXPECTED


def test_rfc9114_7_2_4_1_settings_of_http2_are_settings_error(site: Path) -> None:
    client = Client(site, bytes.fromhex("0740640240c80150000680008000"))
    assert client.closed() == ErrorCode.H3_SETTINGS_ERROR


def test_rfc9114_7_2_5_cancel_push_on_a_request_stream_is_frame_unexpected(site: Path) -> None:
    assert closed_by_request(site, frame(0x03, b"") + REQUEST) == ErrorCode.H3_FRAME_UNEXPECTED


def test_rfc9204_3_1_an_invalid_static_index_is_decompression_failed(site: Path) -> None:
    block = b"\x00\x00\xd1\xd7\x50\x09127.0.0.1\xc1\xff\x24"
    assert closed_by_request(site, frame(0x01, block)) == ErrorCode.QPACK_DECOMPRESSION_FAILED


def test_rfc9204_4_1_3_a_dynamic_table_beyond_the_limit_is_encoder_stream_error(site: Path) -> None:
    assert closed_by_stream(site, b"\x02\x3f\xe1\xc7\xaf\xa0\x25") == ErrorCode.QPACK_ENCODER_STREAM_ERROR


def test_rfc9204_4_2_the_end_of_the_control_stream_is_closed_critical_stream(site: Path) -> None:
    assert closed_by_control(site, b"", True) == ErrorCode.H3_CLOSED_CRITICAL_STREAM


def test_rfc9204_4_2_the_end_of_a_qpack_stream_is_closed_critical_stream(site: Path) -> None:
    for kind in (b"\x02", b"\x03"):
        assert closed_by_stream(site, kind, True) == ErrorCode.H3_CLOSED_CRITICAL_STREAM


def test_rfc9204_4_4_3_an_insert_count_increment_of_0_is_decoder_stream_error(site: Path) -> None:
    assert closed_by_stream(site, b"\x03\x00") == ErrorCode.QPACK_DECODER_STREAM_ERROR
