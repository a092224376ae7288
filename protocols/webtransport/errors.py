"""Whose fault it is."""

from __future__ import annotations


class SessionIdError(Exception):
    """The peer names a session that no stream can have: H3_ID_ERROR for the connection (draft-02 §4)."""


class CapsuleError(Exception):
    """A capsule is longer than one of its type may be, or cut off: the message is malformed (RFC 9297 §3.3)."""
