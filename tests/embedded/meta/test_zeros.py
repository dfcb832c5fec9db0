"""Zero values that Go writes out."""

from __future__ import annotations

from typing import Any

import pytest

from kuartui.embedded.meta import zeros


@pytest.mark.parametrize(
    ("obj", "added"),
    [
        (
            {"apiVersion": "apps/v1", "kind": "DaemonSet"},
            {
                "status": {
                    **dict.fromkeys(
                        ("currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady"), 0
                    )
                }
            },
        ),
        ({"apiVersion": "v1", "kind": "Event"}, {"reportingComponent": "", "eventTime": None, "source": {}}),
        ({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}, {"rules": None}),
        (
            {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "endpoints": [], "ports": []},
            {"endpoints": None, "ports": None},
        ),
        ({"apiVersion": "v1", "kind": "ResourceQuota"}, {"spec": {}, "status": {}}),
    ],
)
def test_what_is_always_there(obj: dict[str, Any], added: dict[str, Any]) -> None:
    zeros.fill(obj)
    assert {key: obj[key] for key in added} == added


def test_inside_of_lists() -> None:
    pod: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {},
        "spec": {"containers": [{"name": "c"}]},
        "status": {"containerStatuses": [{"name": "c"}], "conditions": [{"type": "Ready"}]},
    }
    zeros.fill(pod)
    assert pod["spec"]["containers"] == [{"name": "c", "resources": {}}]
    status = pod["status"]["containerStatuses"][0]
    assert (status["state"], status["lastState"], status["restartCount"]) == ({}, {}, 0)
    assert pod["status"]["conditions"][0]["lastProbeTime"] is None
    assert pod["metadata"] == {}


def test_what_may_be_left_out_is() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
    before = dict(secret)
    zeros.fill(secret)
    assert secret == before


def test_custom_resources_are_left_alone() -> None:
    custom = {"apiVersion": "example.com/v1", "kind": "Pod"}
    zeros.fill(custom)
    assert custom == {"apiVersion": "example.com/v1", "kind": "Pod"}


def test_zero_values_of_optional_fields_vanish() -> None:
    pod: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "spec": {
            "nodeName": "",
            "hostNetwork": False,
            "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c", "readOnly": False}}],
            "containers": [{"name": "c", "ports": [], "securityContext": {"privileged": False}}],
        },
    }
    zeros.fill(pod)
    spec = pod["spec"]
    assert set(spec) == {"volumes", "containers"}
    assert spec["volumes"][0]["persistentVolumeClaim"] == {"claimName": "c"}
    assert spec["containers"][0]["securityContext"] == {"privileged": False}, "a pointer to false is no zero value"


@pytest.mark.parametrize("kind", [{"apiVersion": "v1", "kind": "ConfigMap"}, {"apiVersion": "a.b/v1", "kind": "C"}])
def test_metadata_that_became_empty_vanish(kind: dict[str, Any]) -> None:
    obj = {**kind, "metadata": {"name": "x", "labels": {}, "annotations": {"a": "b"}, "finalizers": []}}
    zeros.fill(obj)
    assert obj["metadata"] == {"name": "x", "annotations": {"a": "b"}}


def test_so_do_those_of_a_template() -> None:
    template: dict[str, Any] = {"metadata": {"labels": {}}, "spec": {}}
    obj = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "x"}, "template": template}
    zeros.fill(obj)
    assert template["metadata"] == {}
