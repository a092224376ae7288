"""Mail to real SMTP servers in this process: willing ones, and those that refuse, stall, hang up and lie."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from chiron.server.edge import certificates
from chiron.server.platform.mail import Down, Letter, Sender, Smtp, Undelivered, parse_smtp

NOON = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
SENDER = Sender("Chiron <chiron@mentors.example.org>")
PASSWORD = "pass:w/or@d %"
ENCODED = "pass%3Aw%2For%40d%20%25"


def letter(number: int = 1, *, to: str = "ada@example.org", text: str = "Grüße\n.\nend\n") -> Letter:
    return Letter(UUID(int=number), to, f"Mail {number}", text, NOON)


@dataclass
class PostOffice:
    """A server's handler: takes mails, and answers as `answers` says by command or recipient."""

    answers: dict[str, str] = field(default_factory=dict)
    taken: list[tuple[str, list[str], bytes, list[str]]] = field(default_factory=list)
    """(sender, recipients, content, options)"""
    encrypted: list[bool] = field(default_factory=list)
    greetings: list[str] = field(default_factory=list)
    hang_up_after: str = ""
    """`MAIL`, `RCPT` or `DATA`: the connection is cut instead of the answer to this."""
    stalls: bool = False
    """It never answers to DATA."""
    stalled: asyncio.Event = field(default_factory=asyncio.Event)
    signed_in: list[bytes] = field(default_factory=list)
    connections: int = 0
    most: int = 0
    """Mails by one connection, before what is said of MAIL happens."""
    begun: Counter[SMTP] = field(default_factory=Counter)
    port: int = 0

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        self.greetings.append(hostname)
        return [line for line in responses if line[4:].split()[0] not in self.answers.get("without", "").split()]

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.begun[server] += 1
        if self.begun[server] > self.most and (answer := self._answer(server, "MAIL")) is not None:
            return answer
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if (answer := self._answer(server, "RCPT", address)) is not None:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if (answer := self._answer(server, "DATA")) is not None:
            return answer
        if self.stalls:
            self.stalled.set()
            await asyncio.Event().wait()
        content = envelope.content
        assert isinstance(content, bytes)
        self.taken.append((envelope.mail_from or "", list(envelope.rcpt_tos), content, list(envelope.mail_options)))
        self.encrypted.append(session.ssl is not None)
        return "250 OK"

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.signed_in.append(data.login)
        return AuthResult(success=data == LoginPassword(b"ada@b", PASSWORD.encode()), handled=False)

    def _answer(self, server: SMTP, *names: str) -> str | None:
        if self.hang_up_after == names[0]:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
            return "250 nobody hears this"
        return next((self.answers[name] for name in names if name in self.answers), None)


Open = Callable[..., AbstractAsyncContextManager[PostOffice]]


@pytest.fixture
def authority(tmp_path: Path) -> certificates.Certificate:
    """A certificate for localhost, of an authority that nobody trusts yet."""
    return certificates.development(tmp_path / "tls", datetime.now(UTC))


@pytest.fixture
def trusted(authority: certificates.Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "tls" / "ca.pem"))


