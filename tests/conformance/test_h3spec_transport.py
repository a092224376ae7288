"""The transport half of h3spec (github.com/kazu-yamamoto/h3spec, TransportError.hs), restated against both engines, and
against a server that runs.

A client whose handshake or packets are faulty must be told so: each case names the clause that says it. As in h3spec a
generic code will do where the clause names a specific one (RFC 9000 §11, RFC 9001 §4.8).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from aioquic import tls
from aioquic.buffer import Buffer  # type: ignore[attr-defined]
from aioquic.quic.packet import (
    QuicErrorCode,
    QuicPreferredAddress,
    QuicTransportParameters,
    pull_quic_transport_parameters,
    push_quic_transport_parameters,
)
from faulty_quic import frame, packet
from quic_path import CONNECTION, SERVER, Guest, Path

from chiron.protocols.quic.client import ClientEndpoint
from chiron.protocols.quic.endpoint import Address, Ending, Kind
from chiron.protocols.quic.transport import Transport

Alert = tls.AlertDescription
Code = QuicErrorCode

_GENERIC = {Code.PROTOCOL_VIOLATION, Code.INTERNAL_ERROR}
_GENERIC_ALERTS = {Alert.internal_error, Alert.handshake_failure}


class Case:
    """One server, and one client that is told what to do wrong."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def client(self, **options: object) -> tuple[ClientEndpoint, Transport]:
        """A client that has not sent anything yet."""
        client = ClientEndpoint("localhost", SERVER, now=self.path.now, ca=self.path.authority.chain, **options)  # type: ignore[arg-type]
        return client, client._transport

    def start(self, client: ClientEndpoint) -> Guest:
        client.connect(self.path.now)
        return self.path.admit(client)

    def after_handshake(self, payload: bytes, *, reserved: bool = False) -> None:
        """A packet in 1-RTT, of which the frames are given."""
        guest = self.path.connect()
        self.path.rest(0.1)
        transport = guest.endpoint._transport  # type: ignore[attr-defined]
        self.path.send(guest, packet(transport, tls.Epoch.ONE_RTT, payload, reserved=reserved))
        self._guest = guest

    def in_handshake(self, payload: bytes, *, epoch: tls.Epoch = tls.Epoch.HANDSHAKE, **options: object) -> None:
        """A packet of the handshake, sent as soon as there are keys for it. `reserved`: with those bits set."""
        reserved = bool(options.pop("reserved", False))
        client, transport = self.client(**options)
        send = transport.datagrams_to_send
        sent: list[bytes] = []

        def faulty(now: float) -> list[tuple[bytes, Address]]:
            datagrams: list[tuple[bytes, Address]] = []
            if epoch is tls.Epoch.ZERO_RTT:
                datagrams += send(now)  # the server can read it only behind the hello
            if not sent and transport._cryptos[epoch].send.is_valid():
                sent.append(packet(transport, epoch, payload, reserved=reserved))
                datagrams.append((sent[0], SERVER))
            return datagrams + send(now)

        transport.datagrams_to_send = faulty  # type: ignore[method-assign]
        self._guest = self.start(client)

    def with_parameters(self, change: Callable[[QuicTransportParameters], QuicTransportParameters]) -> None:
        """A handshake with other transport parameters."""
        client, transport = self.client()
        serialize = transport._serialize_transport_parameters

        def faulty() -> bytes:
            buffer = Buffer(capacity=2000)
            push_quic_transport_parameters(buffer, change(pull_quic_transport_parameters(Buffer(data=serialize()))))
            return buffer.data

        transport._serialize_transport_parameters = faulty  # type: ignore[method-assign]
        self._guest = self.start(client)

    def with_extensions(self, change: Callable[[list[tls.Extension]], list[tls.Extension]]) -> None:
        """A handshake with other TLS extensions of QUIC."""
        client, transport = self.client()
        initialize = transport._initialize

        def faulty(peer_cid: bytes) -> None:
            initialize(peer_cid)
            transport.tls.handshake_extensions = change(transport.tls.handshake_extensions)

        transport._initialize = faulty  # type: ignore[method-assign]
        self._guest = self.start(client)

    def around_finished(self, *, before: bytes = b"", behind: bytes = b"") -> None:
        """A handshake with other messages of TLS around Finished."""
        client, transport = self.client()
        initialize = transport._initialize

        def faulty(peer_cid: bytes) -> None:
            initialize(peer_cid)
            finish = transport.tls._client_handle_finished

            def finish_with(input_buf: Buffer, output_buf: Buffer) -> None:
                output_buf.push_bytes(before)
                finish(input_buf, output_buf)
                output_buf.push_bytes(behind)

            transport.tls._client_handle_finished = finish_with  # type: ignore[method-assign]

        transport._initialize = faulty  # type: ignore[method-assign]
        self._guest = self.start(client)

    def expect(self, *codes: int) -> None:
        """The server closes with one of the codes, or a generic one."""
        self._expect({*codes, *_GENERIC})

    def expect_alert(self, alert: Alert) -> None:
        self._expect({Code.CRYPTO_ERROR + one for one in (alert, *_GENERIC_ALERTS)})

    def _expect(self, codes: Iterable[int]) -> None:
        guest, path = self._guest, self.path
        path.run(lambda: bool(guest.of(Kind.CLOSED)))
        ((_, _, ending, _, code),) = guest.of(Kind.CLOSED)
        assert ending == Ending.TRANSPORT
        assert code in set(codes)
        # What one client does wrong is nobody else's loss.
        path.connect()


