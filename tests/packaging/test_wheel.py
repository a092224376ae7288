"""The wheel is the product: complete, without strays, and it serves where there is no repository, Node or Rust."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent
DEADLINE = 90.0


@pytest.fixture(scope="module")
def wheel() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        command = [str(PROGRAMS / "maturin"), "build", "--release", "--locked", "--quiet", "--out", folder]
        subprocess.run(command, cwd=ROOT, check=True, timeout=900)
        (built,) = Path(folder).glob("*.whl")
        yield built


@pytest.fixture
def installed(wheel: Path) -> Iterator[Path]:
    """The `bin` folder of a clean environment that has the wheel and what it depends on."""
    folder = Path(tempfile.mkdtemp(prefix="chiron-", dir="/tmp"))
    folder.chmod(0o711)
    uv = str(PROGRAMS / "uv")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder / "venv"], check=True, timeout=60)
    pins = ["--constraint", str(_pins(folder))]
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--python", folder / "venv/bin/python", *pins, wheel], check=True, timeout=300
    )
    yield folder / "venv/bin"
    shutil.rmtree(folder)


def test_the_wheel_holds_the_tree_and_nothing_else(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    extensions = {name for name in names if name.startswith("chiron/_core.") and name.endswith(".so")}
    assert len(extensions) == 1
    package = ROOT / "core_rs/python/chiron"
    expected = {f"chiron/{path.name}" for path in package.iterdir() if path.suffix in (".py", ".pyi", ".typed")}
    for folder in ("server", "protocols", "db", "client"):
        expected |= {f"chiron/{path.relative_to(ROOT)}" for path in (ROOT / folder).rglob("*.py")}
        expected |= {f"chiron/{path.relative_to(ROOT)}" for path in (ROOT / folder).rglob("*.sql")}
    expected |= {f"chiron/{path.relative_to(ROOT)}" for path in (ROOT / "server/identity").glob("common_passwords.*")}
    expected |= {f"chiron/{path.relative_to(ROOT)}" for path in (ROOT / "server/moderation/weights").iterdir()}
    expected |= {f"chiron/{path.relative_to(package)}" for path in (package / "_web").rglob("*") if path.is_file()}
    assert names - extensions == expected
    assert "chiron/_web/index.html" in names


async def test_it_serves_from_a_clean_environment(installed: Path) -> None:
    elsewhere = installed.parents[1]
    port = _free_port()
    # Neither the repository nor a toolchain is within reach.
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(elsewhere), "LANG": "C.UTF-8"}
    process = await asyncio.create_subprocess_exec(
        str(installed / "chiron"),
        *("serve", "--port", "0", "--host", "127.0.0.1", "--plain", f"127.0.0.1:{port}", "--data-dir", "data"),
        cwd=elsewhere,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    said = ""
    try:
        async with asyncio.timeout(DEADLINE):
            while "Chiron serves at" not in said:
                line = await process.stdout.readline()
                assert line, said
                said += line.decode()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            assert (await http.get("/readyz")).status_code == 200
            page = await http.get("/")
            assert page.status_code == 200
            assert "text/html" in page.headers["content-type"]
            account = {"email": "ada@example.org", "password": "correct horse battery", "name": "Ada"}
            assert (await http.post("/v1/people", json=account)).status_code == 201
        process.send_signal(signal.SIGTERM)
        rest, _ = await asyncio.wait_for(process.communicate(), DEADLINE)
        assert process.returncode == 0, said + rest.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def test_a_stale_extension_is_refused_with_what_to_do(tmp_path: Path) -> None:
    crate = tmp_path / "core_rs"
    shutil.copytree(ROOT / "core_rs/src", crate / "src")
    for name in ("Cargo.toml", "build.rs"):
        shutil.copy(ROOT / "core_rs" / name, crate / name)
    package = crate / "python/chiron"
    package.mkdir(parents=True)
    for path in (ROOT / "core_rs/python/chiron").iterdir():
        if path.is_file():
            shutil.copy(path, package / path.name)
    run = [sys.executable, "-c", "import chiron"]
    # `-S` would hide the dependencies; a path in front hides the installed package.
    environment = os.environ | {"PYTHONPATH": str(package.parent)}
    assert subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True).returncode == 0
    with (crate / "src/lib.rs").open("a") as file:
        file.write("\n// changed\n")
    refused = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "make setup" in refused.stderr


def _pins(folder: Path) -> Path:
    """The lock file's versions without its hashes, which a constraint may not have."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = folder / "constraints.txt"
    pins.write_text("\n".join(line.rstrip(" \\") for line in lines if line[:1].isalnum()))
    return pins


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
