"""All checks, in the order in which they build on each other, and how they are run."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable

from chiron.errors import SetupError
from chiron.server.doctor import certificate, clock, database, disk, machine, mail, network, processes, programs, quic
from chiron.server.doctor.findings import Finding, Found, problem
from chiron.server.doctor.subject import Subject

CHECK_SECONDS = 60.0
"""One check that takes longer is given up: unpacking PostgreSQL on a slow disk takes the longest."""

Check = Callable[[Subject], Awaitable[Found]]


def _in_thread(look: Callable[[Subject], Found]) -> Check:
    """For what may block: a disk that is slow, a name that is looked up."""

    async def check(subject: Subject) -> Found:
        return await asyncio.to_thread(look, subject)

    return check


def _settings(subject: Subject) -> Found:
    if subject.settings_fault is None:
        return "understood", []
    sentence = f"{subject.settings_fault.rstrip('.')}."
    return "not understood; the rest is looked at with the defaults", [problem(sentence, "chiron config --check")]


CHECKS: tuple[tuple[str, Check], ...] = (
    ("settings", _in_thread(_settings)),
    ("Python", _in_thread(machine.python)),
    ("extension", _in_thread(machine.extension)),
    ("libraries", programs.libraries),
    ("folder", _in_thread(disk.folder)),
    ("disk", _in_thread(disk.disk)),
    ("server", network.server),
    ("PostgreSQL", database.database),
    ("migrations", database.migrations),
    ("clock", clock.clock),
    ("certificate", _in_thread(certificate.certificate)),
    ("ports", _in_thread(network.ports)),
    ("QUIC", quic.reachable),
    ("QUIC cert", _in_thread(quic.certificate)),
    ("UDP buffers", _in_thread(quic.buffers)),
    ("UDP batches", _in_thread(quic.batches)),
    ("mail", _in_thread(mail.mail)),
    ("open files", _in_thread(machine.descriptors)),
    ("backlog", _in_thread(machine.backlog)),
    ("memory", _in_thread(machine.memory)),
    ("randomness", _in_thread(machine.random)),
    ("time zones", _in_thread(machine.zones)),
    ("locale", _in_thread(machine.locale)),
)


async def examine(subject: Subject, looking: Callable[[str], None] = lambda _: None) -> AsyncIterator[Finding]:
    """Run every check, one behind the other; `looking` is told the name of each before it begins.

    A check that fails itself is a problem that was found.
    """
    try:
        for name, check in CHECKS:
            looking(name)
            summary, faults = await _run(check, subject)
            yield Finding(name, summary, tuple(faults))
    finally:
        if subject.connection is not None:
            subject.connection.terminate()


async def _run(check: Check, subject: Subject) -> Found:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check(subject)
    except TimeoutError:
        return "takes too long", [problem(f"It did not end within {CHECK_SECONDS:.0f} s.", "dmesg | tail")]
    except SetupError as error:
        return "cannot be looked at", [problem(str(error), "chiron doctor   (again, when that is mended)")]
    except PermissionError as error:
        return "may not be looked at", [
            problem(
                f"User {processes.user(os.geteuid())} may not read {error.filename}.",
                f"sudo chiron doctor --data-dir {subject.folder}",
            )
        ]
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        return "cannot be looked at", [problem(f"The check itself failed: {said}.", "chiron doctor   (again)")]