def connection_id_frame(*, number: int, retire: int, cid: bytes) -> bytes:
    return frame(0x18, number, retire, bytes((len(cid),)), cid, bytes(16))


@pytest.fixture
def case(path: Path) -> Case:
    return Case(path)


# --- flow control and limits ----------------------------------------------------------------------------------------


def test_rfc9000_4_1_stream_data_beyond_the_flow_control_limit(case: Case) -> None:
    case.after_handshake(frame(0x0F, 0, 100_000_000, 6, b"GET /\n"))
    case.expect(Code.FLOW_CONTROL_ERROR)


def test_rfc9000_4_6_a_stream_id_beyond_the_limit(case: Case) -> None:
    case.after_handshake(frame(0x0B, 1_000_000_000, 6, b"GET /\n"))
    case.expect(Code.STREAM_LIMIT_ERROR)


# --- transport parameters -------------------------------------------------------------------------------------------


def test_rfc9000_7_3_initial_source_connection_id_is_missing(case: Case) -> None:
    case.with_parameters(lambda parameters: replace(parameters, initial_source_connection_id=None))
    case.expect(Code.TRANSPORT_PARAMETER_ERROR)


def test_rfc9000_18_2_original_destination_connection_id_of_a_client(case: Case) -> None:
    case.with_parameters(lambda parameters: replace(parameters, original_destination_connection_id=b"DUMMY"))
    case.expect(Code.TRANSPORT_PARAMETER_ERROR)


def test_rfc9000_18_2_preferred_address_of_a_client(case: Case) -> None:
    address = QuicPreferredAddress(("127.0.0.1", 443), None, bytes(range(8)), bytes(range(16)))
    case.with_parameters(lambda parameters: replace(parameters, preferred_address=address))
    case.expect(Code.TRANSPORT_PARAMETER_ERROR)


def test_rfc9000_18_2_retry_source_connection_id_of_a_client(case: Case) -> None:
    case.with_parameters(lambda parameters: replace(parameters, retry_source_connection_id=b"DUMMY"))
    case.expect(Code.TRANSPORT_PARAMETER_ERROR)


def test_rfc9000_18_2_stateless_reset_token_of_a_client(case: Case) -> None:
    case.with_parameters(lambda parameters: replace(parameters, stateless_reset_token=bytes(range(16))))
    case.expect(Code.TRANSPORT_PARAMETER_ERROR)


def test_rfc9000_18_2_max_udp_payload_size_below_1200(case: Case) -> None:
    case.with_parameters(lambda parameters: replace(parameters, max_udp_payload_size=1090))
    case.expect(Code.TRANSPORT_PARAMETER_ERROR)


def test_rfc9000_18_2_ack_delay_exponent_above_20(case: Case) -> None:
    case.with_parameters(lambda parameters: replace(parameters, ack_delay_exponent=30))
    case.expect(Code.TRANSPORT_PARAMETER_ERROR)


def test_rfc9000_18_2_max_ack_delay_from_2_to_the_14th(case: Case) -> None:
    case.with_parameters(lambda parameters: replace(parameters, max_ack_delay=2**15))
    case.expect(Code.TRANSPORT_PARAMETER_ERROR)


# --- packets --------------------------------------------------------------------------------------------------------


def test_rfc9000_12_4_a_frame_of_unknown_type(case: Case) -> None:
    case.after_handshake(frame(0x20))
    case.expect(Code.FRAME_ENCODING_ERROR)


def test_rfc9000_12_4_a_packet_without_frames(case: Case) -> None:
    case.after_handshake(b"")
    case.expect(Code.PROTOCOL_VIOLATION)


def test_rfc9000_17_2_reserved_bits_of_a_handshake_packet(case: Case) -> None:
    case.in_handshake(frame(0x01) + bytes(3), reserved=True)
    case.expect(Code.PROTOCOL_VIOLATION)


def test_rfc9000_17_2_4_path_challenge_in_a_handshake_packet(case: Case) -> None:
    case.in_handshake(frame(0x1A, b"01234567"))
    case.expect(Code.PROTOCOL_VIOLATION)


def test_rfc9000_17_3_1_reserved_bits_of_a_short_header(case: Case) -> None:
    case.after_handshake(frame(0x01) + bytes(3), reserved=True)
    case.expect(Code.PROTOCOL_VIOLATION)


# --- frames ---------------------------------------------------------------------------------------------------------


