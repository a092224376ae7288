"""What of an address counts."""

from __future__ import annotations

import pytest

from chiron.server.platform.addresses import network


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
