"""Options of the sockets that connections come in on."""

from __future__ import annotations

import socket
import sys
from contextlib import suppress
from typing import Any

_NOTSENT_LOWAT_OPTION = getattr(socket, "TCP_NOTSENT_LOWAT", {"linux": 25, "darwin": 0x201}.get(sys.platform))
_NOTSENT_LOWAT = 16_384
"""Bytes that the kernel takes ahead of the network. Without it the kernel takes megabytes for a peer that never reads,
and a slow reader is not seen."""


def set_options(sock: Any) -> None:
    """Of a TCP socket of an event loop; any other, and None, stay as they are."""
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    with suppress(OSError):  # the peer may be gone already
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if _NOTSENT_LOWAT_OPTION is not None:
            sock.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT_OPTION, _NOTSENT_LOWAT)
