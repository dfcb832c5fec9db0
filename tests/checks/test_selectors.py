"""Selectors are read as Kubernetes reads them."""

from __future__ import annotations

import pytest

from kuartui.game.selectors import field_selector, label_selector

LABELS = {"app": "web", "tier": "frontend"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("app=web", True),
        ("app==web,tier=frontend", True),
        ("app = web , tier = frontend", True),
        ("app=web,tier=admin", False),
        ("app!=web", False),
        ("zone!=a", True),
        ("app in (web, api)", True),
        ("app notin (web)", False),
        ("zone notin (a,b)", True),
        ("tier", True),
        ("zone", False),
        ("!zone", True),
        ("!app", False),
        ("app in (web),!zone,tier=frontend", True),
        ("", True),
    ],
)
def test_label_selectors(text: str, found: bool) -> None:
    assert label_selector(text)(LABELS) is found


def test_field_selectors() -> None:
    pod = {"metadata": {"name": "a"}, "status": {"phase": "Running"}}
    assert field_selector("metadata.name=a,status.phase!=Failed")(pod)
    assert not field_selector("spec.nodeName=x")(pod)
    assert field_selector("spec.nodeName!=x")(pod)
    with pytest.raises(ValueError, match="not a field selector"):
        field_selector("nonsense")
