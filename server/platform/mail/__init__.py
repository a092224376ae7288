"""Mail: an outbox in the database, and the two ways out of it: an SMTP server, or a folder."""

from chiron.server.platform.mail.drop import DropFolder, Dropped
from chiron.server.platform.mail.message import Letter, Sender
from chiron.server.platform.mail.outbox import Mailer
from chiron.server.platform.mail.smtp import Smtp, SmtpServer, parse_smtp
from chiron.server.platform.mail.transport import Down, Transport, Undelivered

__all__ = [
    "Down",
    "DropFolder",
    "Dropped",
    "Letter",
    "Mailer",
    "Sender",
    "Smtp",
    "SmtpServer",
    "Transport",
    "Undelivered",
    "parse_smtp",
]
