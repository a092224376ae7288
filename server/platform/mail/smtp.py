"""Mail by an SMTP server (RFC 5321, submission RFC 6409)."""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import aiosmtplib

from chiron.server.platform.addresses import is_local
from chiron.server.platform.mail.message import Letter, Sender, ascii_domain, needs_smtputf8
from chiron.server.platform.mail.transport import Down, Undelivered

CONNECT_SECONDS = 20.0
"""Until a connection is encrypted and signed in."""
ANSWER_SECONDS = 25.0
"""For one answer of the server: what is behind it may scan the mail first."""
QUIT_SECONDS = 2.0

_SIGN_IN = frozenset({530, 534, 535, 538})
"""Answers that ask for another sign-in (RFC 4954 §6), whichever mail it is."""
_POLICY = re.compile(r"5\.7\.\d+\b")
"""Enhanced status (RFC 3463 §3.8): refused by a rule, such as one against relaying, that the operator can mend."""

_FORM = (
    "write smtp://user:password@host:port or smtps://…, with special characters of user and password as %XX, such as"
    " %40 for @"
)


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where mail goes, as `mail.smtp` says it."""

    host: str
    port: int
    implicit_tls: bool
    user: str | None
    password: str = field(repr=False, default="")

    @property
    def starttls(self) -> bool:
        """Whether STARTTLS (RFC 3207) is used where it is offered. To this machine nobody listens in."""
        return not self.implicit_tls and (self.user is not None or not is_local(self.host))


def parse_smtp(url: str) -> SmtpServer:
    """`smtp://[user[:password]@]host[:port]` or `smtps://…`, percent-encoded (RFC 3986 §3.2).

    Ports: 465 for `smtps` (RFC 8314 §3.3), 587 with a user, else 25. Raises ValueError, whose text has no password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        user = None if parts.username is None else unquote(parts.username, errors="strict")
        password = unquote(parts.password or "", errors="strict")
    except ValueError:
        raise ValueError(_FORM) from None
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or port == 0:
        raise ValueError(_FORM)
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(_FORM)
    if user == "" or not f"{user or ''}{password}".isprintable():
        raise ValueError("user and password of the mail server cannot be empty or have control characters")
    secure = parts.scheme == "smtps"
    return SmtpServer(parts.hostname, port or (465 if secure else 25 if user is None else 587), secure, user, password)


class Smtp:
    """`Transport` by `server`. One connection carries the mails between two calls of `close`.

    Certificates are always checked, against the system's authorities or those of `SSL_CERT_FILE`. With a user the
    connection is encrypted or nothing is said.
    """

    def __init__(self, server: SmtpServer, sender: Sender) -> None:
        self._server = server
        self._sender = sender
        self._connection: aiosmtplib.SMTP | None = None

    async def send(self, letter: Letter) -> None:
        if self._connection is not None:
            try:
                await self._carry(self._connection, letter)
                return
            except _Stale:
                pass  # servers end connections that carried enough; nothing of this mail was said
        self._connection = await self._connect()
        try:
            await self._carry(self._connection, letter)
        except _Stale as stale:
            raise Undelivered(stale.reason, permanent=False) from None

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(aiosmtplib.SMTPException, OSError, ValueError):
                await connection.quit(timeout=QUIT_SECONDS)
            connection.close()

    async def _connect(self) -> aiosmtplib.SMTP:
        """Raises Down."""
        server = self._server
        connection = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.implicit_tls,
            start_tls=False,
            local_hostname=self._sender.domain,
            timeout=ANSWER_SECONDS,
        )
        step = "connect"
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await connection.connect()
                step = "ehlo"
                await connection.ehlo()
                if server.starttls:
                    step = "starttls"
                    if connection.supports_extension("starttls"):
                        await connection.starttls()
                        await connection.ehlo()
                    elif server.user is not None:
                        raise Down("starttls:not_offered")
                if server.user is not None:
                    step = "auth"
                    await connection.login(server.user, server.password)
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            connection.close()
            raise Down(f"{step}:{_kind(error)}") from None
        except BaseException:
            connection.close()
            raise
        return connection

    async def _carry(self, connection: aiosmtplib.SMTP, letter: Letter) -> None:
        """One mail. Raises Undelivered, Down, and _Stale while nothing of the mail was said yet."""
        utf8 = needs_smtputf8(letter.to)
        eight_bit = connection.supports_extension("8bitmime")
        if utf8 and not connection.supports_extension("smtputf8"):
            raise Undelivered("smtputf8:not_offered", permanent=True)
        try:
            body = self._sender.compose(letter, eight_bit=eight_bit)
            recipient = ascii_domain(letter.to)
        except ValueError:
            raise Undelivered("address", permanent=True) from None
        options = ["SMTPUTF8"] if utf8 else []
        if not body.isascii():
            options.append("BODY=8BITMIME")
        clean = False
        try:
            await self._begin(connection, options)
            try:
                await connection.rcpt(recipient, encoding="utf-8" if utf8 else "ascii")
                await connection.data(body)
            except aiosmtplib.SMTPRecipientRefused as error:
                if error.code in _SIGN_IN:
                    raise Down(f"rcpt:{error.code}") from None
                # The transaction is over, the connection may go on (RFC 5321 §4.1.1.5).
                clean = error.code != 421 and await _reset(connection)
                permanent = error.code >= 500 and not _POLICY.match(error.message)
                raise Undelivered(f"rcpt:{error.code}", permanent=permanent) from None
            except aiosmtplib.SMTPDataError as error:
                clean = error.code != 421 and await _reset(connection)
                raise Undelivered(f"data:{error.code}", permanent=error.code >= 500) from None
            except (aiosmtplib.SMTPException, OSError, ValueError) as error:
                raise Undelivered(f"broken_off:{_kind(error)}", permanent=False) from None
            clean = True
        finally:
            if not clean:
                connection.close()
                self._connection = None

    async def _begin(self, connection: aiosmtplib.SMTP, options: list[str]) -> None:
        """Raises Down where the server does not want mail of this sender: that is no mail's fault."""
        try:
            await connection.mail(self._sender.address, options=options, encoding="ascii")
        except aiosmtplib.SMTPSenderRefused as error:
            if error.code >= 500:
                raise Down(f"mail:{error.code}") from None
            raise _Stale(f"mail:{error.code}") from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise _Stale(f"mail:{_kind(error)}") from None


class _Stale(Exception):
    """The connection takes no mail (any more)."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


async def _reset(connection: aiosmtplib.SMTP) -> bool:
    """Whether the connection can carry another mail."""
    try:
        await connection.rset()
    except (aiosmtplib.SMTPException, OSError):
        return False
    return True


def _kind(error: Exception) -> str:
    """The answer's code or the error's name; never its text."""
    return str(error.code) if isinstance(error, aiosmtplib.SMTPResponseException) else type(error).__name__
