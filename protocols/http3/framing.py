"""Frames, unidirectional streams and QPACK of one connection: aioquic's `H3Connection`, held to limits and mended.

This is the only file that knows aioquic's `H3Connection` from inside. What it overrides, and why:

- `_get_local_settings`: SETTINGS_MAX_FIELD_SECTION_SIZE is missing.
- `_init_connection`: a client would allow pushes; without MAX_PUSH_ID each PUSH_PROMISE and push stream is an error.
- `_check_request_or_push_frame_type`: the length of a HEADERS frame is not bounded, and the frame is kept until it is
  whole; frames that carry nothing are free; WEBTRANSPORT_STREAM is taken anywhere; a CONNECT stream takes trailers.
- `_handle_request_or_push_frame`, `_handle_request_or_push_end`: a malformed message closes the connection, where
  RFC 9114 §4.1.2 ends its stream; Host without `:authority` is refused, GET without `:scheme` or `:path` taken, and so
  are `content-length: +1_0`, two different ones, CONNECT with `:path`, and control characters in values; the length of
  the answer to HEAD, and of 304, is held against a body that does not come; a response without a head is taken. So
  what a message says is checked in `fields`, and here only the order of its frames.
- `_decode_headers`: lsqpack takes a field section without fields for a broken one, and aioquic writes to the decoder
  stream also when there is nothing to say.
- `_receive_stream_data_uni`, not used: it reads past the payload of GOAWAY and PRIORITY_UPDATE, takes CANCEL_PUSH for
  pushes that were never promised, keeps SETTINGS of any length until they are whole, does not notice the end of a QPACK
  stream, reads unknown streams to their end and keeps them.
- `_get_or_create_stream`: a generator for each call; `message` creates what it would.

Private members that are used as they are: `_receive_request_or_push_data`, `_check_control_frame_type`,
`_handle_control_frame`, `_stream`, `_decoder`, `_encoder`, `_local_*_stream_id`, `_max_push_id`, `_received_settings`.
aioquic's WebTransport is not used: it takes no data on bidirectional streams that the receiver opened, and knows no
sessions.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias, cast

import pylsqpack
from aioquic.h3 import connection as h3
from aioquic.h3.events import DataReceived, H3Event, Headers, HeadersReceived
from aioquic.quic.connection import QuicConnection

from chiron.protocols.http3.errors import ConnectionFailed, ErrorCode
from chiron.protocols.http3.limits import Limits
from chiron.protocols.quic import varint
from chiron.protocols.quic.endpoint import Streams
from chiron.protocols.webtransport import draft02

CONTROL = 0x00
PUSH = 0x01
QPACK_ENCODER = 0x02
QPACK_DECODER = 0x03
"""Types of unidirectional streams (RFC 9114 §6.2, RFC 9204 §4.2)."""

_DATA = 0x00
_HEADERS = 0x01
_CANCEL_PUSH = 0x03
_SETTINGS = 0x04
_PUSH_PROMISE = 0x05
_GOAWAY = 0x07
_MAX_PUSH_ID = 0x0D
_PRIORITY_UPDATE = 0xF0700
_PRIORITY_UPDATE_PUSH = 0xF0701  # RFC 9218 §7.2
_KNOWN = frozenset({_CANCEL_PUSH, _SETTINGS, _GOAWAY, _MAX_PUSH_ID, _PRIORITY_UPDATE, _PRIORITY_UPDATE_PUSH})

_MAX_FIELD_SECTION_SIZE = 0x06

_AFTER_HEADERS = h3.HeadersState.AFTER_HEADERS


class Failed(NamedTuple):
    """A message broke off by its sender's fault: its stream ends with `code`."""

    stream_id: int
    code: int


class TooLarge(NamedTuple):
    """A field section is longer than allowed; nothing of it was kept."""

    stream_id: int


class Settings(NamedTuple):
    extended_connect: bool
    webtransport: bool


class Goaway(NamedTuple):
    identifier: int


class PriorityUpdate(NamedTuple):
    stream_id: int
    value: str


class Unblocked(NamedTuple):
    """A message whose head waited for the QPACK encoder stream goes on."""

    stream_id: int


