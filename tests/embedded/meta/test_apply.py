"""Server-side apply: who owns what, what is merged, what is refused."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuartui.embedded.meta import apply, fieldset, typed
from kuartui.embedded.meta.apply import APPLY, UPDATE, Manager
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.meta.schema import Node, for_kind

MAP = for_kind("", "v1", "ConfigMap")
POD = for_kind("", "v1", "Pod")
SERVICE = for_kind("", "v1", "Service")
assert MAP is not None
assert POD is not None
assert SERVICE is not None

ANN, BOB = Manager("ann", APPLY, "v1"), Manager("bob", APPLY, "v1")
WRITER = Manager("writer", UPDATE, "v1")
EARLY, LATE = "2030-01-01T00:00:00Z", "2030-01-01T00:01:00Z"

DATA = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["1", "2"]), max_size=4)


def config_map(data: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": data}


def pod(*containers: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {"containers": list(containers)}}


def owners(obj: dict[str, Any]) -> dict[str, set[str]]:
    return {entry.manager.name: {fieldset.show(path) for path in entry.fields} for entry in apply.read(obj)}


def applied(live: dict[str, Any] | None, data: dict[str, str], who: Manager, **options: Any) -> dict[str, Any]:
    assert MAP is not None
    return apply.apply(live, config_map(data), MAP, who, EARLY, **options)


@given(DATA, DATA)
def test_the_last_word_of_the_only_manager_is_what_there_is(first: dict[str, str], second: dict[str, str]) -> None:
    once = applied(None, first, ANN)
    twice = applied(once, second, ANN)
    assert twice.get("data", {}) == second
    assert owners(twice)["ann"] == ({f".data.{key}" for key in second} or {".data"})


@given(DATA, DATA)
def test_applying_the_same_again_changes_nothing(first: dict[str, str], second: dict[str, str]) -> None:
    live = applied(applied(None, first, ANN), second, BOB, force=True)
    assert MAP is not None
    assert apply.apply(live, config_map(second), MAP, BOB, LATE) == live


@given(DATA, DATA)
def test_a_conflict_is_a_field_of_another_with_another_value(first: dict[str, str], second: dict[str, str]) -> None:
    live = applied(None, first, ANN)
    before = orjson.dumps(live)
    clashing = {key for key in first.keys() & second.keys() if first[key] != second[key]}
    if clashing:
        with pytest.raises(StatusError) as caught:
            applied(live, second, BOB)
        assert caught.value.code == 409
        assert {cause["field"] for cause in caught.value.details["causes"]} == {f".data.{key}" for key in clashing}
    else:
        assert applied(live, second, BOB).get("data", {}) == first | second
    assert orjson.dumps(live) == before


@given(DATA, DATA)
def test_force_takes_what_clashes_and_leaves_the_rest(first: dict[str, str], second: dict[str, str]) -> None:
    both = applied(applied(None, first, ANN), second, BOB, force=True)
    assert both.get("data", {}) == first | second
    lost = {f".data.{key}" for key in first.keys() & second.keys() if first[key] != second[key]}
    assert not lost & owners(both).get("ann", set())


@given(DATA, DATA, DATA)
def test_fields_of_several_stay_until_the_last_lets_go(a: dict[str, str], b: dict[str, str], c: dict[str, str]) -> None:
    live = applied(applied(None, a, ANN), b, BOB, force=True)
    after = applied(live, c, ANN, force=True)
    assert after.get("data", {}) == b | c


@given(DATA, DATA)
def test_an_update_owns_what_it_changes(first: dict[str, str], second: dict[str, str]) -> None:
    assert MAP is not None
    live = applied(None, first, ANN)
    new = config_map(second) | {"metadata": live["metadata"]}
    apply.track(live, new, MAP, WRITER, LATE)
    changed = {f".data.{key}" for key, value in second.items() if first.get(key) != value}
    assert changed <= owners(new).get("writer", set())
    assert not changed & owners(new).get("ann", set())


def written(group: str, kind: str, fields: dict[str, Any]) -> Any:
    """What a writer owns of an object that it creates."""
    node = for_kind(group, "v1", kind)
    assert node is not None
    new = {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": "x"}} | fields
    apply.track(None, new, node, WRITER, EARLY)
    return new["metadata"].get("managedFields", [{"fieldsV1": None}])[0]["fieldsV1"]


def test_nobody_owns_what_every_object_has_empty() -> None:
    assert written("", "Namespace", {"spec": {}, "status": {}}) is None
    spec = {"podSelector": {}, "policyTypes": ["Ingress"]}
    assert written("networking.k8s.io", "NetworkPolicy", {"spec": spec}) == {"f:spec": {"f:policyTypes": {}}}
    spec["podSelector"] = {"matchLabels": {"a": "b"}}
    owned = written("networking.k8s.io", "NetworkPolicy", {"spec": spec})
    assert owned == {"f:spec": {"f:podSelector": {}, "f:policyTypes": {}}}


def test_an_element_comes_with_all_that_is_in_it() -> None:
    spec = pod({"name": "c", "resources": {"limits": {"cpu": "1"}}}, {"name": "d", "resources": {}})["spec"]
    owned = written("", "Pod", {"spec": {**spec, "securityContext": {}}})["f:spec"]
    assert owned["f:securityContext"] == {}, "a pointer, which an object has not by itself"
    containers = owned["f:containers"]
    assert "." not in containers
    assert containers['k:{"name":"c"}']["f:resources"] == {".": {}, "f:limits": {".": {}, "f:cpu": {}}}
    assert containers['k:{"name":"d"}']["f:resources"] == {}


def test_a_custom_object_has_nothing_by_itself() -> None:
    inner = {"type": "object", "default": {}, "properties": {"on": {"type": "boolean"}}}
    node = Node({"type": "object", "properties": {"spec": {"type": "object", "properties": {"a": inner, "b": inner}}}})
    new = {"metadata": {"name": "x"}, "spec": {"a": {"on": True}, "b": {}}}
    apply.track(None, new, node, WRITER, EARLY)
    owned = new["metadata"]["managedFields"][0]["fieldsV1"]  # type: ignore[index]
    assert owned == {"f:spec": {".": {}, "f:a": {".": {}, "f:on": {}}, "f:b": {}}}


def test_who_empties_a_selector_owns_it_and_who_empties_a_struct_does_not() -> None:
    policies = for_kind("networking.k8s.io", "v1", "NetworkPolicy")
    assert policies is not None
    old = {"metadata": {"name": "x"}, "spec": {"podSelector": {"matchLabels": {"a": "b"}}}}
    apply.track(None, old, policies, Manager("maker", UPDATE, "networking.k8s.io/v1"), EARLY)
    new = {"metadata": old["metadata"], "spec": {"podSelector": {}}}
    apply.track(old, new, policies, WRITER, LATE)
    assert owners(new) == {"writer": {".spec.podSelector"}}
    assert POD is not None
    before = pod({"name": "c", "resources": {"limits": {"cpu": "1"}}})
    apply.track(None, before, POD, Manager("maker", UPDATE, "v1"), EARLY)
    after = {**pod({"name": "c", "resources": {}}), "metadata": before["metadata"]}
    apply.track(before, after, POD, WRITER, LATE)
    assert owners(after).keys() == {"maker"}


def test_elements_of_keyed_lists_have_owners_of_their_own() -> None:
    assert POD is not None
    live = apply.apply(None, pod({"name": "a", "image": "a:1"}), POD, ANN, EARLY)
    live = apply.apply(live, pod({"name": "b", "image": "b:1"}), POD, BOB, EARLY)
    assert [item["name"] for item in live["spec"]["containers"]] == ["a", "b"]
    live = apply.apply(live, pod(), POD, ANN, LATE)
    assert live["spec"]["containers"] == [{"name": "b", "image": "b:1"}]


def test_what_was_there_before_the_first_apply_belongs_to_somebody() -> None:
    with pytest.raises(StatusError) as caught:
        applied(config_map({"a": "1"}), {"a": "2"}, ANN)
    assert caught.value.message == (
        'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.a'
    )


def test_several_conflicts_are_listed_by_manager() -> None:
    live = applied(None, {"a": "1", "b": "1"}, ANN)
    with pytest.raises(StatusError) as caught:
        applied(live, {"a": "2", "b": "2"}, BOB)
    assert caught.value.message == 'Apply failed with 2 conflicts: conflicts with "ann":\n- .data.a\n- .data.b'


@given(st.lists(st.lists(st.sampled_from(["f:a", "f:b", 'k:{"name":"c"}', 'v:"x"']), min_size=1, max_size=4)))
def test_field_sets_survive_being_stored(paths: list[list[str]]) -> None:
    fields = frozenset(map(tuple, paths))
    assert fieldset.from_fields_v1(fieldset.to_fields_v1(fields)) == fields


# Types


@pytest.mark.parametrize(
    ("obj", "problem"),
    [
        (
            {"metadata": {"labels": {"a": 1}}},
            ".metadata.labels.a: expected string, got &value.valueUnstructured{Value:1}",
        ),
        ({"metadata": {"labels": ["a"]}}, ".metadata.labels: expected map, got &{[a]}"),
        ({"spec": {"containers": {"name": "c"}}}, ".spec.containers: expected list, got &{map[name:c]}"),
        ({"spec": {"hostNetwork": "yes"}}, ".spec.hostNetwork: expected boolean, got &{yes}"),
        (
            {"spec": {"activeDeadlineSeconds": "5"}},
            ".spec.activeDeadlineSeconds: expected numeric (int or float), got string",
        ),
        (
            {"spec": {"containers": [{"name": "c"}, {"name": "c"}]}},
            '.spec.containers: duplicate entries for key [name="c"]',
        ),
        (
            {"spec": {"containers": ["c"]}},
            ".spec.containers: element 0: associative list with keys may not have non-map elements",
        ),
        (
            {"spec": {"containers": [{"name": "c", "args": [1]}]}},
            '.spec.containers[name="c"].args[0]: expected string, got &value.valueUnstructured{Value:1}',
        ),
        (
            {"spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": []}}}]}},
            '.spec.containers[name="c"].resources.limits.cpu: expected any scalar, got &{[]}',
        ),
        ({"spec": {"containerz": []}}, ".spec.containerz: field not declared in schema"),
        ({"specs": 1}, ".specs: field not declared in schema"),
    ],
)
def test_values_of_other_types_are_told_with_their_place(obj: dict[str, Any], problem: str) -> None:
    assert POD is not None
    assert typed.problems({"apiVersion": "v1", "kind": "Pod", **obj}, POD) == [problem]


def test_keys_of_two_fields() -> None:
    assert SERVICE is not None
    ports = [{"port": 80, "name": "a"}, {"port": 80, "name": "b"}, {"port": 80, "protocol": "UDP"}]
    assert typed.problems({"spec": {"ports": ports}}, SERVICE) == [
        '.spec.ports: duplicate entries for key [port=80,protocol="TCP"]'
    ]


def test_an_element_of_a_keyed_list_needs_one_of_its_keys() -> None:
    element = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}
    listed = {
        "type": "array",
        "items": element,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["a", "b"],
    }
    node = Node({"type": "object", "properties": {"spec": listed}})
    assert typed.problems({"spec": [{"b": "1"}]}, node) == []
    assert typed.problems({"spec": [{}]}, node) == [
        '.spec: element 0: associative list with keys has an element that omits all key fields ["a" "b"] '
        "(and doesn't have default values for any key fields)"
    ]


def test_a_null_is_of_any_type() -> None:
    assert POD is not None
    assert typed.problems({"metadata": None, "spec": {"containers": None, "hostNetwork": None}}, POD) == []


def applied_by_client(data: dict[str, str]) -> dict[str, Any]:
    """What `kubectl apply` made, without --server-side."""
    assert MAP is not None
    live = config_map(data)
    live["metadata"]["annotations"] = {apply.LAST_APPLIED: orjson.dumps(config_map(data)).decode()}
    apply.track(None, live, MAP, Manager("kubectl-client-side-apply", UPDATE, "v1"), EARLY)
    return live


KUBECTL = Manager("kubectl", APPLY, "v1")


def test_kubectl_takes_over_what_it_applied_itself() -> None:
    live = applied_by_client({"x": "1"})
    with pytest.raises(StatusError, match='conflict with "kubectl-client-side-apply"'):
        applied(live, {"x": "2"}, ANN)
    taken = applied(live, {"x": "2"}, KUBECTL)
    assert taken["data"] == {"x": "2"}
    annotation = orjson.loads(taken["metadata"]["annotations"][apply.LAST_APPLIED])
    assert annotation == config_map({"x": "2"}), "so that kubectl can go back"


def test_kubectl_does_not_take_over_what_others_changed_since() -> None:
    assert MAP is not None
    live = applied_by_client({"x": "1", "y": "1"})
    changed = orjson.loads(orjson.dumps(live))
    changed["data"]["y"] = "by hand"
    apply.track(live, changed, MAP, WRITER, LATE)
    with pytest.raises(StatusError, match='failed with 1 conflict: conflict with "writer" using v1: .data.y$'):
        applied(changed, {"x": "2", "y": "2"}, KUBECTL)


def test_the_annotation_of_other_managers_is_left_alone() -> None:
    live = applied_by_client({"x": "1"})
    taken = applied(live, {"x": "2"}, ANN, force=True)
    assert taken["metadata"]["annotations"] == live["metadata"]["annotations"]


@pytest.mark.parametrize(
    ("server", "wanted", "merged"),
    [
        ("abc", "cxa", "bcxa"),  # the applied order, and b stays before c
        ("abc", "bd", "abcd"),
        ("abc", "ca", "bca"),
        ("ab", "xy", "abxy"),
        ("aab", "b", "aab"),  # what the server has twice stays
        ("aab", "ac", "acb"),  # but for what is applied
        ("", "ba", "ba"),
    ],
)
def test_keyed_lists_merge_in_the_applied_order(server: str, wanted: str, merged: str) -> None:
    def containers(names: str) -> dict[str, Any]:
        return pod(*({"name": name} for name in names))

    assert POD is not None
    found = apply.merge(containers(server), containers(wanted), POD)
    assert "".join(container["name"] for container in found["spec"]["containers"]) == merged
