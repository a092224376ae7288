"""The drop folder: mails as files, for machines that send none. Who can read them can take over accounts."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from uuid import UUID

from chiron.server.platform.mail.message import Letter, Sender
from chiron.server.platform.mail.transport import Down, Undelivered

KEPT = 1_000
"""Files; the oldest go."""

_NAME = re.compile(r"(\d{8}T\d{6}\.\d{6}Z)-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.eml")
_TIME = "%Y%m%dT%H%M%S.%fZ"


@dataclass(frozen=True, slots=True)
class Dropped:
    """A mail of the folder."""

    id: UUID
    time: datetime
    to: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)


class DropFolder:
    """`Transport` into `folder`, which it makes (mode 0700; files 0600).

    Names begin with the time and are of the mail, so that one that is sent twice is there once.
    """

    def __init__(self, folder: Path, sender: Sender) -> None:
        self._folder = folder
        self._sender = sender

    async def send(self, letter: Letter) -> None:
        try:
            body = self._sender.compose(letter)
        except ValueError:
            raise Undelivered("address", permanent=True) from None
        name = f"{letter.date.astimezone(UTC).strftime(_TIME)}-{letter.id}.eml"
        try:
            await asyncio.to_thread(self._write, name, body)
        except OSError as error:
            raise Down(f"folder:{type(error).__name__}:{error.errno}") from None

    async def close(self) -> None:
        pass

    async def newest(self, most: int = KEPT, *, to: str | None = None) -> list[Dropped]:
        """The newest first; `to`: of this address alone (whatever its case)."""
        return await asyncio.to_thread(self._newest, most, to)

    async def raw(self, id: UUID) -> bytes | None:
        """One mail as its file has it."""
        return await asyncio.to_thread(self._raw, id)

    def _write(self, name: str, body: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._folder.stat().st_mode & 0o077:
            self._folder.chmod(0o700)
        # What a crash leaves under this name is replaced when the mail comes again, as then it does.
        unfinished = self._folder / f".{name}"
        try:
            with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self._folder / name)
        except OSError:
            unfinished.unlink(missing_ok=True)  # a full disk has no room for halves
            raise
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        for _, old in list(self._files())[KEPT:]:
            old.unlink(missing_ok=True)

    def _files(self) -> Iterator[tuple[UUID, Path]]:
        """The newest first."""
        try:
            names = sorted(os.listdir(self._folder), reverse=True)
        except FileNotFoundError:
            return
        for name in names:
            if match := _NAME.fullmatch(name):
                yield UUID(match[2]), self._folder / name

    def _newest(self, most: int, to: str | None) -> list[Dropped]:
        found: list[Dropped] = []
        for id, file in self._files():
            if len(found) == most:
                break
            try:
                body = file.read_bytes()
            except FileNotFoundError:  # an old one that just went
                continue
            mail = _parse(id, file.name, body)
            if to is None or mail.to.lower() == to.lower():
                found.append(mail)
        return found

    def _raw(self, id: UUID) -> bytes | None:
        for found, file in self._files():
            if found == id:
                try:
                    return file.read_bytes()
                except FileNotFoundError:
                    return None
        return None


def _parse(id: UUID, name: str, body: bytes) -> Dropped:
    message = message_from_bytes(body, policy=default)
    text = message.get_content().replace("\r\n", "\n")
    time = datetime.strptime(name.partition("-")[0], _TIME).replace(tzinfo=UTC)
    return Dropped(
        id, time, str(message["To"] or ""), str(message["Subject"] or ""), text if isinstance(text, str) else ""
    )
