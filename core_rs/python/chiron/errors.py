"""One small tree of errors. Each says whose fault it is, carries a code from the one table, and parameters.

Texts for people are rendered from code and parameters by whoever shows them (gateway, client, page), never stored here.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import Any, Literal

Action = Literal["retry", "refresh", "reattach", "resync", "reconnect", "stop"]


@dataclass(frozen=True, slots=True)
class Code:
    """One row of the error table (`docs/protocol.md`, "Errors"): what a code means on every transport.

    `status` is the HTTP status (RFC 9110), `temporary` whether the same request may succeed later,
    `action` what a client should do, `text` the English sentence with `{parameter}` places.
    """

    status: int
    temporary: bool
    action: Action
    text: str


CODES: dict[str, Code] = {
    # The caller's fault.
    "bad_request": Code(400, False, "stop", "The request could not be understood: {reason}."),
    "invalid": Code(422, False, "stop", "{field}: {reason}."),
    "too_large": Code(413, False, "stop", "That is larger than the {limit} bytes allowed."),
    "unauthenticated": Code(401, False, "refresh", "Sign in first."),
    "token_expired": Code(401, False, "refresh", "The access token has expired."),
    "credentials": Code(401, False, "stop", "E-mail address or password is wrong."),
    "login_ended": Code(401, False, "stop", "This login has ended; sign in again."),
    "refresh_reused": Code(401, False, "stop", "That refresh token was used before, so its login was ended."),
    "unverified": Code(403, False, "refresh", "Verify your e-mail address first."),
    "forbidden": Code(403, False, "stop", "You may not do that."),
    "origin": Code(403, False, "stop", "Pages of {origin} may not use this server."),
    "not_found": Code(404, False, "stop", "There is no such {what}."),
    "method": Code(405, False, "stop", "{method} is not possible here; {allowed} is."),
    "timeout": Code(408, True, "retry", "The request did not arrive in time."),
    "target_too_long": Code(414, False, "stop", "The address of the request is too long."),
    "unsupported": Code(415, False, "stop", "Send {expected}."),
    "too_early": Code(425, True, "retry", "Ask again once the connection is made: this may be somebody's recording."),
    "upgrade_required": Code(426, False, "stop", "Open a WebSocket here with subprotocol chiron.v1.json."),
    "headers_too_large": Code(431, False, "stop", "The header fields of the request are too large."),
    "not_implemented": Code(501, False, "stop", "That is not known here."),
    "version": Code(505, False, "stop", "Speak HTTP/1.1."),
    "email_taken": Code(409, False, "stop", "That e-mail address already has an account."),
    "person_unknown": Code(404, False, "stop", "Nobody here has the address {email}."),
    "already_member": Code(409, False, "stop", "That person is already a member."),
    "direct_fixed": Code(409, False, "stop", "The members of a direct conversation cannot be changed."),
    "link_expired": Code(410, False, "stop", "That link is no longer valid; ask for another one."),
    "idempotency_key_reused": Code(422, False, "stop", "That Idempotency-Key was used for another request."),
    "client_id_reused": Code(409, False, "stop", "That client id was used for another message."),
    "blocked": Code(422, False, "stop", "That message was not sent: it looks like something that is not allowed here."),
    "already_decided": Code(409, False, "stop", "Somebody has decided otherwise on that message."),
    "unknown_command": Code(404, False, "stop", "There is no command {name}."),
    "protocol": Code(400, False, "reconnect", "The frame breaks the protocol: {reason}."),
    "epoch_changed": Code(410, False, "resync", "The database was restored; read the conversation again."),
    # Circumstance; the same request may succeed later.
    "after_failed": Code(409, True, "retry", "An earlier message of this conversation must be sent again first."),
    "limited": Code(429, True, "retry", "Too many requests; try again later."),
    "busy": Code(503, True, "retry", "The server is busy; try again shortly."),
    "unavailable": Code(503, True, "retry", "The database is not reachable; nothing was changed."),
    "unknown": Code(503, True, "retry", "Whether that was done is not known yet; look before doing it again."),
    "draining": Code(503, True, "reconnect", "The server is restarting."),
    "internal": Code(500, True, "retry", "Something went wrong here; it was logged as {incident}."),
}
"""Every code that any transport may carry. A test holds it equal to the table in `docs/protocol.md`."""


class ChironError(Exception):
    """Base of all errors that carry a code of `CODES`.

    `params` fill the places of the code's text; `retry_after` is in seconds where the server knows it.
    """

    def __init__(self, code: str, *, retry_after: float | None = None, **params: Any) -> None:
        self.code = code
        self.params = params
        self.retry_after = retry_after
        super().__init__(code)

    @property
    def row(self) -> Code:
        """What the code means."""
        return CODES[self.code]

    def __str__(self) -> str:
        return self.row.text.format_map({**dict.fromkeys(_places(self.row.text), "?"), **self.params})


class Refused(ChironError):
    """The caller's fault: the same request will be refused again (4xx without retry)."""


class Unavailable(ChironError):
    """Circumstance: nothing was changed, and the same request may succeed later."""


class Unknown(ChironError):
    """The outcome is not known (an interrupted COMMIT): look before doing it again."""


class SetupError(Exception):
    """What an operator must mend before the server can start; `exit_status` is the command's (sysexits.h)."""

    def __init__(self, message: str, *, exit_status: int = 78) -> None:
        self.exit_status = exit_status
        super().__init__(message)


def _places(text: str) -> list[str]:
    return [name for _, name, _, _ in string.Formatter().parse(text) if name]
