"""Gathering settings: from defaults, a TOML file, the environment and flags, in rising priority.

Everything that is said is checked, also what something of higher priority overrides, and all mistakes are told at once.
"""

from __future__ import annotations

import difflib
import errno
import json
import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from chiron.errors import SetupError
from chiron.server.config import Settings, conflicts, default_data_dir
from chiron.server.settings.checks import holds_password
from chiron.server.settings.fields import VARIABLE_PREFIX, Setting, all_settings, build, by_name, by_path
from chiron.server.settings.lines import lines_of

FILE = "chiron.toml"
"""Name of the file in the data folder."""
CONFIG_VARIABLE = "CHIRON_CONFIG"
FILE_BYTES = 1 << 20
OTHER_VARIABLES = {
    CONFIG_VARIABLE: "the settings file, as `--config`",
    "CHIRON_SERVER": "the server that client commands speak to",
    "CHIRON_EMAIL": "who signs in with a client command",
    "CHIRON_PASSWORD": "the password for that",
    "CHIRON_CRASH_AT": "where a test lets the server die",
}
"""Variables with the prefix that are no settings."""

_KUBERNETES = re.compile(r"CHIRON_(SERVICE_HOST|SERVICE_PORT\w*|PORT|PORT_\d+_(TCP|UDP|SCTP)\w*)")
_KUBERNETES_HINT = "Kubernetes sets it for a service of this name: say enableServiceLinks: false in the pod"

Origin = Literal["default", "file", "environment", "flag"]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value is from; `where` is `FILE:LINE`, the variable's or the flag's name."""

    origin: Origin
    where: str

    def __str__(self) -> str:
        return self.where


DEFAULT = Source("default", "default")


@dataclass(frozen=True, slots=True)
class Mistake:
    """What an operator said wrong: where, about which setting (None: it is none), and a sentence about it."""

    source: Source
    name: str | None
    what: str

    def __str__(self) -> str:
        return f"{self.source}: {self.what}"


class SettingsError(SetupError):
    """`mistakes` in the order of the sources. Exit status 2 when flags alone are wrong, else 78."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        if len(mistakes) == 1:
            message = str(mistakes[0]) if str(mistakes[0]).endswith("?") else f"{mistakes[0]}."
        else:
            message = "\n".join([f"{len(mistakes)} settings are wrong:", *(f"  {mistake}" for mistake in mistakes)])
        status = 2 if all(mistake.source.origin == "flag" for mistake in mistakes) else 78
        super().__init__(message, exit_status=status)


@dataclass(frozen=True, slots=True)
class Told:
    """What a command was told. `load` may be asked again later, and reads the file again."""

    flags: Mapping[str, tuple[str, Any]] = field(default_factory=dict)
    """By name of the setting: the flag, and its value (None: not given)."""
    assignments: Sequence[str] = ()
    """`NAME=VALUE` of each `--set`."""
    config: Path | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """What the command itself prefers to the defaults."""


@dataclass(frozen=True, slots=True)
class Loaded:
    settings: Settings
    sources: Mapping[str, Source]
    """By name, of every setting."""
    file: Path | None

    def summary(self) -> str | None:
        """Where the settings are from, in one line; None when all are defaults."""
        parts = [str(self.file)] if self.file is not None else []
        for origin, noun in (("environment", "environment variable"), ("flag", "flag")):
            if count := sum(source.origin == origin for source in self.sources.values()):
                parts.append(f"{count} {noun}{'s' if count > 1 else ''}")
        return ", ".join(parts) or None


def load(told: Told) -> Loaded:
    """Raises SettingsError with everything that is wrong."""
    gathered = _Gathered()
    gathered.read(told, whole=True)
    values = {name: (value, DEFAULT) for name, value in told.defaults.items()} | gathered.values
    settings = build({name: value for name, (value, _) in values.items()})
    sources = {setting.name: values.get(setting.name, (None, DEFAULT))[1] for setting in all_settings()}
    wrong = {mistake.name for mistake in gathered.mistakes}
    for names, reason in conflicts(settings):
        if not wrong.intersection(names):
            said = [sources[name] for name in names if sources[name] is not DEFAULT]
            # Not a wrong argument, when a file or the environment has a part in it.
            source = next((source for source in said if source.origin != "flag"), said[0])
            gathered.mistakes.append(Mistake(source, names[0], f"{' and '.join(names)}: {reason}"))
    if gathered.mistakes:
        raise SettingsError(gathered.mistakes)
    return Loaded(settings, sources, gathered.file)


