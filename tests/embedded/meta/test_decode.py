"""Decoding: what does not fit its type is told as Go tells it."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kuartui.embedded.meta import decode
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.meta.schema import for_kind
from tests.embedded.anything import anything, definition

DEPLOYMENT = for_kind("apps", "v1", "Deployment")
assert DEPLOYMENT is not None


def spec(**fields: Any) -> dict[str, Any]:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "spec": fields}


def container(**fields: Any) -> dict[str, Any]:
    return spec(template={"spec": {"containers": [fields]}})


@pytest.mark.parametrize(
    ("obj", "message"),
    [
        (
            spec(replicas="x"),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            spec(replicas=1.5),
            "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            spec(replicas=2**31),
            "json: cannot unmarshal number 2147483648 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            spec(paused="yes"),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.paused of type bool",
        ),
        (
            container(image=True),
            "json: cannot unmarshal bool into Go struct field Container.spec.template.spec.containers.image of type string",
        ),
        (
            container(args="x"),
            "json: cannot unmarshal string into Go struct field Container.spec.template.spec.containers.args of type []string",
        ),
        (
            container(env=[{"name": "A", "value": 1}]),
            "json: cannot unmarshal number into Go struct field EnvVar.spec.template.spec.containers.env.value of type string",
        ),
        (  # a struct's own problem is one of the struct that it stands in
            container(ports=[80]),
            "json: cannot unmarshal number into Go struct field Container.spec.template.spec.containers.ports "
            "of type v1.ContainerPort",
        ),
        (
            spec(strategy="Recreate"),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.strategy "
            "of type v1.DeploymentStrategy",
        ),
        (
            spec(strategy={"type": 5}),
            "json: cannot unmarshal number into Go struct field DeploymentStrategy.spec.strategy.type "
            "of type v1.DeploymentStrategyType",
        ),
        (
            container(securityContext={"capabilities": {"add": "NET_ADMIN"}}),
            "json: cannot unmarshal string into Go struct field "
            "Capabilities.spec.template.spec.containers.securityContext.capabilities.add of type []v1.Capability",
        ),
        (
            container(resources={"limits": ["cpu"]}),
            "json: cannot unmarshal array into Go struct field "
            "ResourceRequirements.spec.template.spec.containers.resources.limits of type v1.ResourceList",
        ),
        (
            spec(strategy={"rollingUpdate": {"maxSurge": True}}),
            "json: cannot unmarshal bool into Go value of type int32",
        ),
        (
            spec(strategy={"rollingUpdate": {"maxSurge": 2.5}}),
            "json: cannot unmarshal number 2.5 into Go value of type int32",
        ),
        (
            container(resources={"limits": {"cpu": "x"}}),
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
    ],
)
def test_what_does_not_fit(obj: dict[str, Any], message: str) -> None:
    assert DEPLOYMENT is not None
    with pytest.raises(decode.DecodeError) as caught:
        decode.Decoder().decode(obj, DEPLOYMENT, "Deployment")
    assert str(caught.value) == message


def test_null_as_the_value_of_a_key_is_the_zero_of_its_type() -> None:
    assert DEPLOYMENT is not None
    obj = container(resources={"limits": {"cpu": None}}, args=[None])
    obj["metadata"] = {"labels": {"a": None}}
    decoded = decode.Decoder().decode(obj, DEPLOYMENT, "Deployment")
    inside = decoded["spec"]["template"]["spec"]["containers"][0]
    assert (inside["resources"]["limits"], inside["args"]) == ({"cpu": "0"}, [""])
    assert decoded["metadata"]["labels"] == {"a": ""}


def test_a_resource_list_keeps_nothing_finer_than_thousandths() -> None:
    assert DEPLOYMENT is not None
    limits = {"cpu": "100u", "memory": 1.0001, "ephemeral-storage": "1Gi"}
    obj = container(resources={"limits": limits})
    decoded = decode.Decoder().decode(obj, DEPLOYMENT, "Deployment")
    inside = decoded["spec"]["template"]["spec"]["containers"][0]
    assert inside["resources"]["limits"] == {"cpu": "1m", "memory": "1001m", "ephemeral-storage": "1Gi"}
    node = for_kind("resource.k8s.io", "v1", "ResourceClaim")
    assert node is not None
    capacity = {"requests": {"memory": "100u"}}
    claim = {"spec": {"devices": {"requests": [{"name": "a", "exactly": {"capacity": capacity}}]}}}
    decoded = decode.Decoder().decode(claim, node, "ResourceClaim")
    assert decoded["spec"]["devices"]["requests"][0]["exactly"]["capacity"] == capacity


def test_unknown_fields_are_collected_with_their_place() -> None:
    assert DEPLOYMENT is not None
    decoder = decode.Decoder()
    obj = container(name="c", imagee="x", env=[{"name": "A"}, {"name": "B", "vallue": "x"}])
    decoded = decoder.decode(obj | {"stat": {}}, DEPLOYMENT, "Deployment")
    inside = "spec.template.spec.containers[0]"
    assert sorted(decoder.unknown) == [f"{inside}.env[1].vallue", f"{inside}.imagee", "stat"]
    assert decoded["spec"]["template"]["spec"]["containers"] == [{"name": "c", "env": [{"name": "A"}, {"name": "B"}]}]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"a":1,"a":2}', ["a"]),
        (b'{"a":{"b":1,"b":1},"c":[{"d":1},{"d":1,"d":2}]}', ["a.b", "c[1].d"]),
        (b'{"a":1,"b":1}', []),
        (b'{"a\\":":1,"b" :"\\"a\\":","b":2}', ["b"]),
        (b'{"a":"\\":","a":"\\":"}', ["a"]),
        (b"{", []),
        (b'{"a":1,"\\u0061":2}', ["a"]),
    ],
)
def test_keys_that_come_twice(body: bytes, found: list[str]) -> None:
    problems = decode.strict_problems(body, [], apart=False)
    assert problems == [f'duplicate field "{path}"' for path in found]


def test_strict_problems_come_in_the_order_of_the_text() -> None:
    body = b'{"spec":{"x":{"y":1,"y":2},"replicas":2,"replicas":3,"z":1}}'
    unknown = ["spec.x", "spec.z"]
    duplicate, first, last = (f'{what} field "spec.{name}"' for what, name in
                              (("duplicate", "replicas"), ("unknown", "x"), ("unknown", "z")))  # fmt: skip
    assert decode.strict_problems(body, unknown, apart=False) == [first, duplicate, last]
    inside = 'duplicate field "spec.x.y"'
    assert decode.strict_problems(body, unknown, apart=True) == [inside, duplicate, first, last]


def test_keys_that_come_twice_in_yaml_are_told_with_their_lines() -> None:
    value, problems = decode.parse_yaml_strictly(b"\na: 1\nb:\n- {c: 1, c: 2}\na: 3\n")
    assert value == {"a": 3, "b": [{"c": 2}]}
    lines = '  line 4: key "c" already set in map\n  line 5: key "a" already set in map'
    assert problems == f"yaml: unmarshal errors:\n{lines}"
    assert decode.parse_yaml_strictly(b"x: &x {a: 1}\ny: {<<: *x, a: 2}")[1] == ""


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("ab0. ", max_size=3),
    lambda inside: st.lists(inside, max_size=2) | st.dictionaries(st.text("ab", max_size=2), inside, max_size=2),
    max_leaves=4,
)
KINDS = ("pods", "services", "deployments.apps", "cronjobs.batch", "networkpolicies.networking.k8s.io")


def somewhere(value: Any, choose: random.Random, new: Any) -> Any:
    """The value with something in it replaced."""
    if isinstance(value, dict) and value and choose.random() < 0.9:
        key = choose.choice(sorted(value))
        return {**value, key: somewhere(value[key], choose, new)}
    if isinstance(value, list) and value and choose.random() < 0.9:
        at = choose.randrange(len(value))
        return [somewhere(item, choose, new) if at == index else item for index, item in enumerate(value)]
    return new


@settings(max_examples=300)
@given(st.sampled_from(KINDS), st.integers(0, 10_000), JSON)
def test_what_is_decoded_needs_no_decoding_again(resource: str, seed: int, wrong: Any) -> None:
    api_version, kind, schema = definition(resource)
    group, _, version = api_version.rpartition("/")
    node = for_kind(group, version, kind)
    assert node is not None
    choose = random.Random(seed)
    obj = somewhere(anything(schema, choose), choose, wrong)
    if not isinstance(obj, dict):
        return
    before = orjson.dumps(obj)
    decoded = None
    with contextlib.suppress(decode.DecodeError):
        decoded = decode.Decoder().decode(obj, node, kind)
    assert orjson.dumps(obj) == before, "what was given is left alone"
    if decoded is None:
        return
    again = decode.Decoder()
    assert again.decode(decoded, node, kind) == decoded
    assert again.unknown == []


@given(JSON)
def test_any_json_is_read_as_it_was_written(value: Any) -> None:
    assert decode.parse_json(orjson.dumps(value)) == value
    assert decode.strict_problems(orjson.dumps(value), [], apart=False) == []


@given(st.binary(max_size=20) | st.text("{}[]:,\"'-&*!|>#% \nab0", max_size=12).map(str.encode))
def test_any_bytes_are_an_object_or_a_bad_request(body: bytes) -> None:
    for parse in (decode.parse_json, decode.parse_yaml):
        code = 400
        try:
            parse(body)
        except StatusError as error:
            code = error.code
        assert code == 400


LEASE = for_kind("coordination.k8s.io", "v1", "Lease")


def acquired(text: str) -> str:
    assert LEASE is not None
    read = decode.Decoder().decode({"spec": {"acquireTime": text}}, LEASE, "Lease")
    return str(read["spec"]["acquireTime"])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2030-01-01T00:00:00Z", 'cannot parse "Z" as ".000000"'),
        ("2030-01-01T00:00:00.123Z", 'cannot parse ".123Z" as ".000000"'),
        ("2030-01-01T00:00:00.123456789Z", 'cannot parse "789Z" as "Z07:00"'),
        ("soon", 'cannot parse "soon" as "2006"'),
    ],
)
def test_a_moment_to_the_microsecond_has_six_digits(text: str, why: str) -> None:
    with pytest.raises(decode.DecodeError) as caught:
        acquired(text)
    assert str(caught.value) == f'parsing time "{text}" as "2006-01-02T15:04:05.000000Z07:00": {why}'


def test_times_are_kept_as_kubernetes_writes_them() -> None:
    assert acquired("2030-01-01T02:00:00.000001+02:00") == "2030-01-01T00:00:00.000001Z"
    assert DEPLOYMENT is not None
    body = {"metadata": {"creationTimestamp": "2030-01-01T02:00:00.5+02:00"}}
    read = decode.Decoder().decode(body, DEPLOYMENT, "Deployment")
    assert read["metadata"]["creationTimestamp"] == "2030-01-01T00:00:00Z"
