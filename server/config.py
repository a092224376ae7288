"""What a server is told: by file, environment and flags to the supervisor, and by the supervisor to its worker."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import platformdirs

from chiron.server.platform.keys import Keys
from chiron.server.settings import checks
from chiron.server.settings.checks import RELOADED, Trait
from chiron.server.settings.checks import parse_address as parse_address

ISSUER = "chiron"
"""`iss` and `aud` of access tokens: one instance issues and accepts them."""


def default_data_dir() -> Path:
    """The platform's user data folder; for root, a folder that the unprivileged database user can reach."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Path("/var/lib/chiron")
    return platformdirs.user_data_path("chiron", appauthor=False)


class TlsSettings(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    certificate: Annotated[Path | None, RELOADED] = None
    """PEM certificate chain; None: made by the development authority."""
    key: Annotated[Path | None, RELOADED] = None
    """PEM private key of it."""


class MailSettings(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    smtp: Annotated[str | None, Trait(secret=True, check=checks.smtp)] = None
    """`smtp://[user[:password]@]host[:port]` (STARTTLS where offered, required with a user) or `smtps://…`; None: mail
    is put into the drop folder, `mail/` of the data folder."""
    sender: Annotated[str, Trait(check=checks.sender)] = "Chiron <chiron@localhost>"
    """`From` of every mail (RFC 5322)."""
    page: Literal["auto", "on", "off"] = "auto"
    """Whether `/mail` shows the drop folder to this machine's loopback addresses. `auto`: while the certificate is the
    development authority's, there is no `public_url`, and neither `trusted_proxies` nor `proxy_protocol` is set."""


Rate = Annotated[float, msgspec.Meta(gt=0), RELOADED]


class LimitSettings(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Units of cost per second and how many at once (GCRA); most requests cost 1, those that write more."""

    address_per_second: Rate = 200.0
    """Per IPv4 address or IPv6 /64: it may be a whole school."""
    address_burst: Rate = 1000.0
    """What an address may take at once, after a rest."""
    person_per_second: Rate = 50.0
    """Per person, over all of their devices."""
    person_burst: Rate = 200.0
    """What a person may take at once, after a rest."""
    endpoint_factor: Rate = 1.0
    """Multiplies the limits that single operations have besides: registration, sign-in, resets, asking for mails."""


class IdentitySettings(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    verification: Literal["required", "off"] = "required"
    """`required`: an account may talk to others once its e-mail address is verified. `off`: at once, for private
    networks without mail; then registration tells whether an address is taken."""


Mode = Annotated[Literal["enforce", "shadow", "off"], RELOADED]
Actions = Annotated[tuple[str, ...], Trait(reload=True, check=checks.action)]


class ModerationSettings(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What becomes of messages by their scores. `enforce` does what the verdict says; `shadow` writes the verdict down
    and does nothing; `off` looks at nothing. Actions are `REASON=VERDICT`: how far a reason may lead at most. Reasons:
    `abuse`, `hate`, `sexual`, `threat`, `spam` (as the model says), `term` (a listed one), `contact`, `payment`
    (details of them), `disguise` (hidden letters). Verdicts: `allow`, `flag` (delivered and noted), `hold` (shown to
    its author alone until a moderator decides), `block` (not sent). `chiron reload` reads the files again, too."""

    direct: Mode = "enforce"
    """In conversations of two people."""
    direct_actions: Actions = ()
    """In the place of `flag` for the five heads and `term`, and `allow` for the rest."""
    group: Mode = "enforce"
    """In conversations of any number of people."""
    group_actions: Actions = ()
    """In the place of `hold` for the five heads, `block` for `term`, and `allow` for the rest."""
    terms: Annotated[tuple[Path, ...], RELOADED] = ()
    """Lists of terms of this community, beside those that are shipped: lines of a severity (1 mild to 3 worst), a tab
    and the term."""
    allow: Annotated[tuple[Path, ...], RELOADED] = ()
    """Lists of phrases, one a line, inside which no term counts, beside those that are shipped."""
    shipped_terms: Annotated[bool, RELOADED] = True
    """Whether the terms that are shipped count."""
    model: Annotated[Path | None, RELOADED] = None
    """Another model than the one that is shipped, as `python -m training` makes it; None: that one."""


class Settings(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Everything that `chiron serve` can be told."""

    data_dir: Annotated[Path, Trait(default="`/var/lib/chiron` for root, else the user's data folder")] = msgspec.field(
        default_factory=default_data_dir
    )
    """Folder of everything that must be kept."""
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8443
    """TCP port with TLS; 0 takes a free one."""
    host: Annotated[str, Trait(check=checks.host)] = ""
    """Address of `port`; empty: every address."""
    quic: bool = True
    """Whether HTTP/3 and WebTransport are served, over UDP on the address and port number of TLS."""
    quic_engine: Literal["native", "aioquic"] = "native"
    """What speaks QUIC. `aioquic` is the reference to compare with: slower, and without Retry or migration."""
    public_port: Annotated[int, msgspec.Meta(ge=1, le=65535)] | None = None
    """UDP port at which clients reach QUIC, where that is not `port`: behind a port mapping, a load balancer or a
    proxy. With it, answers of `plain` name HTTP/3 too."""
    plain: Annotated[str | None, Trait(check=checks.address)] = "127.0.0.1:8080"
    """`HOST:PORT` of a second listener without TLS: for a trusted proxy, and for development on a loopback address."""
    public_url: Annotated[str | None, Trait(check=checks.origin)] = None
    """Where people reach the page, such as `https://mentors.example.org`: for links in mails."""
    database: Annotated[str | None, Trait(secret=True, check=checks.postgresql)] = None
    """`postgresql://…` of a PostgreSQL ≥ 18 of yours; None: the embedded one."""
    origins: Annotated[tuple[str, ...], Trait(check=checks.origin)] = ()
    """Other origins whose pages may use this server."""
    trusted_proxies: Annotated[tuple[str, ...], Trait(check=checks.network)] = ()
    """Networks (CIDR) whose `Forwarded` or `X-Forwarded-For` is believed; with `proxy_protocol`, who alone may connect
    to `plain`."""
    proxy_protocol: bool = False
    """Whether connections to `plain` begin with a PROXY protocol v2 header, which is then required."""
    metrics: Annotated[str | None, Trait(check=checks.loopback_address)] = "127.0.0.1:9464"
    """`HOST:PORT` of Prometheus metrics, a loopback address; None: not served."""
    log_level: Annotated[Literal["debug", "info", "warning", "error"], RELOADED] = "info"
    """How much to log; each request is a line of `info`. `chiron serve` on a terminal takes `warning` by default."""
    scoring: bool = True
    """Whether messages are scored before they are delivered; `[moderation]` says what becomes of them by that."""
    tls: TlsSettings = TlsSettings()
    mail: MailSettings = MailSettings()
    limits: LimitSettings = LimitSettings()
    identity: IdentitySettings = IdentitySettings()
    moderation: ModerationSettings = ModerationSettings()


def conflicts(settings: Settings) -> Iterator[tuple[tuple[str, ...], str]]:
    """What settings that are each right cannot be together: their names, and a sentence's end for each conflict."""
    if (settings.tls.certificate is None) != (settings.tls.key is None):
        yield ("tls.certificate", "tls.key"), "give both or neither"
    if settings.proxy_protocol and settings.plain is None:
        yield ("proxy_protocol", "plain"), "the PROXY protocol is spoken on `plain` alone, which is off"
    if settings.public_port is not None and not settings.quic:
        yield ("public_port", "quic"), "it is the port of QUIC, which is off"


def from_path(value: object) -> str:
    """For `msgspec` encoders: paths as text."""
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not told over the pipe")


def to_path(wanted: type, value: object) -> Path:
    """For `msgspec` decoders: text as paths."""
    if wanted is Path and isinstance(value, str):
        return Path(value)
    raise TypeError(f"{wanted.__name__} is not told over the pipe")


class Listener(msgspec.Struct, frozen=True):
    """A socket that the supervisor bound: the worker's descriptor of it, and what is spoken there."""

    descriptor: int
    secure: bool
    metrics: bool = False
    """Whether it serves metrics alone."""
    datagram: bool = False
    """Whether it is a UDP socket, of QUIC."""

    @property
    def serves(self) -> bool:
        """Whether it accepts connections of TCP from anybody."""
        return not (self.metrics or self.datagram)


class WorkerConfig(msgspec.Struct, kw_only=True, frozen=True):
    """What the supervisor tells a worker over its pipe; holds secrets, so it is never logged nor put in arguments."""

    database: str
    keys: Keys
    tls_chain: bytes
    tls_key: bytes
    quic_chain: bytes = b""
    """PEM, for clients that name no server, as by an IP address; who names one gets `tls_chain`. Empty: no QUIC."""
    quic_key: bytes = b""
    quic_hashes: list[str] = []
    """Base64 of the SHA-256 of the DER certificates that `quic_chain` is now and will be next, for pages to trust by;
    empty: it is the operator's, which is trusted by itself."""
    quic_port: int = 0
    """UDP port that clients are told to come to; 0: none."""
    listeners: list[Listener] = []
    settings: Settings = msgspec.field(default_factory=Settings)
    scoring: str = ""
    """Of the files of the operator's by which messages are scored: when it changes, they are read again."""
    public_url: str = ""
    """Origin for links in mails: the settings', else that of a listener."""

    def __repr__(self) -> str:
        return "WorkerConfig(…)"
