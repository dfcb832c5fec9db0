"""Decoding: what does not fit its type is told as Go tells it."""

from __future__ import annotations

from typing import Any

import pytest

from kuartui.embedded.meta import decode
from kuartui.embedded.meta.schema import for_kind

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
    assert decode.duplicates(body) == found
