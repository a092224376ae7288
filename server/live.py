"""What workers run with now, and how that changes while they run: settings, certificate and keys.

Whatever is refused changes nothing. What is accepted is on disk first, then told to the worker, and holds for every
worker that is started later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
import structlog

from chiron.errors import SetupError
from chiron.server import admin
from chiron.server.config import Settings, WorkerConfig
from chiron.server.edge import certificates
from chiron.server.edge.certificates import Certificate
from chiron.server.identity.tokens import ACCESS_SECONDS
from chiron.server.moderation.sources import Sources
from chiron.server.platform import keys
from chiron.server.platform.keys import Keys, Purpose
from chiron.server.ports import Clock
from chiron.server.settings.fields import follow

ACCEPTED = ACCESS_SECONDS + 60.0
"""Seconds that a signing key is accepted after its last signature: a token's life, and what clocks may differ by."""

LOOK_SECONDS = 60.0
"""How often to look for what is due."""


def keys_file(settings: Settings) -> Path:
    return settings.data_dir / keys.FILE


def load_keys(settings: Settings, clock: Clock) -> Keys:
    """The instance's keys, after what was due while no server ran. Raises SetupError."""
    now = clock.now().timestamp()
    found = keys.load_or_create(keys_file(settings), now)
    due = keys.rotated(found, now, ACCEPTED)
    if due != found:
        keys.write(keys_file(settings), due)
    return due


@dataclass(frozen=True, slots=True)
class Certificates:
    """What is shown to clients."""

    tls: Certificate
    authority: Path | None
    """Certificate of the development authority, where `tls` is of it."""
    quic: Certificate | None
    """For clients of QUIC that name no server."""
    hashes: tuple[str, ...]
    """For pages to trust `quic` by; empty where it is the operator's."""

    def put_into(self, config: WorkerConfig) -> WorkerConfig:
        """`config` with these certificates."""
        return msgspec.structs.replace(
            config,
            tls_chain=self.tls.chain,
            tls_key=self.tls.key,
            quic_chain=self.quic.chain if self.quic is not None else b"",
            quic_key=self.quic.key if self.quic is not None else b"",
            quic_hashes=list(self.hashes),
        )


def certificates_of(settings: Settings, now: datetime) -> Certificates:
    """The operator's, or the development ones that are due. Raises SetupError."""
    if settings.tls.certificate is not None and settings.tls.key is not None:
        own = certificates.from_files(settings.tls.certificate, settings.tls.key)
        return Certificates(own, None, own if settings.quic else None, ())
    folder = settings.data_dir / "tls"
    tls, authority = certificates.development(folder, now), folder / "ca.pem"
    if not settings.quic:
        return Certificates(tls, authority, None, ())
    hashed = certificates.hashed(folder, now)
    return Certificates(tls, authority, hashed.certificate, hashed.hashes)


def sources_of(settings: Settings) -> Sources:
    """The files that messages are scored by."""
    rules = settings.moderation
    return Sources(rules.model, rules.terms, rules.allow, rules.shipped_terms)


class LiveConfig:
    """`current` is what a worker is started with.

    `tell` has the running worker, if there is one, follow a change; it returns why it does not, or nothing.
    """

    def __init__(
        self,
        config: WorkerConfig,
        *,
        read_again: Callable[[], Settings],
        tell: Callable[[WorkerConfig], Awaitable[str]],
        clock: Clock,
    ) -> None:
        self.current = config
        self._clock = clock
        self._read_again = read_again
        self._tell = tell
        self._one_at_a_time = asyncio.Lock()
        self._log = structlog.get_logger("chiron.supervisor")

    async def answer(self, request: admin.Request) -> admin.Answer:
        """To a command. Never raises but for what is a defect."""
        try:
            if isinstance(request, admin.ReloadRequest):
                return await self.reload()
            return await self.rotate(request.purposes)
        except SetupError as error:
            return admin.Refusal(str(error), error.exit_status)
        except OSError as error:
            return admin.Refusal(f"The machine refused: {error}.", 71)

    async def reload(self) -> admin.Reloaded:
        """Read settings, certificate and files of scoring again. Raises SetupError, OSError."""
        async with self._one_at_a_time:
            followed = follow(self.current.settings, self._read_again())
            config = certificates_of(followed.settings, self._clock.now()).put_into(self.current)
            another = config != self.current
            scoring = sources_of(followed.settings).fingerprint()
            files = scoring != self.current.scoring
            if followed.applied or another or files:
                await self._change(msgspec.structs.replace(config, settings=followed.settings, scoring=scoring))
            self._log.info(
                "reloaded", applied=followed.applied, restart=followed.restart, certificate=another, scoring=files
            )
            return admin.Reloaded(list(followed.applied), list(followed.restart), another, files)

    async def rotate(self, purposes: list[Purpose]) -> admin.Rotated:
        """Make new keys. Raises SetupError, OSError."""
        async with self._one_at_a_time:
            await self._use(keys.replaced(self.current.keys, purposes, self._clock.now().timestamp()))
            self._log.info("keys.rotated", purposes=purposes)
            return admin.Rotated(purposes)

    async def keep_fresh(self) -> None:
        """Do what is due by time, for as long as this runs: keys, and the development certificates."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.refresh()
            except (SetupError, OSError) as error:
                # A full disk, say: the old keys do for another while.
                self._log.error("refresh.failed", reason=str(error))

    async def refresh(self) -> None:
        """Do what is due now. Raises SetupError, OSError."""
        async with self._one_at_a_time:
            due = keys.rotated(self.current.keys, self._clock.now().timestamp(), ACCEPTED)
            if due != self.current.keys:
                await self._use(due)
                self._log.info("keys.aged", signing=due.signing[0].kid)
            if self.current.settings.tls.certificate is None:
                config = certificates_of(self.current.settings, self._clock.now()).put_into(self.current)
                if config != self.current:
                    await self._change(config)
                    self._log.info("certificate.renewed")

    async def _use(self, changed: Keys) -> None:
        # What a key has signed or sealed must be good after a crash too.
        keys.write(keys_file(self.current.settings), changed)
        await self._change(msgspec.structs.replace(self.current, keys=changed))

    async def _change(self, config: WorkerConfig) -> None:
        before, self.current = self.current, config
        problem = await self._tell(config)
        if problem:
            self.current = msgspec.structs.replace(before, keys=config.keys)
            raise SetupError(f"The server goes on as before: {problem}.", exit_status=70)
