"""What of an address counts."""

from __future__ import annotations

import pytest

from chiron.server.platform.addresses import is_local, is_local_authority, is_loopback, network


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::1", "2001:db8:1:2::"),
        ("2001:db8:1:3::1", "2001:db8:1:3::"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
    ],
)
def test_an_ipv4_address_counts_as_itself_and_an_ipv6_address_as_its_64(address: str, counted: str) -> None:
    assert network(address) == counted


@pytest.mark.parametrize(
    ("host", "address", "local"),
    [
        ("127.0.0.1", True, True),
        ("127.9.9.9", True, True),
        ("::1", True, True),
        ("::ffff:127.0.0.1", True, True),
        ("localhost", False, True),
        ("localhost.example", False, False),
        ("127.0.0.1%eth0", False, False),
        ("128.0.0.1", False, False),
        ("::", False, False),
        ("", False, False),
    ],
)
def test_of_this_machine_alone_are_loopback_addresses_and_one_name(host: str, address: bool, local: bool) -> None:
    assert (is_loopback(host), is_local(host)) == (address, local)


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("localhost", True),
        ("LocalHost:8080", True),
        ("127.0.0.1:8080", True),
        ("[::1]:8443", True),
        ("::1", False),
        ("127.0.0.999", False),
        ("127.0.0.1.example.org", False),
        ("localhost:8080:1", False),
        ("localhost\n", False),
        ("", False),
    ],
)
def test_a_host_field_names_this_machine_or_may_name_another(text: str, local: bool) -> None:
    assert is_local_authority(text) is local
