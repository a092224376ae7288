"""The log of the command line, in processes of its own: it is set up once for a whole process."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

HEAD = """
import logging, sys, warnings, structlog
from chiron.server.telemetry import set_up_logging
set_up_logging(sys.argv[1])
log = structlog.get_logger("test")
"""


def lines(program: str, *, level: str = "info") -> list[dict[str, Any]]:
    """What the program logs where standard error is no terminal."""
    ended = subprocess.run([sys.executable, "-c", HEAD + program, level], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in ended.stderr.splitlines()]


def test_a_line_is_one_json_object_with_level_and_time() -> None:
    [line] = lines("log.warning('disk.full', folder='/data\\nx')")
    assert (line["event"], line["level"], line["folder"]) == ("disk.full", "warning", "/data\nx")
    assert line["timestamp"].endswith("Z")


def test_what_is_below_the_level_is_left_out() -> None:
    program = "log.debug('a'); log.info('b'); log.warning('c')"
    assert [line["event"] for line in lines(program, level="warning")] == ["c"]


def test_the_level_changes_for_loggers_that_were_used_before() -> None:
    program = """
from chiron.server.telemetry import set_log_level
other = logging.getLogger("asyncio")
log.info('a'); log.debug('b'); other.error('c')
set_log_level('error')
log.info('d'); log.error('e'); other.warning('f'); other.error('g')
set_log_level('debug')
log.debug('h'); other.warning('i')
"""
    assert [line["event"] for line in lines(program)] == ["a", "c", "e", "g", "h", "i"]


def test_a_logger_says_whether_a_line_would_be_written() -> None:
    program = """
from chiron.server.telemetry import set_log_level
asked = [log.is_enabled_for(logging.INFO)]
set_log_level('info')
asked += [log.is_enabled_for(level) for level in (logging.DEBUG, logging.INFO, logging.ERROR)]
log.info('asked', asked=asked)
"""
    [line] = lines(program, level="warning")
    assert line["asked"] == [False, False, True, True]


def test_what_has_a_secrets_name_is_left_out() -> None:
    [line] = lines("log.info('login', password='hunter2', access_token='eyJ', person='ada')")
    assert (line["password"], line["access_token"], line["person"]) == ("[redacted]", "[redacted]", "ada")


def test_what_libraries_log_becomes_a_line_too() -> None:
    program = """
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("asyncio").exception("Task exception was %s", "never retrieved")
logging.getLogger("asyncio").info("not worth it")
"""
    [line] = lines(program)
    assert (line["event"], line["level"]) == ("Task exception was never retrieved", "error")
    assert "ZeroDivisionError" in line["exception"]


FAILING = """
def sign_in(password):
    raise RuntimeError("refused")
try:
    sign_in("hunter2" + "hunter3")
except RuntimeError:
    log.exception("login.failed")
"""


def test_a_traceback_shows_no_values() -> None:
    [line] = lines(FAILING)
    assert "RuntimeError: refused" in line["exception"]
    assert "hunter2hunter3" not in json.dumps(line)


def test_a_traceback_on_a_terminal_shows_no_values_either() -> None:
    ours, theirs = pty.openpty()
    subprocess.run([sys.executable, "-c", HEAD + FAILING, "info"], stderr=theirs, check=True)
    shown = os.read(ours, 65536).decode()
    os.close(theirs)
    os.close(ours)
    assert "RuntimeError: refused" in shown
    assert "hunter2hunter3" not in shown


def test_a_log_that_cannot_be_written_stops_nobody() -> None:
    program = HEAD + "log.error('lost'); log.error('lost'); print('went on')"
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run([sys.executable, "-c", program, "info"], stdout=subprocess.PIPE, stderr=full, check=True)
    assert ended.stdout == b"went on\n"
