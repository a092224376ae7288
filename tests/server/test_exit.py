"""Exit statuses and completion: what shells rely on."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from commands import chiron, nobody
from serving import CHIRON, DEADLINE

from chiron.server.cli import EXIT, app

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "tools.md"


def names() -> list[str]:
    """Of all commands, those of groups behind their group's."""
    found = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]
    for group in app.registered_groups:
        assert group.typer_instance is not None
        prefix = group.typer_instance.info.name
        found += [
            f"{prefix} {one.callback.__name__}" for one in group.typer_instance.registered_commands if one.callback
        ]
    return found


# --- one table --------------------------------------------------------------------------------------------------------


async def test_the_help_has_the_whole_table() -> None:
    outcome = await chiron("--help")
    said = " ".join(outcome.output.split())
    assert f"Exit status: {'; '.join(f'{status} {meaning}' for status, meaning in EXIT.items())}." in said


def test_the_document_has_the_same_table() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+?) \|", DOCUMENT.read_text(), flags=re.MULTILINE)
    assert {int(status): meaning for status, meaning in rows} == EXIT


def test_the_table_has_every_status_that_the_sources_say() -> None:
    sources = [file for folder in ("server", "db") for file in (DOCUMENT.parents[1] / folder).rglob("*.py")]
    said = {int(status) for file in sources for status in re.findall(r"exit_status=(\d+)", file.read_text())}
    assert len(said) > 4
    assert said <= EXIT.keys()


def test_the_document_has_every_command_with_an_example() -> None:
    text = DOCUMENT.read_text()
    for name in names():
        assert f"\n### chiron {name}\n" in text, name
        section = text.partition(f"\n### chiron {name}\n")[2].partition("\n#")[0]
        examples = "\n".join(section.split("```")[1::2])
        assert re.search(rf"\bchiron {name}\b", examples), name
    assert set(re.findall(r"^### chiron (.+)$", text, flags=re.MULTILINE)) == set(names())


# --- each of them -----------------------------------------------------------------------------------------------------


async def test_done_is_0() -> None:
    assert (await chiron("--version")).status == 0


async def test_the_server_said_no_is_1(tmp_path: Path) -> None:
    assert (await chiron("token", "show", "no.token.here", "--data-dir", str(tmp_path))).status == 1


@pytest.mark.parametrize(
    "arguments", [["fly"], ["doctor", "--louder"], ["token", "get"], ["token", "show", "x", "--ca", "/no/such/file"]]
)
async def test_wrong_arguments_are_2(arguments: list[str]) -> None:
    outcome = await chiron(*arguments)
    assert outcome.status == 2
    assert outcome.said


async def test_no_server_is_69() -> None:
    assert (await chiron("demo", "--server", nobody())).status == 69


async def test_a_refused_port_is_71(tmp_path: Path) -> None:
    """An address that no machine has: a port that is in use would be waited for."""
    outcome = await chiron(
        *("serve", "--data-dir", str(tmp_path / "data"), "--host", "192.0.2.1", "--port", "8443", "--plain", "off")
    )
    assert outcome.status == 71
    assert "Cannot listen on 192.0.2.1, port 8443" in outcome.said


async def test_a_file_that_cannot_be_written_is_73(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert (await chiron("migrate", "--data-dir", str(tmp_path / "file" / "data"))).status == 73


async def test_something_to_set_up_is_78(tmp_path: Path) -> None:
    assert (await chiron("migrate", "--status", "--data-dir", str(tmp_path / "none"))).status == 78


async def test_ctrl_c_is_130(tmp_path: Path) -> None:
    """While it waits for an answer that does not come."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(DEADLINE)
        process = await asyncio.create_subprocess_exec(
            *(CHIRON, "token", "get", "ada@example.org", "--server", f"http://127.0.0.1:{silent.getsockname()[1]}"),
            env={**os.environ, "CHIRON_PASSWORD": "correct horse battery staple"},
            stderr=asyncio.subprocess.PIPE,
        )
        connection, _ = await asyncio.to_thread(silent.accept)
        with connection:
            process.send_signal(signal.SIGINT)
            async with asyncio.timeout(DEADLINE):
                _, said = await process.communicate()
    assert process.returncode == 130
    assert b"Traceback" not in said


# --- completion -------------------------------------------------------------------------------------------------------


async def complete(words: str) -> list[str]:
    """What bash is given for the last word, which may be empty."""
    count = words.count(" ")
    outcome = await chiron(_CHIRON_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(count))
    return outcome.output.split()


async def test_commands_are_completed() -> None:
    assert set(await complete("chiron ")) == {name.partition(" ")[0] for name in names()}
    assert await complete("chiron doc") == ["doctor"]
    assert await complete("chiron token ") == ["get", "show"]


async def test_options_and_their_values_are_completed() -> None:
    assert "--data-dir" in await complete("chiron doctor --d")
    assert await complete("chiron serve --log-level ") == ["debug", "info", "warning", "error"]
    assert await complete("chiron demo --server ") == ["http://127.0.0.1:8080", "https://localhost:8443"]
    assert await complete("chiron token get ada@example.org --server https") == ["https://localhost:8443"]


@pytest.mark.parametrize("option", ["--data-dir", "--config", "--tls-cert", "--tls-key"])
async def test_paths_are_left_to_the_shell(option: str) -> None:
    assert await complete(f"chiron serve {option} /et") == []


async def test_zsh_and_fish_are_answered_in_their_ways() -> None:
    zsh = {"_CHIRON_COMPLETE": "complete_zsh"}
    commands = await chiron(**zsh, _TYPER_COMPLETE_ARGS="chiron d")
    assert re.findall(r'"(\w+)":', commands.output) == ["demo", "doctor"]
    assert (await chiron(**zsh, _TYPER_COMPLETE_ARGS="chiron serve --data-dir /et")).output == "_files\n"
    fish = {"_CHIRON_COMPLETE": "complete_fish"}
    commands = await chiron(**fish, _TYPER_COMPLETE_FISH_ACTION="get-args", _TYPER_COMPLETE_ARGS="chiron d")
    assert [line.partition("\t")[0] for line in commands.output.splitlines()] == ["demo", "doctor"]
    # Fish completes paths where it is told that there is nothing else.
    path = await chiron(
        **fish, _TYPER_COMPLETE_FISH_ACTION="is-args", _TYPER_COMPLETE_ARGS="chiron serve --data-dir /et"
    )
    assert path.status == 1


BASH = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def bash(script: str, **environment: str) -> str:
    command = ["bash", "--norc", "-c", script]
    return subprocess.run(
        command, capture_output=True, text=True, env={**BASH, **environment}, timeout=DEADLINE, check=True
    ).stdout


def test_bash_takes_the_script_of_the_document() -> None:
    """In a real shell: a command, and a path, which the shell completes by itself."""
    line = 'eval "$(_CHIRON_COMPLETE=source_bash chiron)"'
    assert line in DOCUMENT.read_text()
    said = bash(f"""
        {line}
        complete -p chiron
        function=$(complete -p chiron | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        COMP_WORDS=(chiron migr) COMP_CWORD=1
        $function chiron
        echo "${{COMPREPLY[@]}}"
    """)
    options, completed = said.splitlines()
    assert "-o default" in options
    assert completed == "migrate"


def test_installing_makes_a_new_shell_complete(tmp_path: Path) -> None:
    # Something behind it, so that bash does not give its place to the command, which asks who started it.
    bash("chiron --install-completion; true", HOME=str(tmp_path))
    assert "-F" in bash(f"source {tmp_path}/.bashrc; complete -p chiron", HOME=str(tmp_path))
