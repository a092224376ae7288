"""Every setting, known by the types of `config.Settings`: what a value of it may be, and how text or TOML becomes one.

A type is `str`, `int`, `float`, `bool`, `Path`, a `Literal` of texts, or a `tuple` of any number of those, each
`| None` or not; `Annotated` adds a `Trait` and, for numbers, a range (`msgspec.Meta`). A struct is a section.
"""

from __future__ import annotations

import functools
import math
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from chiron.server.config import Settings
from chiron.server.settings.checks import Trait, hide_password

VARIABLE_PREFIX = "CHIRON_"
OFF = ("", "off")
"""How nothing is written where a setting may be None."""
NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "text", Path: "a path"}
YES = ("true", "on", "yes", "1")
NO = ("false", "off", "no", "0")


@dataclass(frozen=True, slots=True)
class Kind:
    """What a value may be. For a list, all but `many` and `optional` are about its items."""

    base: type = str
    choices: tuple[str, ...] = ()
    many: bool = False
    optional: bool = False
    ranges: tuple[msgspec.Meta, ...] = ()
    trait: Trait = field(default_factory=Trait)

    def describe(self) -> str:
        """For a sentence: `a whole number from 0 to 65535`."""
        item = _either(self.choices) if self.choices else NAMES[self.base] + _span(self.ranges)
        item = f"a list of {'texts' if item == 'text' else item}" if self.many else item
        return f'{item}, or "off"' if self.optional else item

    def from_text(self, text: str, folder: Path | None = None) -> Any:
        """The value that an environment variable or a flag means. Raises ValueError that says what would be right."""
        if self.optional and text.strip() in OFF:
            return None
        if self.many:
            return tuple(self._item(item.strip(), folder) for item in text.split(",") if item.strip())
        return self._item(text, folder)

    def from_toml(self, value: object, folder: Path | None = None) -> Any:
        """The value that one of a TOML file means; paths are of `folder`. Raises ValueError."""
        if self.optional and value in OFF:
            return None
        if not self.many:
            return self._value(value, folder)
        if not isinstance(value, list):
            raise self._wrong(value)
        return tuple(self._value(item, folder) for item in value)

    def _item(self, text: str, folder: Path | None) -> Any:
        value: object = text
        try:
            if self.base is bool:
                value = {**dict.fromkeys(YES, True), **dict.fromkeys(NO, False)}[text.strip().lower()]
            elif self.base in (int, float) and text.isascii() and "_" not in text:
                value = int(text) if self.base is int else float(text)
        except (KeyError, ValueError):
            raise self._wrong(text) from None
        return self._value(value, folder)

    def _value(self, value: object, folder: Path | None) -> Any:
        said = value
        if self.base is float and type(value) is int and abs(value) < 1 << 53:
            value = float(value)
        expected = str if self.base is Path else self.base
        if type(value) is not expected or not self._fits(value):
            raise self._wrong(said)
        if isinstance(value, str) and not value.isprintable():
            raise self._wrong(value, "has characters that cannot be printed")
        if self.trait.check is not None:
            self.trait.check(value)
        if self.base is not Path:
            return value
        assert isinstance(value, str)
        return _path(value, folder)

    def _wrong(self, value: object, how: str = "") -> ValueError:
        shown = "it" if self.trait.secret else show(value)
        return ValueError(f"{shown} {how or f'is not {self.describe()}'}")

    def _fits(self, value: object) -> bool:
        if self.choices:
            return value in self.choices
        if not isinstance(value, int | float):
            return True
        return math.isfinite(value) and all(
            (meta.ge is None or value >= meta.ge)
            and (meta.gt is None or value > meta.gt)
            and (meta.le is None or value <= meta.le)
            and (meta.lt is None or value < meta.lt)
            for meta in self.ranges
        )


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: `path` has a name for each section and its own."""

    path: tuple[str, ...]
    kind: Kind

    @property
    def name(self) -> str:
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        return VARIABLE_PREFIX + "_".join(self.path).upper()

    def of(self, settings: Settings) -> Any:
        return functools.reduce(getattr, self.path, settings)

    def masked(self, value: Any) -> Any:
        """The value as it may be shown."""
        return hide_password(value) if self.kind.trait.secret and value is not None else value


@functools.cache
def all_settings() -> tuple[Setting, ...]:
    """Every setting, in the order of `config.Settings`."""
    return tuple(_settings(Settings, ()))


@functools.cache
def by_path() -> dict[tuple[str, ...], Setting]:
    return {setting.path: setting for setting in all_settings()}


@functools.cache
def by_name() -> dict[str, Setting]:
    return {setting.name: setting for setting in all_settings()}


def build(values: dict[str, Any]) -> Settings:
    """`Settings` with the defaults for what is not among `values`, by name."""
    made: dict[str, Any] = {}
    for name, hint in get_type_hints(Settings, include_extras=True).items():
        if is_section(hint):
            own = {key.removeprefix(f"{name}."): value for key, value in values.items() if key.startswith(f"{name}.")}
            made[name] = hint(**own)
        elif name in values:
            made[name] = values[name]
    return Settings(**made)


@dataclass(frozen=True, slots=True)
class Followed:
    """What becomes of other settings while a server runs."""

    settings: Settings
    """Those that run from now on."""
    applied: tuple[str, ...]
    restart: tuple[str, ...]
    """Names of settings that differ and wait for a restart."""


def follow(running: Settings, wanted: Settings) -> Followed:
    """`running`, with those of `wanted` that a running server can follow."""
    differ = [setting for setting in all_settings() if setting.of(running) != setting.of(wanted)]
    applied = {setting.name for setting in differ if setting.kind.trait.reload}
    values = {setting.name: setting.of(wanted if setting.name in applied else running) for setting in all_settings()}
    restart = tuple(setting.name for setting in differ if setting.name not in applied)
    return Followed(build(values), tuple(setting.name for setting in differ if setting.name in applied), restart)


def show(value: object) -> str:
    """A value of the operator's, short and on one line."""
    if isinstance(value, dict):
        return "a section"
    text = repr(str(value)) if isinstance(value, Path) else repr(value) if _plain(value) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def is_section(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)