def data_dir(told: Told) -> Path:
    """The data folder alone, whatever else may be wrong. Raises SettingsError."""
    gathered = _Gathered()
    gathered.read(told, whole=False)
    wrong = [mistake for mistake in gathered.mistakes if mistake.name == "data_dir"]
    if wrong:
        raise SettingsError(wrong)
    return gathered.data_dir()


class _Gathered:
    """Values by name, those of higher priority over the others, and what was wrong on the way."""

    def __init__(self) -> None:
        self.values: dict[str, tuple[Any, Source]] = {}
        self.mistakes: list[Mistake] = []
        self.file: Path | None = None

    def data_dir(self) -> Path:
        folder: Path = self.values["data_dir"][0] if "data_dir" in self.values else default_data_dir()
        return folder

    def read(self, told: Told, *, whole: bool) -> None:
        """`whole`: with the file of the data folder, if there is one."""
        # The file comes last, since the others may say where it is, and stands below them.
        from_file = _Gathered()
        self._environment(told.environment)
        self._flags(told)
        config, source = told.config, Source("flag", "--config")
        if config is None and (variable := told.environment.get(CONFIG_VARIABLE)):
            config, source = Path(variable), Source("environment", CONFIG_VARIABLE)
        if config is not None:
            from_file._file(config, source)
        elif whole:
            config = self.data_dir() / FILE
            from_file._file(config, Source("file", str(config)), must_exist=False)
            found = from_file.values.get("data_dir")
            if found is not None and found[0] != self.data_dir().absolute():
                reason = f"data_dir: this file was found in {config.parent}; it cannot say that the folder is another"
                from_file.mistakes.append(Mistake(found[1], "data_dir", reason))
        self.file = from_file.file
        self.values = from_file.values | self.values
        self.mistakes = from_file.mistakes + self.mistakes

    # --- environment -------------------------------------------------------------------------------------------------

    def _environment(self, environment: Mapping[str, str]) -> None:
        known = {setting.variable: setting for setting in all_settings()}
        for variable in sorted(environment):
            if not variable.startswith(VARIABLE_PREFIX) or variable in OTHER_VARIABLES:
                continue
            source = Source("environment", variable)
            setting = known.get(variable)
            if setting is None:
                reason = f"there is no such setting{_hint(variable, [*known, *OTHER_VARIABLES])}"
                self.mistakes.append(Mistake(source, None, _with_kubernetes(variable, reason)))
            else:
                text = environment[variable]
                self._take(setting, source, partial(setting.kind.from_text, text))

    # --- flags -------------------------------------------------------------------------------------------------------

    def _flags(self, told: Told) -> None:
        given: dict[str, str] = {}
        for name, (flag, value) in told.flags.items():
            if value is None:
                continue
            setting = by_name()[name]
            given[name] = flag
            kind = setting.kind
            read = partial(kind.from_toml, value) if isinstance(value, list) else partial(kind.from_text, str(value))
            self._take(setting, Source("flag", flag), read)
        for assignment in told.assignments:
            name, equals, text = assignment.partition("=")
            name = name.strip()
            source = Source("flag", f"--set {name}")
            setting_or_none = by_name().get(name)
            if not equals:
                self.mistakes.append(Mistake(Source("flag", "--set"), None, "write NAME=VALUE"))
            elif setting_or_none is None:
                self.mistakes.append(Mistake(source, None, f"there is no such setting{_hint(name, by_name())}"))
            elif name in given:
                self.mistakes.append(Mistake(source, name, f"was given already, by {given[name]}"))
            elif setting_or_none.kind.trait.secret and holds_password(text):
                variable = setting_or_none.variable
                reason = f"others on this machine would see the password; put it into {variable} or a file"
                self.mistakes.append(Mistake(source, name, reason))
            else:
                given[name] = "--set"
                self._take(setting_or_none, source, partial(setting_or_none.kind.from_text, text))

    # --- file --------------------------------------------------------------------------------------------------------

    def _file(self, path: Path, source: Source, *, must_exist: bool = True) -> None:
        """`source` says who named the file."""
        try:
            text = _read(path)
        except OSError as error:
            # A folder whose name is too long does not exist either: whoever makes it says so.
            absent = isinstance(error, FileNotFoundError | NotADirectoryError) or error.errno == errno.ENAMETOOLONG
            if absent and not must_exist:
                return
            self.mistakes.append(Mistake(source, "data_dir", f"{path} cannot be read: {error.strerror or error}"))
            return
        self.file = path
        try:
            document = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            line, what = _parse_error(error)
            self.mistakes.append(Mistake(Source("file", f"{path}{line}"), "data_dir", what))
            return
        lines = lines_of(text)

        def source_of(key: tuple[str, ...]) -> Source:
            # A key of an inline table stands where that stands.
            line = next((lines[key[:size]] for size in range(len(key), 0, -1) if key[:size] in lines), None)
            return Source("file", f"{path}:{line}" if line is not None else str(path))

        self._table(document, (), source_of, path.absolute().parent)

    def _table(
        self,
        table: Mapping[str, Any],
        above: tuple[str, ...],
        source_of: Callable[[tuple[str, ...]], Source],
        folder: Path,
    ) -> None:
        sections = {setting.path[:-1] for setting in all_settings()}
        for key, value in table.items():
            path = (*above, key)
            name = ".".join(part if re.fullmatch(r"[\w-]+", part, re.ASCII) else json.dumps(part) for part in path)
            setting = by_path().get(path)
            if setting is not None:
                self._take(setting, source_of(path), partial(setting.kind.from_toml, value, folder), name)
            elif path not in sections:
                names = [*by_name(), *(".".join(section) for section in sections if section)]
                self.mistakes.append(
                    Mistake(source_of(path), None, f"{name}: there is no such setting{_hint(name, names)}")
                )
            elif isinstance(value, dict):
                self._table(value, path, source_of, folder)
            else:
                reason = f"{name}: it is a section; write [{name}] above its settings"
                self.mistakes.append(Mistake(source_of(path), None, reason))

    def _take(self, setting: Setting, source: Source, read: Callable[[], Any], label: str = "") -> None:
        """`label`: what a mistake begins with, where the source does not name the setting."""
        try:
            self.values[setting.name] = (read(), source)
        except ValueError as error:
            reason = f"{label}: {error}" if label else str(error)
            self.mistakes.append(Mistake(source, setting.name, _with_kubernetes(source.where, reason)))


