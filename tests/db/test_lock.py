"""One process per folder, whatever becomes of the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chiron.db.lock import FolderLock
from chiron.errors import SetupError

HOLDER = """
import sys, time
from pathlib import Path
from chiron.db.lock import FolderLock
FolderLock(Path(sys.argv[1])).acquire()
print("held", flush=True)
time.sleep(600)
"""


def test_a_second_holder_is_refused_with_the_first_ones_process_id(tmp_path: Path) -> None:
    with FolderLock(tmp_path), pytest.raises(SetupError, match=rf"{tmp_path} is in use by process {os.getpid()}\."):
        FolderLock(tmp_path).acquire()
    with FolderLock(tmp_path) as lock:
        assert lock.held
    assert not lock.held


async def test_kill_9_of_the_holder_frees_the_folder(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(SetupError, match=f"process {holder.pid}"):
            FolderLock(tmp_path).acquire()
        with pytest.raises(SetupError, match=f"process {holder.pid}"):
            await FolderLock(tmp_path).wait(timeout=0.05)
        holder.send_signal(signal.SIGKILL)
    lock = FolderLock(tmp_path)
    await lock.wait(timeout=5)
    lock.release()


def test_child_processes_do_not_inherit_the_lock(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    lock.acquire()
    program = [sys.executable, "-c", "print('up', flush=True); input()"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        lock.release()
        with FolderLock(tmp_path):
            child.communicate(b"\n")


def test_a_folder_that_cannot_be_locked_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="missing/lock cannot be opened"):
        FolderLock(tmp_path / "missing").acquire()
