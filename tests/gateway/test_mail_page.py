"""The page that shows kept mails: to whoever sits at this machine, and to nobody else, however they ask."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from chiron.server.config import MailSettings, Settings, TlsSettings
from chiron.server.gateway import mail_page
from chiron.server.platform.mail import DropFolder, Letter, Sender
from chiron.server.ports import Request

NOON = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
LINK = "http://127.0.0.1:8080/#/verify/abc-DEF_1"


class Reader(HTMLParser):
    """What a browser would make of the page."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.text = ""
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        if tag == "a":
            self.links.append(dict(attrs)["href"] or "")

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def folder(tmp_path: Path) -> DropFolder:
    return DropFolder(tmp_path / "mail", Sender("Chiron <chiron@localhost>"))


async def put(
    folder: DropFolder, number: int, *, to: str = "ada@example.org", subject: str = "", text: str = ""
) -> UUID:
    id = UUID(int=number)
    await folder.send(Letter(id, to, subject or f"Mail {number}", text or LINK, NOON + timedelta(seconds=number)))
    return id


async def ask(house: Any, target: str, headers: Mapping[str, str] | None = None, **request: Any) -> Any:
    """As a browser on this machine asks, but for what is given."""
    fields = {"host": "127.0.0.1:8080", "sec-fetch-site": "none", **(headers or {})}
    sent = Request(
        "GET",
        target,
        [(name, value) for name, value in fields.items() if value != "-"],
        b"",
        request.get("address", "127.0.0.1"),
        "http",
        request.get("version", "1.1"),
    )
    response = await house.gateway.respond(sent)
    return response.status, response.body.decode(), dict(response.headers)


async def test_mails_are_shown_the_newest_first_with_links_that_can_be_followed(house: Any, folder: DropFolder) -> None:
    await put(folder, 1, subject="Please verify")
    await put(folder, 2, to="ben@example.org", text=f"Hello Ben,\n\n{LINK}.\nBye (see https://example.org/a?b=1&c=2)\n")
    status, document, headers = await ask(house(mail_page.routes(folder)), "/mail")
    assert status == 200
    assert headers["content-type"] == "text/html; charset=utf-8"
    page = Reader(document)
    assert page.text.index("Mail 2") < page.text.index("Please verify")
    assert "ben@example.org" in page.text
    assert "Hello Ben,\n\n" in page.text
    assert [link for link in page.links if link.startswith("http")] == [LINK, "https://example.org/a?b=1&c=2", LINK]
    assert "/mail" in page.links, "a link refreshes the page"


async def test_an_empty_folder_says_what_will_be_here(house: Any, folder: DropFolder) -> None:
    status, document, _ = await ask(house(mail_page.routes(folder)), "/mail")
    assert status == 200
    assert "When somebody signs up" in Reader(document).text


async def test_nothing_in_a_mail_becomes_part_of_the_page(house: Any, folder: DropFolder) -> None:
    evil = (
        '<script>alert(1)</script><img src=x onerror=alert(1)>"\' https://a.example/"><b onclick=x>javascript:alert(1)'
    )
    await put(folder, 1)
    plain = Reader((await ask(house(mail_page.routes(folder)), "/mail"))[1])
    await put(folder, 2, to="o'brien&co@example.org", subject=evil, text=evil + "{subject}{0}")
    _, document, _ = await ask(house(mail_page.routes(folder)), "/mail")
    page = Reader(document)
    assert set(page.tags) == set(plain.tags)
    assert set(page.attributes) == set(plain.attributes)
    assert evil in page.text
    assert all(link.startswith(("http://", "https://", "/mail", "/")) for link in page.links)
    assert "https://a.example/" in page.links


