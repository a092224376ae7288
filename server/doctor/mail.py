"""Whether mail can leave: the SMTP server, or the drop folder."""

from __future__ import annotations

import os
import shlex
import smtplib
import ssl
from email.utils import parseaddr

from chiron.server.doctor.findings import Fault, Found, problem, warning
from chiron.server.doctor.subject import Subject
from chiron.server.platform.mail.smtp import SmtpServer, parse_smtp

SECONDS = 10.0
"""For each answer of the SMTP server."""
URL = '[mail] smtp = "smtp://user:password@mail.example.org:587"'


def mail(subject: Subject) -> Found:
    settings = subject.settings.mail
    faults: list[Fault] = []
    if "@" not in parseaddr(settings.sender)[1]:
        faults.append(
            problem(f"{settings.sender!r} is no sender of mail.", '[mail] sender = "Chiron <chiron@example.org>"')
        )
    if settings.smtp is None:
        summary, more = _drop_folder(subject)
    else:
        summary, more = _smtp(settings.smtp)
    return summary, faults + more


def _drop_folder(subject: Subject) -> tuple[str, list[Fault]]:
    folder = subject.folder / "mail"
    faults = []
    if folder.exists() and not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        faults.append(problem(f"No mail can be put into {folder}.", f"chown $(id -un) {shlex.quote(str(folder))}"))
    if subject.settings.public_url is not None:
        faults.append(
            warning(f"Mail stays in {folder} and reaches nobody, so that people cannot verify their address.", URL)
        )
    return f"put into {folder}", faults


def _smtp(url: str) -> tuple[str, list[Fault]]:
    """Connect, EHLO, STARTTLS and sign in as sending does, and send nothing."""
    try:
        server = parse_smtp(url)
    except ValueError as error:
        return "not understood", [problem(f"The address of the mail server is not understood: {error}.", URL)]
    place = f"{server.host}:{server.port}"
    try:
        with _connect(server) as smtp:
            return f"{place} answers{_talk(smtp, server)}", []
    except _InClear:
        return f"{place} answers without TLS", [
            problem(
                f"{place} offers no STARTTLS, and the password is not sent in clear.",
                f'[mail] smtp = "smtps://{server.user}:…@{server.host}"   (TLS from the first byte)',
            )
        ]
    except smtplib.SMTPAuthenticationError as error:
        return f"{place} refuses the password", [problem(f"{place} refuses user {server.user}: {_said(error)}.", URL)]
    except ssl.SSLCertVerificationError as error:
        starttls = "" if server.implicit_tls else "-starttls smtp "
        return f"{place} is not trusted", [
            problem(
                f"The certificate of {place} is not good: {error.verify_message}.",
                f"openssl s_client {starttls}-connect {place}   (shows it; use the name that it is for)",
            )
        ]
    except (smtplib.SMTPException, OSError) as error:
        return f"{place} does not answer", [
            problem(
                f"{place} does not answer like a mail server: {_said(error)}.",
                f"nc -v {server.host} {server.port}   (must begin with 220)",
                URL,
            )
        ]


class _InClear(Exception):
    """The password would have to be sent without encryption."""


def _talk(smtp: smtplib.SMTP, server: SmtpServer) -> str:
    """What to say of a server that does what is asked of it."""
    status, said = smtp.ehlo()
    if status != 250:
        raise smtplib.SMTPResponseException(status, said)
    secure = server.implicit_tls
    if server.starttls and smtp.has_extn("starttls"):
        smtp.starttls(context=ssl.create_default_context())
        smtp.ehlo()
        secure = True
    if server.user is not None:
        if not secure:
            raise _InClear
        smtp.login(server.user, server.password)
    return f", {'with TLS' if secure else 'without TLS'}{', signed in' if server.user else ''}"


def _connect(server: SmtpServer) -> smtplib.SMTP:
    if server.implicit_tls:
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(server.host, server.port, timeout=SECONDS, context=context)
    return smtplib.SMTP(server.host, server.port, timeout=SECONDS)


def _said(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        text = error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        return f"{error.smtp_code} {text}"
    return str(error).rstrip(".") or type(error).__name__
