"""How messages show an object that a patch has spoilt."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.meta import patched
from kuartui.embedded.meta.schema import for_kind

POD = for_kind("", "v1", "Pod")


def shown(obj: dict[str, Any], patch: Any) -> str:
    assert POD is not None
    return patched.show(obj, patch, POD)


METADATA = {"labels": {"b": "1", "a": "<"}, "uid": "u", "name": "n"}
SPEC = {"restartPolicy": "Always", "containers": [{"image": "x", "name": "c"}]}


def test_fields_stand_in_the_order_of_their_structs() -> None:
    assert shown({"spec": SPEC, "metadata": METADATA, "kind": "Pod"}, {}) == (
        '{"kind":"Pod","metadata":{"name":"n","uid":"u","labels":{"a":"\\u003c","b":"1"}},'
        '"spec":{"containers":[{"name":"c","image":"x"}],"restartPolicy":"Always"}}'
    )


def test_what_the_patch_walks_through_is_sorted() -> None:
    assert shown({"metadata": METADATA}, {"metadata": {"labels": {"b": "1"}}}) == (
        '{"metadata":{"labels":{"a":"\\u003c","b":"1"},"name":"n","uid":"u"}}'
    )
    operation = {"op": "add", "path": "/spec/containers/0/tty", "value": 1}
    assert shown({"spec": SPEC}, [operation]) == (
        '{"spec":{"containers":[{"image":"x","name":"c"}],"restartPolicy":"Always"}}'
    )
