"""The one place where the parts of a worker are put together.

An embedder builds the same: `build(config)`, then `await start(sockets)` on a running loop (uvloop or plain asyncio),
`await drain(seconds)`, `await stop()`. Nothing here installs signal handlers, configures logging or keeps global state.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import socket
from collections.abc import Callable, Sequence
from functools import partial
from uuid import UUID

from chiron import __version__
from chiron._core import Hub, Limiter, Signer, Tls, Verifier
from chiron.db import migrate
from chiron.db.pool import Pool
from chiron.errors import SetupError, Unavailable
from chiron.protocols.quic.endpoint import Endpoint
from chiron.server import metrics
from chiron.server.chat.api import ChatApi
from chiron.server.chat.channels import ConversationChannels, PersonalChannels
from chiron.server.chat.service import Chat
from chiron.server.config import ISSUER, LimitSettings, Settings, WorkerConfig
from chiron.server.edge.engine import Engine
from chiron.server.edge.quic import QuicListener
from chiron.server.edge.quic_engines import make_endpoint
from chiron.server.edge.service import WebSocketService
from chiron.server.edge.tcp import TcpListener
from chiron.server.extension import Extend, Extension, Services
from chiron.server.gateway import health, mail_page, openapi
from chiron.server.gateway.admission import Admission
from chiron.server.gateway.commands import Commands
from chiron.server.gateway.exposition import Exposition
from chiron.server.gateway.gateway import Gateway
from chiron.server.gateway.limits import Limits, Rates
from chiron.server.gateway.origins import Origins, local_origins
from chiron.server.gateway.proxies import Proxies
from chiron.server.gateway.requests import Requests
from chiron.server.gateway.static import Pages
from chiron.server.gateway.tokens import Tokens
from chiron.server.gateway.transports import Transports
from chiron.server.identity.api import IdentityApi
from chiron.server.identity.expiry import Expiry
from chiron.server.identity.letters import Letters
from chiron.server.identity.logins import Logins
from chiron.server.identity.password_rules import PasswordRules, site_names
from chiron.server.identity.passwords import Passwords
from chiron.server.identity.proofs import Proofs
from chiron.server.identity.recovery import Recovery
from chiron.server.identity.revocations import Revocations
from chiron.server.identity.service import Identity
from chiron.server.identity.throttle import Throttle
from chiron.server.identity.tokens import ACCESS_SECONDS, AccessTokens
from chiron.server.live import sources_of
from chiron.server.moderation.api import ModerationApi
from chiron.server.moderation.screening import Rules, Screening
from chiron.server.moderation.service import Moderation
from chiron.server.platform.clock import SystemClock
from chiron.server.platform.cursors import SealedCursors
from chiron.server.platform.ids import UuidV7
from chiron.server.platform.keys import KeyRing
from chiron.server.platform.lag import LoopLag
from chiron.server.platform.mail import DropFolder, Mailer, Sender, Smtp, parse_smtp
from chiron.server.platform.once import Kept, Sweep
from chiron.server.ports import ChannelAuthority, Clock, Database, Health, Ids, Lifespan, Rate, Record, Route, Tx
from chiron.server.realtime.link import LinkLimits
from chiron.server.realtime.links import Links
from chiron.server.realtime.publisher import Publisher

RECEIVE_BYTES = 65_536
LIMITED_KEYS = 65_536
"""Addresses and people whose rate is remembered at a time."""
THROTTLED_ACCOUNTS = 131_072
"""E-mail addresses whose attempts and mails are remembered at a time."""

METRICS_CONNECTIONS = 16
"""On their own listener, at a time."""

DATABASE_SECONDS = 60.0
"""How long to wait for a database that recovers: both may have died together."""

RECONNECT_WINDOW = 1.0
"""Seconds over which clients are asked to come back after a restart, for each thousand of them."""


class App:
    """One worker's server."""

    def __init__(
        self,
        config: WorkerConfig,
        clock: Clock,
        ids: Ids,
        extend: Extend | None,
        on_poisoned: Callable[[BaseException], None] | None,
    ) -> None:
        self._config = config
        self._clock = clock
        self._ids = ids
        self._draining = False
        self._pool = Pool(config.database)
        self._passwords = Passwords()
        self._limiter = Limiter(LIMITED_KEYS)
        self._limits = Limits(self._limiter, _rates(config.settings.limits))
        self._keys = KeyRing(config.keys, Signer)
        self._verifier = Verifier(ISSUER, ISSUER)
        self._verifier.set_keys(self._keys.public_keys())
        self._tokens = Tokens(self._verifier, clock, lifetime=ACCESS_SECONDS)
        self._dropped, self._mailer = self._make_mailer()
        buffer = bytearray(RECEIVE_BYTES)
        self._screening = _screening(config.settings)
        scorer = None if self._screening is None else self._screening.scoring.scorer
        self._hub = Hub(buffer, limiter=self._limiter, scorer=scorer)
        self._engine = Engine(self._hub, buffer, on_poisoned=on_poisoned)
        self._lag = LoopLag()
        self._proxies = _proxies(config)
        self._transports = Transports(config.settings, config.quic_port, config.quic_hashes)
        self._tls = Tls(config.tls_chain, config.tls_key, config.keys.tickets) if config.tls_chain else None
        self._extend = extend
        self._extension = Extension()
        # Made by `start`, since they need to know the loop and the database.
        self._started: list[Lifespan] = []
        self._chat: Chat | None = None
        self._links: Links | None = None
        self._gateway: Gateway | None = None
        self._listener: TcpListener | None = None
        self._quic: QuicListener | None = None
        self._exposition: TcpListener | None = None

    async def start(
        self,
        sockets: Sequence[tuple[socket.socket, bool]],
        *,
        metrics_sockets: Sequence[socket.socket] = (),
        datagram_sockets: Sequence[socket.socket] = (),
    ) -> None:
        """Serve on bound sockets, each with whether TLS is spoken there, metrics alone on those for them, and HTTP/3 on
        UDP sockets.

        Waits for a database that is starting. Raises Unavailable when it does not come, SetupError for a listener with
        TLS or QUIC without a certificate.
        """
        await self._until_reachable()
        epoch = await _epoch(self._pool)
        self._engine.start()
        self._lag.start()
        publisher = Publisher(self._hub, self._engine.timers, self._clock)

        def login_ended(login: UUID) -> None:
            self._tokens.end_login(login)
            publisher.end_login(login)

        identity, identity_api = self._make_identity(login_ended)
        revocations = Revocations(self._pool, self._clock, self._tokens, login_ended)
        self._chat = Chat(
            self._pool,
            self._ids,
            self._clock,
            publisher,
            identity,
            SealedCursors(self._config.keys.cursor),
            heard=self._hear if self._extend is not None else None,
            screening=self._screening,
        )
        services = Services(self._pool, self._chat, identity, self._clock, self._ids)
        if self._extend is not None:
            self._extension = self._extend(services)
        expiry = Expiry(self._pool, self._clock, login_ended)
        for part in (revocations, expiry, Sweep(self._pool, self._clock), self._mailer, self._chat):
            await part.start()
            self._started.append(part)
        api = ChatApi(self._chat, epoch)
        moderation = Moderation(self._pool, self._clock, self._chat, identity, SealedCursors(self._config.keys.cursor))
        authorities: list[ChannelAuthority] = [ConversationChannels(self._chat), PersonalChannels(self._pool)]
        self._links = Links(
            self._hub,
            publisher=publisher,
            authorities={authority.kind: authority for authority in authorities},
            commands=Commands(
                [*api.commands(), *self._extension.commands],
                verifier=self._tokens,
                limits=self._limits,
                clock=self._clock,
            ),
            tokens=self._tokens,
            transport=self._engine,
            timers=self._engine.timers,
            clock=self._clock,
            ids=self._ids,
            epoch=epoch,
            rng=random.SystemRandom(),
            limits=_link_limits(self._config.settings.limits),
        )
        ready = Health(
            {
                "database": health.remembered(self._pool.check, self._clock),
                "migrations": health.remembered(partial(migrate.check, self._pool), self._clock),
                "committer": self._chat.check,
                "revocations": revocations.check,
                "server": self._is_draining,
            }
        )
        live = Health({"loop": self._lag.check})
        routes = [*identity_api.routes(), *api.routes(), *ModerationApi(moderation).routes()]
        routes += [*self._transports.routes(), *health.routes(live, ready), *self._extension.routes]
        pages = Pages(connections=self._transports.connections)
        requests = Requests()
        self._gateway = Gateway(
            [*routes, *openapi.routes(routes, pages, __version__), *self._mail_page()],
            verifier=self._tokens,
            limits=self._limits,
            clock=self._clock,
            origins=Origins(
                self._config.settings.origins,
                own=self._config.settings.public_url,
                local=local_origins((secure, sock.getsockname()[1]) for sock, secure in sockets),
            ),
            alternatives=self._transports.alternatives,
            pages=pages,
            replays=Kept(self._pool),
            admission=Admission(self._limiter, self._verifier, self._limits, self._clock),
            observers=[requests],
        )
        websocket = WebSocketService(self._links)
        self._listener = TcpListener(self._engine, self._gateway, websocket, proxies=self._proxies)
        for sock, secure in sockets:
            if secure and self._tls is None:
                raise SetupError("a listener with TLS needs a certificate")
            announced = self._config.settings.proxy_protocol and not secure
            await self._listener.listen(sock, self._tls if secure else None, announced=announced)
        self._quic = QuicListener(self._engine, self._gateway, websocket)
        for sock in datagram_sockets:
            self._quic.listen(sock, self._make_endpoint(sock))
        self._exposition = self._expose(requests, self._gateway, self._links, self._chat, self._quic)
        for sock in metrics_sockets:
            await self._exposition.listen(sock)

    def reload(self, config: WorkerConfig) -> None:
        """Follow what may change while it serves: certificate, keys, files of scoring, and settings whose trait says
        `reload`.

        Connections and links stay; a TLS handshake that begins now has the new certificate. Raises ValueError when
        the certificate or a file of scoring cannot be used, and changes nothing then.
        """
        follow = None if self._screening is None else self._screening.prepare(_rules(config.settings))
        if self._tls is not None and config.tls_chain:
            self._tls.reload(config.tls_chain, config.tls_key)
            self._tls.set_ticket_keys(config.keys.tickets)
        if self._quic is not None and config.quic_chain:
            self._quic.reload(config.quic_chain, config.quic_key, _named(config))
            self._quic.set_ticket_keys(config.keys.tickets)
        if follow is not None:
            follow()
        self._keys.replace(config.keys)
        self._verifier.set_keys(self._keys.public_keys())
        self._transports.hashes = config.quic_hashes
        self._limits.reload(_rates(config.settings.limits))
        if self._links is not None:
            self._links.reload(_link_limits(config.settings.limits))
        self._config = config

    async def drain(self, seconds: float) -> None:
        """Accept no more; have clients come back later; finish what was begun, within `seconds`."""
        self._draining = True
        assert self._listener is not None
        assert self._links is not None
        assert self._gateway is not None
        assert self._exposition is not None
        assert self._quic is not None
        self._listener.stop_accepting()
        self._quic.stop_accepting()
        self._exposition.stop_accepting()
        self._gateway.drain()
        window = RECONNECT_WINDOW * (1 + len(self._links) / 1000)
        await self._links.drain(window=window, grace=seconds / 2)
        await asyncio.gather(self._listener.drain(seconds / 2), self._quic.drain(seconds / 2))
        await self._exposition.drain(0.0)

    async def stop(self) -> None:
        """Give up what is left; what was accepted by the committer is still written."""
        if self._links is not None:
            await self._links.stop()
        while self._started:
            await self._started.pop().stop()
        self._lag.stop()
        if self._quic is not None:
            self._quic.close()
        self._engine.stop()
        self._passwords.close()
        await self._pool.stop()

    async def _until_reachable(self) -> None:
        deadline = self._clock.monotonic() + DATABASE_SECONDS
        while True:
            try:
                await self._pool.start()
                return
            except Unavailable:
                if self._clock.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.1)

    def _expose(
        self, requests: Requests, gateway: Gateway, links: Links, chat: Chat, quic: QuicListener
    ) -> TcpListener:
        parts = metrics.Parts(
            engine=self._engine,
            gateway=gateway,
            requests=requests,
            limits=self._limits,
            links=links,
            chat=chat,
            pool=self._pool,
            passwords=self._passwords,
            mailer=self._mailer,
            lag=self._lag,
            quic=quic,
            screening=self._screening,
        )
        exposition = Exposition(metrics.registry(parts, __version__), self._clock)
        return TcpListener(self._engine, exposition, max_connections=METRICS_CONNECTIONS)

    def _make_endpoint(self, sock: socket.socket) -> Endpoint:
        config = self._config
        if not config.quic_chain:
            raise SetupError("a listener with QUIC needs a certificate")
        return make_endpoint(
            config.settings.quic_engine,
            sock,
            config.quic_chain,
            config.quic_key,
            named=_named(config),
            secret=config.keys.quic,
            ticket_keys=config.keys.tickets,
        )

    def _make_mailer(self) -> tuple[DropFolder | None, Mailer]:
        """The drop folder, where mail goes there."""
        settings = self._config.settings
        sealer = self._keys.sealer
        try:
            sender = Sender(settings.mail.sender)
            if settings.mail.smtp is not None:
                smtp = Smtp(parse_smtp(settings.mail.smtp), sender)
                return None, Mailer(self._pool, self._clock, sealer, smtp)
        except ValueError as error:
            raise SetupError(f"The settings of mail cannot be used: {error}") from error
        folder = DropFolder(settings.data_dir / "mail", sender)
        return folder, Mailer(self._pool, self._clock, sealer, folder)

    def _mail_page(self) -> list[Route]:
        if self._dropped is None or not mail_page.is_shown(self._config.settings):
            return []
        return mail_page.routes(self._dropped)

    def _make_identity(self, ended: Callable[[UUID], None]) -> tuple[Identity, IdentityApi]:
        pool, clock, ids, passwords = self._pool, self._clock, self._ids, self._passwords
        site = self._config.public_url
        rules = PasswordRules(site_names(site))
        links = Proofs(lambda: self._keys.keys.sealing)
        letters = Letters(self._mailer, links, ids, site)
        throttle = Throttle(Limiter(THROTTLED_ACCOUNTS), clock)
        identity = Identity(
            pool,
            clock,
            ids,
            passwords=passwords,
            rules=rules,
            sealer=self._keys.sealer,
            access=AccessTokens(self._keys.sign, ISSUER, ISSUER, ids),
            letters=letters,
            throttle=throttle,
            ended=ended,
            verification=self._config.settings.identity.verification,
        )
        recovery = Recovery(
            pool, clock, passwords=passwords, rules=rules, links=links, letters=letters, throttle=throttle, ended=ended
        )
        logins = Logins(pool, clock, SealedCursors(self._config.keys.cursor), ended)
        return identity, IdentityApi(identity, logins, recovery, self._keys.public_keys)

    def _hear(self, conversation: UUID, record: Record) -> None:
        if self._extension.heard is not None:
            self._extension.heard(conversation, record)

    async def _is_draining(self) -> str | None:
        return "is restarting" if self._draining else None