def _settings(struct: type[msgspec.Struct], above: tuple[str, ...]) -> Iterator[Setting]:
    for name, hint in get_type_hints(struct, include_extras=True).items():
        if is_section(hint):
            yield from _settings(hint, (*above, name))
        else:
            yield Setting((*above, name), kind_of(hint))


def kind_of(hint: Any) -> Kind:
    """Raises TypeError for what cannot be a setting."""
    made: dict[str, Any] = {"ranges": ()}
    while True:
        origin, arguments = get_origin(hint), get_args(hint)
        if origin is Annotated:
            hint, *notes = arguments
            made["ranges"] += tuple(note for note in notes if isinstance(note, msgspec.Meta))
            made.update(("trait", note) for note in notes if isinstance(note, Trait))
        elif origin in (Union, types.UnionType) and len(arguments) == 2 and type(None) in arguments:
            made["optional"] = True
            hint = next(argument for argument in arguments if argument is not type(None))
        elif origin is tuple and len(arguments) == 2 and arguments[1] is ...:
            made["many"] = True
            hint = arguments[0]
        elif origin is Literal and all(isinstance(choice, str) for choice in arguments):
            return Kind(choices=arguments, **made)
        elif hint in (str, int, float, bool, Path):
            return Kind(base=hint, **made)
        else:
            raise TypeError(f"{hint!r} cannot be the type of a setting")


def _path(text: str, folder: Path | None) -> Path:
    if not text:
        raise ValueError("'' is not a path")
    try:
        path = Path(text).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{show(text)} is not a path: {error}") from None
    return folder / path if folder is not None else path


def _span(ranges: tuple[msgspec.Meta, ...]) -> str:
    low = next((f"from {meta.ge}" for meta in ranges if meta.ge is not None), "")
    above = next((f"above {meta.gt}" for meta in ranges if meta.gt is not None), "")
    high = next((f"to {meta.le}" for meta in ranges if meta.le is not None), "")
    below = next((f"below {meta.lt}" for meta in ranges if meta.lt is not None), "")
    return "".join(f" {part}" for part in (low, above, high, below) if part)


def _either(choices: tuple[str, ...]) -> str:
    *others, last = choices
    return f"{', '.join(others)} or {last}" if others else last


def _plain(value: object) -> bool:
    return isinstance(value, str | int | float | bool | list) or value is None