@pytest.fixture
def server_tls(authority: certificates.Certificate, tmp_path: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls" / "leaf.pem", tmp_path / "tls" / "leaf.key")
    return context


@asynccontextmanager
async def post_office(*, implicit: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[PostOffice]:
    office = PostOffice()
    loop = asyncio.get_running_loop()

    def accept() -> SMTP:
        office.connections += 1
        return SMTP(office, hostname="localhost", enable_SMTPUTF8=True, loop=loop, **options)

    server = await loop.create_server(accept, "127.0.0.1", 0, ssl=implicit)
    office.port = server.sockets[0].getsockname()[1]
    try:
        yield office
    finally:
        server.close()


@asynccontextmanager
async def signing_in(server_tls: ssl.SSLContext) -> AsyncIterator[PostOffice]:
    """One that wants STARTTLS, then a password."""
    accounts: list[PostOffice] = []

    def authenticate(*args: Any) -> AuthResult:
        return accounts[0].authenticate(*args)

    async with post_office(tls_context=server_tls, auth_required=True, authenticator=authenticate) as office:
        accounts.append(office)
        yield office


def smtp(office: PostOffice, user: str = "", *, scheme: str = "smtp") -> Smtp:
    return Smtp(parse_smtp(f"{scheme}://{user}{'@' if user else ''}localhost:{office.port}"), SENDER)


async def test_mails_of_a_batch_travel_by_one_connection() -> None:
    async with post_office() as office:
        transport = smtp(office)
        for number in range(1, 4):
            await transport.send(letter(number))
        await transport.close()
        assert office.connections == 1
        assert [recipients for _, recipients, _, _ in office.taken] == [["ada@example.org"]] * 3
        sender, _, content, options = office.taken[0]
        assert sender == "chiron@mentors.example.org"
        assert "BODY=8BITMIME" in options
        message = message_from_bytes(content, policy=default)
        assert message["Message-ID"] == f"<{UUID(int=1)}@mentors.example.org>"
        assert message.get_content().replace("\r\n", "\n") == "Grüße\n.\nend\n", "dots are not eaten (RFC 5321 §4.5.2)"
        assert office.greetings == ["mentors.example.org"]
        await transport.send(letter(4))
        await transport.close()
        assert office.connections == 2


async def test_rfc6152_a_server_without_8bitmime_gets_ascii() -> None:
    async with post_office() as office:
        office.answers["without"] = "8BITMIME"
        transport = smtp(office)
        await transport.send(letter())
        await transport.close()
        assert office.taken[0][2].isascii()
        assert message_from_bytes(office.taken[0][2], policy=default).get_content().startswith("Grüße")


async def test_rfc6531_an_address_beyond_ascii_needs_a_server_that_takes_it() -> None:
    async with post_office() as office:
        transport = smtp(office)
        await transport.send(letter(to="jürgen@bücher.example"))
        await transport.close()
        assert office.taken[0][1] == ["jürgen@xn--bcher-kva.example"]
        office.answers["without"] = "SMTPUTF8"
        with pytest.raises(Undelivered) as refused:
            await transport.send(letter(to="jürgen@example.org"))
        assert (refused.value.reason, refused.value.permanent) == ("smtputf8:not_offered", True)
        await transport.send(letter(to="ada@bücher.example"))
        await transport.close()
        assert office.taken[1][1] == ["ada@xn--bcher-kva.example"]


@pytest.mark.usefixtures("trusted")
async def test_with_a_user_the_connection_is_encrypted_before_the_password_is_said(server_tls: ssl.SSLContext) -> None:
    async with signing_in(server_tls) as office:
        transport = smtp(office, f"ada%40b:{ENCODED}")
        await transport.send(letter())
        await transport.close()
        assert office.encrypted == [True]
        assert office.signed_in == [b"ada@b"]


@pytest.mark.usefixtures("trusted")
async def test_smtps_is_encrypted_from_the_first_byte(server_tls: ssl.SSLContext) -> None:
    async with post_office(implicit=server_tls) as office:
        transport = smtp(office, scheme="smtps")
        await transport.send(letter())
        await transport.close()
        assert len(office.taken) == 1


async def test_a_certificate_that_nobody_vouches_for_ends_it_before_the_password(server_tls: ssl.SSLContext) -> None:
    async with signing_in(server_tls) as office:
        with pytest.raises(Down) as down:
            await smtp(office, f"ada%40b:{ENCODED}").send(letter())
        assert down.value.reason == "starttls:SSLCertVerificationError"
        assert office.signed_in == []
    async with post_office(implicit=server_tls) as office:
        with pytest.raises(Down, match="connect:"):
            await smtp(office, scheme="smtps").send(letter())
        assert office.taken == []


@pytest.mark.usefixtures("trusted")
async def test_a_certificate_of_another_name_is_none(server_tls: ssl.SSLContext) -> None:
    # The certificate is for localhost and 127.0.0.1; this is another name of the same machine.
    async with signing_in(server_tls) as office:
        transport = Smtp(parse_smtp(f"smtp://ada%40b:{ENCODED}@127.1:{office.port}"), SENDER)
        with pytest.raises(Down, match="starttls:SSLCertVerificationError"):
            await transport.send(letter())
        assert office.signed_in == []


async def test_a_password_is_not_said_where_starttls_was_stripped() -> None:
    async with post_office(auth_require_tls=False, authenticator=lambda *_: AuthResult(success=True)) as office:
        with pytest.raises(Down) as down:
            await smtp(office, "ada:secret").send(letter())
        assert down.value.reason == "starttls:not_offered"
        assert office.taken == []


@pytest.mark.usefixtures("trusted")
async def test_a_wrong_password_is_no_mails_fault(server_tls: ssl.SSLContext) -> None:
    async with signing_in(server_tls) as office:
        with pytest.raises(Down) as down:
            await smtp(office, "ada%40b:wrong").send(letter())
        assert down.value.reason == "auth:535"
        assert PASSWORD not in repr(down.value)


@pytest.mark.usefixtures("trusted")
async def test_a_server_that_wants_a_user_is_no_mails_fault(server_tls: ssl.SSLContext) -> None:
    async with signing_in(server_tls) as office:
        with pytest.raises(Down, match="mail:530"):
            await smtp(office).send(letter())


@pytest.mark.parametrize(
    ("answers", "reason", "permanent"),
    [
        ({"ada@example.org": "550 5.1.1 ada@example.org: no such user"}, "rcpt:550", True),
        ({"ada@example.org": "450 4.2.1 greylisted"}, "rcpt:450", False),
        ({"ada@example.org": "421 4.3.2 going down"}, "rcpt:421", False),
        ({"ada@example.org": "554 5.7.1 relaying denied"}, "rcpt:554", False),
        ({"DATA": "554 5.6.0 no"}, "data:554", True),
        ({"DATA": "451 4.3.0 later"}, "data:451", False),
        ({"MAIL": "452 4.3.1 disk full"}, "mail:452", False),
    ],
)
async def test_a_refused_mail_says_for_how_long_and_does_not_keep_the_next(
    answers: dict[str, str], reason: str, permanent: bool
) -> None:
    async with post_office() as office:
        transport = smtp(office)
        office.answers.update(answers)
        with pytest.raises(Undelivered) as refused:
            await transport.send(letter())
        assert (refused.value.reason, refused.value.permanent) == (reason, permanent)
        assert "ada" not in repr(refused.value)
        assert refused.value.__cause__ is None
        office.answers.clear()
        await transport.send(letter(2))
        await transport.close()
        assert len(office.taken) == 1


@pytest.mark.parametrize(
    ("answers", "reason"),
    [({"MAIL": "550 5.7.1 not from you"}, "mail:550"), ({"RCPT": "530 5.7.0 sign in"}, "rcpt:530")],
)
async def test_a_server_that_wants_no_mail_of_ours_is_down(answers: dict[str, str], reason: str) -> None:
    async with post_office() as office:
        office.answers.update(answers)
        with pytest.raises(Down) as down:
            await smtp(office).send(letter())
        assert down.value.reason == reason


@pytest.mark.parametrize("place", ["MAIL", "RCPT", "DATA"])
async def test_a_cut_connection_is_tried_again_later(place: str) -> None:
    async with post_office() as office:
        transport = smtp(office)
        office.hang_up_after = place
        with pytest.raises(Undelivered) as refused:
            await transport.send(letter())
        assert not refused.value.permanent
        office.hang_up_after = ""
        await transport.send(letter(2))
        await transport.close()
        assert len(office.taken) == 1


@pytest.mark.parametrize("how", ["421", "cut"])
async def test_a_server_that_takes_so_many_by_one_connection_gets_the_rest_by_another(how: str) -> None:
    async with post_office() as office:
        transport = smtp(office)
        office.most = 1
        if how == "421":
            office.answers["MAIL"] = "421 4.7.0 enough"
        else:
            office.hang_up_after = "MAIL"
        await transport.send(letter(1))
        await transport.send(letter(2))
        await transport.close()
        assert len(office.taken) == 2
        assert office.connections == 2


@asynccontextmanager
async def saying(*lines: bytes, cut: bool = True) -> AsyncIterator[int]:
    """A server that says this to whoever connects, and no more; its port."""
    done = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for line in lines:
            writer.write(line)
            await reader.readline()
        if not cut:
            await done.wait()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        done.set()
        server.close()


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], "connect:SMTPConnectError"),
        ([b"421 too busy\r\n"], "connect:421"),
        ([b"554 go away\r\n"], "connect:554"),
        ([b"220 hello\r\n", b"502 what\r\n"], "ehlo:502"),
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], "connect:"),
        ([b"220 hello\r\n"], "ehlo:SMTPServerDisconnected"),
    ],
)
async def test_a_server_that_does_not_begin_is_down(lines: list[bytes], reason: str) -> None:
    async with saying(*lines) as port:
        with pytest.raises(Down) as down:
            await Smtp(parse_smtp(f"smtp://localhost:{port}"), SENDER).send(letter())
        assert down.value.reason.startswith(reason)