def build(
    config: WorkerConfig,
    *,
    clock: Clock | None = None,
    ids: Ids | None = None,
    extend: Extend | None = None,
    on_poisoned: Callable[[BaseException], None] | None = None,
) -> App:
    """A worker's server that is not started yet.

    `extend` is called when it starts, and adds routes, commands and a listener of the embedder's own.
    `on_poisoned` is told of a panic in the extension, after which the process must be replaced.
    """
    clock = clock or SystemClock()
    return App(config, clock, ids or UuidV7(clock), extend, on_poisoned)


def _named(config: WorkerConfig) -> tuple[bytes, bytes] | None:
    """The certificate for QUIC clients that name a server: the one of TLS."""
    return (config.tls_chain, config.tls_key) if config.tls_chain else None


def _proxies(config: WorkerConfig) -> Proxies:
    try:
        return Proxies(config.settings.trusted_proxies)
    except ValueError as error:
        raise SetupError(f"The trusted proxies cannot be used: {error}") from error


def _rules(settings: Settings) -> Rules:
    moderation = settings.moderation
    return Rules(
        sources_of(settings),
        moderation.direct,
        moderation.direct_actions,
        moderation.group,
        moderation.group_actions,
    )


def _screening(settings: Settings) -> Screening | None:
    """Raises SetupError."""
    if not settings.scoring:
        return None
    try:
        return Screening(_rules(settings))
    except ValueError as error:
        raise SetupError(f"Messages cannot be scored: {error}.") from error


def _link_limits(limits: LimitSettings) -> LinkLimits:
    """A person has one limit, whichever way the requests come."""
    return LinkLimits(rate=limits.person_per_second, burst=limits.person_burst)


def _rates(settings: LimitSettings) -> Rates:
    return Rates(
        address=Rate(settings.address_per_second, settings.address_burst),
        person=Rate(settings.person_per_second, settings.person_burst),
        endpoint_factor=settings.endpoint_factor,
    )


async def _epoch(database: Database) -> str:
    """Names the history that offsets belong to: it changes with a restore, and with another database."""

    async def look(tx: Tx) -> str:
        row = await tx.fetchrow(
            """SELECT s.system_identifier, c.timeline_id, i.restored, d.oid
               FROM pg_control_system() s, pg_control_checkpoint() c, instance i,
                    pg_database d WHERE d.datname = current_database()"""
        )
        assert row is not None
        return hashlib.sha256(repr(tuple(row.values())).encode()).hexdigest()[:16]

    return await asyncio.wait_for(database.read(look), 10)
