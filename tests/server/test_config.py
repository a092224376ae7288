from __future__ import annotations

from pathlib import Path

import pytest

from chiron.server import config
from chiron.server.platform import keys


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("localhost:0", ("localhost", 0)),
        ("0.0.0.0:65535", ("0.0.0.0", 65535)),
        ("[::1]:8080", ("::1", 8080)),
        (":8080", ("127.0.0.1", 8080)),
    ],
)
def test_an_address_is_host_and_port(text: str, address: tuple[str, int]) -> None:
    assert config.parse_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "8080", "localhost", "localhost:", "localhost:http", "h:65536", "h:-1", "h:²", "::1:80", "[::1:80"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an address"):
        config.parse_address(text)


def test_what_a_worker_is_told_does_not_show_in_a_traceback() -> None:
    told = config.WorkerConfig(database="postgresql://u:hunter2@h/d", keys=keys.generate(), tls_chain=b"", tls_key=b"k")
    assert "hunter2" not in repr(told)


def test_everybody_but_root_keeps_data_in_their_own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tmp_path in config.default_data_dir().parents
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert config.default_data_dir() == Path("/var/lib/chiron")
