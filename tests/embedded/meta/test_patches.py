"""JSON patch, JSON merge patch and strategic merge patch."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuartui.embedded.meta import patch_json, patch_merge, patch_strategic
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.meta.schema import definition

POD = definition("io.k8s.api.core.v1.PodSpec")
META = definition("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
DEPLOYMENT = definition("io.k8s.api.apps.v1.DeploymentSpec")

SCALARS = st.one_of(st.integers(-5, 5), st.booleans(), st.sampled_from(["", "a", "b/c", "~"]))
KEYS = st.sampled_from(["a", "b", "c/d", "e~f", ""])
DOCUMENTS = st.dictionaries(
    KEYS,
    st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)),
    max_size=4,
)
POINTERS = st.lists(st.sampled_from(["a", "b", "c~1d", "e~0f", "", "0", "1", "-", "-1", "x"]), max_size=3).map(
    lambda parts: "".join(f"/{part}" for part in parts)
)
OPERATIONS = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "spell"]), "path": POINTERS},
    optional={"from": POINTERS, "value": SCALARS | st.none() | DOCUMENTS},
)


def frozen(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


# JSON patch


@pytest.mark.parametrize(
    ("operation", "result"),
    [
        ({"op": "add", "path": "/list/1", "value": 9}, {"list": [1, 9, 2], "map": {"k": "v"}}),
        ({"op": "add", "path": "/list/-", "value": 9}, {"list": [1, 2, 9], "map": {"k": "v"}}),
        ({"op": "add", "path": "/map/k", "value": None}, {"list": [1, 2], "map": {"k": None}}),
        ({"op": "remove", "path": "/list/0"}, {"list": [2], "map": {"k": "v"}}),
        ({"op": "replace", "path": "/map", "value": 1}, {"list": [1, 2], "map": 1}),
        ({"op": "move", "from": "/map/k", "path": "/list/0"}, {"list": ["v", 1, 2], "map": {}}),
        ({"op": "copy", "from": "/list", "path": "/map/l"}, {"list": [1, 2], "map": {"k": "v", "l": [1, 2]}}),
        ({"op": "test", "path": "/list", "value": [1, 2]}, {"list": [1, 2], "map": {"k": "v"}}),
    ],
)
def test_each_operation(operation: dict[str, Any], result: dict[str, Any]) -> None:
    assert patch_json.apply({"list": [1, 2], "map": {"k": "v"}}, [operation]) == result


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/map/x"},
        {"op": "add", "path": "/x/y", "value": 1},
        {"op": "add", "path": "/list/7", "value": 1},
        {"op": "replace", "path": "/list/2", "value": 1},
        {"op": "test", "path": "/list/0", "value": True},
        {"op": "copy", "from": "/x", "path": "/y"},
        {"op": "spell", "path": "/list"},
        {"path": "/list"},
        {"op": "add", "path": "list", "value": 1},
    ],
)
def test_what_does_not_fit_is_unprocessable(operation: dict[str, Any]) -> None:
    with pytest.raises(StatusError) as caught:
        patch_json.apply({"list": [1, 2], "map": {"k": "v"}}, [operation])
    assert (caught.value.code, caught.value.reason) == (422, "Invalid")


@given(DOCUMENTS, st.lists(OPERATIONS, max_size=4))
def test_any_operations_patch_or_are_refused_and_leave_the_document_alone(
    document: dict[str, Any], operations: list[dict[str, Any]]
) -> None:
    before = frozen(document)
    try:
        patch_json.apply(document, operations)
    except StatusError as error:
        code = error.code
    else:
        code = 200
    assert code in (200, 422)
    assert frozen(document) == before


@given(DOCUMENTS, KEYS, SCALARS)
def test_what_is_added_can_be_tested_and_removed(document: dict[str, Any], key: str, value: Any) -> None:
    path = "/" + key.replace("~", "~0").replace("/", "~1")
    document.pop(key, None)
    operations = [
        {"op": "add", "path": path, "value": value},
        {"op": "test", "path": path, "value": value},
        {"op": "remove", "path": path},
    ]
    assert patch_json.apply(document, operations) == document


# Merge patch


def merge_patch_between(old: Any, new: Any) -> Any:
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    changed = {key: merge_patch_between(old.get(key), value) for key, value in new.items() if old.get(key) != value}
    return changed | {key: None for key in old if key not in new}


@given(DOCUMENTS, DOCUMENTS)
def test_a_merge_patch_can_make_any_document_of_any_other(old: dict[str, Any], new: dict[str, Any]) -> None:
    before = frozen(old)
    patch = merge_patch_between(old, new)
    assert patch_merge.apply(old, patch) == new
    assert patch_merge.apply(new, patch) == new
    assert frozen(old) == before


# Strategic merge patch


def containers(*names: str) -> dict[str, Any]:
    return {"containers": [{"name": name, "image": f"{name}:1"} for name in names]}


def names_after(old: dict[str, Any], patch: dict[str, Any]) -> str:
    return "".join(item["name"] for item in patch_strategic.apply(old, patch, POD)["containers"])


@pytest.mark.parametrize(
    ("patch", "order"),
    [
        (["x"], "xabc"),  # the new ones before those that only the server knows
        (["b", "x"], "abxc"),
        (["x", "b"], "xabc"),
        (["c", "a"], "bca"),  # those of the patch in its order
        (["c", "x", "a"], "bcxa"),
        ([{"name": "b", "$patch": "delete"}], "ac"),
        ([{"name": "b", "$patch": "delete"}, "x"], "xac"),
        ([{"$patch": "replace"}, "x"], "x"),
        ([{"name": "z", "$patch": "delete"}], "abc"),
    ],
)
def test_lists_merge_by_key_in_the_order_of_the_patch(patch: list[Any], order: str) -> None:
    change = [{"name": item, "tty": True} if isinstance(item, str) else item for item in patch]
    assert names_after(containers("a", "b", "c"), {"containers": change}) == order


@pytest.mark.parametrize(
    ("order", "change", "result"),
    [
        ("cab", "", "cab"),
        ("ca", "", "bca"),
        ("abcx", "x", "abcx"),
        ("xcba", "x", "xcba"),
        ("ax", "x", "axbc"),
    ],
)
def test_the_order_can_be_set(order: str, change: str, result: str) -> None:
    patch: dict[str, Any] = {"$setElementOrder/containers": [{"name": name} for name in order]}
    if change:
        patch |= containers(*change)
    assert names_after(containers("a", "b", "c"), patch) == result


def test_an_element_keeps_what_the_patch_does_not_name() -> None:
    old = {"containers": [{"name": "a", "image": "a:1", "env": [{"name": "X", "value": "1"}], "tty": True}]}
    patch = {"containers": [{"name": "a", "env": [{"name": "Y", "value": "2"}], "tty": None}]}
    (found,) = patch_strategic.apply(old, patch, POD)["containers"]
    assert found == {
        "name": "a",
        "image": "a:1",
        "env": [{"name": "Y", "value": "2"}, {"name": "X", "value": "1"}],
    }


def test_lists_of_scalars_become_unions_and_can_lose_elements() -> None:
    old = {"finalizers": ["a/x", "b/x"]}
    assert patch_strategic.apply(old, {"finalizers": ["b/x", "c/x"]}, META)["finalizers"] == ["a/x", "b/x", "c/x"]
    patch = {"$deleteFromPrimitiveList/finalizers": ["a/x"]}
    assert patch_strategic.apply(old, patch, META)["finalizers"] == ["b/x"]


def test_a_list_that_is_not_there_is_taken_as_it_is() -> None:
    assert patch_strategic.apply({}, {"containers": [{"image": "x"}]}, POD) == {"containers": [{"image": "x"}]}


def test_retained_keys_drop_the_others() -> None:
    old = {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}
    patch = {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}
    assert patch_strategic.apply(old, patch, DEPLOYMENT) == {"strategy": {"type": "Recreate"}}


@pytest.mark.parametrize(
    ("patch", "code", "message"),
    [
        ({"containers": [{"image": "x"}]}, 500, "map: map[image:x] does not contain declared merge key: name"),
        ({"$patch": "x"}, 500, "unknown patch type: x in map: map[$patch:x]"),
        (
            {"containers": [{"name": "a", "$patch": "x"}]},
            500,
            "unknown patch type: x in map: map[$patch:x name:a]",
        ),
        (
            {"containers": [{"name": "a", "$patch": "merge"}]},
            500,
            "merging lists cannot yet be specified in the patch",
        ),
        ({"$retainKeys": "x"}, 400, "invalid patch format of retainKeys"),
        ({"$retainKeys": ["x"], "y": 1}, 400, "invalid patch format of retainKeys"),
        ({"$deleteFromPrimitiveList/x": 1}, 400, "invalid patch format of primitive list"),
        (
            {"$setElementOrder/containers": [{"name": "a"}], "containers": [{"name": "b"}]},
            500,
            "The order in patch list:\n[map[name:b]]\n doesn't match $setElementOrder list:\n[map[name:a]]\n",
        ),
        (
            {"containers": ["x"]},
            500,
            "list element types are not identical: [[map[image:a:1 name:a]] [x]]",
        ),
    ],
)
def test_a_patch_that_makes_no_sense(patch: dict[str, Any], code: int, message: str) -> None:
    with pytest.raises(StatusError) as caught:
        patch_strategic.apply(containers("a"), patch, POD)
    assert (caught.value.code, caught.value.message) == (code, message)


ELEMENTS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from("abcd")},
        optional={"image": st.sampled_from(["x", "y"]), "tty": st.booleans(), "$patch": st.just("delete")},
    ),
    max_size=4,
    unique_by=lambda item: item["name"],
)


@given(st.lists(st.sampled_from("abcd"), unique=True), ELEMENTS)
def test_patching_twice_changes_nothing_more(have: list[str], change: list[dict[str, Any]]) -> None:
    old = containers(*have)
    before = frozen(old)
    once = patch_strategic.apply(old, {"containers": change}, POD)
    assert patch_strategic.apply(once, {"containers": change}, POD) == once
    assert frozen(old) == before
    gone = {item["name"] for item in change if "$patch" in item}
    named = [item["name"] for item in once["containers"]]
    assert sorted(named) == sorted({*have, *(item["name"] for item in change)} - gone)
    kept = [name for name in have if name not in {item["name"] for item in change}]
    assert [name for name in named if name in kept] == kept
