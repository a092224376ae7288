"""Kills of whatever a server consists of: at random, and at each labelled point of it in turn."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from serving import Server, until
from talk import Progress

LABELS = {
    "committer.before_commit": (5, 25),
    "committer.after_commit": (5, 25),
    "committer.before_ack": (5, 25),
    "committer.during_delivery": (50, 250),
    "mail.before_send": (1, 4),
    "mail.after_send": (1, 4),
    "identity.before_commit": (1, 3),
    "identity.after_register": (1, 2),
    "identity.after_refresh": (1, 20),
    "identity.after_ask_reset": (1, 2),
    "identity.after_reset": (1, 1),
}
"""How often one worker gets to a label until it dies there: from, to."""

ARMED = 2
"""Labels at a time."""

Kind = Literal["worker", "postgres", "supervisor", "everything"]


@dataclass
class Havoc:
    """One kill each time that another part of `total` messages is acknowledged. Each new supervisor has other labels
    armed; before the next one starts, a worker has died at each of them.
    """

    server: Server
    progress: Progress
    total: int
    rng: random.Random
    kills: int
    done: Counter[Kind] = field(default_factory=Counter)

    async def wreak(self) -> None:
        turns = self._turns()
        plan = self._plan(len(turns))
        armed: list[str] = []
        for number, kind in enumerate(plan):
            await self.progress.reach(self.total * (number + 1) // (len(plan) + 2))
            match kind:
                case "worker":
                    await until(self.server.kill_worker, lambda: f"no worker to kill\n{self.server.tail()}")
                case "postgres":
                    await until(self.server.kill_postgres, lambda: f"no PostgreSQL to kill\n{self.server.tail()}")
                case "supervisor" | "everything":
                    await self._until_reached(armed)
                    await self.server.kill_supervisor()
                    if kind == "everything":
                        self.server.kill_everything()
                    armed = turns.pop()
                    await self.server.start(crash_at=",".join(map(self._place, armed)), wait=False)
            self.done[kind] += 1
        await self._until_reached(armed)

    def reached(self) -> Counter[str]:
        """How often workers died at each label."""
        return Counter(re.findall(r"^reached (\S+)$", self.server.log.read_text(errors="replace"), re.MULTILINE))

    async def _until_reached(self, labels: list[str]) -> None:
        await until(
            lambda: self.reached().keys() >= set(labels),
            lambda: f"not all of {labels} are reached\n{self.server.tail()}",
        )

    def _place(self, label: str) -> str:
        return f"{label}:{self.rng.randint(*LABELS[label])}:{self.server.folder / label}"

    def _turns(self) -> list[list[str]]:
        """What each supervisor has armed, the last first. Mail comes early: it waits for the end of a lease then."""
        labels = self.rng.sample(sorted(LABELS), len(LABELS))
        labels.sort(key=lambda label: label.startswith("mail."))
        turns = -(-len(labels) // ARMED)
        return [labels[turn::turns] for turn in range(turns)]

    def _plan(self, supervisors: int) -> list[Kind]:
        kinds: list[Kind] = [self.rng.choice(["supervisor", "supervisor", "everything"]) for _ in range(supervisors)]
        kinds += [self.rng.choice(["worker", "worker", "postgres"]) for _ in range(self.kills - supervisors)]
        self.rng.shuffle(kinds)
        return kinds


def labels_of_the_server() -> set[str]:
    """Every label in its sources."""
    spec = find_spec("chiron.server")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    found: set[str] = set()
    for folder in spec.submodule_search_locations:
        for source in Path(folder).rglob("*.py"):
            found.update(re.findall(r'crashpoint\.reach\("([^"]+)"\)', source.read_text()))
    return found