async def test_nobody_there_is_down() -> None:
    async with saying() as port:
        pass
    with pytest.raises(Down, match="connect:SMTPConnectError"):
        await Smtp(parse_smtp(f"smtp://localhost:{port}"), SENDER).send(letter())


async def test_a_send_that_is_given_up_leaves_no_half_used_connection() -> None:
    async with post_office() as office:
        transport = smtp(office)
        office.stalls = True
        sending = asyncio.create_task(transport.send(letter(1)))
        await office.stalled.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        office.stalls = False
        await transport.send(letter(2))
        await transport.close()
        assert office.connections == 2
        assert len(office.taken) == 1


@pytest.mark.parametrize(
    ("url", "host", "port", "user", "starttls"),
    [
        ("smtp://mail.example.org", "mail.example.org", 25, None, True),
        ("smtp://ada:pw@mail.example.org", "mail.example.org", 587, "ada", True),
        ("smtp://ada:pw@localhost", "localhost", 587, "ada", True),
        ("smtp://localhost", "localhost", 25, None, False),
        ("smtp://127.0.0.1:1025/", "127.0.0.1", 1025, None, False),
        ("smtp://[::1]:25", "::1", 25, None, False),
        ("smtps://ada%40b:pw@mail.example.org", "mail.example.org", 465, "ada@b", False),
    ],
)
def test_the_address_of_a_server(url: str, host: str, port: int, user: str | None, starttls: bool) -> None:
    server = parse_smtp(url)
    assert (server.host, server.port, server.user, server.starttls) == (host, port, user, starttls)
    assert server.implicit_tls == url.startswith("smtps:")
    assert "pw" not in repr(server)


@pytest.mark.parametrize(
    "url",
    [
        "http://mail.example.org",
        "mail.example.org",
        "smtp://",
        "smtp://:pw@mail.example.org",
        "smtp://ada:pw@mail.example.org:99999",
        "smtp://ada:pw@mail.example.org:0",
        "smtp://ada:pw@mail.example.org/path",
        "smtp://ada:pw@mail.example.org?tls=no",
        "smtp://ada:pw%0D%0AMAIL@mail.example.org",
        "smtp://ada:pw%FF@mail.example.org",
        "smtp://ada:pw@[::1",
        "smtp://ada:pw@exa\u2100mple.org",
    ],
)
def test_what_is_no_address_of_a_server_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_smtp(url)
    assert "pw" not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