async def test_the_page_has_no_inline_code_and_runs_nothing(house: Any, folder: DropFolder) -> None:
    await put(folder, 1)
    built = house(mail_page.routes(folder))
    _, document, headers = await ask(built, "/mail")
    page = Reader(document)
    assert not {"script", "style", "iframe", "form"} & set(page.tags)
    assert not [name for name in page.attributes if name == "style" or name.startswith("on")]
    assert "script-src" not in headers["content-security-policy"]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["referrer-policy"] == "no-referrer"
    assert not [name for name in headers if name.startswith("access-control-")]
    status, style, headers = await ask(built, "/mail.css", {"sec-fetch-site": "same-origin"})
    assert (status, headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert "prefers-color-scheme: dark" in style


async def test_one_mail_as_it_was_sent_is_text(house: Any, folder: DropFolder) -> None:
    id = await put(folder, 7, text="<script>alert(1)</script>")
    status, raw, headers = await ask(house(mail_page.routes(folder)), f"/mail/{id}")
    assert (status, headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert headers["x-content-type-options"] == "nosniff"
    assert f"Message-ID: <{id}@localhost>" in raw
    assert (await ask(house(mail_page.routes(folder)), f"/mail/{UUID(int=8)}"))[0] == 404
    assert (await ask(house(mail_page.routes(folder)), "/mail/..%2f..%2fkeys.json"))[0] == 404


async def test_programs_read_the_mails_of_one_address(house: Any, folder: DropFolder) -> None:
    await put(folder, 1)
    second = await put(folder, 2)
    await put(folder, 3, to="ben@example.org")
    built = house(mail_page.routes(folder))
    status, body, _ = await ask(built, "/mail.json?to=Ada%40example.org", {"sec-fetch-site": "-"})
    assert status == 200
    items = msgspec.json.decode(body)["items"]
    assert [item["subject"] for item in items] == ["Mail 2", "Mail 1"]
    assert items[0] == {
        "id": str(second),
        "time": int((NOON + timedelta(seconds=2)).timestamp() * 1000),
        "to": "ada@example.org",
        "subject": "Mail 2",
        "text": LINK + "\n",
    }
    assert len(msgspec.json.decode((await ask(built, "/mail.json"))[1])["items"]) == 3


def without_id(body: str) -> dict[str, Any]:
    answer: dict[str, Any] = msgspec.json.decode(body)
    answer.pop("request_id", None)
    return answer


@pytest.mark.parametrize(
    ("headers", "request_"),
    [
        ({}, {}),
        ({"host": "localhost:8080"}, {}),
        ({"host": "LOCALHOST"}, {}),
        ({"host": "[::1]:8443"}, {"address": "::1"}),
        ({"host": "127.0.0.1"}, {"address": "::ffff:127.0.0.1"}),
        ({"host": "127.3.2.1:80"}, {"address": "127.3.2.1"}),
        ({"sec-fetch-site": "same-origin"}, {}),
        ({"sec-fetch-site": "-"}, {}),
    ],
)
async def test_a_person_at_this_machine_is_let_in(
    house: Any, folder: DropFolder, headers: dict[str, str], request_: dict[str, str]
) -> None:
    await put(folder, 1)
    assert (await ask(house(mail_page.routes(folder)), "/mail", headers, **request_))[0] == 200


@pytest.mark.parametrize("target", ["/mail", "/mail.json", "/mail.json?to=1&to=2", "/mail.css", f"/mail/{UUID(int=1)}"])
@pytest.mark.parametrize(
    ("headers", "request_"),
    [
        # From elsewhere.
        ({}, {"address": "192.0.2.1"}),
        ({}, {"address": "10.0.0.1"}),
        ({}, {"address": "::ffff:192.0.2.1"}),
        ({}, {"address": "fe80::1"}),
        ({}, {"address": "0.0.0.0"}),
        ({}, {"address": ""}),
        # By a name that resolves to this machine (DNS rebinding), or that only looks like it.
        ({"host": "rebound.example:8080"}, {}),
        ({"host": "localhost.example"}, {}),
        ({"host": "127.0.0.1.example"}, {}),
        ({"host": "127.0.0.1@evil.example"}, {}),
        ({"host": "evil.localhost"}, {}),
        ({"host": "localhost."}, {}),
        ({"host": "0.0.0.0:8080"}, {}),
        ({"host": "127.0.0.999"}, {}),
        ({"host": "127.1"}, {}),
        ({"host": "[::ffff:192.0.2.1]"}, {}),
        ({"host": "192.0.2.7"}, {}),
        ({"host": ""}, {}),
        ({"host": "-"}, {}),
        ({"host": "127.0.0.1:8080, evil.example"}, {}),
        ({"host": "١٢٧.0.0.1"}, {}),
        # Through something.
        ({"x-forwarded-for": "127.0.0.1"}, {}),
        ({"x-forwarded-host": "localhost"}, {}),
        ({"x-forwarded-proto": "https"}, {}),
        ({"forwarded": "for=127.0.0.1"}, {}),
        ({"via": "1.1 proxy"}, {}),
        ({"x-real-ip": "127.0.0.1"}, {}),
        ({"cf-connecting-ip": "192.0.2.1"}, {}),
        ({}, {"version": "1.0"}),
        # By a page of elsewhere: fetched, embedded, opened; also one of another port of this machine.
        ({"origin": "https://evil.example", "sec-fetch-site": "cross-site"}, {}),
        ({"origin": "null"}, {}),
        ({"origin": "http://127.0.0.1:8080"}, {}),
        ({"sec-fetch-site": "cross-site"}, {}),
        ({"sec-fetch-site": "same-site"}, {}),
        ({"sec-fetch-site": "none, cross-site"}, {}),
        ({"sec-fetch-site": ""}, {}),
    ],
)
async def test_nobody_else_learns_that_it_is_there(
    house: Any, folder: DropFolder, target: str, headers: dict[str, str], request_: dict[str, str]
) -> None:
    await put(folder, 1, text="a secret")
    status, body, _ = await ask(house(mail_page.routes(folder)), target, headers, **request_)
    assert "a secret" not in body
    if status != 403 or headers.get("origin") is None:  # the gateway itself refuses foreign pages, wherever they ask
        assert (status, without_id(body)) == (404, without_id((await ask(house(), target, headers, **request_))[1]))


async def test_an_allowed_origin_is_not_let_in_either(house: Any, folder: DropFolder) -> None:
    await put(folder, 1, text="a secret")
    built = house(mail_page.routes(folder), origins=["https://other.example"])
    status, body, _ = await ask(built, "/mail.json", {"origin": "https://other.example", "sec-fetch-site": "-"})
    assert status == 404
    assert "a secret" not in body


async def test_two_hosts_are_none(house: Any, folder: DropFolder) -> None:
    hosts = [("host", "127.0.0.1"), ("host", "evil.example")]
    for order in (hosts, hosts[::-1]):
        request = Request("GET", "/mail", order, b"", "127.0.0.1", "http")
        assert (await house(mail_page.routes(folder)).gateway.respond(request)).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_it_is_read_and_not_written(house: Any, folder: DropFolder, method: str) -> None:
    built = house(mail_page.routes(folder))
    answer = await built.gateway.respond(Request(method, "/mail", [("host", "127.0.0.1")], b"", "127.0.0.1", "http"))
    assert answer.status == 405


async def test_the_log_has_nothing_of_who_was_asked_for(house: Any, folder: DropFolder) -> None:
    built = house(mail_page.routes(folder))
    await ask(built, "/mail.json?to=ada%40example.org")
    assert "example.org" not in repr(built.log.lines)


def settings(**given: Any) -> Settings:
    return Settings(**given)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (settings(), True),
        (settings(mail=MailSettings(page="off")), False),
        (settings(mail=MailSettings(smtp="smtp://mail.example.org")), False),
        (settings(mail=MailSettings(smtp="smtp://mail.example.org", page="on")), False),
        (settings(public_url="https://chiron.example.org"), False),
        (settings(trusted_proxies=("10.0.0.0/8",)), False),
        (settings(proxy_protocol=True), False),
        (settings(tls=TlsSettings(certificate=Path("a.pem"), key=Path("a.key"))), False),
        (settings(public_url="https://chiron.example.org", mail=MailSettings(page="on")), True),
        (settings(public_url="https://chiron.example.org", mail=MailSettings(page="off")), False),
    ],
)
def test_it_is_there_only_while_nothing_says_that_the_server_is_for_others(given: Settings, shown: bool) -> None:
    assert mail_page.is_shown(given) == shown
