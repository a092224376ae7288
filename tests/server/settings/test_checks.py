from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiron.server.settings import checks


@pytest.mark.parametrize(
    ("check", "right"),
    [
        (checks.address, "127.0.0.1:8080"),
        (checks.address, "[::1]:0"),
        (checks.address, "proxy-1.internal:80"),
        (checks.host, ""),
        (checks.host, "::"),
        (checks.loopback_address, "127.0.0.53:9464"),
        (checks.loopback_address, "[::1]:9464"),
        (checks.loopback_address, "localhost:1"),
        (checks.network, "10.0.0.0/8"),
        (checks.network, "2001:db8::/32"),
        (checks.network, "192.0.2.7"),
        (checks.origin, "https://mentors.example.org"),
        (checks.origin, "http://localhost:5173"),
        (checks.origin, "https://[2001:db8::1]:8443"),
        (checks.smtp, "smtp://mail.example.org"),
        (checks.smtp, "smtps://ada:p%40ss@mail.example.org:465"),
        (checks.postgresql, "postgresql://u:p@h:5432/d?sslmode=require"),
        (checks.postgresql, "postgresql:///d?host=/run/postgresql"),
        (checks.sender, "Chiron <chiron@example.org>"),
    ],
)
def test_what_is_right_passes(check: Callable[[str], None], right: str) -> None:
    check(right)


@pytest.mark.parametrize(
    ("check", "wrong", "advice"),
    [
        (checks.address, "8080", "write HOST:PORT"),
        (checks.address, "a b:80", "names no host"),
        (checks.address, "10.0.0.256:80", "names no host"),
        (checks.host, "https://x", "names no host"),
        (checks.loopback_address, "0.0.0.0:9464", "write 127.0.0.1:PORT"),
        (checks.loopback_address, "metrics.example.org:9464", "write 127.0.0.1:PORT"),
        (checks.network, "10.0.0.1/8", r"did you mean 10\.0\.0\.0/8\?"),
        (checks.network, "10.0.0.0/33", "write CIDR"),
        (checks.origin, "mentors.example.org", "write https://HOST"),
        (checks.origin, "https://mentors.example.org/", "without anything behind"),
        (checks.origin, "https://ada@example.org", "write https://HOST"),
        (checks.origin, "https://Example.org", "write https://example.org"),
        (checks.origin, "https://example.org:443", "leave the port out"),
        (checks.origin, "https://example.org:99999", "write https://HOST"),
        (checks.origin, "*", "write https://HOST"),
        (checks.smtp, "mail.example.org:25", "write smtp://"),
        (checks.smtp, "smtp://h/path", "write smtp://"),
        (checks.postgresql, "mysql://u:p@h/d", "write postgresql://"),
        (checks.postgresql, "postgresql://h/d\nx", "write postgresql://"),
        (checks.sender, "nobody", "no sender"),
    ],
)
def test_what_is_wrong_is_told_what_would_be_right(check: Callable[[str], None], wrong: str, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        check(wrong)


@given(st.sampled_from([checks.smtp, checks.postgresql]), st.text("abc:/@?#[]%\\ \n=&", max_size=30))
def test_a_complaint_about_an_address_with_a_password_does_not_quote_it(
    check: Callable[[str], None], rest: str
) -> None:
    with pytest.raises(ValueError) as refused:
        check(f"smtpp://ada:hunter2@{rest}")
    assert "hunter2" not in str(refused.value)


@given(st.text(max_size=60))
def test_a_check_passes_or_raises_value_error_whatever_it_is_asked(text: str) -> None:
    for check in (checks.address, checks.host, checks.loopback_address, checks.network, checks.origin, checks.smtp):
        with contextlib.suppress(ValueError):
            check(text)
    checks.hide_password(text)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://ada:hunter2@h:5432/d", "postgresql://ada:***@h:5432/d"),
        ("postgresql://ada:a:b@c@h/d", "postgresql://ada:***@h/d"),
        ("postgresql://h/d?user=ada&password=hunter2", "postgresql://h/d?user=ada&password=***"),
        ("postgresql://ada@h/d", "postgresql://ada@h/d"),
        ("smtps://ada:hunter2@[2001:db8::1]", "smtps://ada:***@[2001:db8::1]"),
        ("hunter2", "***"),
        ("smtp://ada:hunter2@[h", "***"),
    ],
)
def test_passwords_are_masked(address: str, shown: str) -> None:
    assert checks.hide_password(address) == shown
    assert checks.holds_password(address) == ("***" in shown)
