"""Which passwords are taken (NIST SP 800-63B §3.1.1.2): a minimum length and a list of what is guessed first, and no
rules of composition."""

from __future__ import annotations

import gzip
import importlib.resources
import unicodedata
from collections.abc import Iterable
from functools import cache
from urllib.parse import urlsplit

from chiron.errors import Refused

LENGTH = (10, 128)
"""Code points."""
SHORT = 16
"""Below this many code points a password may not contain what everybody knows of its account."""
TELLING = 4
"""Code points that a name must have to count as contained: shorter ones are part of many words."""


class PasswordRules:
    """`site` are names that people would think of here."""

    def __init__(self, site: Iterable[str]) -> None:
        self._site = [folded for name in site if len(folded := _folded(name)) >= TELLING]

    def check(self, password: str, email: str) -> str:
        """The password. Raises Refused invalid, with field password."""
        low, high = LENGTH
        if not low <= len(password) <= high:
            raise _refusal(f"a password has {low} to {high} characters")
        folded = _folded(password)
        if folded in _commonest():
            raise _refusal("this is one of the commonest passwords, and guessed first")
        if len(folded) < SHORT:
            local = _folded(email.partition("@")[0])
            if len(local) >= TELLING and local in folded:
                raise _refusal("a password this short does not contain your e-mail address")
            if any(name in folded for name in self._site):
                raise _refusal("a password this short does not contain the name of this site")
        return password


def site_names(public_url: str) -> list[str]:
    """Of the program and of the host, without its last label."""
    host = urlsplit(public_url).hostname or ""
    labels = host.split(".")
    return ["chiron", *(labels[:-1] or labels)]


def _refusal(reason: str) -> Refused:
    return Refused("invalid", field="password", reason=reason)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


@cache
def _commonest() -> frozenset[str]:
    """`common_passwords.md` tells where they are from."""
    file = importlib.resources.files("chiron.server.identity") / "common_passwords.txt.gz"
    return frozenset(gzip.decompress(file.read_bytes()).decode().splitlines())
