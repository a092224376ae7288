"""Autobahn|Testsuite's fuzzing client (RFC 6455) against `examples/echo.py`: groups 1–7, 9 and 10 without a failure.

The suite needs CPython 2.7 and is installed once into a cache folder outside the repository; where either is
impossible, the test says so.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

VERSION = "25.10.1"
VIRTUALENV = "20.15.1"
"""The last one that makes environments of Python 2.7."""
GROUPS = (1, 2, 3, 4, 5, 6, 7, 9, 10)
ECHO = Path(__file__).parents[2] / "examples" / "echo.py"


def python_2_7() -> str | None:
    """A CPython 2.7 of the path or of pyenv."""
    found = shutil.which("python2.7")
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = ([found] if found else []) + [str(path) for path in sorted(versions.glob("2.7.*/bin/python2.7"))]
    for candidate in candidates:
        script = "import platform; print(platform.python_implementation() + platform.python_version())"
        asked = subprocess.run([candidate, "-c", script], capture_output=True, text=True, check=False)
        if asked.returncode == 0 and asked.stdout.startswith("CPython2.7"):
            return candidate
    return None


@pytest.fixture(scope="module")
def wstest() -> Path:
    """The suite's program, installed on first use."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "chiron-tests"
    folder = cache / f"autobahn-{VERSION}"
    program = folder / "bin" / "wstest"
    if program.is_file():
        return program
    python = python_2_7()
    if python is None:
        pytest.skip("the Autobahn suite needs CPython 2.7, and there is none")
    shutil.rmtree(folder, ignore_errors=True)
    tools = cache / "virtualenv-2.7"
    steps: list[tuple[list[str], dict[str, str]]] = [
        ([python, "-m", "pip", "install", "-q", "--upgrade", "--target", str(tools), f"virtualenv=={VIRTUALENV}"], {}),
        ([python, "-m", "virtualenv", "-q", str(folder)], {"PYTHONPATH": str(tools)}),
        ([str(folder / "bin" / "pip"), "install", "-q", f"autobahntestsuite=={VERSION}"], {}),
    ]
    for step, more in steps:
        environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **more}
        done = subprocess.run(step, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            shutil.rmtree(folder, ignore_errors=True)
            pytest.skip(f"the Autobahn suite cannot be installed here: {done.stderr.strip().splitlines()[-1:]}")
    return program


@pytest.fixture(scope="module")
def echo() -> Iterator[str]:
    """The address of a running echo."""
    with subprocess.Popen([sys.executable, str(ECHO), "--port", "0"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.kill()


@pytest.mark.timeout(600)
def test_rfc6455_autobahn(wstest: Path, echo: str, tmp_path: Path) -> None:
    spec = {
        "outdir": str(tmp_path / "reports"),
        "servers": [{"agent": "chiron", "url": echo}],
        "cases": [f"{group}.*" for group in GROUPS],
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    command = [str(wstest), "-m", "fuzzingclient", "-s", "spec.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    results = json.loads((tmp_path / "reports" / "index.json").read_text())["chiron"]
    assert {int(case.partition(".")[0]) for case in results} == set(GROUPS)
    accepted = {"OK", "NON-STRICT", "INFORMATIONAL"}
    failed = {
        case: (result["behavior"], result["behaviorClose"])
        for case, result in results.items()
        if result["behavior"] not in accepted or result["behaviorClose"] not in accepted
    }
    assert not failed, failed
    print(Counter(result["behavior"] for result in results.values()))
