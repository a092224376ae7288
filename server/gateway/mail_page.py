"""`/mail`: the drop folder as a page, on the machine where it lies.

Whoever reads these mails can take over the accounts that they are for. So the page is there only where nothing says
that the server is more than somebody's trial (`is_shown`), and each request must look in every way like one that a
person on this machine made on purpose:

    from a loopback address, by a loopback Host    not from elsewhere, and not for a name that an attacker's DNS turned
                                                   into 127.0.0.1 (DNS rebinding)
    without a trace of a proxy                     a proxy on this machine makes everybody's requests look local
    not HTTP/1.0                                   nginx speaks it to what is behind it, and leaves no other trace
    no Origin; Sec-Fetch-Site none or same-origin  no page of elsewhere, nor one of another port, fetches, embeds or
                                                   opens it

For everything else there is no such address (`Route.shown_to`), and no answer may be stored, framed, or read by another
origin. It cannot tell apart the people of one machine, nor see a tunnel that forwards bytes: `mail.page = "off"` is for
these.
"""

from __future__ import annotations

import html
import re
from uuid import UUID

import msgspec

from chiron.errors import Refused
from chiron.server.config import Settings
from chiron.server.platform.addresses import is_local_authority, is_loopback
from chiron.server.platform.clock import milliseconds
from chiron.server.platform.mail import DropFolder, Dropped
from chiron.server.ports import ANYONE, Call, Handler, Request, Response, Route

SHOWN = 100
"""Mails on the page, the newest."""

