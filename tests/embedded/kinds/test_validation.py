"""What Kubernetes refuses, in its words. The cases are in validation.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from kuartui.embedded.kinds.base import strategy

CASES = yaml.safe_load((Path(__file__).parent / "validation.yaml").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["kind"])
def test_errors(case: dict[str, Any]) -> None:
    given = yaml.safe_load(case["object"]) or {}
    obj: dict[str, Any] = {"metadata": {"name": "x", "namespace": "d", "uid": "u"}, **given}
    rules = strategy(case["kind"])
    rules.default(obj)
    assert [str(error) for error in rules.validate(obj)] == case["errors"]


def test_the_name_of_a_stateful_set_is_a_host_name_too() -> None:
    assert strategy("statefulsets.apps").validate_name("a.b", prefix=False) == ["must not contain dots"]
    assert not strategy("deployments.apps").validate_name("a.b", prefix=False)
