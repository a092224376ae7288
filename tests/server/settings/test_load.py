"""What an operator says, right and wrong."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from chiron.server.config import Settings
from chiron.server.settings.document import toml
from chiron.server.settings.fields import all_settings
from chiron.server.settings.load import OTHER_VARIABLES, Loaded, SettingsError, Told, data_dir, load


@pytest.fixture(autouse=True, scope="module")
def nowhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The default data folder, so that one of this machine's is not read."""
    folder = tmp_path_factory.mktemp("nowhere") / "data"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chiron.server.settings.load.default_data_dir", lambda: folder)
        yield folder


def said(
    *assignments: str,
    config: Path | None = None,
    flags: Mapping[str, tuple[str, Any]] | None = None,
    defaults: Mapping[str, Any] | None = None,
    **variables: str,
) -> Told:
    return Told(
        flags or {}, assignments, config, {f"CHIRON_{name}": text for name, text in variables.items()}, defaults or {}
    )


def written(folder: Path, text: str, name: str = "chiron.toml") -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(text)
    return file


def refused(told: Told) -> SettingsError:
    with pytest.raises(SettingsError) as error:
        load(told)
    return error.value


# --- priority ---------------------------------------------------------------------------------------------------------


def test_nothing_said_is_the_defaults(tmp_path: Path) -> None:
    loaded = load(said(DATA_DIR=str(tmp_path)))
    assert loaded.settings == Settings(data_dir=tmp_path)
    assert {source.origin for name, source in loaded.sources.items() if name != "data_dir"} == {"default"}
    assert load(Told(environment={})).summary() is None


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    written(tmp_path, "port = 1\nhost = '::1'\n[limits]\nperson_burst = 3\naddress_burst = 4\n")
    told = said(
        "limits.address_burst=40",
        flags={"port": ("--port", 100), "data_dir": ("--data-dir", tmp_path), "plain": ("--plain", None)},
        defaults={"log_level": "warning"},
        PORT="10",
        HOST="127.0.0.1",
    )
    loaded = load(told)
    got = loaded.settings
    assert (got.port, got.host, got.limits.person_burst, got.limits.address_burst) == (100, "127.0.0.1", 3.0, 40.0)
    assert (got.log_level, got.plain) == ("warning", Settings().plain)
    file = tmp_path / "chiron.toml"
    where = {name: str(source) for name, source in loaded.sources.items() if source.origin != "default"}
    assert where == {
        "data_dir": "--data-dir",
        "port": "--port",
        "host": "CHIRON_HOST",
        "limits.person_burst": f"{file}:4",
        "limits.address_burst": "--set limits.address_burst",
    }
    assert loaded.summary() == f"{file}, 1 environment variable, 3 flags"


def test_the_file_is_the_named_one_or_that_of_the_data_folder(tmp_path: Path, nowhere: Path) -> None:
    data, named, other = tmp_path / "data", tmp_path / "named.toml", tmp_path / "other.toml"
    written(data, "port = 1\n")
    named.write_text(f"port = 2\ndata_dir = {toml(data)}\n")
    other.write_text("port = 3\n")
    assert load(said(DATA_DIR=str(data))).settings.port == 1
    assert load(said(CONFIG=str(named))).settings.port == 2
    assert load(said(CONFIG=str(named))).settings.data_dir == data
    assert load(said(config=other, CONFIG=str(named))).settings.port == 3
    assert load(said(DATA_DIR=str(data), CONFIG="")).settings.port == 1
    assert load(said(config=Path(os.devnull), DATA_DIR=str(data))).settings.port == 8443
    # Where only the folder matters, its own file is not needed.
    written(data, "prot = 1\n")
    assert data_dir(said(CONFIG=str(named))) == data
    assert data_dir(said(DATA_DIR=str(data))) == data
    assert data_dir(said()) == nowhere


def test_the_data_folders_own_file_cannot_move_it(tmp_path: Path) -> None:
    file = written(tmp_path, f'data_dir = "{tmp_path}"\n')
    assert load(said(DATA_DIR=str(tmp_path))).settings.data_dir == tmp_path
    file.write_text('data_dir = "elsewhere"\n')
    assert f"{file}:1: data_dir: this file was found in {tmp_path}" in str(refused(said(DATA_DIR=str(tmp_path))))


def test_paths_in_a_file_are_of_its_folder_and_others_of_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path / "etc", "[tls]\ncertificate = 'tls/a.pem'\nkey = 'tls/b.pem'\n")
    monkeypatch.chdir(tmp_path)
    tls = load(said(config=Path("etc/chiron.toml"), TLS_KEY="b.pem")).settings.tls
    assert (tls.certificate, tls.key) == (tmp_path / "etc/tls/a.pem", Path("b.pem"))


def test_off_and_nothing_are_none_in_each_source(tmp_path: Path) -> None:
    file = written(tmp_path, 'plain = "off"\nmetrics = ""\n')
    loaded = load(said("public_url=off", config=file, DATABASE="", MAIL_SMTP="off")).settings
    assert (loaded.plain, loaded.metrics, loaded.public_url, loaded.database, loaded.mail.smtp) == (None,) * 5


