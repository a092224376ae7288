"""`chiron doctor`: machines, folders, addresses and certificates that have something, and what it says of them."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from commands import Outcome, chiron
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from serving import CHIRON, Server, until

from chiron.db.binaries import PostgresBinaries
from chiron.server.config import MailSettings, Settings, TlsSettings
from chiron.server.doctor import (
    CHECKS,
    Fault,
    Finding,
    Subject,
    certificate,
    clock,
    disk,
    examination,
    machine,
    mail,
    network,
    programs,
)
from chiron.server.doctor import database as postgresql
from chiron.server.doctor.findings import Found
from chiron.server.edge import certificates
from chiron.server.platform import keys

root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount and change owners")
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def only(found: Found) -> Fault:
    """The one fault that was found."""
    _, faults = found
    assert len(faults) == 1, faults
    return faults[0]


def states(outcome: Outcome) -> dict[str, str]:
    """Of a report for people: check to state."""
    lines = [line for line in outcome.output.splitlines() if line.startswith("  ") and not line.startswith("    ")]
    return {line[11:25].strip(): line[2:11].strip() for line in lines}


# --- the command ------------------------------------------------------------------------------------------------------


async def test_where_nothing_is_yet_everything_is_looked_at_and_nothing_made(short_tmp: Path) -> None:
    folder = short_tmp / "data"
    outcome = await chiron("doctor", "--data-dir", str(folder))
    assert list(states(outcome)) == [name for name, _ in CHECKS]
    for name in ("Python", "extension", "libraries", "folder", "server", "PostgreSQL", "migrations", "certificate"):
        assert states(outcome)[name] == "ok", outcome.output
    assert f"{folder}, made at the first start" in outcome.output
    assert list(short_tmp.iterdir()) == []


async def test_json_says_the_same_to_programs(short_tmp: Path) -> None:
    outcome = await chiron("doctor", "--data-dir", str(short_tmp / "data"), "--json")
    report = json.loads(outcome.output)
    assert [check["check"] for check in report["checks"]] == [name for name, _ in CHECKS]
    worst = {check["state"] for check in report["checks"]}
    assert report["state"] == ("problem" if "problem" in worst else "warning" if "warning" in worst else "ok")
    for check in report["checks"]:
        assert check["summary"]
        assert (check["state"] == "ok") == (check["faults"] == [])
        for fault in check["faults"]:
            assert fault["sentence"].endswith(".")
            assert fault["mend"]


async def test_problems_are_78_and_each_has_its_sentence_and_what_mends_it(short_tmp: Path) -> None:
    folder = short_tmp / "data"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    outcome = await chiron("doctor", "--data-dir", str(folder))
    assert outcome.status == 78
    assert states(outcome)["folder"] == "problem"
    assert f"\nproblem: Others may change what is in {folder}.\n    chmod go-w {folder}\n" in outcome.output
    assert "problem" in outcome.output.splitlines()[-1]
    subprocess.run(["chmod", "go-w", str(folder)], check=True)
    mended = await chiron("doctor", "--data-dir", str(folder))
    assert states(mended)["folder"] == "warning", "others still see in"


async def test_settings_are_those_of_the_server(taken: Taken, short_tmp: Path) -> None:
    file = short_tmp / "chiron.toml"
    file.write_text(f'port = {taken.port}\nhost = "127.0.0.1"\nplain = "off"\nmetrics = "off"\n')
    outcome = await chiron("doctor", "--data-dir", str(short_tmp / "data"), "--config", str(file))
    assert outcome.status == 78
    assert states(outcome)["settings"] == "ok"
    assert states(outcome)["ports"] == "problem"
    assert f"\nproblem: Port {taken.port} is in use by " in outcome.output
    taken.sock.close()
    mended = await chiron("doctor", "--data-dir", str(short_tmp / "data"), "--config", str(file))
    assert states(mended)["ports"] == "ok"


async def test_settings_that_cannot_be_read_are_a_problem_among_others(short_tmp: Path) -> None:
    file = short_tmp / "chiron.toml"
    file.write_text("prot = 8443\n")
    outcome = await chiron("doctor", "--data-dir", str(short_tmp / "data"), "--config", str(file))
    assert outcome.status == 78
    assert states(outcome)["settings"] == "problem"
    assert f"problem: {file}:1: prot: there is no such setting; did you mean port?" in outcome.output
    assert list(states(outcome)) == [name for name, _ in CHECKS]


async def test_warnings_are_78_only_when_strict(short_tmp: Path) -> None:
    """With few files allowed there is a warning on every machine; problems of this one decide about the rest."""

    def few_files() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))

    for option, expected in (((), 0), (("--strict",), 78)):
        done = await asyncio.to_thread(
            subprocess.run,
            [CHIRON, "doctor", "--data-dir", str(short_tmp / "data"), "--json", *option],
            capture_output=True,
            preexec_fn=few_files,
        )
        report = json.loads(done.stdout)
        files = next(check for check in report["checks"] if check["check"] == "open files")
        assert files["state"] == "warning"
        assert "4,096 files" in files["faults"][0]["sentence"]
        assert any("LimitNOFILE=" in mend for mend in files["faults"][0]["mend"])
        assert any("limits.d" in mend for mend in files["faults"][0]["mend"])
        assert done.returncode == (78 if report["state"] == "problem" else expected)


async def test_it_runs_beside_a_server_and_leaves_it_as_it_is(server: Server) -> None:
    before = _files(server.data)
    postmaster, worker = server.postmaster(), server.worker()
    outcome = await chiron("doctor", "--data-dir", str(server.data))
    for name in ("folder", "disk", "server", "PostgreSQL", "migrations", "clock", "certificate"):
        assert states(outcome)[name] != "problem", outcome.output
    assert f"PostgreSQL 18.1, process {postmaster}, answers" in outcome.output
    assert "applied" in outcome.output
    assert "browsers trust it once" in outcome.output
    assert "ms from the database's" in outcome.output
    assert (server.postmaster(), server.worker()) == (postmaster, worker)
    assert _files(server.data) == before
    await server.until_ready()


@linux
async def test_the_ports_of_a_running_server_are_its_own(server: Server) -> None:
    settings = Settings(
        data_dir=server.data,
        port=server.secure,
        host="127.0.0.1",
        plain=f"127.0.0.1:{server.plain}",
        metrics=None,
    )
    subject = Subject(settings)
    assert server.process is not None
    assert subject.server == server.process.pid
    ports = network.ports(subject)
    assert ports == (
        f"port {server.secure} in use by this server, plain {server.plain} in use by this server",
        [],
    )
    summary, faults = await network.server(subject)
    assert summary.endswith("is ready")
    assert faults == []
    # A server that is told other addresses than these settings is found, too.
    elsewhere = Subject(Settings(data_dir=server.data, port=0, plain=None, metrics=None))
    summary, faults = network.ports(elsewhere)
    assert str(server.secure) in summary
    assert str(server.plain) in summary
    assert faults == []


@linux
async def test_a_server_whose_database_is_gone_is_not_ready(server: Server) -> None:
    subject = Subject(Settings(data_dir=server.data, plain=f"127.0.0.1:{server.plain}"))
    postmaster = server.postmaster()
    assert postmaster is not None
    os.kill(postmaster, 19)  # SIGSTOP: it lives and does not answer
    for child in Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split():
        os.kill(int(child), 19)
    try:

        async def unwell() -> bool:
            return any("not ready" in fault.sentence for fault in (await network.server(subject))[1])

        await until(unwell, lambda: "the server is said to be ready")
    finally:
        for child in Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split():
            os.kill(int(child), 18)
        os.kill(postmaster, 18)
    await server.until_ready()


@linux
async def test_after_a_kill_nobody_holds_the_folder(server: Server) -> None:
    assert Subject(Settings(data_dir=server.data)).server is not None
    await server.kill_supervisor()
    assert Subject(Settings(data_dir=server.data)).server is None, "the lock's file alone means nothing"


def _files(folder: Path) -> dict[Path, tuple[int, int, int]]:
    """What is in a data folder, but for what a running PostgreSQL itself writes."""
    found = {}
    for path in folder.rglob("*"):
        if not path.relative_to(folder).as_posix().startswith(("postgresql/cluster/", "postgresql/log/")):
            status = path.lstat()
            found[path] = (status.st_mode, status.st_size, status.st_mtime_ns)
    return found


# --- libraries --------------------------------------------------------------------------------------------------------


@linux
async def test_a_missing_library_is_named_with_the_package_to_install(
    postgres_binaries: PostgresBinaries, short_tmp: Path
) -> None:
    broken = short_tmp / "broken"
    (broken / "lib").mkdir(parents=True)
    shutil.copytree(postgres_binaries.directory / "bin", broken / "bin", symlinks=True)
    for library in (postgres_binaries.directory / "lib").glob("lib*.so*"):
        if not library.name.startswith("libicuuc"):
            shutil.copy(library, broken / "lib", follow_symlinks=False)
    broken.chmod(0o755)
    fault = only(await programs.examine(PostgresBinaries(broken)))
    assert fault.state == "problem"
    assert "libicuuc.so.70" in fault.sentence
    if Path("/etc/debian_version").exists():
        assert fault.mend[0].startswith("apt-get install --no-install-recommends libicu70")
    assert any("database = " in mend for mend in fault.mend)
    assert (await programs.examine(postgres_binaries))[1] == []


async def test_with_a_database_of_ones_own_no_library_is_needed() -> None:
    assert await programs.libraries(Subject(Settings(database="postgresql://db.example.org/chiron"))) == (
        "not needed: the database is your own",
        [],
    )


# --- ports ------------------------------------------------------------------------------------------------------------


@dataclass
class Taken:
    port: int
    sock: socket.socket


@pytest.fixture
def taken() -> Iterator[Taken]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield Taken(sock.getsockname()[1], sock)


@linux
def test_a_taken_port_is_named_with_who_has_it_and_a_free_one(taken: Taken, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, port=taken.port, host="127.0.0.1", plain=None, metrics=None)
    fault = only(network.ports(Subject(settings)))
    assert fault.state == "problem"
    assert fault.sentence.startswith(f"Port {taken.port} is in use by ")
    assert f"(process {os.getpid()})" in fault.sentence
    assert fault.mend[0] == f"kill {os.getpid()}"
    other = int(fault.mend[1].split()[2])
    mended = Settings(data_dir=tmp_path, port=other, host="127.0.0.1", plain=None, metrics=None)
    assert network.ports(Subject(mended)) == (f"port {other} free", [])


def test_every_listener_is_looked_at(taken: Taken, tmp_path: Path) -> None:
    for setting in ("plain", "metrics"):
        address = f"127.0.0.1:{taken.port}"
        plain, metrics = (address, None) if setting == "plain" else (None, address)
        fault = only(network.ports(Subject(Settings(data_dir=tmp_path, port=0, plain=plain, metrics=metrics))))
        assert f'{setting} = "127.0.0.1:' in fault.mend[1]


def test_an_address_of_another_machine_is_named(tmp_path: Path) -> None:
    # RFC 5737: nobody has it.
    settings = Settings(data_dir=tmp_path, port=8443, host="192.0.2.1", plain=None, metrics=None)
    fault = only(network.ports(Subject(settings)))
    assert fault.sentence.startswith("192.0.2.1 is no address to listen on here")
    assert 'host = ""   (every address)' in fault.mend


def test_looking_at_a_port_does_not_take_it(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = Settings(data_dir=tmp_path, port=port, host="127.0.0.1", plain=None, metrics=None)
    assert network.ports(Subject(settings))[1] == []
    with socket.create_server(("127.0.0.1", port)):
        assert "in use" in only(network.ports(Subject(settings))).sentence


def test_passwords_in_clear_are_warned_of(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, port=0, plain="0.0.0.0:0", metrics=None)
    fault = only(network.ports(Subject(settings)))
    assert (fault.state, "in clear" in fault.sentence) == ("warning", True)


@root
@linux
def test_a_port_that_needs_a_right_is_explained(tmp_path: Path) -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if first <= 80:
        pytest.skip("every user may listen on port 80 here")
    settings = Settings(data_dir=tmp_path, port=80, host="127.0.0.1", plain=None, metrics=None)
    ((sentence, *mend),) = as_nobody(lambda: network.ports(Subject(settings)))
    assert "need a right" in sentence
    assert any("CAP_NET_BIND_SERVICE" in line for line in mend)


def as_nobody(look: Callable[[], Found]) -> list[list[str]]:
    """The faults, as sentence and mends, that a process without root's rights finds."""
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            faults = look()[1]
            os.write(sender, json.dumps([[fault.sentence, *fault.mend] for fault in faults]).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(sender)
    with os.fdopen(receiver, "rb") as said:
        faults_found: list[list[str]] = json.loads(said.read())
    return faults_found


# --- certificate ------------------------------------------------------------------------------------------------------


@dataclass
class Authority:
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def _signed(
    name: str,
    *,
    by: Authority | None,
    begins: datetime,
    ends: datetime,
    names: Sequence[str] = (),
) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
    )
    if names:
        alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(alternative, critical=False)
    return Authority(key, builder.sign(by.key if by else key, hashes.SHA256()))


