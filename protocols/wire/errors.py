"""How a link can fail, by whose fault."""

from __future__ import annotations


class WireError(Exception):
    """Base of the errors of a link."""


class LocalProtocolError(WireError):
    """The owner of the connection did what it may not do now."""


class RemoteProtocolError(WireError):
    """The server sent what is no frame of this protocol."""