def test_lists_have_commas_in_text_and_brackets_in_a_file(tmp_path: Path) -> None:
    file = written(tmp_path, 'trusted_proxies = ["10.0.0.0/8", "::1"]\n')
    loaded = load(said(config=file, ORIGINS="https://a.org, https://b.org")).settings
    assert loaded.trusted_proxies == ("10.0.0.0/8", "::1")
    assert loaded.origins == ("https://a.org", "https://b.org")
    assert load(said(flags={"origins": ("--origin", ["https://c.org"])}, ORIGINS="https://a.org")).settings.origins == (
        "https://c.org",
    )


# --- mistakes ---------------------------------------------------------------------------------------------------------


def test_all_mistakes_are_told_at_once_with_place_and_advice(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        'prot = 1\nport = 70_000\n"mail.smtp" = "smtp://h"\n\n[mial]\nsmtp = "x"\n[mail]\nsender = 3\nsmtp = "h"\n'
        '[limits]\nperson_burst = inf\n[identity.verification]\nx = 1\n[tls]\nkey = "k.pem"\n',
    )
    error = refused(said("mail.sendr=x", "port", config=file, PLAIN="8080", PROT="1"))
    assert error.exit_status == 78
    [smtp] = [mistake for mistake in error.mistakes if mistake.name == "mail.smtp"]
    assert str(smtp).startswith(f"{file}:9: mail.smtp: write smtp://")
    assert str(error).splitlines() == [
        "13 settings are wrong:",
        f"  {file}:1: prot: there is no such setting; did you mean port?",
        f"  {file}:2: port: 70000 is not a whole number from 0 to 65535",
        f'  {file}:3: "mail.smtp": there is no such setting; did you mean mail.smtp?',
        f"  {file}:5: mial: there is no such setting; did you mean mail?",
        f"  {file}:8: mail.sender: 3 is not text",
        f"  {smtp}",
        f"  {file}:11: limits.person_burst: inf is not a number above 0",
        f"  {file}:12: identity.verification: a section is not required or off",
        "  CHIRON_PLAIN: '8080' is not an address; write HOST:PORT, such as 127.0.0.1:8080",
        "  CHIRON_PROT: there is no such setting; did you mean CHIRON_PORT?",
        "  --set mail.sendr: there is no such setting; did you mean mail.sender?",
        "  --set: write NAME=VALUE",
        f"  {file}:15: tls.certificate and tls.key: give both or neither",
    ]


def test_what_is_overridden_is_checked_too(tmp_path: Path) -> None:
    file = written(tmp_path, "port = -1\n")
    assert f"{file}:1: port: -1 is not" in str(refused(said("port=1", config=file, PORT="2")))


@pytest.mark.parametrize(
    ("told", "status"),
    [
        (said("port=x"), 2),
        (said(flags={"plain": ("--plain", "8080")}), 2),
        (said(flags={"tls.key": ("--tls-key", Path("k"))}), 2),
        (said(PORT="x"), 78),
        (said("port=x", PORT="x"), 78),
        (said("proxy_protocol=on", PLAIN="off"), 78),
    ],
)
def test_flags_alone_are_wrong_arguments_and_the_rest_is_to_be_set_up(told: Told, status: int) -> None:
    assert refused(told).exit_status == status


def test_conflicts_name_both_settings_and_are_not_told_of_what_is_wrong_anyway() -> None:
    assert str(refused(said(TLS_KEY="k"))) == "CHIRON_TLS_KEY: tls.certificate and tls.key: give both or neither."
    assert len(refused(said(TLS_KEY="k", TLS_CERTIFICATE="a\nb")).mistakes) == 1


def test_a_name_that_is_near_in_another_section_is_offered() -> None:
    assert "did you mean limits.person_burst?" in str(refused(said("person_burst=1")))
    assert "did you mean limits.person_burst?" in str(refused(said("limit.person_brust=1")))
    assert "did you mean" not in str(refused(said("zzz=1")))


def test_a_setting_is_said_once_by_flags() -> None:
    error = refused(said("port=2", "host=::1", "host=::1", flags={"port": ("--port", 1)}))
    assert [str(mistake) for mistake in error.mistakes] == [
        "--set port: was given already, by --port",
        "--set host: was given already, by --set",
    ]


@pytest.mark.parametrize("assignment", ["mail.smtp=smtp://ada:hunter2@h", "database=postgresql://h/d?password=hunter2"])
def test_set_takes_no_password_and_does_not_show_it(assignment: str) -> None:
    error = refused(said(assignment))
    assert "others on this machine would see the password; put it into CHIRON_" in str(error)
    assert "hunter2" not in str(error)
    assert load(said("database=postgresql://ada@h/d")).settings.database == "postgresql://ada@h/d"


def test_no_complaint_shows_a_password(tmp_path: Path) -> None:
    file = written(tmp_path, 'database = "mysql://u:hunter2@h"\n[mail]\nsmtp = "smtp://u:hunter2@h:x"\n')
    assert "hunter2" not in str(refused(said(config=file, DATABASE="hunter2", MAIL_SMTP="hunter2")))