def _read(path: Path) -> str:
    """Raises OSError."""
    # A pipe without a writer would keep us waiting.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        # What is no file may be empty when it is read again.
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode) and path != Path(os.devnull):
            raise OSError("it is not an ordinary file")
        content = file.read(FILE_BYTES + 1)
    if len(content) > FILE_BYTES:
        raise OSError(f"it is longer than {FILE_BYTES} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise OSError(f"it is not UTF-8 in line {line}") from None


def _parse_error(error: Exception) -> tuple[str, str]:
    """`:LINE`, if it is known, and what is wrong."""
    if isinstance(error, RecursionError):
        return "", "it is nested too deeply"
    text = str(error)
    found = re.search(r" \(at line (\d+), column \d+\)$", text)
    if found:
        return f":{found[1]}", f"this is not TOML: {text[: found.start()]}"
    return "", f"this is not TOML: {text}"


def _hint(name: str, names: Iterable[str]) -> str:
    """`; did you mean …?`, if something is near."""
    names = list(names)
    lowered = name.lower() if not name.startswith(VARIABLE_PREFIX) else name
    near = difflib.get_close_matches(lowered, names, 1, 0.7)
    if not near:
        # The right name in a wrong section, or in none.
        last = {each.rpartition(".")[2]: each for each in reversed(names)}
        near = [last[found] for found in difflib.get_close_matches(lowered.rpartition(".")[2], last, 1, 0.7)]
    return f"; did you mean {near[0]}?" if near else ""


def _with_kubernetes(variable: str, reason: str) -> str:
    known = _KUBERNETES.fullmatch(variable) and (variable != "CHIRON_PORT" or "tcp:" in reason)
    return f"{reason} ({_KUBERNETES_HINT})" if known else reason
