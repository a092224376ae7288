"""The seam between the outbox and whatever takes its mails."""

from __future__ import annotations

from typing import Protocol

from chiron.server.platform.mail.message import Letter


class Undelivered(Exception):
    """This mail was not taken; others may be.

    `reason` is a short code that is stored and logged: it holds nothing of the mail, nor what a server said, which
    often repeats the address. `permanent`: trying again is no use.
    """

    def __init__(self, reason: str, *, permanent: bool) -> None:
        self.reason = reason
        self.permanent = permanent
        super().__init__(reason)


class Down(Exception):
    """No mail can be taken now, whichever it is. `reason` as in `Undelivered`."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Transport(Protocol):
    async def send(self, letter: Letter) -> None:
        """Returns once somebody else answers for the mail. Raises `Undelivered` or `Down`."""
        ...

    async def close(self) -> None:
        """No mail follows for now. Never raises."""
        ...
