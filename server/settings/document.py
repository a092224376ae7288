"""Settings written down: `docs/settings.md`, an example file, and values as TOML writes them.

`python -m chiron.server.settings.document` prints the page. Descriptions are the docstrings under the attributes of
`config.Settings` and its sections, which Python itself forgets.
"""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from chiron.server.config import Settings
from chiron.server.settings.fields import Setting, all_settings
from chiron.server.settings.load import FILE, OTHER_VARIABLES

_PAGE = """\
# Settings

<!-- Written by `make docs` from the types in server/config.py: change those. -->

Each setting can be said in four ways. Those further down win over those above:

1. the default;
2. a TOML file: the one that `--config FILE` or `CHIRON_CONFIG` names, else `{file}` in the data folder, if it is
   there;
3. an environment variable: `CHIRON_PORT`, `CHIRON_MAIL_SMTP`; lists with commas between;
4. a flag of `chiron serve`: those that `--help` lists, and `--set NAME=VALUE` for every setting. Other people on
   the machine can see flags, so `--set` takes no passwords.

Where a setting may be off, write `"off"`. Relative paths in a file are relative to its folder, others to where the
command runs.

`chiron config` shows what a server would run with and where each value is from, passwords masked; `chiron config
--check` says whether it is right; `chiron config --example > {file}` writes a file to begin with. They take the
flags of `chiron serve`. What is wrong is told all at once, each with its line and with what would be right. A name
that is not known is refused, also that of a variable that begins with `CHIRON_`.

## Changing settings while the server runs

`chiron reload` has the server read file and certificates again, and waits for its answer: which settings changed,
and which of them wait for a restart. Connections stay open; the next TLS handshake has the new certificate. When
something is wrong the server says so and keeps what it had, and the command ends with 78. Flags and environment
are those that the server was started with.

SIGHUP does the same for a server without a controlling terminal, as under systemd or in a container (the outcome
is in the log). On a terminal, SIGHUP means that the terminal was closed, and stops the server.

Keys change by themselves: the one that signs access tokens every 90 days, those of TLS session tickets every day.
`chiron rotate` changes the signing key at once, `chiron rotate sealing` the one that seals secrets in the
database. Nobody is signed out: older keys are accepted for as long as something that they made is valid.

"""


def page() -> str:
    """`docs/settings.md`."""
    parts = [_PAGE.format(file=FILE)]
    for title, about, settings in _sections():
        parts.append(f"## {f'`[{title}]`' if title else 'General'}\n\n")
        if about:
            parts.append(f"{about}\n\n")
        parts += [_entry(setting) for setting in settings]
    parts.append("## Other variables\n\n| variable | what for |\n|---|---|\n")
    parts += [f"| `{variable}` | {meaning} |\n" for variable, meaning in OTHER_VARIABLES.items()]
    return "".join(parts)


def example() -> str:
    """A TOML file with every setting at its default, commented out."""
    parts = [
        f"# Settings of Chiron. As {FILE} in the data folder this file is read by itself; from elsewhere by --config.\n"
        "# What is commented out is the default.\n"
    ]
    for title, about, settings in _sections():
        if title:
            parts.append(f"\n[{title}]\n")
        if about:
            parts.append(_comment(about))
        parts += [
            f"\n{_comment(description(setting))}#{setting.path[-1]} = {toml(default(setting))}\n"
            for setting in settings
        ]
    return "".join(parts)


def toml(value: Any) -> str:
    """A value as a TOML file says it."""
    if value is None:
        return '"off"'
    if isinstance(value, tuple):
        return f"[{', '.join(toml(item) for item in value)}]"
    # What JSON escapes, TOML reads alike.
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)


def default(setting: Setting) -> Any:
    return setting.of(Settings())


def description(setting: Setting) -> str:
    """The docstring under the attribute, without line breaks; empty when there is none."""
    *sections, name = setting.path
    struct: type[msgspec.Struct] = Settings
    for section in sections:
        struct = get_type_hints(struct)[section]
    # Nobody but Python writes None: a file says "off".
    return re.sub(r"\bNone\b", "off", _docstrings(struct).get(name, ""))


def _sections() -> Iterator[tuple[str, str, list[Setting]]]:
    """Name (empty for the top), description and settings of each section; the top comes first, as in TOML."""
    sections: dict[tuple[str, ...], list[Setting]] = {}
    for setting in all_settings():
        sections.setdefault(setting.path[:-1], []).append(setting)
    for path, settings in sorted(sections.items(), key=lambda section: len(section[0])):
        struct: type[msgspec.Struct] = Settings
        for name in path:
            struct = get_type_hints(struct)[name]
        about = "" if struct is Settings else _own_docstring(struct)
        yield ".".join(path), about, settings


def _entry(setting: Setting) -> str:
    trait = setting.kind.trait
    shown = trait.default or f"`{toml(default(setting))}`"
    change = "`chiron reload` applies a change" if trait.reload else "a change takes a restart"
    facts = f"{setting.kind.describe()}; by default {shown}; `{setting.variable}`; {change}"
    return f"**`{setting.name}`**: {description(setting)}\\\n*{facts}*\n\n"


def _comment(text: str) -> str:
    return "".join(f"# {line}\n" for line in textwrap.wrap(text, 110, break_long_words=False, break_on_hyphens=False))


def _own_docstring(struct: type[msgspec.Struct]) -> str:
    return " ".join((ast.get_docstring(_class(struct)) or "").split())


@functools.cache
def _docstrings(struct: type[msgspec.Struct]) -> dict[str, str]:
    """By attribute: the text below it (PEP 257, attribute docstrings)."""
    body = _class(struct).body
    return {
        attribute.target.id: " ".join(ast.literal_eval(below.value).split())
        for attribute, below in itertools.pairwise(body)
        if isinstance(attribute, ast.AnnAssign)
        and isinstance(attribute.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
    }


@functools.cache
def _class(struct: type[msgspec.Struct]) -> ast.ClassDef:
    tree = ast.parse(textwrap.dedent(inspect.getsource(struct)))
    assert isinstance(tree.body[0], ast.ClassDef)
    return tree.body[0]


if __name__ == "__main__":
    print(page(), end="")
