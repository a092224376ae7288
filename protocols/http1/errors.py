"""Whose fault it is: `LocalProtocolError` ours, `RemoteProtocolError` the peer's."""

from __future__ import annotations

from chiron import errors


class LocalProtocolError(RuntimeError):
    """Our own code asked for something that the connection's state does not allow: a bug."""


class RemoteProtocolError(errors.Refused):
    """The peer broke the protocol or a limit. Carries the code (`errors.CODES`) of the answer it should be given."""