POLICY = "; ".join(
    [
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)

_TRACES = frozenset({"forwarded", "via", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip"})
_TRACE_PREFIXES = ("x-forwarded", "x-original-", "x-envoy-", "cf-", "fly-")
_OWN = frozenset({"none", "same-origin"})
_LINK = re.compile(r"https?://[^\s<>\"']+")
_AFTER_LINK = ".,;:!?)"


class Wanted(msgspec.Struct, frozen=True):
    to: str | None = None
    """An address; its mails alone."""


class DroppedMail(msgspec.Struct, frozen=True):
    id: UUID
    time: int
    """Milliseconds since the Unix epoch."""
    to: str
    subject: str
    text: str


def is_shown(settings: Settings) -> bool:
    """Whether there is a page."""
    if settings.mail.smtp is not None or settings.mail.page == "off":
        return False
    outward = settings.tls.certificate or settings.public_url or settings.trusted_proxies or settings.proxy_protocol
    return settings.mail.page == "on" or not outward


def routes(folder: DropFolder) -> list[Route]:
    async def listing(_: Call) -> Response:
        return _page(_document(await folder.newest(SHOWN)))

    async def one(call: Call) -> Response:
        raw = await folder.raw(call.params["mail"])
        if raw is None:
            raise Refused("not_found", what="mail")
        return Response(200, raw, [("content-type", "text/plain; charset=utf-8"), ("content-security-policy", POLICY)])

    async def as_json(call: Call) -> Response:
        wanted: Wanted = call.query
        mails = await folder.newest(SHOWN, to=wanted.to)
        body = msgspec.json.encode({"items": [_encoded(mail) for mail in mails]})
        return Response(200, body, [("content-type", "application/json")])

    async def style(_: Call) -> Response:
        return Response(200, STYLE.encode(), [("content-type", "text/css; charset=utf-8")])

    def route(path: str, handler: Handler, summary: str, query: type | None = None) -> Route:
        return Route("GET", path, handler, ANYONE, query=query, cost=5.0, shown_to=is_private, summary=summary)

    return [
        route("/mail", listing, "The drop folder as a page"),
        route("/mail/{mail:uuid}", one, "One mail as it was sent"),
        route("/mail.json", as_json, "The drop folder for programs", Wanted),
        route("/mail.css", style, "The style of the page"),
    ]


def is_private(request: Request) -> bool:
    """Whether a person on this machine made it on purpose, as far as can be told."""
    hosts = [value for name, value in request.headers if name == "host"]
    return (
        is_loopback(request.address)
        and len(hosts) == 1
        and is_local_authority(hosts[0])
        and request.version != "1.0"
        and all(_is_own(name.lower(), value) for name, value in request.headers)
    )


def _is_own(name: str, value: str) -> bool:
    """Whether this header may be in a request that a person made here."""
    if name == "sec-fetch-site":
        return value.strip().lower() in _OWN
    return name != "origin" and name not in _TRACES and not name.startswith(_TRACE_PREFIXES)


def _encoded(mail: Dropped) -> DroppedMail:
    return DroppedMail(mail.id, milliseconds(mail.time), mail.to, mail.subject, mail.text)


# --- the page --------------------------------------------------------------------------------------------------------


def _page(document: str) -> Response:
    return Response(
        200,
        document.encode(),
        [("content-type", "text/html; charset=utf-8"), ("content-security-policy", POLICY)],
    )


def _document(mails: list[Dropped]) -> str:
    items = "\n".join(_item(mail) for mail in mails)
    content = f'<ol class="mails">\n{items}\n</ol>' if mails else _EMPTY
    return _DOCUMENT.format(content=content, shown=SHOWN)


def _item(mail: Dropped) -> str:
    return _ITEM.format(
        id=mail.id,
        subject=html.escape(mail.subject) or "(no subject)",
        to=html.escape(mail.to),
        instant=mail.time.isoformat(timespec="seconds"),
        time=mail.time.strftime("%-d %B %Y, %H:%M:%S UTC"),
        text=_with_links(mail.text.strip("\n")),
    )


def _with_links(text: str) -> str:
    """HTML in which addresses of http and https can be followed, and nothing else is markup."""
    parts: list[str] = []
    end = 0
    for match in _LINK.finditer(text):
        link = match[0].rstrip(_AFTER_LINK)
        parts.append(html.escape(text[end : match.start()]))
        escaped = html.escape(link)
        parts.append(f'<a href="{escaped}" rel="noreferrer">{escaped}</a>')
        end = match.start() + len(link)
    parts.append(html.escape(text[end:]))
    return "".join(parts)


_DOCUMENT = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Mail kept by Chiron</title>
<link rel="icon" href="/logo.svg" type="image/svg+xml">
<link rel="stylesheet" href="/mail.css">
</head>
<body>
<header>
<h1>Mail</h1>
<p>This server sends no mail. It keeps what it would have sent, and shows the newest {shown} on this machine only.</p>
<nav aria-label="Page"><a href="/mail">Refresh</a> <a href="/">Open Chiron</a></nav>
</header>
<main>
{content}
</main>
</body>
</html>
"""

_EMPTY = """<p class="empty">Nothing yet. When somebody signs up or forgets a password, the mail with their link appears
here; refresh the page then.</p>"""

_ITEM = """<li><article aria-labelledby="subject-{id}">
<h2 id="subject-{id}">{subject}</h2>
<p class="facts">To <b>{to}</b>, <time datetime="{instant}">{time}</time></p>
<div class="text">{text}</div>
<p class="facts"><a href="/mail/{id}" aria-label="{subject}: as it was sent">As it was sent</a></p>
</article></li>"""

STYLE = """:root {
  color-scheme: light dark;
  --paper: #f4f1e8; --raised: #ffffff; --line: #ddd6c5; --ink: #22302b; --soft: #58655e; --accent: #2c6150;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #141a18; --raised: #232c29; --line: #2e3835; --ink: #e7ebe5; --soft: #a1afa7; --accent: #8accaf;
  }
}
* { box-sizing: border-box; }
body {
  max-width: 46rem; margin: 0 auto; padding: 2rem 1rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif;
}
h1, h2 { margin: 0; line-height: 1.2; font-family: Palatino, "Book Antiqua", Georgia, serif; }
h2 { font-size: 1.2rem; overflow-wrap: anywhere; }
p { margin: 0.5rem 0; }
a { color: var(--accent); text-underline-offset: 0.2em; }
a:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
nav a { display: inline-block; padding: 0.25rem 1rem 0.25rem 0; }
.mails { margin: 1.5rem 0; padding: 0; list-style: none; }
.mails > li {
  margin: 0 0 1rem; padding: 1rem 1.25rem; border: 1px solid var(--line); border-radius: 0.75rem;
  background: var(--raised);
}
.facts { color: var(--soft); font-size: 0.875rem; overflow-wrap: anywhere; }
.text { margin: 0.75rem 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.empty { margin: 1.5rem 0; padding: 2rem 1.25rem; border: 1px dashed var(--line); border-radius: 0.75rem; }
"""
