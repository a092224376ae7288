"""Who may do what: the policy, written by hand, that the server is held to. `docs/access.md` is made of it.

A cell is what is answered: an HTTP status, the code of an error, what a frame is answered by, or the code that a link
is closed with. `A*` is A for who is verified; who is not gets `unverified`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

ROLES = ("stranger", "left", "removed", "member", "owner", "one of two")
ANONYMOUS = "anonymous"
SIGNED_IN = "signed in"

HTTP = "HTTP"
COMMAND = "command"
FRAME = "frame"

PREFIX = "/v1/conversations/{conversation}"
READING = ("attach", "sync", "conversation.open", "conversation.members", "conversation.list")


@dataclass(frozen=True, slots=True)
class Row:
    """One operation. `cells` are by column; each is (for the verified, for the unverified)."""

    kind: str
    operation: str
    rule: str
    cells: dict[str, tuple[str, str]]

    def expected(self, column: str, *, verified: bool = True) -> str:
        return self.cells[column][0 if verified else 1]

    @property
    def changes(self) -> bool:
        """Whether whoever may do it changes something by it."""
        return not self.operation.startswith("GET ") and self.operation not in READING


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    before: str
    kind: str
    columns: tuple[str, ...]
    text: str

    def rows(self) -> Iterator[Row]:
        for line in self.text.strip().splitlines():
            operation, rule, *cells = (cell.strip() for cell in line.split("|"))
            assert len(cells) == len(self.columns), line
            operation = operation.replace("…", PREFIX)
            yield Row(self.kind, operation, rule, dict(zip(self.columns, map(_both, cells), strict=True)))


def _both(cell: str) -> tuple[str, str]:
    verified = cell.removesuffix("*")
    return verified, "unverified" if cell.endswith("*") else verified


IN_CONVERSATIONS = Table(
    "Conversations, over HTTP",
    f"`…` is `{PREFIX}`.",
    HTTP,
    (ANONYMOUS, *ROLES),
    """
GET … | member | unauthenticated | not_found | not_found | not_found | 200 | 200 | 200
GET …/members | member | unauthenticated | not_found | not_found | not_found | 200 | 200 | 200
GET …/messages | member | unauthenticated | not_found | not_found | not_found | 200 | 200 | 200
PUT …/watermark | member | unauthenticated | not_found | not_found | not_found | 204 | 204 | 204
POST …/messages | verified member | unauthenticated | not_found* | not_found* | not_found* | 201* | 201* | 201*
POST …/members | owner | unauthenticated | not_found* | not_found* | not_found* | forbidden* | 201* | direct_fixed*
DELETE …/members/{person}|owner| unauthenticated | not_found* | not_found* | not_found* |forbidden*|204*|direct_fixed*
DELETE …/members/me | member | unauthenticated | not_found | not_found | not_found | 204 | 204 | direct_fixed
""",
)

COMMANDS_IN_CONVERSATIONS = Table(
    "Conversations, by commands of a link",
    "",
    COMMAND,
    (ANONYMOUS, *ROLES),
    """
conversation.open | member | 4000 | not_found | not_found | not_found | ok | ok | ok
conversation.members | member | 4000 | not_found | not_found | not_found | ok | ok | ok
conversation.add | owner | 4000 | not_found* | not_found* | not_found* | forbidden* | ok* | direct_fixed*
conversation.remove | owner | 4000 | not_found* | not_found* | not_found* | forbidden* | ok* | direct_fixed*
conversation.leave | member | 4000 | not_found | not_found | not_found | ok | ok | direct_fixed
""",
)

FRAMES_IN_CONVERSATIONS = Table(
    "Channels `conv:…`, by frames of a link",
    "`ignored` is answered by `ok` and changes nothing: watermarks are written behind, where whoever is no member has\n"
    "none, and there is no attachment to end.",
    FRAME,
    (ANONYMOUS, *ROLES),
    """
