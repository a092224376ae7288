"""Whoever reads the mails of a drop folder, and sees whether one of them comes twice."""

from __future__ import annotations

import asyncio
import os
import re
from collections import defaultdict
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from uuid import UUID

LOOKS = 0.1
"""Seconds between looks into the folder."""


@dataclass
class Kept:
    """One mail, and every file that it ever was in."""

    name: str
    id: UUID
    """Left of the @ in the Message-ID."""
    to: str
    subject: str
    text: str
    bodies: set[bytes] = field(default_factory=set)
    files: set[tuple[int, int]] = field(default_factory=set)
    """(inode, time of change): a mail that is sent again comes as another file of the same name."""


class Postbox:
    """Use `watch` as a task; `mails` is what has come, by name of the file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._news = asyncio.Condition()
        self._links: dict[str, list[tuple[str, str]]] = defaultdict(list)
        """(name of the file, text) by address."""
        self.mails: dict[str, Kept] = {}

    async def watch(self) -> None:
        while True:
            if self.look():
                async with self._news:
                    self._news.notify_all()
            await asyncio.sleep(LOOKS)

    def look(self) -> bool:
        """Whether there is anything that was not there before."""
        found = False
        for entry in os.scandir(self._folder) if self._folder.exists() else []:
            if not entry.name.endswith(".eml") or entry.name.startswith("."):
                continue
            path = Path(entry.path)
            stat = path.stat()
            file = stat.st_ino, stat.st_mtime_ns
            kept = self.mails.get(entry.name)
            if kept is not None and file in kept.files:
                continue
            body = path.read_bytes()
            if kept is None:
                kept = self.mails[entry.name] = _parse(entry.name, body)
                self._links[kept.to].append((kept.name, kept.text))
                found = True
            kept.bodies.add(body)
            kept.files.add(file)
        return found

    def unfinished(self) -> list[str]:
        """Files that a sender was killed over."""
        return [name for name in os.listdir(self._folder) if name.startswith(".")]

    async def token(self, email: str, page: str, *, but: set[str], seconds: float) -> str | None:
        """Of the newest link to this page that came to the address and is none of `but`; None when none comes in time.

        Names of files begin with the time of the mail.
        """

        def newest() -> str | None:
            for _, text in sorted(self._links[email], reverse=True):
                for token in re.findall(rf"/#/{page}/(\S+)", text):
                    if token not in but:
                        return str(token)
            return None

        try:
            async with asyncio.timeout(seconds), self._news:
                await self._news.wait_for(newest)
        except TimeoutError:
            pass
        return newest()


def _parse(name: str, body: bytes) -> Kept:
    message = message_from_bytes(body, policy=default)
    id = UUID(str(message["Message-ID"]).strip("<>").partition("@")[0])
    text = message.get_content()
    assert isinstance(text, str)
    return Kept(name, id, str(message["To"]), str(message["Subject"]), text.replace("\r\n", "\n"))
