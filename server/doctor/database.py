"""PostgreSQL as it is now: the embedded one, or the operator's own; and how far its schema is."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Any

import asyncpg

from chiron.db import external, migrate
from chiron.db.binaries import PostgresBinaries
from chiron.db.cluster import Cluster
from chiron.db.embedded import MAJOR, running_dsn
from chiron.db.process import choose_account, run
from chiron.errors import SetupError
from chiron.server.doctor.findings import Fault, Found, problem, warning
from chiron.server.doctor.subject import Subject
from chiron.server.settings.checks import without_password

NEWEST_VERSION = "pip install --upgrade chiron-server"


async def database(subject: Subject) -> Found:
    if subject.settings.database is not None:
        return await _external(subject, subject.settings.database)
    return await _embedded(subject)


async def _external(subject: Subject, dsn: str) -> Found:
    place = external.describe(dsn)
    try:
        connection = await external.connect(dsn)
    except SetupError as error:
        return f"{place}: no", [problem(str(error), *_mend_connection(error, dsn))]
    subject.dsn, subject.connection = dsn, connection
    return f"PostgreSQL {_version(connection)} at {place}", await _fitness(connection)


def _mend_connection(error: SetupError, dsn: str) -> list[str]:
    cause = error.__cause__
    address = shlex.quote(without_password(dsn))
    if isinstance(cause, asyncpg.InvalidCatalogNameError):
        name = shlex.quote(dsn.partition("?")[0].rpartition("/")[2])
        return [f"createdb --encoding=UTF8 --template=template0 --owner=USER {name}"]
    if isinstance(cause, asyncpg.InvalidAuthorizationSpecificationError):
        return [f"psql {address}   (asks for the password)", "ALTER ROLE … LOGIN PASSWORD '…';"]
    if isinstance(cause, ValueError | asyncpg.ClientConfigurationError):
        return ["CHIRON_DATABASE=postgresql://user:password@host:5432/name"]
    if cause is None:  # it answered, and is too old
        return [f"apt-get install postgresql-{external.OLDEST}   (then pg_upgradecluster, or dump and restore)"]
    return [f"pg_isready -d {address}", "systemctl start postgresql   (on its machine)"]


async def _embedded(subject: Subject) -> Found:
    home = subject.folder / "postgresql"
    cluster = Cluster(home / "cluster")
    if not cluster.folder.exists():
        return "none yet: made at the first start", []
    if os.geteuid() not in (0, cluster.folder.stat().st_uid):
        # Not to be taken for a damage: nothing of it can be seen.
        place = shlex.quote(str(subject.folder))
        return "of another user", [
            problem(
                f"User {os.geteuid()} may not look into {cluster.folder}.",
                f"sudo -u '#{subject.folder.stat().st_uid}' chiron doctor --data-dir {place}   (as the folder's owner)",
            )
        ]
    restore = f"cp -a BACKUP {shlex.quote(str(home))}"
    try:
        version = cluster.major_version()
        account = choose_account(cluster.folder)
    except SetupError as error:
        return "damaged", [problem(f"{str(error).rstrip('.')}.", restore)]
    if version != MAJOR:
        return f"version {version}", [
            problem(
                f"{cluster.folder} was made by PostgreSQL {version}, and this is PostgreSQL {MAJOR}.",
                f"pg_upgrade --old-datadir {shlex.quote(str(cluster.folder))} --new-datadir …",
            )
        ]
    pid = cluster.postmaster()
    if pid is None:
        return await _stopped(subject, cluster, version, account)
    who = f"PostgreSQL {version} (process {pid})"
    log = f"tail {shlex.quote(str(home / 'log'))}/*.log {shlex.quote(str(home / 'start.log'))}"
    if (status := cluster.status()) != "ready":
        return f"{who} is {status or 'starting'}", [
            warning(f"{who} is {status or 'starting'}: after a crash it reads its log first.", log)
        ]
    try:
        dsn = running_dsn(subject.folder)
        assert dsn is not None, "it ran a moment ago"
        connection = await external.connect(dsn)
    except SetupError as error:
        return f"{who} does not answer", [problem(str(error), log)]
    subject.dsn, subject.connection = dsn, connection
    said = f"PostgreSQL {_version(connection)}, process {pid}, answers"
    return said, await _fitness(connection)


async def _stopped(subject: Subject, cluster: Cluster, version: int, account: Any) -> Found:
    faults: list[Fault] = []
    if (left := cluster.occupants()) and subject.server is None:
        numbers = " ".join(map(str, left))
        faults.append(
            warning(
                f"Processes {numbers} of a dead PostgreSQL are still there; the next start ends them.",
                f"kill {numbers}",
            )
        )
    if subject.server is not None:
        faults.append(
            problem(
                "The server runs and its PostgreSQL does not; it is started again and again.",
                f"tail {shlex.quote(str(subject.folder / 'postgresql' / 'start.log'))}",
            )
        )
    state = await _control_state(cluster, account)
    recovers = ", and will recover at the next start (nothing is lost)" if state.startswith("in ") else ""
    return f"PostgreSQL {version} is stopped{f' ({state})' if state else ''}{recovers}", faults


async def _control_state(cluster: Cluster, account: Any) -> str:
    """`shut down`, or `in production` after a crash, as pg_controldata says; empty when it cannot be run."""
    try:
        programs = PostgresBinaries.unpacked()
    except SetupError:
        return ""
    if programs is None:
        return ""
    command: list[str | Path] = [programs.program("pg_controldata"), "-D", cluster.folder]
    _, output = await run(command, account, programs.environment(), timeout=10)
    found = re.search(r"^Database cluster state: +(.+)$", output, flags=re.MULTILINE)
    return found[1] if found else ""


def _version(connection: asyncpg.Connection[Any]) -> str:
    # `18.1 (Debian 18.1-1)` where a distribution built it.
    return str(connection.get_settings().server_version).partition(" ")[0]


async def _fitness(connection: asyncpg.Connection[Any]) -> list[Fault]:
    """Whether it keeps what it acknowledges, and lets us make tables."""
    row = await connection.fetchrow(
        "SELECT current_user AS me, current_database() AS name, current_schema() AS schema,"
        " coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS may_create,"
        " pg_is_in_recovery() AS standby, current_setting('default_transaction_read_only') = 'on' AS read_only,"
        " current_setting('server_encoding') AS encoding"
    )
    assert row is not None
    me, name = _quoted(row["me"]), _quoted(row["name"])
    faults = await _durability(connection, me, name)
    if row["standby"]:
        faults.append(
            problem("This PostgreSQL is a standby, which can only be read.", "database = the primary's address")
        )
    elif row["read_only"]:
        faults.append(
            problem(
                "This PostgreSQL lets nothing be written.",
                f"ALTER DATABASE {name} SET default_transaction_read_only = off;",
            )
        )
    if row["encoding"] != "UTF8":
        faults.append(
            problem(
                f"The database stores text as {row['encoding']}, which cannot hold every message.",
                f"createdb --encoding=UTF8 --template=template0 --owner={me} NAME   (and use that one)",
            )
        )
    if not row["may_create"]:
        schema = _quoted(row["schema"] or "public")
        faults.append(
            problem(
                f"User {row['me']} may not make tables in database {row['name']}.",
                f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {me};   (as its owner, in {row['name']})",
            )
        )
    return faults


async def _durability(connection: asyncpg.Connection[Any], me: str, name: str) -> list[Fault]:
    faults = []
    lost = {
        "fsync": "a crash of the machine destroys the whole database",
        "full_page_writes": "a crash of the machine damages pages",
        "synchronous_commit": "a crash loses messages that were acknowledged",
    }
    rows = await connection.fetch("SELECT name, setting, source FROM pg_settings WHERE name = ANY($1)", list(lost))
    for row in sorted(rows, key=lambda row: list(lost).index(row["name"])):
        if row["setting"] != "off":
            continue
        setting = row["name"]
        mend = {
            "database": f"ALTER DATABASE {name} RESET {setting};",
            "user": f"ALTER ROLE {me} RESET {setting};",
            "database user": f"ALTER ROLE {me} IN DATABASE {name} RESET {setting};",
        }.get(row["source"], f"ALTER SYSTEM SET {setting} = on; SELECT pg_reload_conf();   (as superuser)")
        faults.append(problem(f"PostgreSQL runs with {setting} = off: {lost[setting]}.", mend))
    return faults


async def migrations(subject: Subject) -> Found:
    if subject.dsn is None or subject.connection is None:
        bundled = len(migrate.bundled())
        return f"{bundled} in this program; the database was not reached, so not compared", []
    try:
        rows = await migrate.status(subject.dsn)
    except SetupError as error:
        return "do not fit", [problem(str(error), NEWEST_VERSION)]
    waiting = [row.name for row in rows if row.applied_at is None]
    if not waiting:
        return f"all {len(rows)} applied", []
    if len(waiting) == len(rows):
        return f"none of {len(rows)} applied yet; the first start does it", []
    command = "chiron migrate" if subject.settings.database else subject.command("migrate")
    if subject.server is not None:
        sentence = f"The running server is older than this program; to be applied: {', '.join(waiting)}."
        return f"{len(waiting)} to be applied", [warning(sentence, f"kill {subject.server}   (then start it again)")]
    sentence = f"To be applied: {', '.join(waiting)}. The next start does it; there is no way back but a copy."
    return f"{len(waiting)} to be applied", [warning(sentence, command)]


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'