attach | member | 4000 | denied | denied | denied | complete | complete | complete
sync | member | 4000 | not_found | not_found | not_found | page | page | page
publish | verified member | 4000 | not_found* | not_found* | not_found* | ack* | ack* | ack*
watermark | member | 4000 | ignored | ignored | ignored | ok | ok | ok
detach | signed_in | 4000 | ignored | ignored | ignored | ignored | ignored | ignored
""",
)

OWN, ANOTHERS, NOBODYS = "own", "another's", "nobody's"

PERSONAL = Table(
    "Channels `person:…`, by frames of a link",
    "",
    FRAME,
    (ANONYMOUS, OWN, ANOTHERS, NOBODYS),
    """
attach | own | 4000 | complete | denied | denied
sync | own | 4000 | page | not_found | not_found
publish | nobody | 4000 | forbidden | forbidden | forbidden
watermark | nobody | 4000 | forbidden | forbidden | forbidden
detach | signed_in | 4000 | ignored | ignored | ignored
""",
)

LOGINS = Table(
    "Logins, over HTTP",
    "Whose the login is that the address names.",
    HTTP,
    (ANONYMOUS, OWN, ANOTHERS, NOBODYS),
    """
PATCH /v1/logins/{login} | own login | unauthenticated | 200 | not_found | not_found
DELETE /v1/logins/{login} | own login | unauthenticated | 204 | not_found | not_found
""",
)

ACCOUNTS = Table(
    "Accounts and the rest, over HTTP",
    "What is listed is always one's own. Where anybody may ask, it does not matter who does: a token is not looked at.",
    HTTP,
    (ANONYMOUS, SIGNED_IN),
    """
POST /v1/people | anyone | 201 | 201
POST /v1/logins | anyone | 201 | 201
POST /v1/logins/refresh | anyone | 200 | 200
GET /.well-known/jwks.json | anyone | 200 | 200
POST /v1/verifications | anyone | 204 | 204
POST /v1/resets | anyone | 202 | 202
POST /v1/resets/password | anyone | 204 | 204
GET /v1/logins | signed_in | unauthenticated | 200
DELETE /v1/logins/current | signed_in | unauthenticated | 204
DELETE /v1/logins/others | signed_in | unauthenticated | 204
GET /v1/me | signed_in | unauthenticated | 200
PATCH /v1/me | signed_in | unauthenticated | 200
PUT /v1/me/password | signed_in | unauthenticated | 204
POST /v1/me/verification | signed_in | unauthenticated | 202
GET /v1/me/profiles | signed_in | unauthenticated | 200
PUT /v1/me/profiles/{kind} | verified | unauthenticated | 200*
POST /v1/conversations | verified | unauthenticated | 201*
GET /v1/conversations | signed_in | unauthenticated | 200
GET /v1/transports | anyone | 200 | 200
GET /livez | anyone | 200 | 200
GET /readyz | anyone | 200 | 200
GET /openapi.json | anyone | 200 | 200
GET /docs | anyone | 200 | 200
GET / | anyone | 200 | 200
GET /v1/realtime | anyone | upgrade_required | upgrade_required
""",
)

MODERATOR, AUTHOR = "moderator", "moderator, own message"

MODERATION = Table(
    "Moderation, over HTTP",
    "Whoever is no moderator gets the same answer whatever is asked, and whether or not there is such a message.",
    HTTP,
    (ANONYMOUS, SIGNED_IN, MODERATOR, AUTHOR),
    """
GET /v1/moderation/held | moderator | unauthenticated | forbidden* | 200* | 200*
POST /v1/moderation/decisions | moderator | unauthenticated | forbidden* | 200* | forbidden*
""",
)

MAIL_PAGE = Table(
    "Kept mail, over HTTP",
    "There only where `mail.page` says so, and only for who asks on this machine itself: from a loopback address, by\n"
    "a loopback name, without a trace of a proxy or of a page of elsewhere. Anybody else gets the answer of an\n"
    "address that does not exist, whatever the method.",
    HTTP,
    ("on this machine", "elsewhere"),
    """
GET /mail | anyone | 200 | not_found
GET /mail/{mail} | anyone | 200 | not_found
GET /mail.json | anyone | 200 | not_found
GET /mail.css | anyone | 200 | not_found
""",
)

COMMANDS = Table(
    "The rest, by commands of a link",
    "",
    COMMAND,
    (ANONYMOUS, SIGNED_IN),
    """