Part: TypeAlias = HeadersReceived | DataReceived | Failed | TooLarge | Settings | Goaway | PriorityUpdate | Unblocked


class Message(h3.H3Stream):
    """The state of one request stream, in both directions."""

    def __init__(self, stream_id: int) -> None:
        super().__init__(stream_id)
        self.broken = False
        """Nothing more of it is to be read."""
        self.connect = False
        """Our request is a CONNECT."""
        self.tunnel = False
        """What was received is a CONNECT, or accepts ours: only DATA may follow (RFC 9114 §4.4)."""
        self.idle_frames = 0


WHOLE = Message(-1)
"""In place of a Message, for a request that came whole."""
WHOLE.receiving_ended = True


class _Configuration:
    def __init__(self, is_client: bool) -> None:
        self.is_client = is_client


class _Quic:
    """One connection of an endpoint, as the `QuicConnection` that `H3Connection` calls."""

    _quic_logger = None

    def __init__(self, endpoint: Streams, connection: int, *, client: bool) -> None:
        self._endpoint = endpoint
        self._connection = connection
        self.configuration = _Configuration(client)

    @property
    def _remote_max_datagram_frame_size(self) -> int | None:
        return self._endpoint.max_datagram(self._connection) or None

    def get_next_available_stream_id(self, is_unidirectional: bool = False) -> int:
        return self._endpoint.open_stream(self._connection, is_unidirectional)

    def send_stream_data(self, stream_id: int, data: bytes, end_stream: bool = False) -> None:
        if data or end_stream:
            self._endpoint.send(self._connection, stream_id, data, end_stream)


