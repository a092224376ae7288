"""Unpacking PostgreSQL, and what is said where it cannot run."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

import pytest

from chiron.db.binaries import PostgresBinaries, describe_missing, missing_libraries
from chiron.db.process import choose_account
from chiron.errors import SetupError

LDD = """
\tlinux-vdso.so.1 (0x00007ff36ea84000)
\tlibzstd.so.1 => not found
\tlibxml2.so.2 => /opt/lib/libxml2.so.2 (0x00007ff36e7af000)
\tlibgssapi_krb5.so.2 => not found
\t/lib64/ld-linux-x86-64.so.2 (0x00007ff36ea86000)
"""


async def test_two_that_start_together_unpack_once_and_completely(short_tmp: Path) -> None:
    said: list[str] = []
    first, second = await asyncio.gather(*(PostgresBinaries.bundled(short_tmp, report=said.append) for _ in range(2)))
    assert first == second
    assert said == ["Unpacking PostgreSQL"]
    assert await first.major_version(choose_account(short_tmp / "none")) == 18
    assert sorted(path.name for path in short_tmp.iterdir()) == ["lock", first.directory.name]
    for path in first.directory.rglob("*"):
        assert path.is_symlink() or not path.stat().st_mode & 0o022, f"{path} can be changed by others"
    assert await PostgresBinaries.bundled(short_tmp, report=said.append) == first
    assert len(said) == 1


def test_missing_libraries_are_those_the_loader_did_not_find() -> None:
    assert missing_libraries(LDD) == {"libzstd.so.1", "libgssapi_krb5.so.2"}


def test_missing_libraries_are_named_with_their_packages_on_debian() -> None:
    missing = {"libzstd.so.1", "libgssapi_krb5.so.2", "libother.so.1"}
    sentence = describe_missing(missing, debian=True)
    assert "libgssapi_krb5.so.2, libother.so.1, libzstd.so.1" in sentence
    assert sentence.endswith("apt-get install libgssapi-krb5-2 libzstd1")
    assert "apt-get" not in describe_missing(missing, debian=False)


@pytest.mark.skipif(sys.platform != "linux", reason="asks glibc's loader")
async def test_a_host_without_a_library_is_told_which(postgres_binaries: PostgresBinaries, short_tmp: Path) -> None:
    broken = short_tmp / "broken"
    (broken / "lib").mkdir(parents=True)
    shutil.copytree(postgres_binaries.directory / "bin", broken / "bin", symlinks=True)
    for library in (postgres_binaries.directory / "lib").glob("lib*.so*"):
        if not library.name.startswith("libicuuc"):
            shutil.copy(library, broken / "lib", follow_symlinks=False)
    with pytest.raises(SetupError, match=r"libicuuc\.so\.\d+") as caught:
        await PostgresBinaries(broken).major_version(choose_account(short_tmp / "none"))
    assert caught.value.exit_status == 71


async def test_a_folder_without_programs_is_named(short_tmp: Path) -> None:
    with pytest.raises(SetupError, match=f"{short_tmp}/bin/postgres"):
        await PostgresBinaries(short_tmp).major_version(None)
