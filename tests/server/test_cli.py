"""The command line as people and scripts meet it: what it says, and what it ends with."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import sys
import termios
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from commands import chiron, nobody
from serving import CHIRON, DEADLINE, Server, servers

from chiron import __version__
from chiron.client import Api, demo, ulid
from chiron.db.migrate import bundled
from chiron.server.config import Settings

ALL_APPLIED = "".join(f"Applied {migration.name}.\n" for migration in bundled())
PASSWORD = "correct horse battery staple"
COMMANDS = ["serve", "config", "reload", "rotate", "migrate", "demo", "chat", "doctor"]


# --- what every command has -------------------------------------------------------------------------------------------


async def test_help_names_the_commands_and_the_exit_statuses() -> None:
    outcome = await chiron("--help")
    assert outcome.status == 0
    for name in COMMANDS:
        assert re.search(rf"\b{name}\b", outcome.output)
    for status in ("0 done", "1 the server said no", "2 wrong arguments", "69 a server cannot be reached"):
        assert status in " ".join(outcome.output.split())


@pytest.mark.parametrize("name", COMMANDS)
async def test_every_command_and_option_is_explained(name: str) -> None:
    outcome = await chiron(name, "-h")
    assert outcome.status == 0
    assert f"Usage: chiron {name}" in outcome.output
    options = re.findall(r"^│ +\*? *(--[a-z-]+)(.*)│$", outcome.output, flags=re.MULTILINE)
    assert options
    for option, explanation in options:
        assert re.search(r"[a-z]+ [a-z]+", explanation), f"{option} is not explained"


async def test_the_version_is_that_of_the_package() -> None:
    outcome = await chiron("--version")
    assert (outcome.status, outcome.output) == (0, f"chiron {__version__}\n")


async def test_the_package_runs_as_a_module_too() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "chiron.server.cli", "--version"), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert output.decode() == f"chiron {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["fly"], "No such command 'fly'"),
        (["serve", "--no-such-option"], "No such option: --no-such-option"),
        (["serve", "--port", "65536"], "less than or equal to 65535"),
        (["serve", "--plain", "8080"], "'8080' is not an address; write HOST:PORT, such as 127.0.0.1:8080."),
        (["serve", "--plain", "[::1:8080"], "is not an address"),
        (["serve", "--tls-cert", "/tmp/chain.pem"], "tls.certificate and tls.key: give both or neither."),
        (["serve", "--set", "prot=1"], "there is no such setting; did you mean port?"),
        (["serve", "--set", "mail.smtp=smtp://ada:secret@h"], "others on this machine would see the password"),
        (["config", "--json", "--check"], "Give one of --check, --example and --json."),
        (["rotate", "tyres"], "'tyres' is not one of"),
        (["serve", "--log-level", "loud"], "'loud' is not one of"),
        (["demo", "--ca", "/no/such/file"], "does not exist"),
        (["demo", "--server", "ftp://example.org"], "is not a server's address"),
        (["chat", "--email", "ada@example.org", "--server", "http://"], "is not a server's address"),
    ],
)
async def test_wrong_arguments_are_2(arguments: list[str], complaint: str) -> None:
    outcome = await chiron(*arguments)
    assert outcome.status == 2
    # Rich breaks lines and frames them.
    assert complaint in " ".join(re.sub(r"[│╭╮╰╯─]", " ", outcome.said).split())


async def test_a_file_that_is_no_authority_is_2(tmp_path: Path) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("no certificate")
    outcome = await chiron("demo", "--server", "https://localhost:1", "--ca", str(junk))
    assert outcome.status == 2
    assert "holds no PEM certificate" in " ".join(re.sub(r"[│╭╮╰╯─]", " ", outcome.said).split())


async def test_a_folder_that_cannot_be_made_is_73(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    outcome = await chiron("serve", "--data-dir", str(tmp_path / "file" / "data"))
    assert outcome.status == 73
    assert outcome.said.endswith(f"\nchiron: {tmp_path}/file/data cannot be made: Not a directory.\n")


async def test_what_was_not_foreseen_is_71_and_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "keys.json").mkdir(mode=0o700)
    outcome = await chiron("serve", "--data-dir", str(tmp_path))
    assert outcome.status in (71, 78)
    last = outcome.said.splitlines()[-1]
    assert last.startswith("chiron: ")
    assert "Is a directory" in last


# --- migrate ----------------------------------------------------------------------------------------------------------


async def test_migrate_makes_and_upgrades_the_database_of_a_folder(new_server: Callable[[], Server]) -> None:
    server = new_server()
    nothing_yet = await chiron("migrate", "--status", "--data-dir", str(server.data))
    assert nothing_yet.status == 78
    assert f"There is no database in {server.data} yet" in nothing_yet.said
    assert not server.data.exists()

    made = await chiron("migrate", "--data-dir", str(server.data))
    assert (made.status, made.output) == (0, ALL_APPLIED)
    again = await chiron("migrate", "--data-dir", str(server.data))
    assert (again.status, again.output) == (0, "The database is up to date.\n")
    state = await chiron("migrate", "--status", "--data-dir", str(server.data))
    assert state.status == 0
    assert re.search(r"0001_spine\.sql .*applied", state.output)
    assert server.postmaster() is None, "PostgreSQL is stopped again"


async def test_migrate_beside_a_running_server_leaves_it_alone(server: Server) -> None:
    postmaster = server.postmaster()
    state = await chiron("migrate", "--status", "--data-dir", str(server.data))
    assert re.search(r"0001_spine\.sql .*applied", state.output)
    assert (await chiron("migrate", "--data-dir", str(server.data))).output == "The database is up to date.\n"
    assert server.postmaster() == postmaster
    await server.until_ready()


async def test_migrate_says_what_is_to_be_applied_to_a_database_of_ones_own(bare_database: str) -> None:
    state = await chiron("migrate", "--status", CHIRON_DATABASE=bare_database)
    assert re.search(r"0001_spine\.sql .*to be applied", state.output)
    assert (await chiron("migrate", CHIRON_DATABASE=bare_database)).output == ALL_APPLIED


async def test_migrate_without_a_database_is_69() -> None:
    address = nobody().replace("http://", "postgresql://chiron:hunter2@")
    outcome = await chiron("migrate", "--database", address)
    assert outcome.status == 69
    assert outcome.said.startswith("chiron: PostgreSQL at 127.0.0.1:")
    assert "hunter2" not in outcome.said


# --- demo and chat ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
async def open_server() -> AsyncIterator[Server]:
    """One server for all that do it no harm; each test has people of its own."""
    async with servers() as make:
        server = make()
        await server.start()
        yield server


async def test_demo_makes_a_community_once(open_server: Server) -> None:
    for _ in range(2):
        outcome = await chiron("demo", "--server", open_server.address)
        assert outcome.status == 0, outcome.said
        assert demo.PASSWORD in outcome.said
        for email, name in demo.PEOPLE.items():
            assert re.search(rf"{email} +{name}", outcome.said)
    ada = Api(open_server.address)
    await ada.log_in(demo.ADA, demo.PASSWORD)
    conversations = (await ada.conversations())["items"]
    assert len(conversations) == 3
    assert sorted(c["ordinal"] for c in conversations) == [3, 4, 4]
    await ada.close()


async def test_serve_with_demo_prints_the_logins_also_when_they_exist(new_server: Callable[[], Server]) -> None:
    server = new_server()
    for _ in range(2):
        server.log.unlink(missing_ok=True)
        await server.start("--demo")
        await server.until_said("Demo logins")
        await server.until_said(demo.SOPHIE)
        assert await server.stop() == 0


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_demo_without_a_server_is_69(scheme: str) -> None:
    address = nobody().replace("http", scheme)
    outcome = await chiron("demo", "--server", address)
    assert outcome.status == 69
    assert f"chiron: {address} does not answer" in outcome.said
    assert "Is the server running? `chiron serve` starts one." in outcome.said


async def test_demo_with_tls_needs_the_authority(open_server: Server) -> None:
    assert (
        await chiron("demo", "--server", open_server.secure_address, "--ca", str(open_server.authority))
    ).status == 0
    stranger = await chiron("demo", "--server", open_server.secure_address)
    assert stranger.status == 76
    assert "is not trusted: unable to get local issuer certificate.\n--ca FILE names its authority." in stranger.said


async def test_chat_registers_and_sends_what_it_is_given(open_server: Server) -> None:
    environment = {"CHIRON_SERVER": open_server.address, "CHIRON_PASSWORD": PASSWORD}
    bob = await chiron("chat", "--email", "bob@example.org", "--register", "Bob", **environment)
    assert (bob.status, bob.output) == (
        0,
        "No conversations yet. /direct EMAIL begins one; /help lists what there is.\n",
    )
    ada = await chiron(
        *("chat", "bob@example.org", "--email", "ada@example.org", "--register", "Ada"), given="Hello\n", **environment
    )
    assert ada.status == 0
    assert re.fullmatch(r"  — connected over \w+ —\n", ada.said)
    heard = await chiron("chat", "ada@example.org", CHIRON_EMAIL="bob@example.org", **environment)
    assert heard.status == 0
    assert re.fullmatch(r"── Ada ──\n\d\d:\d\d Ada: Hello\n", heard.output)


async def test_chat_with_a_wrong_password_is_1(open_server: Server) -> None:
    outcome = await chiron(
        *("chat", "--email", "ada@example.org", "--server", open_server.address), CHIRON_PASSWORD="a wrong password"
    )
    assert (outcome.status, outcome.said) == (1, "chiron: E-mail address or password is wrong.\n")


async def test_chat_with_somebody_who_is_not_here_is_1(open_server: Server) -> None:
    environment = {"CHIRON_SERVER": open_server.address, "CHIRON_PASSWORD": PASSWORD}
    outcome = await chiron(
        *("chat", "nobody@example.org", "--email", "cy@example.org", "--register", "Cy"), **environment
    )
    assert (outcome.status, outcome.said) == (1, "! Nobody here has the address nobody@example.org.\n")


async def test_a_line_that_cannot_be_carried_out_makes_chat_end_with_1(open_server: Server) -> None:
    environment = {"CHIRON_SERVER": open_server.address, "CHIRON_PASSWORD": PASSWORD}
    outcome = await chiron(
        *("chat", "--email", "dee@example.org", "--register", "Dee"), given="to nobody\n/quit\n", **environment
    )
    assert outcome.status == 1
    assert outcome.output.endswith("Open a conversation first: /list, /open N or /direct EMAIL.\n")


async def test_chat_waits_for_a_server_that_is_starting(new_server: Callable[[], Server]) -> None:
    server = new_server()
    process = await asyncio.create_subprocess_exec(
        *(CHIRON, "chat", "--email", "ada@example.org", "--register", "Ada", "--server", server.address),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "CHIRON_PASSWORD": PASSWORD},
    )
    assert process.stderr is not None
    said = (await process.stderr.readline()).decode()
    assert said.startswith(f"  {server.address} does not answer")
    assert said.endswith("; trying again for 30 s\n")
    await server.start()
    output, _ = await process.communicate()
    assert process.returncode == 0
    assert output.decode().startswith("No conversations yet.")


async def test_at_a_terminal_a_prompt_stays_below_the_messages(open_server: Server) -> None:
    bob = Api(open_server.address)
    await bob.register("bob.at.prompt@example.org", PASSWORD, "Bob")
    async with at_terminal(
        *("chat", "bob.at.prompt@example.org", "--email", "ada.at.prompt@example.org", "--register", "Ada"),
        CHIRON_SERVER=open_server.address,
        CHIRON_PASSWORD=PASSWORD,
    ) as terminal:
        await terminal.until("[Bob]")
        terminal.type("Hello Bob")
        await terminal.until("Ada: Hello Bob")
        conversation = (await bob.direct("ada.at.prompt@example.org"))["id"]
        await bob.publish(conversation, ulid.new(), "Hello Ada")
        await terminal.until("Bob: Hello Ada")
        terminal.type("/members")
        await terminal.until("[Bob] /members", "     Bob")
        assert open_server.kill_worker()
        await terminal.until("— connection lost; what you write is sent when it is back —")
        terminal.type("Are you there?")
        await terminal.until("— connected again, over WebTransport —", "Ada: Are you there?")
        assert await terminal.left() == 0
    texts = [item["body"].get("text") for item in (await bob.history(conversation))["items"]]
    assert texts == ["Hello Bob", "Hello Ada", "Are you there?"]
    await bob.close()


class PseudoTerminal:
    """What a program in a terminal shows, and the keyboard of it."""

    def __init__(self, process: asyncio.subprocess.Process, descriptor: int) -> None:
        self._exit = asyncio.ensure_future(process.wait())
        self._descriptor = descriptor
        self._shown = ""
        self._more = asyncio.Event()
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, 65536)
        except OSError:  # Linux says EIO when the last program has closed it
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._descriptor)
        self._shown += data.decode(errors="replace")
        self._more.set()

    async def until(self, *words: str) -> None:
        """Wait until each of them was shown, one behind the other."""
        for word in words:
            try:
                async with asyncio.timeout(DEADLINE):
                    while word not in CONTROL_SEQUENCE.sub("", self._shown):
                        self._more.clear()
                        await self._more.wait()
            except TimeoutError:
                raise AssertionError(f"{word!r} was not shown:\n{self._shown}") from None

    def type(self, line: str) -> None:
        self.press(f"{line}\r")

    def press(self, keys: str) -> None:
        os.write(self._descriptor, keys.encode())

    async def left(self) -> int:
        """The exit status after Ctrl-D, which is pressed again where it came while something was printed: the driver
        has the terminal then, and keeps it."""
        async with asyncio.timeout(DEADLINE):
            while not self._exit.done():
                self.press("\x04")
                await asyncio.wait([self._exit], timeout=1.0)
        return self._exit.result()


CONTROL_SEQUENCE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|[@-_])|\r")


@asynccontextmanager
async def at_terminal(*arguments: str, **environment: str) -> AsyncIterator[PseudoTerminal]:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(ours, (40, 120))
    process = await asyncio.create_subprocess_exec(
        *(CHIRON, *arguments),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", **environment},
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield PseudoTerminal(process, ours)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        asyncio.get_running_loop().remove_reader(ours)
        os.close(ours)


# --- config -----------------------------------------------------------------------------------------------------------


async def test_config_shows_each_value_with_its_source_and_no_password(tmp_path: Path) -> None:
    file = tmp_path / "chiron.toml"
    file.write_text('port = 1\n\n[mail]\nsmtp = "smtp://ada:hunter2@mail.example.org"\n')
    said = {"CHIRON_DATABASE": "postgresql://u:hunter3@h/d", "CHIRON_PORT": "2"}
    options = ["--data-dir", str(tmp_path), "--set", "limits.person_burst=7"]
    table = await chiron("config", *options, **said)
    assert (table.status, table.said) == (0, "")
    rows = {line.split()[0]: line.split()[1:] for line in table.output.splitlines()}
    assert rows["port"] == ["2", "CHIRON_PORT"]
    assert rows["host"] == ['""', "default"]
    assert rows["mail.smtp"] == ['"smtp://ada:***@mail.example.org"', f"{file}:4"]
    assert rows["database"] == ['"postgresql://u:***@h/d"', "CHIRON_DATABASE"]
    assert rows["limits.person_burst"] == ["7.0", "--set", "limits.person_burst"]
    assert rows["data_dir"] == [f'"{tmp_path}"', "--data-dir"]

    as_json = json.loads((await chiron("config", "--json", *options, **said)).output)
    assert as_json.keys() == rows.keys() - {"setting"}
    assert as_json["port"] == {"value": 2, "source": "CHIRON_PORT", "origin": "environment", "reload": False}
    assert as_json["mail.smtp"]["value"] == "smtp://ada:***@mail.example.org"
    assert as_json["plain"]["origin"] == "default"
    assert as_json["log_level"]["reload"] is True


async def test_config_check_says_valid_or_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "chiron.toml").write_text("port = 1\n")
    right = await chiron("config", "--check", "--data-dir", str(tmp_path))
    assert (right.status, right.output, right.said) == (0, "valid\n", "")
    (tmp_path / "chiron.toml").write_text("port = 70000\nplain = '8080'\n")
    wrong = await chiron("config", "--check", "--data-dir", str(tmp_path))
    assert (wrong.status, wrong.output) == (78, "")
    assert [line.partition(":")[2].partition(":")[0] for line in wrong.said.splitlines()[1:]] == ["1", "2"]
    assert (await chiron("config", "--check", "--port", "1", CHIRON_PROT="1")).status == 78
    assert (await chiron("serve", CHIRON_PORT="x")).status == 78


async def test_the_example_is_a_file_to_begin_with(tmp_path: Path) -> None:
    example = await chiron("config", "--example")
    file = tmp_path / "chiron.toml"
    file.write_text(example.output.replace("#port = 8443", "port = 9443"))
    shown = json.loads((await chiron("config", "--json", "--config", str(file))).output)
    assert {name: each["value"] for name, each in shown.items() if each["origin"] != "default"} == {"port": 9443}


async def test_the_help_names_the_defaults_that_hold() -> None:
    helped = " ".join(re.sub(r"[│╭╮╰╯─]", " ", (await chiron("serve", "--help")).output).split())
    for shown in (Settings().port, Settings().plain):
        assert f"[default: ({shown})]" in helped


async def test_serve_says_where_its_settings_are_from(new_server: Callable[[], Server]) -> None:
    server = new_server()
    server.data.mkdir(mode=0o711)
    (server.data / "chiron.toml").write_text('log_level = "error"\n')
    await server.start()
    variables, flags = len(server.settings), 4
    expected = f"  Settings: {server.data / 'chiron.toml'}, {variables} environment variables, {flags} flags"
    assert server.tail().splitlines()[0] == expected


async def test_migrate_uses_the_database_that_the_file_names(tmp_path: Path) -> None:
    address = nobody().replace("http://", "postgresql://chiron:hunter2@")
    (tmp_path / "chiron.toml").write_text(f'database = "{address}"\n')
    outcome = await chiron("migrate", "--data-dir", str(tmp_path))
    assert outcome.status == 69
    assert outcome.said.startswith("chiron: PostgreSQL at 127.0.0.1:")
