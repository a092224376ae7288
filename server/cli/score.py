"""`chiron score`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Optional

import typer
from rich.console import Console
from rich.text import Text

from chiron.errors import SetupError
from chiron.server.cli.options import progress

if TYPE_CHECKING:
    from chiron.server.moderation.assessment import Assessment, Assessor

EVERY = 10_000
"""Lines between two words of progress."""
INPUT = 2
"""Exit status when any line could not be read."""
_STYLES = {"allow": "green", "flag": "yellow", "hold": "dark_orange", "block": "red"}


class Kind(StrEnum):
    """Kinds of conversation."""

    direct = "direct"
    group = "group"


def score(
    file: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads it so on Python 3.11
        typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="JSON lines.", show_default="standard input"),
    ] = None,
    explain: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--explain", metavar="TEXT", help="Show a person what is thought of this text, and why."),
    ] = None,
    kind: Annotated[Kind, typer.Option(help="Conversation whose policy gives the verdict.")] = Kind.group,
    model: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(exists=True, dir_okay=False, help="Model to score by.", show_default="the one that is shipped"),
    ] = None,
    terms: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option(exists=True, dir_okay=False, help="List of terms beside those that are shipped; may be repeated."),
    ] = None,
    allow: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option(exists=True, dir_okay=False, help="Phrases in which a term does not count; may be repeated."),
    ] = None,
    action: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            metavar="REASON=VERDICT",
            help="How far a reason may lead, such as contact=flag, in the place of the policy's own; may be repeated.",
        ),
    ] = None,
) -> None:
    """Score texts. Each line in is {"text": …}, each line out {"scores": {…}, "verdict": …, "spans": […]}, in order."""
    from chiron.server.moderation.assessment import Assessor
    from chiron.server.moderation.sources import Sources

    try:
        assessor = Assessor(Sources(model, tuple(terms or ()), tuple(allow or ())), kind.value, action or ())
    except ValueError as error:
        raise SetupError(str(error)) from error
    if explain is not None:
        if file is not None:
            raise typer.BadParameter("give either FILE or --explain.")
        _show(explain, assessor.assess(explain, explain=True))
        return
    if file is None:
        bad = _lines(sys.stdin.buffer, assessor)
    else:
        with file.open("rb") as lines:
            bad = _lines(lines, assessor)
    if bad:
        raise typer.Exit(INPUT)


def _lines(lines: BinaryIO | Iterable[bytes], assessor: Assessor) -> int:
    """How many lines were no texts. Each has its answer all the same, so that line n out belongs to line n in."""
    import msgspec

    class Line(msgspec.Struct):
        text: str

    decode, encode = msgspec.json.Decoder(Line).decode, msgspec.json.encode
    out, watched = sys.stdout.buffer, sys.stderr.isatty()
    bad = 0
    try:
        for number, line in enumerate(lines, 1):
            try:
                answer = encode(assessor.assess(decode(line).text))
            except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
                bad += 1
                answer = encode({"error": f"line {number}: {error}"})
                progress(f"line {number} is no text: {error}")
            out.write(answer + b"\n")
            if watched and number % EVERY == 0:
                progress(f"{number} texts")
        out.flush()
    except BrokenPipeError:
        # Whoever read has enough. Python would complain once more at its end.
        sys.stdout = None
    return bad


def _show(text: str, found: Assessment) -> None:
    """The verdict, the text with its spans marked, the heads as bars, and what weighed most."""
    screen = Console(highlight=False, soft_wrap=True)
    style = _STYLES[found.verdict]
    because = f" because of {', '.join(found.reasons)}" if found.reasons else ""
    screen.print(Text.assemble(("Verdict: ", "bold"), (found.verdict, f"bold {style}"), because))
    marked = Text()
    at = 0
    for span in found.spans:
        if span.start < at:
            continue
        marked.append(_printable(text[at : span.start]))
        marked.append(f"[{_printable(text[span.start : span.end])}]", f"bold reverse {style}")
        at = span.end
    marked.append(_printable(text[at:]))
    screen.print(Text("Text:    ", "bold") + marked)
    for span in found.spans:
        worst = f", severity {span.severity}" if span.severity else ""
        what = f" ({_printable(span.text)})" if span.text else ""
        screen.print(Text(f"         {span.start}-{span.end}: {span.label}{what}{worst}"))
    screen.print(Text("Scores:", "bold"))
    for head, value in found.scores.items():
        screen.print(Text(f"  {head:<7}{value:6.3f}  {'█' * round(value * 40)}"))
    if found.features:
        screen.print(Text("What weighed most:", "bold"))
        for head, piece, share in found.features:
            screen.print(Text(f"  {head:<7}{share:+7.2f}  {_printable(piece)}"))


def _printable(text: str) -> str:
    """Without what would move the cursor or hide: those characters by their numbers."""
    return "".join(
        letter if letter.isprintable() or letter == "\u200c" else f"<U+{ord(letter):04X}>" for letter in text
    )
