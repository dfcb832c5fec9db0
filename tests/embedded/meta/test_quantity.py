"""Quantities: reading, the canonical form, arithmetic."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuartui.embedded.meta import quantity
from kuartui.embedded.meta.quantity import BINARY, DECIMAL, QuantityError

TEXTS = st.builds(
    lambda sign, number, suffix: f"{sign}{number}{suffix}",
    st.sampled_from(["", "-", "+"]),
    st.one_of(
        st.integers(0, 10**12).map(str),
        st.decimals(0, 10**6, places=3).map(str),
        st.just(".5"),
        st.just("5."),
    ),
    st.sampled_from([*DECIMAL, *BINARY, "e3", "E-3", "e+6"]),
)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0", "0"),
        ("0.0", "0"),
        ("-0", "0"),
        ("1", "1"),
        ("1000m", "1"),
        ("0.5", "500m"),
        ("1500m", "1500m"),
        ("1000", "1k"),
        ("1000k", "1M"),
        ("1024", "1024"),
        ("1024Ki", "1Mi"),
        ("1.5Gi", "1536Mi"),
        ("0.5Gi", "512Mi"),
        ("1500Mi", "1500Mi"),
        ("2048Mi", "2Gi"),
        ("1e3", "1e3"),
        ("100e-3", "100e-3"),
        ("1.2345", "1234500u"),
        ("0.0000000001", "1n"),
        (".5", "500m"),
    ],
)
def test_the_canonical_form(text: str, canonical: str) -> None:
    assert quantity.canonical(text) == canonical


@pytest.mark.parametrize("text", ["", "x", "1.2.3", "1Kx", "--1", "1 Gi", "1gi", "5e", "1mi", "0x10", "٣"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(QuantityError):
        quantity.parse(text)


@given(TEXTS)
def test_the_canonical_form_says_the_same_and_stays(text: str) -> None:
    found = quantity.parse(text)
    shown = str(found)
    assert quantity.parse(shown).value == found.value
    assert quantity.canonical(shown) == shown


@given(TEXTS, TEXTS)
def test_sums_and_order_are_those_of_the_numbers(left: str, right: str) -> None:
    a, b = quantity.parse(left), quantity.parse(right)
    assert Fraction((a + b).value) == Fraction(a.value) + Fraction(b.value)
    assert (a - b) + b == a
    assert (a < b) == (a.value < b.value)
    if abs((a + b).value) < 2**63:  # where Go caps what it reads
        assert quantity.parse(str(a + b)) == a + b


@given(st.integers(-(10**12), 10**12))
def test_thousandths_round_away_from_zero(nano: int) -> None:
    found = quantity.parse(f"{nano}n")
    exact = Decimal(nano) / 10**6
    assert abs(found.milli) >= abs(exact) > abs(found.milli) - 1 or found.milli == exact