def _pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


class Office:
    """Issues certificates into a folder, good and bad ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = datetime.now(UTC)
        begins, ends = self.now - timedelta(days=100), self.now + timedelta(days=1000)
        self.root = _signed("Root", by=None, begins=begins, ends=ends)
        self.middle = _signed("Middle", by=self.root, begins=begins, ends=ends)

    def look(
        self,
        *names: str,
        days: float = 60,
        from_days: float = -30,
        above: Sequence[x509.Certificate] | None = None,
        url: str | None = "https://mentors.example.org",
        other_key: bool = False,
        mode: int = 0o600,
        by: Authority | None = None,
    ) -> Found:
        leaf = _signed(
            "leaf",
            by=by or self.middle,
            begins=self.now + timedelta(days=from_days),
            ends=self.now + timedelta(days=days),
            names=names or ("mentors.example.org",),
        )
        chain, key = self.folder / "chain.pem", self.folder / "key.pem"
        chain.write_bytes(_pem(leaf.certificate, *([self.middle.certificate] if above is None else above)))
        private = ec.generate_private_key(ec.SECP256R1()) if other_key else leaf.key
        key.write_bytes(
            private.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        key.chmod(mode)
        tls = TlsSettings(certificate=chain, key=key)
        return certificate.certificate(Subject(Settings(data_dir=self.folder, tls=tls, public_url=url)))


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def test_a_good_certificate_is_good(office: Office) -> None:
    assert office.look() == ("mentors.example.org; 59 days left", [])
    assert office.look("*.example.org") == ("*.example.org; 59 days left", [])
    assert office.look("chat.example.net", url=None)[1] == []


def test_an_expired_certificate_is_a_problem_and_one_that_soon_will_be_a_warning(office: Office) -> None:
    fault = only(office.look(days=-3))
    assert fault.state == "problem"
    assert "has expired on" in fault.sentence
    assert fault.mend
    soon = only(office.look(days=5))
    assert (soon.state, "4 days left" in soon.sentence) == ("warning", True)


def test_a_certificate_of_the_future_questions_the_clock(office: Office) -> None:
    fault = only(office.look(from_days=2))
    assert "is the clock right?" in fault.sentence
    assert fault.mend == ("timedatectl",)


def test_a_certificate_for_other_names_is_a_problem(office: Office) -> None:
    for name in ("chat.example.org", "*.mentors.example.org", "*.org"):
        fault = only(office.look(name))
        assert fault.state == "problem"
        assert fault.sentence.startswith(f"People come to mentors.example.org, and the certificate is for {name}")


def test_a_key_of_another_certificate_is_a_problem(office: Office) -> None:
    summary, faults = office.look(other_key=True)
    assert summary == "cannot be used"
    assert [fault.state for fault in faults] == ["problem"]
    assert any("openssl" in mend for mend in faults[0].mend)


def test_a_chain_in_the_wrong_order_or_cut_short_is_named(office: Office) -> None:
    wrong = only(office.look(above=[office.root.certificate, office.middle.certificate]))
    assert "the certificate of Root did not sign the one before it" in wrong.sentence
    assert wrong.mend[0].startswith("cat cert.pem chain.pem > ")
    cut = only(office.look(above=[]))
    assert cut.state == "warning"
    assert "do not know Middle" in cut.sentence


def test_a_private_key_that_others_read_is_a_warning(office: Office, tmp_path: Path) -> None:
    fault = only(office.look(mode=0o644))
    assert fault.mend == (f"chmod 600 {tmp_path}/key.pem",)


def test_a_certificate_that_is_not_there_is_named(tmp_path: Path) -> None:
    tls = TlsSettings(certificate=tmp_path / "none.pem", key=tmp_path / "none.key")
    fault = only(certificate.certificate(Subject(Settings(data_dir=tmp_path, tls=tls))))
    assert f"{tmp_path}/none.pem: No such file or directory" in fault.sentence


def test_the_development_authority_is_for_this_machine_alone(tmp_path: Path) -> None:
    certificates.development(tmp_path / "tls", datetime.now(UTC))
    summary, faults = certificate.certificate(Subject(Settings(data_dir=tmp_path)))
    assert summary.startswith("of the development authority, 8")
    assert f"{tmp_path}/tls/ca.pem" in summary
    assert faults == []
    outside = Settings(data_dir=tmp_path, public_url="https://mentors.example.org")
    fault = only(certificate.certificate(Subject(outside)))
    assert fault.state == "problem"
    assert "mentors.example.org" in fault.sentence


def test_an_expired_development_certificate_is_named_with_its_file(tmp_path: Path) -> None:
    certificates.development(tmp_path / "tls", datetime.now(UTC) - timedelta(days=100))
    fault = only(certificate.certificate(Subject(Settings(data_dir=tmp_path))))
    assert "has expired on" in fault.sentence
    assert fault.mend[0].startswith(f"rm {tmp_path}/tls/leaf.pem")
    (tmp_path / "tls" / "leaf.pem").unlink()
    certificates.development(tmp_path / "tls", datetime.now(UTC))
    assert certificate.certificate(Subject(Settings(data_dir=tmp_path)))[1] == []


# --- clock ------------------------------------------------------------------------------------------------------------


async def test_a_file_of_the_future_says_that_the_clock_was_set_back(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.touch()
    assert (await clock.clock(Subject(Settings(data_dir=tmp_path))))[1] == []
    later = time.time() + 3 * 86_400
    os.utime(file, (later, later))
    fault = only(await clock.clock(Subject(Settings(data_dir=tmp_path))))
    assert fault.state == "problem"
    assert f"{file} was written 3 days in the future" in fault.sentence
    assert fault.mend[0] == "timedatectl set-ntp true"


async def test_a_clock_that_is_set_meanwhile_is_noticed(tmp_path: Path) -> None:
    wall, monotonic = time.time(), time.monotonic()
    for by, words in ((100.0, "set 100.0 s back"), (-300.0, "set 5 minutes forward")):
        subject = Subject(Settings(data_dir=tmp_path), began=(wall + by, monotonic))
        assert words in only(await clock.clock(subject)).sentence


# --- disk and folder --------------------------------------------------------------------------------------------------


@pytest.fixture
def mounted(short_tmp: Path) -> Iterator[Callable[..., Path]]:
    """Mounts small disks in memory."""
    places: list[Path] = []

    def mount(options: str) -> Path:
        place = short_tmp / f"disk{len(places)}"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
        places.append(place)
        return place

    yield mount
    for place in places:
        subprocess.run(["umount", str(place)], check=True)


def faults_of(found: Found) -> str:
    return "\n".join(f"{fault.state}: {fault.sentence}" for fault in found[1])


@root
@linux
def test_a_full_disk_is_a_problem(mounted: Callable[..., Path]) -> None:
    place = mounted("size=1m")
    (place / "film").write_bytes(bytes((1 << 20) - 4096))
    found = disk.disk(Subject(Settings(data_dir=place / "data")))
    assert f"problem: The disk of {place} is full: 0 MiB are left." in faults_of(found)
    assert any("du -xh" in mend for fault in found[1] for mend in fault.mend)
    (place / "rest").touch()
    with pytest.raises(OSError, match="No space left"), (place / "rest").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    assert "Nothing can be written in" in faults_of(disk.disk(Subject(Settings(data_dir=place))))


@root
@linux
def test_a_disk_without_room_for_files_is_a_problem(mounted: Callable[..., Path]) -> None:
    place = mounted("size=1g,nr_inodes=500")
    found = disk.disk(Subject(Settings(data_dir=place)))
    assert f"more files (inodes) fit on the disk of {place}" in faults_of(found)


@root
@linux
def test_a_disk_that_cannot_be_written_is_a_problem(mounted: Callable[..., Path]) -> None:
    place = mounted("size=1g,ro")
    assert f"Nothing can be written in {place}: Read-only file system." in faults_of(
        disk.disk(Subject(Settings(data_dir=place)))
    )


@root
@linux
def test_memory_is_no_disk(mounted: Callable[..., Path]) -> None:
    place = mounted("size=4g")
    summary, faults = disk.disk(Subject(Settings(data_dir=place / "not" / "there" / "yet")))
    assert faults_of((summary, faults)) == (
        f"warning: {place} is in memory (tmpfs): a restart of the machine loses everything."
    )
    assert summary.startswith("4.0 GiB free, fsync ")
    assert list(place.iterdir()) == [], "what was written had no name"


def test_a_folder_below_a_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = disk.folder(Subject(Settings(data_dir=tmp_path / "file" / "data", database="postgresql://x/y")))
    assert only(found).sentence == f"{tmp_path}/file/data cannot be made, because {tmp_path}/file is no folder."


def test_keys_that_others_read_or_nobody_can_read_are_problems(tmp_path: Path) -> None:
    place = tmp_path / "data"
    place.mkdir(mode=0o700)
    subject = Subject(Settings(data_dir=place, database="postgresql://x/y"))
    file = place / "keys.json"
    keys.write(file, keys.generate())
    assert disk.folder(subject)[1] == []
    file.chmod(0o640)
    fault = only(disk.folder(subject))
    assert fault.mend == (f"chmod 600 {file}",)
    subprocess.run(fault.mend[0], shell=True, check=True)
    assert disk.folder(subject)[1] == []
    file.write_text("{")
    assert "cannot be read" in only(disk.folder(subject)).sentence


def test_a_database_without_its_keys_is_a_problem(tmp_path: Path) -> None:
    place = tmp_path / "data"
    (place / "postgresql" / "cluster").mkdir(parents=True)
    place.chmod(0o700)
    subject = Subject(Settings(data_dir=place, database="postgresql://x/y"))
    assert "keys.json is missing, although there is a database" in only(disk.folder(subject)).sentence


@root
def test_a_folder_of_somebody_else_is_named_with_its_owner(tmp_path: Path) -> None:
    place = tmp_path / "data"
    place.mkdir(mode=0o700)
    os.chown(place, 65534, 65534)
    fault = only(disk.folder(Subject(Settings(data_dir=place, database="postgresql://x/y"))))
    assert "belongs to nobody, and this is root" in fault.sentence
    assert fault.mend[1].startswith(f"chown root {place}")


@root
def test_what_may_not_be_read_is_not_taken_for_damaged(short_tmp: Path) -> None:
    place = short_tmp / "data"
    (place / "postgresql" / "cluster").mkdir(parents=True)
    (place / "postgresql" / "cluster" / "PG_VERSION").write_text("18\n")
    (place / "postgresql" / "cluster").chmod(0o700)
    keys.write(place / "keys.json", keys.generate())
    place.chmod(0o711)
    subject = Subject(Settings(data_dir=place))
    folder = as_nobody(lambda: disk.folder(subject))
    assert [
        f"User nobody may not read {place}/keys.json.",
        "sudo -u root chiron …   (run everything as its owner)",
    ] in folder
    ((sentence, mend),) = as_nobody(lambda: asyncio.run(postgresql.database(subject)))
    assert "may not look into" in sentence
    assert mend.startswith("sudo -u '#0' chiron doctor")
    assert "BACKUP" not in str(folder)


async def test_a_user_without_a_name_is_told_by_number_what_may_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def closed(subject: Subject) -> Found:
        raise PermissionError(13, "Permission denied", str(subject.folder / "closed"))

    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    monkeypatch.setattr(examination, "CHECKS", (("folder", closed),))
    (finding,) = [finding async for finding in examination.examine(Subject(Settings(data_dir=tmp_path)))]
    assert [fault.sentence for fault in finding.faults] == [f"User 54321 may not read {tmp_path}/closed."]


@root
def test_a_way_that_postgres_may_not_pass_is_named(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    found = disk.folder(Subject(Settings(data_dir=closed / "data")))
    assert "may not pass" in faults_of(found)
    assert any(mend.startswith("chmod o+x ") for fault in found[1] for mend in fault.mend)


# --- mail -------------------------------------------------------------------------------------------------------------


def post(smtp: str | None, folder: Path) -> Found:
    return mail.mail(Subject(Settings(data_dir=folder, mail=MailSettings(smtp=smtp))))


@pytest.fixture
def post_office() -> Iterator[int]:
    """Port of a mail server without TLS."""
    controller = Controller(Sink(), hostname="127.0.0.1", port=_free_port())
    controller.start()
    yield controller.port
    controller.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_mail_server_that_answers_is_good(post_office: int, tmp_path: Path) -> None:
    place = f"127.0.0.1:{post_office}"
    assert post(f"smtp://{place}", tmp_path) == (f"{place} answers, without TLS", [])


def test_a_password_is_not_sent_to_a_mail_server_without_tls(post_office: int, tmp_path: Path) -> None:
    fault = only(post(f"smtp://ada:hunter2@127.0.0.1:{post_office}", tmp_path))
    assert "offers no STARTTLS" in fault.sentence
    assert fault.mend[0].startswith('[mail] smtp = "smtps://ada:…@127.0.0.1"')
    assert "hunter2" not in str(fault)


def test_a_mail_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    port = _free_port()
    fault = only(post(f"smtp://127.0.0.1:{port}", tmp_path))
    assert f"127.0.0.1:{port} does not answer like a mail server" in fault.sentence
    assert "Connection refused" in fault.sentence


async def test_something_else_than_a_mail_server_is_named(tmp_path: Path) -> None:
    async def web(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(web, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        fault = only(await asyncio.to_thread(post, f"smtp://127.0.0.1:{port}", tmp_path))
    assert "does not answer like a mail server" in fault.sentence


def test_mail_that_stays_here_is_warned_of_when_people_come_from_elsewhere(tmp_path: Path) -> None:
    assert post(None, tmp_path) == (f"put into {tmp_path}/mail", [])
    outside = Settings(data_dir=tmp_path, public_url="https://mentors.example.org")
    assert "reaches nobody" in only(mail.mail(Subject(outside))).sentence
    (tmp_path / "mail").touch()
    assert "No mail can be put into" in only(post(None, tmp_path)).sentence


# --- the machine ------------------------------------------------------------------------------------------------------


def test_a_machine_as_it_should_be_has_no_problem() -> None:
    subject = Subject(Settings())
    for check in (machine.python, machine.extension, machine.random, machine.zones, machine.locale):
        finding = Finding("", *_frozen(check(subject)))
        assert finding.state == "ok", finding


def _frozen(found: Found) -> tuple[str, tuple[Fault, ...]]:
    return found[0], tuple(found[1])


async def test_a_machine_without_time_zones_is_told_what_to_install(tmp_path: Path) -> None:
    outcome = await chiron("doctor", "--data-dir", str(tmp_path / "data"), PYTHONTZPATH=str(tmp_path))
    if importable("tzdata"):
        pytest.skip("the package tzdata stands in for the system's zones")
    assert states(outcome)["time zones"] == "problem"
    assert "    apt-get install tzdata\n" in outcome.output


def importable(name: str) -> bool:
    return subprocess.run([sys.executable, "-c", f"import {name}"], capture_output=True).returncode == 0


async def test_a_locale_without_unicode_is_a_warning(tmp_path: Path) -> None:
    environment = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    outcome = await chiron("doctor", "--data-dir", str(tmp_path / "data"), **environment)
    assert "    export LC_ALL=C.UTF-8\n" in outcome.output
