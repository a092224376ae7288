"""A mail in bytes: what is put in comes out, and nothing that is put in becomes a header."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from email.utils import parsedate_to_datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiron.server.platform.mail import Letter, Sender

NOON = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
ID = UUID("01a21000-0000-7000-8000-000000000001")
HEADERS = {
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Auto-Submitted",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
}
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=1500)
words = st.text("abcdefghijklmnopqrstuvwxyz0123456789.-_+üßλ漢", min_size=1, max_size=60)


def letter(*, to: str = "ada@example.org", subject: str = "Hello", text: str = "Hello\n") -> Letter:
    return Letter(ID, to, subject, text, NOON)


def lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")


def parse(raw: bytes) -> EmailMessage:
    return message_from_bytes(raw, policy=default)


@given(subject=texts, text=texts, eight_bit=st.booleans())
def test_what_is_put_in_comes_out_and_no_header_with_it(subject: str, text: str, eight_bit: bool) -> None:
    raw = Sender("Chiron <chiron@localhost>").compose(letter(subject=subject, text=text), eight_bit=eight_bit)
    message = parse(raw)
    assert set(message.keys()) == HEADERS
    assert len(message.keys()) == len(HEADERS)
    assert message["To"] == "ada@example.org"
    assert message["From"] == "Chiron <chiron@localhost>"
    printable = "".join(character if character.isprintable() else " " for character in subject)
    assert message["Subject"].split() == printable.split()
    assert lines(message.get_content()) == lines(text.replace("\0", ""))
    assert eight_bit or raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998  # RFC 5322 §2.1.1
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert b"\n" not in raw.replace(b"\r\n", b"")


@pytest.mark.parametrize(
    "evil",
    [
        "Hello\r\nBcc: evil@example.org",
        "Hello\nBcc: evil@example.org",
        "Hello\rBcc: evil@example.org",
        "Hello\r\n\r\nanother body",
        "Hello\u2028Bcc: evil@example.org\x85Bcc: evil@example.org\x0b\x0c\x1c",
        "Hello\0",
    ],
)
def test_a_subject_stays_one(evil: str) -> None:
    message = parse(Sender("chiron@localhost").compose(letter(subject=evil)))
    assert set(message.keys()) == HEADERS
    assert message.get_content().replace("\r\n", "\n") == "Hello\n"


@pytest.mark.parametrize(
    "address",
    [
        "ada@example.org\r\nBcc: evil@example.org",
        "ada@example.org\nDATA",
        "ada@example.org, evil@example.org",
        "ada@example.org evil@example.org",
        "Ada <ada@example.org>",
        "ada",
        "@example.org",
        "ada@",
        "ada@ex ample.org",
        "",
        "ada@example.org>",
        "ada@example.org\0",
        "ada@ex\u2028ample.org",
    ],
)
def test_what_is_no_address_makes_no_mail(address: str) -> None:
    with pytest.raises(ValueError):
        Sender("chiron@localhost").compose(letter(to=address))


@given(local=words, domain=st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=60))
def test_every_address_that_people_may_have_is_written_as_it_is(local: str, domain: str) -> None:
    address = f"{local}@{domain}.org"
    raw = Sender("chiron@localhost").compose(letter(to=address))
    assert f"\r\nTo: {address}\r\n".encode() in raw.replace(b"\r\n ", b"")


def test_rfc5890_a_domain_with_umlauts_is_written_in_ascii() -> None:
    raw = Sender("chiron@localhost").compose(letter(to="ada@bücher.example"))
    assert parse(raw)["To"] == "ada@xn--bcher-kva.example"
    assert raw.isascii()


def test_rfc6532_a_name_with_umlauts_left_of_the_at_is_utf8() -> None:
    assert "To: jürgen@example.org\r\n".encode() in Sender("chiron@localhost").compose(letter(to="jürgen@example.org"))


def test_the_headers_that_mail_servers_look_for() -> None:
    message = parse(Sender("Mentors of Köln <post@mentors.example.org>").compose(letter(text="Grüße\n")))
    assert message["From"] == "Mentors of Köln <post@mentors.example.org>"
    assert message["Message-ID"] == f"<{ID}@mentors.example.org>"
    assert parsedate_to_datetime(message["Date"]) == NOON.replace(microsecond=0)
    assert message["Auto-Submitted"] == "auto-generated"  # RFC 3834 §5
    assert message.get_content_charset() == "utf-8"


def test_a_long_host_does_not_fold_the_message_id() -> None:
    host = ".".join(["a" * 60] * 4)
    assert f"<{ID}@{host}>".encode() in Sender(f"chiron@{host}").compose(letter())


def test_a_mail_that_is_sent_again_is_the_same_to_the_byte() -> None:
    sender = Sender("Chiron <chiron@localhost>")
    assert sender.compose(letter(text="Grüße\n")) == sender.compose(letter(text="Grüße\n"))


@pytest.mark.parametrize(
    "text", ["", "Chiron", "<>", "Chiron <>", "a@b, c@d", "Chiron <a@b>\r\nBcc: c@d", "jürgen@b.org"]
)
def test_a_sender_is_one_address(text: str) -> None:
    with pytest.raises(ValueError, match="sender"):
        Sender(text)


def test_no_repr_shows_what_a_mail_says() -> None:
    assert "example.org" not in repr(letter())
    assert "Hello" not in repr(letter())
