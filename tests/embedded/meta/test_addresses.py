"""Addresses and ranges, as strictly as Kubernetes 1.36 reads them."""

from __future__ import annotations

import pytest

from kuartui.embedded.meta import names


@pytest.mark.parametrize(
    ("address", "wrong"),
    [
        ("10.0.0.1", ""),
        ("2001:DB8::1", ""),
        ("10.0.0.010", "must not have leading 0s"),
        ("::ffff:10.0.0.1", "must not be an IPv4-mapped IPv6 address"),
        ("fe80::1%eth0", names.NO_ADDRESS),
        ("10.0.0", names.NO_ADDRESS),
        ("", names.NO_ADDRESS),
    ],
)
def test_addresses(address: str, wrong: str) -> None:
    assert "".join(names.ip_address(address)) == wrong


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("10.0.0.0/8", ""),
        ("0.0.0.0/0", ""),
        ("2001:DB8::/64", ""),
        ("10.0.0.5/8", "must not have bits set beyond the prefix length"),
        ("010.0.0.0/8", "must not have leading 0s in IP or prefix length"),
        ("10.0.0.0/08", "must not have leading 0s in IP or prefix length"),
        ("::ffff:10.0.0.0/104", "must not have an IPv4-mapped IPv6 address"),
        ("10.0.0.0/255.0.0.0", names.NO_CIDR),
        ("10.0.0.0/33", names.NO_CIDR),
        ("10.0.0.0", names.NO_CIDR),
    ],
)
def test_ranges(text: str, wrong: str) -> None:
    assert "".join(names.cidr(text)) == wrong


def test_a_name_that_is_an_address_has_one_form() -> None:
    assert names.canonical_ip("2001:DB8::1") == ['must be in canonical form ("2001:db8::1")']
