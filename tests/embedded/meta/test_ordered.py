"""JSON in the order of Kubernetes' types."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from kuartui.embedded import data
from kuartui.embedded.api import negotiate
from kuartui.embedded.api.request import JSON, Request, Response, parse_info
from kuartui.embedded.meta.ordered import _AFTER, _fields, _plan, encoded
from tests.embedded.anything import anything

POD: dict[str, Any] = {
    "metadata": {"labels": {"b": "1", "a": "2"}, "uid": "u", "name": "p"},
    "status": {"conditions": [{"status": "True", "observedGeneration": 1, "type": "Ready"}], "phase": "Running"},
    "spec": {
        "nodeName": "n",
        "containers": [
            {"env": [], "image": "i", "envFrom": [], "name": "c", "livenessProbe": {"periodSeconds": 1, "exec": {}}}
        ],
        "volumes": [{"emptyDir": {}, "name": "v"}],
        "initContainers": [],
    },
    "apiVersion": "v1",
    "kind": "Pod",
}


def keys(value: Any) -> Any:
    """Names of fields in their order, as deep as objects go."""
    if isinstance(value, list):
        return [keys(one) for one in value]
    return [(name, keys(inner)) if isinstance(inner, dict | list) else name for name, inner in value.items()]


def test_fields_stand_as_in_the_types() -> None:
    made = orjson.loads(encoded(POD))
    assert made == POD
    assert list(made) == ["kind", "apiVersion", "metadata", "spec", "status"]
    assert keys(made["metadata"]) == ["name", "uid", ("labels", ["a", "b"])]
    assert list(made["spec"]) == ["volumes", "initContainers", "containers", "nodeName"]
    assert list(made["spec"]["volumes"][0]) == ["name", "emptyDir"]
    assert list(made["spec"]["containers"][0]) == ["name", "image", "envFrom", "env", "livenessProbe"]
    assert list(made["spec"]["containers"][0]["livenessProbe"]) == ["exec", "periodSeconds"]
    assert list(made["status"]["conditions"][0]) == ["type", "observedGeneration", "status"]


def test_lists_and_custom_objects() -> None:
    items = [{name: POD[name] for name in ("status", "spec", "metadata")}]
    made = orjson.loads(encoded({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}))
    assert list(made["items"][0]) == ["metadata", "spec", "status"]
    custom = {
        "kind": "K",
        "apiVersion": "e.com/v1",
        "spec": {"b": 1, "a": 2},
        "metadata": {"resourceVersion": "1", "name": "x"},
    }
    assert keys(orjson.loads(encoded(custom))) == [
        "apiVersion",
        "kind",
        ("metadata", ["name", "resourceVersion"]),
        ("spec", ["a", "b"]),
    ]
    metrics = {
        "kind": "PodMetrics",
        "apiVersion": "metrics.k8s.io/v1beta1",
        "metadata": {"name": "x"},
        "containers": [],
    }
    assert list(orjson.loads(encoded(metrics))) == list(metrics)


@pytest.mark.parametrize(
    ("message", "order"),
    [
        (
            "core.v1.ServiceSpec",
            "clusterIP clusterIPs type sessionAffinity ipFamilies ipFamilyPolicy internalTrafficPolicy",
        ),
        ("core.v1.EndpointAddress", "ip hostname nodeName targetRef"),
        (
            "core.v1.EphemeralContainer",
            "name image ports envFrom env resources resizePolicy imagePullPolicy targetContainerName",
        ),
        ("core.v1.SecurityContext", "capabilities windowsOptions runAsUser runAsGroup runAsNonRoot"),
        ("core.v1.Secret", "metadata immutable data stringData type"),
        ("apps.v1.DeploymentCondition", "type status lastUpdateTime lastTransitionTime reason message"),
        ("apps.v1.ReplicaSetSpec", "replicas minReadySeconds selector template"),
        ("autoscaling.v2.HPAScalingRules", "stabilizationWindowSeconds selectPolicy policies tolerance"),
        ("certificates.v1.CertificateSigningRequestSpec", "request signerName expirationSeconds usages username extra"),
        (
            "admissionregistration.v1.MutatingWebhook",
            "failurePolicy matchPolicy namespaceSelector objectSelector sideEffects reinvocationPolicy matchConditions",
        ),
        ("discovery.v1.EndpointSlice", "metadata addressType endpoints ports"),
        ("k8s.io.apimachinery.pkg.apis.meta.v1.OwnerReference", "apiVersion kind name uid controller"),
    ],
)
def test_later_fields_stand_where_the_types_have_them(message: str, order: str) -> None:
    places = _plan(message if message.startswith("k8s.io") else f"k8s.io.api.{message}")
    names = order.split()
    assert sorted(names, key=lambda name: places[name][0]) == names


def test_what_moves_is_there_to_be_moved() -> None:
    for message, moved in _AFTER.items():
        fields = _fields(message if message.startswith("k8s.io") else f"k8s.io.api.{message}")
        assert {*moved, *moved.values()} - {""} <= set(fields), message


def test_nothing_is_lost() -> None:
    dice = random.Random(7)
    for (group, version, kind), definition in sorted(data.definitions().items()):
        obj = anything(data.schemas()[definition], dice)
        if isinstance(obj, dict):
            obj |= {"kind": kind, "apiVersion": f"{group}/{version}" if group else version}
            assert orjson.loads(encoded(obj)) == obj


def test_only_who_takes_anything_gets_it_in_order() -> None:
    for accept, ordered in (("application/json, */*", True), ("*/*", True), ("", True), ("application/json", False)):
        request = Request("GET", "/api/v1/namespaces/d/pods/p", {}, {"accept": accept}, b"", "")
        request.info = parse_info("GET", request.path, {})
        answer = negotiate.finished(request, Response(200, orjson.dumps(POD), "application/json"))
        assert (answer.body == encoded(POD)) is ordered


async def test_so_does_who_takes_any_watch() -> None:
    line = b'{"type":"ADDED","object":' + orjson.dumps(POD) + b"}\n"

    async def stream() -> AsyncIterator[bytes]:
        yield b""
        yield line + line

    for accept, wanted in (
        ("application/json, */*", b'{"type":"ADDED","object":' + encoded(POD) + b"}\n"),
        (JSON, line),
    ):
        request = Request("GET", "/api/v1/pods", {"watch": ["1"]}, {"accept": accept}, b"", "")
        request.info = parse_info("GET", request.path, request.query)
        answer = negotiate.finished(request, Response(200, content_type=JSON, stream=stream()))
        assert answer.stream is not None
        assert [chunk async for chunk in answer.stream] == [b"", wanted + wanted]


def test_what_comes_through_a_proxy_is_not_touched_but_a_refusal_is_indented_for_curl() -> None:
    headers = {"accept": "*/*", "user-agent": "curl/8.1"}
    request = Request("GET", "/api/v1/namespaces/d/pods/p/proxy/x", {}, headers, b"", "")
    request.info = parse_info("GET", request.path, {})
    body = b'{"kind":"Status","apiVersion":"v1","metadata":{},"code":404}'
    assert negotiate.finished(request, Response(404, body, "application/json")).body == body
    refused = negotiate.finished(request, Response(404, body, "application/json"), refused=True)
    assert refused.body.startswith(b'{\n  "kind": "Status",\n')
