from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest

from chiron.server.config import Settings
from chiron.server.settings import document
from chiron.server.settings.fields import Setting, all_settings
from chiron.server.settings.load import OTHER_VARIABLES, Told, load

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "settings.md").read_text()


def test_the_page_is_what_the_types_say() -> None:
    assert document.page() == PAGE, "run `make docs`"


@pytest.mark.parametrize("setting", all_settings(), ids=lambda setting: setting.name)
def test_every_setting_is_explained_with_its_variable(setting: Setting) -> None:
    assert len(document.description(setting)) > 10, f"{setting.name} has no docstring in server/config.py"
    entry = re.search(rf"^\*\*`{re.escape(setting.name)}`\*\*: .*\\\n\*(.*)\*$", PAGE, re.MULTILINE)
    assert entry is not None
    assert f"`{setting.variable}`" in entry[1]
    assert ("`chiron reload`" in entry[1]) == setting.kind.trait.reload


def test_variables_that_are_no_settings_are_listed() -> None:
    for variable in OTHER_VARIABLES:
        assert f"| `{variable}` |" in PAGE


def test_the_example_is_the_defaults_commented_out_and_right_when_they_are_not(tmp_path: Path) -> None:
    example = tmp_path / "example.toml"
    example.write_text(document.example())
    sections = tomllib.loads(document.example())
    assert all(section == {} for section in sections.values())
    assert load(Told(config=example, environment={})).settings == Settings()

    example.write_text(re.sub(r"^#(?=\w+ = )", "", document.example(), flags=re.MULTILINE))
    loaded = load(Told(config=example, environment={}))
    assert loaded.settings == Settings()
    assert {source.origin for source in loaded.sources.values()} == {"file"}


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("", ""),
        ('a "quoted" \\ text', 'a "quoted" \\ text'),
        ("ü\u2028\x07", "ü\u2028\x07"),
        (True, True),
        (2.5, 2.5),
        (("a", "b"), ["a", "b"]),
        (Path("/x y"), "/x y"),
        (None, "off"),
    ],
)
def test_values_are_written_as_toml_reads_them(value: object, read: object) -> None:
    assert tomllib.loads(f"x = {document.toml(value)}") == {"x": read}


def test_the_page_does_not_depend_on_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert document.page() == PAGE
