"""Label selectors: the text, the object, and what they choose."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuartui.embedded.meta import labels
from kuartui.embedded.meta.labels import Requirement, Selector, SelectorError

KEYS = st.sampled_from(["app", "tier", "in", "notin", "example.com/role", "n"])
VALUES = st.sampled_from(["", "web", "db", "in", "notin", "7", "40", "a_b.c"])
SETS = st.lists(VALUES, min_size=1, max_size=3, unique=True).map(lambda found: tuple(sorted(found)))
REQUIREMENTS = st.one_of(
    st.builds(Requirement, KEYS, st.sampled_from(["=", "!="]), VALUES.map(lambda value: (value,))),
    st.builds(Requirement, KEYS, st.sampled_from(["in", "notin"]), SETS),
    st.builds(Requirement, KEYS, st.sampled_from(["exists", "!"])),
    st.builds(Requirement, KEYS, st.sampled_from(["gt", "lt"]), st.sampled_from([("7",), ("40",)])),
)
SELECTORS = st.lists(REQUIREMENTS, max_size=4).map(lambda found: Selector(tuple(sorted(found, key=lambda r: r.key))))
LABELS = st.dictionaries(KEYS, VALUES, max_size=4)


@given(SELECTORS)
def test_what_is_printed_is_read_back(selector: Selector) -> None:
    assert labels.parse(str(selector)) == selector


@given(SELECTORS, LABELS)
def test_all_requirements_must_hold(selector: Selector, given_labels: dict[str, str]) -> None:
    assert selector.matches(given_labels) == all(
        Selector((requirement,)).matches(given_labels) for requirement in selector.requirements
    )


@given(KEYS, SETS, LABELS)
def test_operators_come_in_opposites(key: str, values: tuple[str, ...], given_labels: dict[str, str]) -> None:
    for one, other in (("in", "notin"), ("exists", "!")):
        wanted = values if one == "in" else ()
        assert Requirement(key, one, wanted).matches(given_labels) != Requirement(key, other, wanted).matches(
            given_labels
        )


@given(st.text(alphabet="ab=!(),<> in\tnot/", max_size=20))
def test_any_text_is_a_selector_or_an_error(text: str) -> None:
    with suppress(SelectorError):
        found = labels.parse(text)
        assert labels.parse(str(found)) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("app in web", "unable to parse requirement: found 'web' expected: '('"),
        ("app in (web", "unable to parse requirement: found '', expected: ',' or ')'"),
        (",", "found ',', expected: !, identifier, or 'end of string'"),
        ("a=b,", "found '', expected: identifier after ','"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
    ],
)
def test_the_server_says_what_it_expected(text: str, message: str) -> None:
    with pytest.raises(SelectorError) as caught:
        labels.parse(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        (None, False),
        ({}, True),
        ({"matchLabels": {"app": "web"}}, True),
        ({"matchLabels": {"app": "db"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "db"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["x"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, True),
        ({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
    ],
)
def test_selectors_in_objects(selector: dict[str, Any] | None, chosen: bool) -> None:
    assert labels.from_object(selector).matches({"app": "web"}) is chosen
