"""Whatever a writer sends that fits the schema, a strategy answers with errors, never with a crash."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from kuartui.embedded.kinds.base import WriteContext, strategy
from kuartui.embedded.kinds.index import MODULES
from kuartui.embedded.meta import zeros
from kuartui.embedded.meta.errors import StatusError
from tests.embedded.anything import anything, definition

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("resource", MODULES)
def test_no_object_breaks_a_strategy(resource: str) -> None:
    api_version, kind, schema = definition(resource)
    rules = strategy(resource)
    for seed in range(25):
        dice = random.Random(f"{resource}/{seed}")

        def made(dice: random.Random = dice) -> dict[str, Any]:
            obj = anything(schema, dice)
            obj |= {"apiVersion": api_version, "kind": kind}
            obj["metadata"] = {"name": "x", "namespace": "d", "uid": "u", "creationTimestamp": "2030-01-01T00:00:00Z"}
            if dice.random() < 0.3:
                obj["metadata"]["annotations"] = {"kubernetes.io/ingress.class": "x"}
            rules.default(obj)
            zeros.fill(obj)
            return obj

        old, new, ctx = made(), made(), WriteContext(user="u", now=NOW)
        for step in (
            lambda new=new, ctx=ctx: rules.prepare_create(new, ctx),
            lambda new=new, old=old, ctx=ctx: rules.prepare_update(new, old, ctx),
            lambda new=new, old=old, ctx=ctx: rules.prepare_status_update(new, old, ctx),
        ):
            try:
                step()
            except StatusError:  # a wanted port or address is not to be had
                pass
            rules.default(new)
            zeros.fill(new)
        for error in [*rules.validate(new), *rules.validate_update(new, old), *rules.validate_status_update(new, old)]:
            assert str(error)
        rules.warnings(new, None)
        rules.warnings(new, old)
        rules.fields(new)
        rules.grace_period(new, None)
        rules.canonicalize(new)
        orjson.dumps(rules.row(new, NOW))
