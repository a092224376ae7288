from __future__ import annotations

import contextlib
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiron.server.config import LimitSettings, Settings, TlsSettings
from chiron.server.settings.checks import Trait
from chiron.server.settings.fields import all_settings, build, by_name, follow, kind_of, show


def test_every_setting_can_be_said_in_each_way_by_a_name_of_its_own() -> None:
    names = [setting.name for setting in all_settings()]
    variables = [setting.variable for setting in all_settings()]
    assert len(set(names)) == len(names) > 20
    assert len(set(variables)) == len(variables)
    assert by_name()["limits.person_burst"].variable == "CHIRON_LIMITS_PERSON_BURST"


def test_the_defaults_are_right_themselves() -> None:
    for setting in all_settings():
        value = setting.of(Settings())
        said: Any = "off" if value is None else list(value) if isinstance(value, tuple) else value
        if isinstance(value, Path):
            said = str(value)
        assert setting.kind.from_toml(said) == value, setting.name


def test_built_settings_have_what_was_said_and_defaults_for_the_rest() -> None:
    built = build({"port": 1, "tls.key": Path("k")})
    assert built == Settings(port=1, tls=TlsSettings(key=Path("k")))


@pytest.mark.parametrize(
    ("hint", "text", "value"),
    [
        (int, " 7 ", 7),
        (float, "2.5", 2.5),
        (float, "2", 2.0),
        (bool, "Yes", True),
        (bool, "off", False),
        (str, "off", "off"),
        (str | None, "off", None),
        (str | None, "", None),
        (str | None, "x", "x"),
        (tuple[str, ...], "a, b,,", ("a", "b")),
        (tuple[str, ...], "", ()),
        (tuple[int, ...], "1,2", (1, 2)),
        (Literal["a", "b"], "b", "b"),
        (Path, "x/y", Path("x/y")),
    ],
)
def test_text_becomes_a_value(hint: Any, text: str, value: object) -> None:
    read = kind_of(hint).from_text(text)
    assert read == value
    assert type(read) is type(value) or isinstance(read, Path)


@pytest.mark.parametrize(
    ("hint", "text", "complaint"),
    [
        (Annotated[int, msgspec.Meta(ge=0, le=65535)], "65536", "'?65536'? is not a whole number from 0 to 65535"),
        (int, "1_000", "is not a whole number"),
        (int, "1.5", "is not a whole number"),
        (int, "٣", "is not a whole number"),
        (int, "", "'' is not a whole number"),
        (float, "nan", "is not a number"),
        (Annotated[float, msgspec.Meta(gt=0)], "0", "is not a number above 0"),
        (bool, "maybe", "'maybe' is not true or false"),
        (Literal["a", "b", "c"], "d", "'d' is not a, b or c"),
        (Literal["a"] | None, "d", "'d' is not a, or \"off\""),
        (str, "a\nb", "characters that cannot be printed"),
        (str, "\ud800", "characters that cannot be printed"),
        (Path, "", "is not a path"),
        (Annotated[str, Trait(secret=True)], "hunter2\n", "^it has characters"),
    ],
)
def test_text_that_is_no_value_is_told_what_would_be_right(hint: Any, text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        kind_of(hint).from_text(text)


@pytest.mark.parametrize(
    ("hint", "value", "complaint"),
    [
        (int, True, "True is not a whole number"),
        (int, "1", "'1' is not a whole number"),
        (int, 1.0, "1.0 is not a whole number"),
        (float, True, "True is not a number"),
        (float, 10**400, "is not a number"),
        (bool, 1, "1 is not true or false"),
        (str, 1, "1 is not text"),
        (str, {}, "a section is not text"),
        (tuple[str, ...], "a", "'a' is not a list of texts"),
        (tuple[str, ...], ["a", 1], "1 is not a list of texts"),
        (Path, 1, "1 is not a path"),
    ],
)
def test_toml_says_the_type_itself(hint: Any, value: object, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        kind_of(hint).from_toml(value)


def test_a_path_in_a_file_is_of_its_folder() -> None:
    kind = kind_of(Path | None)
    assert kind.from_toml("tls/chain.pem", Path("/etc/chiron")) == Path("/etc/chiron/tls/chain.pem")
    assert kind.from_toml("/chain.pem", Path("/etc/chiron")) == Path("/chain.pem")
    assert kind.from_toml("~/chain.pem", Path("/etc/chiron")) == Path.home() / "chain.pem"
    with pytest.raises(ValueError, match="is not a path"):
        kind.from_toml("~nobody-of-that-name/x", Path("/etc/chiron"))


@pytest.mark.parametrize("hint", [dict[str, str], bytes, str | int, tuple[str, int], Literal[1], Any])
def test_a_type_that_cannot_be_said_is_no_setting(hint: Any) -> None:
    with pytest.raises(TypeError, match="cannot be the type of a setting"):
        kind_of(hint)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists))
def test_whatever_is_said_is_a_value_or_a_complaint(said: object) -> None:
    for setting in all_settings():
        for read in (partial(setting.kind.from_toml, said), partial(setting.kind.from_text, str(said))):
            with contextlib.suppress(ValueError):
                read()


def test_a_running_server_follows_some_settings_and_names_the_others() -> None:
    running = Settings(port=1, log_level="info")
    wanted = Settings(port=2, log_level="debug", limits=LimitSettings(person_burst=1.0))
    followed = follow(running, wanted)
    assert followed.settings == Settings(port=1, log_level="debug", limits=LimitSettings(person_burst=1.0))
    assert followed.applied == ("log_level", "limits.person_burst")
    assert followed.restart == ("port",)
    again = follow(followed.settings, wanted)
    assert (again.applied, again.restart) == ((), ("port",)), "it waits until the restart"


def test_long_values_are_shown_short() -> None:
    assert len(show("x" * 1000)) < 70
