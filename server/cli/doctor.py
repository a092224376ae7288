"""`chiron doctor`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from chiron.server.cli.options import Database, DataDir, console
from chiron.server.cli.settings import Assignments, Config, told

if TYPE_CHECKING:
    from chiron.server.doctor import Fault, Finding, State, Subject
    from chiron.server.settings.load import Told

COLOURS: Mapping[State, str] = {"ok": "green", "warning": "yellow", "problem": "red"}
WIDTH = max(len(state) for state in COLOURS)


def doctor(
    data_dir: DataDir = None,
    database: Database = None,
    config: Config = None,
    assignments: Assignments = None,
    strict: Annotated[bool, typer.Option("--strict", help="End with 78 also when there are only warnings.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the findings as one JSON object.")] = False,
) -> None:
    """Look at machine, folder and database: say what is wrong and how to mend it. Changes nothing."""
    said = told(data_dir=data_dir, database=database, config=config, assignments=assignments)
    findings = asyncio.run(_examine(_subject(said), printing=not json))
    worst = {finding.state for finding in findings}
    if json:
        print(_json(findings))
    else:
        _explain(findings)
    raise typer.Exit(78 if "problem" in worst or (strict and "warning" in worst) else 0)


def _subject(said: Told) -> Subject:
    from chiron.server.config import Settings
    from chiron.server.doctor import Subject
    from chiron.server.settings.load import SettingsError, data_dir, load

    try:
        return Subject(load(said).settings)
    except SettingsError as error:
        return Subject(Settings(data_dir=data_dir(said)), settings_fault=str(error))


async def _examine(subject: Subject, *, printing: bool) -> list[Finding]:
    """Print a line for each check when it is done; meanwhile a terminal shows what is looked at."""
    from chiron.server.doctor import examine

    output = Console(highlight=False)
    findings = []
    with console.status("", spinner="dots") as status:
        async for finding in examine(subject, lambda name: status.update(f"Looking at {name}…")):
            findings.append(finding)
            if printing:
                # One line each, however long: they are read by grep too.
                status.stop()
                output.print(_line(finding), soft_wrap=True)
                sys.stdout.flush()
                status.start()
    return findings


def _line(finding: Finding) -> Text:
    state = Text(f"  {finding.state:<{WIDTH}}", style=COLOURS[finding.state])
    return state.append(f"  {finding.check:<12}  {finding.summary}", style="default")


def _explain(findings: Sequence[Finding]) -> None:
    output = Console(highlight=False)
    faults = [fault for finding in findings for fault in finding.faults]
    # "problem" sorts before "warning": what keeps a server from starting comes first.
    for fault in sorted(faults, key=lambda fault: fault.state):
        output.print()
        output.print(Text(f"{fault.state}: {fault.sentence}", style=COLOURS[fault.state]), soft_wrap=True)
        for mend in fault.mend:
            output.print(Text(f"    {mend}"), soft_wrap=True)
    output.print()
    output.print(_verdict(faults))


def _verdict(faults: Sequence[Fault]) -> str:
    problems = sum(fault.state == "problem" for fault in faults)
    warnings = len(faults) - problems
    if not faults:
        return "Nothing is wrong."
    counts = [
        f"{number} {word}{'s' if number > 1 else ''}"
        for number, word in ((problems, "problem"), (warnings, "warning"))
        if number
    ]
    return f"{' and '.join(counts)}."


def _json(findings: Sequence[Finding]) -> str:
    states = {finding.state for finding in findings}
    whole: State = "problem" if "problem" in states else "warning" if "warning" in states else "ok"
    checks = [
        {"check": finding.check, "state": finding.state, "summary": finding.summary, "faults": finding.faults}
        for finding in findings
    ]
    return msgspec.json.format(msgspec.json.encode({"state": whole, "checks": checks}), indent=2).decode()
