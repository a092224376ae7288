"""Which engine speaks QUIC on a socket."""

from __future__ import annotations

import dataclasses
import socket
import time
from collections.abc import Sequence
from typing import Literal

from chiron._core import Quic
from chiron.protocols.quic.endpoint import Endpoint
from chiron.protocols.quic.limits import Limits
from chiron.server.edge.quic_reference import ReferenceOnSocket


def make_endpoint(
    engine: Literal["native", "aioquic"],
    sock: socket.socket,
    chain: bytes,
    key: bytes,
    *,
    named: tuple[bytes, bytes] | None,
    secret: bytes,
    ticket_keys: Sequence[bytes],
    worker: int = 0,
    limits: Limits | None = None,
) -> Endpoint:
    """An endpoint for a bound UDP socket. `named` is the certificate of clients that name a server.

    Raises ValueError when a certificate cannot be used.
    """
    limits, now = limits or Limits(), time.monotonic()
    if engine == "native":
        taken = dataclasses.asdict(limits)
        del taken["max_stream_window"]  # its windows of streams do not rise
        return Quic(chain, key, named=named, secret=secret, ticket_keys=ticket_keys, worker=worker, now=now, **taken)
    return ReferenceOnSocket(
        sock, chain, key, named=named, secret=secret, ticket_keys=ticket_keys, worker=worker, limits=limits, now=now
    )
