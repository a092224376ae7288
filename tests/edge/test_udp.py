"""The UDP socket of QUIC, as it is bound."""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
from collections.abc import Iterator

import pytest

from chiron.server.edge import udp


@pytest.fixture
def bound() -> Iterator[socket.socket]:
    with contextlib.closing(udp.bind("127.0.0.1", 0)) as sock:
        yield sock


def test_it_does_not_block_and_has_the_port(bound: socket.socket) -> None:
    assert not bound.getblocking()
    assert bound.type == socket.SOCK_DGRAM
    host, port = bound.getsockname()
    assert host == "127.0.0.1"
    assert port > 0


def test_nobody_else_gets_the_port_not_even_one_who_shares(bound: socket.socket) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        with pytest.raises(OSError) as caught:
            other.bind(bound.getsockname())
    assert caught.value.errno == errno.EADDRINUSE


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_every_address_is_of_both_families(family: socket.AddressFamily, host: str) -> None:
    with contextlib.closing(udp.bind("", 0)) as sock, socket.socket(family, socket.SOCK_DGRAM) as client:
        client.sendto(b"hello", (host, sock.getsockname()[1]))
        sock.settimeout(10.0)
        data, (peer, *_) = sock.recvfrom(16)
    assert data == b"hello"
    assert peer in ("::1", "::ffff:127.0.0.1")


@pytest.mark.skipif(sys.platform != "linux", reason="names Linux's options")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1", ""])
def test_rfc9000_14_datagrams_are_never_fragmented(host: str) -> None:
    if host != "127.0.0.1" and not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    with contextlib.closing(udp.bind(host, 0)) as sock:
        assert sock.getsockopt(socket.IPPROTO_IP, udp._IP_MTU_DISCOVER) == udp._PMTUDISC_PROBE
        if sock.family == socket.AF_INET6:
            assert sock.getsockopt(socket.IPPROTO_IPV6, udp._IPV6_MTU_DISCOVER) == udp._PMTUDISC_PROBE


def test_buffers_are_as_large_as_the_kernel_grants(bound: socket.socket) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as usual:
        before = usual.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    received, sent = udp.enlarge(bound)
    assert 0 < received <= udp.BUFFER_BYTES
    assert 0 < sent <= udp.BUFFER_BYTES
    assert bound.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= before