class Framing(h3.H3Connection):
    """Bytes of streams in, parts of messages out. Raises ConnectionFailed where the connection must close."""

    def __init__(self, endpoint: Streams, connection: int, *, client: bool, limits: Limits) -> None:
        self._limits = limits
        self._control = bytearray()
        self._control_skip = 0
        self._control_frames = 0
        self._goaway_received: int | None = None
        self.critical: dict[int, int] = {}
        """The peer's control and QPACK streams, and the type of each."""
        self.messages = 0
        """Requests so far."""
        super().__init__(cast(QuicConnection, _Quic(endpoint, connection, client=client)), enable_webtransport=True)

    # --- messages ----------------------------------------------------------------------------------------------------

    def message(self, stream_id: int) -> Message:
        """Begin to read (and, for a client, write) the messages of a request stream."""
        message = self._stream[stream_id] = Message(stream_id)
        self.messages += 1
        return message

    def receive(self, message: Message, data: bytes, end: bool) -> list[Part]:
        """Bytes of a request stream."""
        if not end and message.headers_recv_state is _AFTER_HEADERS and (begin := _begin_of_data(message, data)):
            message.idle_frames = 0
            return [DataReceived(data[begin:], message.stream_id, False)]
        try:
            return cast("list[Part]", self._receive_request_or_push_data(message, data, end))
        except _Oversize:
            message.broken = True
            message.buffer = b""
            return [TooLarge(message.stream_id)]
        except h3.ProtocolError as error:
            raise _failure(error) from None

    def whole(self, stream_id: int, data: bytes) -> Headers | None:
        """The fields of a request that is one HEADERS frame to the end of its stream, which is what most are.

        None when it is not that, or its head is blocked: then nothing has happened, and it is to be read by `receive`.
        """
        if len(data) < 4 or data[0] != _HEADERS:
            return None
        size, begin = data[1], 2
        if size >= 0x80:
            return None
        if size >= 0x40:
            size, begin = (size & 0x3F) << 8 | data[2], 3
        if size + begin != len(data) or size > self._limits.field_section_bytes or size == 2:
            return None
        try:
            decoder, headers = self._decoder.feed_header(stream_id, data[begin:])
        except pylsqpack.StreamBlocked:
            self._decoder.cancel_stream(stream_id)
            return None
        except pylsqpack.DecompressionFailed:
            raise _failure(h3.QpackDecompressionFailed()) from None
        if decoder:
            self._quic.send_stream_data(cast(int, self._local_decoder_stream_id), decoder)
        self.messages += 1
        return headers

    def forget(self, message: Message) -> None:
        """Nothing more of a stream will be read. A head that was not decoded is given up (RFC 9204 §4.4.2)."""
        if self._stream.pop(message.stream_id, None) is not None and (message.blocked or not message.receiving_ended):
            self.cancel(message.stream_id)

    def cancel(self, stream_id: int) -> None:
        """The same for a stream that was not begun."""
        self._quic.send_stream_data(cast(int, self._local_decoder_stream_id), self._decoder.cancel_stream(stream_id))

    def encode(self, stream_id: int, headers: list[tuple[bytes, bytes]]) -> bytes:
        """A HEADERS frame."""
        encoder, section = self._encoder.encode(stream_id, headers)
        if encoder:
            self._quic.send_stream_data(cast(int, self._local_encoder_stream_id), encoder)
        return headers_frame(section)

    def _check_request_or_push_frame_type(self, frame_type: int, stream: h3.H3Stream) -> None:
        assert isinstance(stream, Message)
        size = stream.frame_size
        assert size is not None
        if frame_type == _DATA and size:
            stream.idle_frames = 0
            return
        if frame_type == _HEADERS:
            if stream.tunnel:
                raise h3.FrameUnexpected("HEADERS in a tunnel")
            if size > self._limits.field_section_bytes:
                raise _Oversize
            return
        if frame_type == draft02.FRAME_STREAM:
            raise h3.FrameError("WEBTRANSPORT_STREAM is not the first frame of its stream")
        if frame_type in (_PRIORITY_UPDATE, _PRIORITY_UPDATE_PUSH):  # RFC 9218 §7.2
            raise h3.FrameUnexpected("PRIORITY_UPDATE on a request stream")
        super()._check_request_or_push_frame_type(frame_type, stream)
        stream.idle_frames += 1
        if stream.idle_frames > self._limits.idle_frames:
            raise ConnectionFailed(ErrorCode.H3_EXCESSIVE_LOAD, "too many frames that carry nothing")

    def _handle_request_or_push_frame(
        self, frame_type: int, frame_data: bytes | None, stream: h3.H3Stream, stream_ended: bool
    ) -> list[H3Event]:
        assert isinstance(stream, Message)
        if stream.broken:
            return []
        if frame_type == _DATA:
            if stream.headers_recv_state is not h3.HeadersState.AFTER_HEADERS:
                raise h3.FrameUnexpected("DATA where there is no body")
            assert frame_data is not None
            if frame_data or stream_ended:
                return [DataReceived(data=frame_data, stream_id=stream.stream_id, stream_ended=stream_ended)]
            return []
        if frame_type != _HEADERS:
            return super()._handle_request_or_push_frame(frame_type, frame_data, stream, stream_ended)
        state = stream.headers_recv_state
        if state is h3.HeadersState.AFTER_TRAILERS:
            raise h3.FrameUnexpected("HEADERS behind the trailers")
        headers = self._decode_headers(stream.stream_id, frame_data)
        if state is h3.HeadersState.AFTER_HEADERS:
            stream.headers_recv_state = h3.HeadersState.AFTER_TRAILERS
        elif not self._is_client or not h3.is_interim_response(headers):
            stream.headers_recv_state = h3.HeadersState.AFTER_HEADERS
            if not stream_ended:
                stream.tunnel = self._begins_tunnel(stream, headers)
        elif stream_ended:
            return self._broken(stream, ErrorCode.H3_MESSAGE_ERROR)
        return [HeadersReceived(headers=headers, stream_id=stream.stream_id, stream_ended=stream_ended)]

    def _begins_tunnel(self, message: Message, headers: Headers) -> bool:
        """Whether a request is a CONNECT, or a response accepts one."""
        if not self._is_client:
            return (b":method", b"CONNECT") in headers
        return message.connect and any(name == b":status" and value.startswith(b"2") for name, value in headers)

    def _decode_headers(self, stream_id: int, frame_data: bytes | None) -> Headers:
        if frame_data == b"\0\0":  # neither fields nor references: trailers may be so
            return []
        try:
            if frame_data is None:
                decoder, headers = self._decoder.resume_header(stream_id)
            else:
                decoder, headers = self._decoder.feed_header(stream_id, frame_data)
        except pylsqpack.DecompressionFailed:
            raise h3.QpackDecompressionFailed from None
        if decoder:
            self._quic.send_stream_data(cast(int, self._local_decoder_stream_id), decoder)
        return headers

    def _handle_request_or_push_end(self, stream: h3.H3Stream) -> list[H3Event]:
        assert isinstance(stream, Message)
        if stream.broken:
            return []
        if stream.headers_recv_state is h3.HeadersState.INITIAL:  # RFC 9114 §4.1
            return self._broken(
                stream, ErrorCode.H3_MESSAGE_ERROR if self._is_client else ErrorCode.H3_REQUEST_INCOMPLETE
            )
        return [DataReceived(data=b"", stream_id=stream.stream_id, stream_ended=True)]

    def _broken(self, message: Message, code: ErrorCode) -> list[H3Event]:
        message.broken = True
        return cast("list[H3Event]", [Failed(message.stream_id, code)])

    # --- unidirectional streams --------------------------------------------------------------------------------------

    def begin(self, stream_id: int, kind: int) -> bool:
        """A unidirectional stream of the peer says of which type it is. False: it is not read."""
        if kind in self.critical.values():
            raise ConnectionFailed(ErrorCode.H3_STREAM_CREATION_ERROR, "a second control or QPACK stream")
        if kind == PUSH:
            if self._is_client:  # RFC 9114 §4.6
                raise ConnectionFailed(ErrorCode.H3_ID_ERROR, "a push that was not allowed")
            raise ConnectionFailed(ErrorCode.H3_STREAM_CREATION_ERROR, "a client pushes")
        if kind not in (CONTROL, QPACK_ENCODER, QPACK_DECODER):
            return False
        self.critical[stream_id] = kind
        return True

    def receive_critical(self, stream_id: int, data: bytes, end: bool) -> list[Part]:
        """Bytes of a control or QPACK stream, behind its type."""
        try:
            parts = self._read_critical(self.critical[stream_id], data)
        except h3.ProtocolError as error:
            raise _failure(error) from None
        if end:  # RFC 9114 §6.2.1, RFC 9204 §4.2
            self.lost(stream_id)
        return parts

    def lost(self, stream_id: int) -> None:
        """A stream of the peer has ended, or one of ours is not wanted: that must not be a critical one."""
        if stream_id in self.critical or stream_id in (
            self._local_control_stream_id,
            self._local_encoder_stream_id,
            self._local_decoder_stream_id,
        ):
            raise ConnectionFailed(ErrorCode.H3_CLOSED_CRITICAL_STREAM, "a critical stream was closed")

    def send_goaway(self, identifier: int) -> None:
        self._quic.send_stream_data(cast(int, self._local_control_stream_id), frame(_GOAWAY, varint.encode(identifier)))

    def _read_critical(self, kind: int, data: bytes) -> list[Part]:
        if kind == CONTROL:
            return self._read_control(data)
        if kind == QPACK_DECODER:
            try:
                self._encoder.feed_decoder(data)
            except pylsqpack.DecoderStreamError:
                raise h3.QpackDecoderStreamError from None
            return []
        try:
            unblocked = self._decoder.feed_encoder(data)
        except pylsqpack.EncoderStreamError:
            raise h3.QpackEncoderStreamError from None
        parts: list[Part] = []
        for stream_id in unblocked:
            parts += self._unblock(stream_id)
        return parts

    def _unblock(self, stream_id: int) -> list[Part]:
        message = self._stream.get(stream_id)
        if message is None:
            return []
        assert isinstance(message, Message)
        message.blocked = False
        message.blocked_frame_size = message.blocked_frame_type = None
        ended = message.receiving_ended and not message.buffer
        parts = cast("list[Part]", self._handle_request_or_push_frame(_HEADERS, None, message, ended))
        if message.buffer:
            parts += self.receive(message, b"", message.receiving_ended)
        return [Unblocked(stream_id), *parts]

    def _read_control(self, data: bytes) -> list[Part]:
        if self._control_skip >= len(data):
            self._control_skip -= len(data)
            return []
        buffer = self._control
        buffer += data[self._control_skip :]
        self._control_skip = 0
        parts: list[Part] = []
        start = 0
        while kind := varint.decode(buffer, start):
            self._check_control_frame_type(kind[0])
            length = varint.decode(buffer, kind[1])
            if length is None:
                break
            begin = length[1]
            end = begin + length[0]
            if kind[0] in _KNOWN:
                if length[0] > self._limits.control_bytes:
                    raise ConnectionFailed(ErrorCode.H3_EXCESSIVE_LOAD, "a frame on the control stream is too long")
                if end > len(buffer):
                    break
                parts += self._read_control_frame(kind[0], bytes(buffer[begin:end]))
            elif end > len(buffer):
                self._control_skip = end - len(buffer)
                end = len(buffer)
            self._control_frames += 1
            if self._control_frames > self._limits.control_frames + 16 * self.messages:
                raise ConnectionFailed(ErrorCode.H3_EXCESSIVE_LOAD, "too many frames on the control stream")
            start = end
        del buffer[:start]
        return parts

    def _read_control_frame(self, kind: int, payload: bytes) -> list[Part]:
        if kind == _SETTINGS:
            self._handle_control_frame(kind, payload)
            settings = self._received_settings or {}
            webtransport = settings.get(draft02.SETTING_ENABLE) == 1
            return [Settings(settings.get(h3.Setting.ENABLE_CONNECT_PROTOCOL) == 1, webtransport)]
        if kind == _MAX_PUSH_ID:
            self._handle_control_frame(kind, payload)
            return []
        number = varint.decode(payload)
        if number is None or (number[1] != len(payload) and kind in (_GOAWAY, _CANCEL_PUSH)):
            raise h3.FrameError("a frame on the control stream does not hold one number")
        identifier = number[0]
        if kind in (_CANCEL_PUSH, _PRIORITY_UPDATE_PUSH):  # nobody pushes here
            raise h3.IdError("a push that does not exist")
        if kind == _PRIORITY_UPDATE:  # RFC 9218 §7.2
            if self._is_client:
                raise h3.FrameUnexpected("a server sets priorities")
            if identifier % 4:
                raise h3.IdError("the priority of a stream that is no request")
            return [PriorityUpdate(identifier, payload[number[1] :].decode("latin-1"))]
        # RFC 9114 §5.2
        earlier = self._goaway_received
        if (self._is_client and identifier % 4) or (earlier is not None and earlier < identifier):
            raise h3.IdError("GOAWAY with an identifier that it must not have")
        self._goaway_received = identifier
        return [Goaway(identifier)]

    # --- the beginning -----------------------------------------------------------------------------------------------

    def _init_connection(self) -> None:
        self._max_push_id = None
        super()._init_connection()

    def _get_local_settings(self) -> dict[int, int]:
        return {**super()._get_local_settings(), _MAX_FIELD_SECTION_SIZE: self._limits.field_section_bytes}


class _Oversize(Exception):
    """A HEADERS frame is longer than a field section may be."""


def _begin_of_data(message: Message, data: bytes) -> int:
    """Where the payload begins, if bytes are one DATA frame with a payload, as most of a tunnel comes; else 0."""
    if message.frame_size is not None or message.buffer or message.blocked or message.broken:
        return 0
    length = varint.decode(data, 1) if data[:1] == b"\0" else None
    return length[1] if length is not None and length[0] and sum(length) == len(data) else 0


def headers_frame(section: bytes) -> bytes:
    return b"\1" + varint.encode(len(section)) + section


def data_frame(data: bytes) -> bytes:
    return b"\0" + varint.encode(len(data)) + data


def frame(kind: int, payload: bytes) -> bytes:
    return varint.encode(kind) + varint.encode(len(payload)) + payload


def _failure(error: h3.ProtocolError) -> ConnectionFailed:
    return ConnectionFailed(ErrorCode(error.error_code), error.reason_phrase)
