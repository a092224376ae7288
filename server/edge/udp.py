"""The UDP socket that QUIC is spoken on: how it is bound, before anybody serves."""

from __future__ import annotations

import contextlib
import socket
import sys

BUFFER_BYTES = 4 << 20
"""What the kernel is asked to hold in each direction: some 3,000 datagrams, so that none is lost while the loop is busy
for a few milliseconds. It may grant less (`net.core.rmem_max`)."""

_IP_MTU_DISCOVER = 10
_IPV6_MTU_DISCOVER = 23
_PMTUDISC_PROBE = 3
"""linux/in.h: set Don't Fragment, and leave path-MTU discovery to the program (RFC 9000 §14, RFC 8899)."""


def bind(host: str, port: int) -> socket.socket:
    """A socket at `port` of `host`, or of every address; raises OSError.

    Nobody else may have it, not even by SO_REUSEPORT: a server that drains keeps its connections, and the kernel would
    deal out the datagrams of both.
    """
    if not host and socket.has_dualstack_ipv6():
        family, host = socket.AF_INET6, "::"
        dualstack = True
    else:
        family, dualstack = socket.AF_INET6 if ":" in host else socket.AF_INET, False
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not dualstack))
        sock.setblocking(False)
        _never_fragment(sock)
        enlarge(sock)
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    return sock


def enlarge(sock: socket.socket) -> tuple[int, int]:
    """Ask for `BUFFER_BYTES` in each direction; what was granted for what is received, and for what is sent."""
    granted = []
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        # Linux cuts down what is too much; others refuse it, and the buffer stays as it was.
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
        size = sock.getsockopt(socket.SOL_SOCKET, option)
        # Linux doubles it for its own bookkeeping, and tells the double (socket(7)).
        granted.append(size // 2 if sys.platform == "linux" else size)
    return granted[0], granted[1]


def _never_fragment(sock: socket.socket) -> None:
    if sys.platform != "linux":
        return
    # A socket of both families sends to IPv4-mapped addresses by the rules of IPv4.
    sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_PROBE)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_PROBE)
