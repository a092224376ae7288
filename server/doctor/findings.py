"""The words of a diagnosis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

State = Literal["ok", "warning", "problem"]


class Fault(msgspec.Struct, frozen=True):
    """Something that is wrong: in a sentence, and with what mends it, one command or setting a line.

    A `problem` keeps a server from starting or from keeping its promises; a `warning` will, or may.
    """

    state: Literal["warning", "problem"]
    sentence: str
    mend: tuple[str, ...]


class Finding(msgspec.Struct, frozen=True):
    """What one check found; `summary` is a few words that fit on its line."""

    check: str
    summary: str
    faults: tuple[Fault, ...] = ()

    @property
    def state(self) -> State:
        """That of the worst fault."""
        states = {fault.state for fault in self.faults}
        return "problem" if "problem" in states else "warning" if states else "ok"


Found = tuple[str, Sequence[Fault]]
"""What a check returns: summary and faults."""


def problem(sentence: str, *mend: str) -> Fault:
    return Fault("problem", sentence, mend)


def warning(sentence: str, *mend: str) -> Fault:
    return Fault("warning", sentence, mend)
