"""Binary data in text that may stand in an address: base64url without padding (RFC 4648 §5, §3.2)."""

from __future__ import annotations

import base64


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Strict: only what `encode` writes, so that no two texts mean the same (RFC 4648 §3.5). Raises ValueError."""
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if encode(data) != text:
        raise ValueError("this is not the one way to write it in base64url")
    return data