def test_rfc9000_19_4_reset_stream_for_a_stream_that_only_the_server_sends_on(case: Case) -> None:
    case.after_handshake(frame(0x04, 3, 0, 0))
    case.expect(Code.STREAM_STATE_ERROR)


def test_rfc9000_19_5_stop_sending_for_a_stream_of_the_server_that_does_not_exist(case: Case) -> None:
    case.after_handshake(frame(0x05, 101, 0))
    case.expect(Code.STREAM_STATE_ERROR)


def test_rfc9000_19_7_new_token_of_a_client(case: Case) -> None:
    case.after_handshake(frame(0x07, 5, b"DUMMY"))
    case.expect(Code.PROTOCOL_VIOLATION)


def test_rfc9000_19_8_stream_data_for_a_stream_of_the_server_that_does_not_exist(case: Case) -> None:
    case.after_handshake(frame(0x0A, 1, 0))
    case.expect(Code.STREAM_STATE_ERROR)


def test_rfc9000_19_8_stream_data_for_a_stream_that_only_the_server_sends_on(case: Case) -> None:
    case.after_handshake(frame(0x0A, 3, 0))
    case.expect(Code.STREAM_STATE_ERROR)


def test_rfc9000_19_10_max_stream_data_for_a_stream_of_the_server_that_does_not_exist(case: Case) -> None:
    case.after_handshake(frame(0x11, 101, 1_000_000))
    case.expect(Code.STREAM_STATE_ERROR)


def test_rfc9000_19_10_max_stream_data_for_a_stream_that_only_the_client_sends_on(case: Case) -> None:
    case.after_handshake(frame(0x11, 2, 1_000_000))
    case.expect(Code.STREAM_STATE_ERROR)


def test_rfc9000_19_11_max_streams_beyond_2_to_the_60th(case: Case) -> None:
    case.after_handshake(frame(0x12, 2**60 + 1))
    case.expect(Code.FRAME_ENCODING_ERROR)


def test_rfc9000_19_14_streams_blocked_beyond_2_to_the_60th(case: Case) -> None:
    case.after_handshake(frame(0x16, 2**60 + 1))
    case.expect(Code.FRAME_ENCODING_ERROR, Code.STREAM_LIMIT_ERROR)


def test_rfc9000_19_15_new_connection_id_that_retires_itself(case: Case) -> None:
    case.after_handshake(connection_id_frame(number=20, retire=30, cid=bytes(range(8))))
    case.expect(Code.FRAME_ENCODING_ERROR)


def test_rfc9000_19_15_new_connection_id_of_no_bytes(case: Case) -> None:
    case.after_handshake(connection_id_frame(number=20, retire=0, cid=b""))
    case.expect(Code.FRAME_ENCODING_ERROR)


def test_rfc9000_19_20_handshake_done_of_a_client(case: Case) -> None:
    case.after_handshake(frame(0x1E))
    case.expect(Code.PROTOCOL_VIOLATION)


# --- TLS ------------------------------------------------------------------------------------------------------------

_KEY_UPDATE = b"\x18\x00\x00\x01\x01"


def test_rfc9001_6_key_update_message_in_the_handshake(case: Case) -> None:
    case.around_finished(behind=_KEY_UPDATE)
    case.expect_alert(Alert.unexpected_message)


def test_rfc9001_6_key_update_message_in_1_rtt(case: Case) -> None:
    case.after_handshake(frame(0x06, 0, len(_KEY_UPDATE), _KEY_UPDATE))
    case.expect_alert(Alert.unexpected_message)


def test_rfc9001_8_1_no_application_protocol_in_common(case: Case) -> None:
    client, _ = case.client(alpn=["dummy"])
    case._guest = case.start(client)
    case.expect_alert(Alert.no_application_protocol)


def test_rfc9001_8_2_no_transport_parameters(case: Case) -> None:
    case.with_extensions(lambda _: [])
    case.expect_alert(Alert.missing_extension)


def test_rfc9001_8_2_transport_parameters_under_the_number_of_the_drafts(case: Case) -> None:
    case.with_extensions(lambda extensions: [(0xFFA5, data) for _, data in extensions])
    case.expect_alert(Alert.missing_extension)


def test_rfc9001_8_3_end_of_early_data_message(case: Case) -> None:
    case.around_finished(before=b"\x05\x00\x00\x00")
    case.expect_alert(Alert.unexpected_message)


def test_rfc9001_8_3_crypto_frame_in_0_rtt(case: Case) -> None:
    guest = case.path.connect()
    first = guest.endpoint
    assert isinstance(first, ClientEndpoint)
    case.path.run(lambda: first.session_ticket is not None)
    first.close(CONNECTION, 0)
    case.in_handshake(
        frame(0x06, 0, 6, b"\x08\x00\x00\x02\x00\x00"), epoch=tls.Epoch.ZERO_RTT, session_ticket=first.session_ticket
    )
    case.expect(Code.PROTOCOL_VIOLATION)