def test_variables_of_the_client_are_no_settings_and_no_mistakes() -> None:
    told = Told(environment={**dict.fromkeys(OTHER_VARIABLES, "http://x"), "CHIRON_CONFIG": "", "OTHER": "1"})
    assert load(told).summary() is None


def test_variables_that_kubernetes_sets_are_explained() -> None:
    error = refused(said(PORT="tcp://10.0.0.1:8443", SERVICE_HOST="10.0.0.1", PORT_8443_TCP_ADDR="10.0.0.1", HSOT="x"))
    assert [("enableServiceLinks" in str(mistake)) for mistake in error.mistakes] == [False, True, True, True]


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "place", "complaint"),
    [
        (b"port = \n", ":1", "this is not TOML: Invalid value"),
        (b"\nport = 1\nport = 2\n", ":3", "this is not TOML: Cannot overwrite a value"),
        (b"x = '''\n", "", "this is not TOML"),
        (b"x = " + b"[" * 5_000, "", "nested too deeply"),
        (b"x = " + b"9" * 5_000, "", "this is not TOML"),
    ],
)
def test_a_file_that_is_no_toml_is_named_with_the_line(
    tmp_path: Path, content: bytes, place: str, complaint: str
) -> None:
    file = tmp_path / "chiron.toml"
    file.write_bytes(content)
    error = str(refused(said(config=file)))
    assert error.startswith(f"{file}{place}: ")
    assert complaint in error


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing, folder, pipe, large, latin = (tmp_path / name for name in ("missing", "folder", "pipe", "large", "latin"))
    folder.mkdir()
    os.mkfifo(pipe)
    large.write_bytes(b"#" * (1 << 21))
    latin.write_bytes(b"# a\n# \xe9\n")
    assert f"--config: {missing} cannot be read: No such file" in str(refused(said(config=missing)))
    assert f"CHIRON_CONFIG: {folder} cannot be read" in str(refused(said(CONFIG=str(folder))))
    assert "not an ordinary file" in str(refused(said(config=pipe)))
    assert "longer than" in str(refused(said(config=large)))
    assert "not UTF-8 in line 2" in str(refused(said(config=latin)))
    with pytest.raises(SettingsError, match="cannot be read"):
        data_dir(said(config=missing))


KEYS = st.sampled_from([*{part for setting in all_settings() for part in setting.path}, "x", "", "a.b", "Port", "\n"])
VALUES = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=["C"])) | st.just("off"),
    lambda values: st.lists(values, max_size=3),
    max_leaves=5,
)
TABLES = st.dictionaries(KEYS, VALUES | st.dictionaries(KEYS, VALUES, max_size=4), max_size=6)


def emit(table: Mapping[str, Any]) -> str:
    """TOML, with sections as headers."""
    lines = [f"{toml(key)} = {literal(value)}\n" for key, value in table.items() if not isinstance(value, dict)]
    for key, value in table.items():
        if isinstance(value, dict):
            lines += [f"\n[{toml(key)}]\n", emit(value)]
    return "".join(lines)


def literal(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(literal(item) for item in value)}]"
    if isinstance(value, float):
        return repr(value) if "e" not in repr(value) else repr(value).replace("e+", "e")
    return toml(value)


ALWAYS = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@ALWAYS
@given(TABLES)
def test_any_document_is_settings_or_mistakes(tmp_path: Path, table: dict[str, Any]) -> None:
    text = emit(table)
    tomllib.loads(text)
    check_whole(written(tmp_path, text, "any.toml"))


@ALWAYS
@given(st.text() | st.binary())
@example("[tls]\nkey = 1979-05-27")
@example("[[tls]]")
@example("port.x = 1")
@example('data_dir = "\\u0000"')
def test_any_bytes_are_settings_or_mistakes(tmp_path: Path, content: str | bytes) -> None:
    file = tmp_path / "any.toml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode(errors="replace"))
    check_whole(file)


def check_whole(file: Path) -> None:
    outcome = tried(said(config=file))
    if isinstance(outcome, Loaded):
        assert outcome.sources.keys() == {setting.name for setting in all_settings()}
    else:
        assert all(str(file) in str(mistake) for mistake in outcome.mistakes)


def tried(told: Told) -> Loaded | SettingsError:
    try:
        return load(told)
    except SettingsError as error:
        return error


VARIABLES = st.sampled_from([setting.variable for setting in all_settings()])


@given(
    st.dictionaries(st.sampled_from([s.variable for s in all_settings()]) | st.text().map("CHIRON_".__add__), st.text())
)
def test_any_environment_is_settings_or_mistakes(environment: dict[str, str]) -> None:
    environment.pop("CHIRON_CONFIG", None)
    outcome = tried(Told(environment=environment))
    if isinstance(outcome, SettingsError):
        assert all(mistake.source.origin == "environment" for mistake in outcome.mistakes)