conversation.create | verified | 4000 | ok*
conversation.list | signed_in | 4000 | ok
""",
)

LINK = Table(
    "The link itself, by frames",
    "`refresh` is with a token of the same login; what becomes of others, and of `connect`, is below.",
    FRAME,
    (ANONYMOUS, SIGNED_IN),
    """
connect | signed_in | unauthenticated 4001 | welcome
refresh | own login | 4000 | ok
command | of the command | 4000 | ok
pong | signed_in | 4000 | nothing
""",
)

CREDENTIALS = Table(
    "Tokens that are not good",
    "What each gets from every operation that needs somebody, over HTTP, in `connect` (with the code that the link is\n"
    "closed with) and in `refresh` on a link that is open. `-`: it cannot be said there.",
    "credential",
    (HTTP, "connect", "refresh"),
    """
none | | unauthenticated | - | -
of another scheme | | unauthenticated | - | -
in the address | | unauthenticated | - | -
garbage | | unauthenticated | unauthenticated 4001 | unauthenticated
a refresh token | | unauthenticated | unauthenticated 4001 | unauthenticated
without signature | | unauthenticated | unauthenticated 4001 | unauthenticated
of another key | | unauthenticated | unauthenticated 4001 | unauthenticated
of a key that was retired | | unauthenticated | unauthenticated 4001 | unauthenticated
for another audience | | unauthenticated | unauthenticated 4001 | unauthenticated
expired | | token_expired | token_expired 4001 | token_expired
of a login that has ended | | login_ended | login_ended 4004 | login_ended
of another person | | - | - | forbidden
""",
)

TABLES = (
    ACCOUNTS,
    LOGINS,
    IN_CONVERSATIONS,
    MODERATION,
    MAIL_PAGE,
    COMMANDS,
    COMMANDS_IN_CONVERSATIONS,
    LINK,
    FRAMES_IN_CONVERSATIONS,
    PERSONAL,
    CREDENTIALS,
)

HEADER = """\
# Who may do what

Made by `make docs` from the policy in `tests/peers/access.py`; do not edit. A test asks the server for every cell, and
fails for a route, a command or a frame that is not here.

A cell is what is answered: an HTTP status or a code of the [errors](protocol.md#errors); on links, the frame that
answers (for `attach` its outcome) or the code that the link is closed with. What is refused changes nothing. `A*` is A
for who has verified their address; who has not gets `unverified`. What is not one's own is answered, to the byte, as
what does not exist, over HTTP before body and query are looked at.

Columns: **anonymous**, without a token (on a link: without `connect`); **stranger**, signed in, and never a member;
**left** and **removed**, once a member of the group; **member** and **owner** of the group; **one of two**, of a direct
conversation; **moderator**, whom the operator made one: they read held messages, and nothing else of where they are
no members. Nobody is more than that: there is no administrator over HTTP, and metrics are on a listener of their own,
on a loopback address, by a loopback name.

A login that has ended is over at once where it was ended, and within two seconds in every other process of the server:
every operation that needs somebody answers `login_ended`, and its links are closed with 4004.
"""


def page() -> str:
    """`docs/access.md`."""
    return "\n".join([HEADER, *(_section(table) for table in TABLES)])


def _section(table: Table) -> str:
    ruled = any(row.rule for row in table.rows())
    first = "token" if table is CREDENTIALS else table.kind if table.kind != HTTP else "operation"
    lines = [[first, *(["rule"] if ruled else []), *table.columns]]
    lines.append(["---"] * len(lines[0]))
    for row in table.rows():
        shown = row.operation if table is not IN_CONVERSATIONS else row.operation.replace(PREFIX, "…")
        name = shown if table is CREDENTIALS else f"`{shown}`"
        lines.append([name, *([row.rule] if ruled else []), *(_shown(cell) for cell in row.cells.values())])
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return "\n\n".join([f"## {table.title}", *([table.before] if table.before else []), text]) + "\n"


def _shown(cell: tuple[str, str]) -> str:
    verified, unverified = cell
    return verified if verified == unverified else f"{verified}*"


if __name__ == "__main__":
    print(page(), end="")
