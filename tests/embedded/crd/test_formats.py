"""What texts of each format are like."""

from __future__ import annotations

import pytest

from kuartui.embedded.crd.formats import FORMATS, fits


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        ("date-time", "2026-01-01T00:00:00Z", "yesterday"),
        ("date", "2026-02-28", "2026-13-01"),
        ("duration", "1h30m", "soon"),
        ("duration", "3 days", "3 fortnights"),
        ("email", "a@example.com", "a.example.com"),
        ("hostname", "shop.example.com", "-shop"),
        ("ipv4", "10.0.0.1", "10.0.0"),
        ("ipv6", "fe80::1", "10.0.0.1"),
        ("cidr", "10.0.0.0/8", "10.0.0.0"),
        ("uri", "https://example.com/x", "example"),
        ("uri", "/x", ""),
        ("uuid", "0d7f3cd1-59e3-4c3e-9f0e-4c1a4b1b2f6a", "0d7f"),
        ("uuid4", "0d7f3cd1-59e3-4c3e-9f0e-4c1a4b1b2f6a", "0d7f3cd1-59e3-1c3e-9f0e-4c1a4b1b2f6a"),
        ("byte", "aGk=", "hi!"),
        ("mac", "00:1a:2b:3c:4d:5e", "00:1a"),
        ("isbn", "978-0321751041", "978-0321751042"),
        ("isbn10", "0321751043", "978-0321751041"),
        ("creditcard", "4111 1111 1111 1111", "4111 1111 1111 1112"),
        ("hexcolor", "#ffcc00", "#ffcc0"),
        ("quantity", "10Gi", "ten"),
        ("k8s-short-name", "web-1", "Web"),
        ("k8s-long-name", "web.example.com", "web..com"),
    ],
)
def test_formats(form: str, good: str, bad: str) -> None:
    assert form.replace("-", "") in FORMATS
    assert fits(form, good)
    assert not fits(form, bad)


def test_unknown_formats_take_everything() -> None:
    assert fits("colour", "loud")
