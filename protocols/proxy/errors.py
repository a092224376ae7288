"""Whose fault it is: `LocalProtocolError` ours, `RemoteProtocolError` the peer's."""

from __future__ import annotations


class LocalProtocolError(RuntimeError):
    """Our own code asked for something that the connection's state does not allow: a bug."""


class RemoteProtocolError(Exception):
    """The peer's first bytes are no acceptable header. The message is for the log: the peer is told nothing."""
