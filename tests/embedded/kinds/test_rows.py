"""Table rows are what `kubectl get` shows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kuartui.embedded.kinds.base import strategy
from kuartui.embedded.kinds.index import MODULES

NOW = datetime(2030, 1, 1, 12, 0, 0, tzinfo=UTC)
META = {"name": "x", "namespace": "d", "creationTimestamp": "2030-01-01T11:55:00Z"}


def pod(status: dict[str, Any], spec: dict[str, Any] | None = None, **meta: Any) -> dict[str, Any]:
    return {"metadata": {**META, **meta}, "spec": spec or {"containers": [{"name": "c"}]}, "status": status}


def state(kind: str, **values: Any) -> dict[str, Any]:
    return {"name": "c", "state": {kind: values}, "ready": False, "restartCount": 0}


RUNNING = {"name": "c", "state": {"running": {"startedAt": "x"}}, "ready": True, "restartCount": 0}
SIDECAR = {"containers": [{"name": "c"}], "initContainers": [{"name": "s", "restartPolicy": "Always"}, {"name": "i"}]}


@pytest.mark.parametrize(
    ("given", "ready", "status", "restarts"),
    [
        (pod({"phase": "Pending"}), "0/1", "Pending", "0"),
        (pod({"phase": "Running", "containerStatuses": [RUNNING]}), "1/1", "Running", "0"),
        (
            pod(
                {
                    "phase": "Running",
                    "containerStatuses": [
                        {
                            **state("waiting", reason="CrashLoopBackOff"),
                            "restartCount": 4,
                            "lastState": {"terminated": {"finishedAt": "2030-01-01T11:59:00Z"}},
                        }
                    ],
                }
            ),
            "0/1",
            "CrashLoopBackOff",
            "4 (60s ago)",
        ),
        (pod({"phase": "Failed", "containerStatuses": [state("terminated", exitCode=3)]}), "0/1", "ExitCode:3", "0"),
        (pod({"phase": "Failed", "reason": "Evicted"}), "0/1", "Evicted", "0"),
        (
            pod({"phase": "Pending", "conditions": [{"type": "PodScheduled", "reason": "SchedulingGated"}]}),
            "0/1",
            "SchedulingGated",
            "0",
        ),
        (
            pod(
                {"phase": "Pending", "initContainerStatuses": [{**state("terminated", exitCode=1), "name": "i"}]},
                {"containers": [{"name": "c"}], "initContainers": [{"name": "i"}]},
            ),
            "0/1",
            "Init:ExitCode:1",
            "0",
        ),
        (
            pod(
                {"phase": "Pending", "initContainerStatuses": [{**state("running"), "name": "i", "restartCount": 2}]},
                {"containers": [{"name": "c"}], "initContainers": [{"name": "i"}]},
            ),
            "0/1",
            "Init:0/1",
            "2",
        ),
        (
            pod(
                {
                    "phase": "Pending",
                    "initContainerStatuses": [
                        {**RUNNING, "name": "s", "started": True},
                        {**state("waiting", reason="PodInitializing"), "name": "i"},
                    ],
                },
                SIDECAR,
            ),
            "1/2",
            "Init:1/2",
            "0",
        ),
        (
            pod(
                {
                    "phase": "Pending",
                    "initContainerStatuses": [
                        {**state("running"), "name": "i", "restartCount": 2},
                        {**state("waiting", reason="PodInitializing"), "name": "j", "restartCount": 3},
                    ],
                },
                {"containers": [{"name": "c"}], "initContainers": [{"name": "i"}, {"name": "j"}]},
            ),
            "0/1",
            "Init:0/2",
            "2",
        ),
        (pod({"phase": "Running"}, deletionTimestamp="2030-01-01T11:59:00Z"), "0/1", "Terminating", "0"),
        (pod({"phase": "Succeeded"}, deletionTimestamp="2030-01-01T11:59:00Z"), "0/1", "Succeeded", "0"),
        (
            pod({"phase": "Running", "reason": "NodeLost"}, deletionTimestamp="2030-01-01T11:59:00Z"),
            "0/1",
            "Unknown",
            "0",
        ),
        (
            pod(
                {
                    "phase": "Running",
                    "containerStatuses": [{**state("terminated", reason="Completed"), "name": "a"}, RUNNING],
                }
            ),
            "1/1",
            "NotReady",
            "0",
        ),
    ],
)
def test_pod_status_follows_the_ladder(given: dict[str, Any], ready: str, status: str, restarts: str) -> None:
    row = strategy("pods").row(given, NOW)
    assert row is not None
    assert row[:5] == ["x", ready, status, restarts, "5m"]


ROWS: list[tuple[str, dict[str, Any], list[Any]]] = [
    ("configmaps", {"data": {"a": "1"}, "binaryData": {"b": ""}}, ["x", 2, "5m"]),
    ("secrets", {"type": "Opaque", "data": {"a": ""}}, ["x", "Opaque", 1, "5m"]),
    (
        "services",
        {
            "spec": {
                "type": "NodePort",
                "clusterIPs": ["10.96.0.9"],
                "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}],
                "selector": {"b": "2", "a": "1"},
            }
        },
        ["x", "NodePort", "10.96.0.9", "<none>", "80:30080/TCP,53/UDP", "5m", "a=1,b=2"],
    ),
    (
        "services",
        {
            "spec": {"type": "LoadBalancer", "clusterIPs": ["10.96.0.9"], "externalIPs": ["1.2.3.4"]},
            "status": {"loadBalancer": {"ingress": [{"hostname": "lb"}, {"ip": "9.9.9.9"}]}},
        },
        ["x", "LoadBalancer", "10.96.0.9", "9.9.9.9,lb,1.2.3.4", "<none>", "5m", "<none>"],
    ),
    (
        "services",
        {"spec": {"type": "LoadBalancer"}},
        ["x", "LoadBalancer", "<none>", "<pending>", "<none>", "5m", "<none>"],
    ),
    (
        "nodes",
        {
            "metadata": {**META, "labels": {"node-role.kubernetes.io/control-plane": "", "kubernetes.io/role": "b"}},
            "spec": {"unschedulable": True},
            "status": {
                "conditions": [{"type": "Ready", "status": "Unknown"}],
                "nodeInfo": {"kubeletVersion": "v1.36.2"},
                "addresses": [{"type": "InternalIP", "address": "172.18.0.2"}],
            },
        },
        [
            "x",
            "NotReady,SchedulingDisabled",
            "b,control-plane",
            "5m",
            "v1.36.2",
            "172.18.0.2",
            "<none>",
            "<unknown>",
            "<unknown>",
            "<unknown>",
        ],
    ),
    (
        "deployments.apps",
        {
            "spec": {
                "replicas": 3,
                "template": {"spec": {"containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "j"}]}},
                "selector": {
                    "matchLabels": {"z": "1"},
                    "matchExpressions": [{"key": "a", "operator": "In", "values": ["y", "x"]}],
                },
            },
            "status": {"readyReplicas": 2, "updatedReplicas": 1, "availableReplicas": 2},
        },
        ["x", "2/3", 1, 2, "5m", "a,b", "i,j", "a in (x,y),z=1"],
    ),
    (
        "jobs.batch",
        {
            "spec": {"completions": 3},
            "status": {
                "succeeded": 1,
                "startTime": "2030-01-01T11:58:00Z",
                "conditions": [{"type": "Suspended", "status": "True"}],
            },
        },
        ["x", "Suspended", "1/3", "2m", "5m", "", "", "<none>"],
    ),
    (
        "persistentvolumeclaims",
        {
            "spec": {"volumeName": "pv", "storageClassName": "fast", "volumeMode": "Block"},
            "status": {
                "phase": "Bound",
                "capacity": {"storage": "1024Mi"},
                "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
            },
        },
        ["x", "Bound", "pv", "1Gi", "RWO,RWX", "fast", "<unset>", "5m", "Block"],
    ),
    (
        "horizontalpodautoscalers.autoscaling",
        {
            "spec": {
                "scaleTargetRef": {"kind": "Deployment", "name": "web"},
                "minReplicas": 2,
                "maxReplicas": 5,
                "metrics": [
                    {"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 70}}},
                    {"type": "Pods", "pods": {"metric": {"name": "rps"}, "target": {"averageValue": "1k"}}},
                    {"type": "Object", "object": {"target": {"value": "5"}}},
                ],
            },
            "status": {
                "currentReplicas": 3,
                "currentMetrics": [
                    {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 12}}}
                ],
            },
        },
        ["x", "Deployment/web", "cpu: 12%/70%, <unknown>/1k + 1 more...", "2", 5, 3, "5m"],
    ),
    (
        "events",
        {
            "type": "Warning",
            "reason": "BackOff",
            "involvedObject": {"kind": "Pod", "name": "p", "fieldPath": "spec.containers{c}"},
            "source": {"component": "kubelet", "host": "n"},
            "message": " oops\n",
            "firstTimestamp": "2030-01-01T11:50:00Z",
            "lastTimestamp": "2030-01-01T11:59:30Z",
            "count": 3,
        },
        ["30s", "Warning", "BackOff", "pod/p", "spec.containers{c}", "kubelet, n", "oops", "10m", 3, "x"],
    ),
    (
        "resourcequotas",
        {"status": {"hard": {"requests.cpu": "1000m", "limits.memory": "1Gi", "pods": "3"}, "used": {"pods": "1"}}},
        ["x", "pods: 1/3, requests.cpu: 0/1", "limits.memory: 0/1Gi", "5m"],
    ),
    (
        "rolebindings.rbac.authorization.k8s.io",
        {
            "roleRef": {"kind": "Role", "name": "r"},
            "subjects": [{"kind": "User", "name": "jane"}, {"kind": "ServiceAccount", "name": "s", "namespace": "n"}],
        },
        ["x", "Role/r", "5m", "jane", "", "n/s"],
    ),
    (
        "endpointslices.discovery.k8s.io",
        {
            "addressType": "IPv4",
            "ports": [{"port": 80}, {"name": "x"}],
            "endpoints": [{"addresses": [f"10.0.0.{n}"]} for n in range(5)],
        },
        ["x", "IPv4", "80,x", "10.0.0.0,10.0.0.1,10.0.0.2 + 2 more...", "5m"],
    ),
    (
        "ingresses.networking.k8s.io",
        {"spec": {"rules": [{"host": h} for h in "abcd"], "tls": [{}]}},
        ["x", "<none>", "a,b,c + 1 more...", "", "80, 443", "5m"],
    ),
    (
        "replicationcontrollers",
        {"spec": {"replicas": 1, "selector": {"app": "a", "app.kubernetes.io/name": "b"}}},
        ["x", 1, 0, 0, "5m", "", "", "app.kubernetes.io/name=b,app=a"],
    ),
    (
        "validatingadmissionpolicybindings.admissionregistration.k8s.io",
        {"spec": {"policyName": "p", "paramRef": {"name": "n"}}},
        ["x", "p", "*/n", "5m"],
    ),
    (
        "mutatingadmissionpolicybindings.admissionregistration.k8s.io",
        {"spec": {"policyName": "p", "paramRef": {"name": "n", "namespace": "s"}}},
        ["x", "p", "s/n", "5m"],
    ),
    (
        "validatingadmissionpolicybindings.admissionregistration.k8s.io",
        {"spec": {"policyName": "p", "paramRef": {"selector": {"matchLabels": {"a": "1"}}}}},
        [
            "x",
            "p",
            "&LabelSelector{MatchLabels:map[string]string{a: 1,},MatchExpressions:[]LabelSelectorRequirement{},}",
            "5m",
        ],
    ),
    ("resourceclaims.resource.k8s.io", {"status": {"reservedFor": [{}]}}, ["x", "pending", "5m"]),
    (
        "resourceclaims.resource.k8s.io",
        {"status": {"allocation": {}, "reservedFor": [{}]}},
        ["x", "allocated,reserved", "5m"],
    ),
]


@pytest.mark.parametrize(("resource", "obj", "expected"), ROWS)
def test_row(resource: str, obj: dict[str, Any], expected: list[Any]) -> None:
    assert strategy(resource).row({"metadata": META, **obj}, NOW) == expected


@pytest.mark.parametrize("resource", MODULES)
def test_a_bare_object_has_a_cell_for_each_column(resource: str) -> None:
    """Rows must hold for objects without spec and status, with as many cells as there are columns."""
    from kuartui.embedded import data

    plural, _, group = resource.partition(".")
    columns = next(
        found
        for key, found in data.tables().items()
        if key.split("/")[-1] == plural and (key.startswith(group + "/") if group else key.startswith("/"))
    )
    row = strategy(resource).row({"metadata": META}, NOW)
    if row is None:
        assert [column["name"] for column in columns] == ["Name", "Created At"]
    else:
        assert len(row) == len(columns)


def test_flow_schemas_are_shown_in_the_order_in_which_they_are_tried() -> None:
    order = strategy("flowschemas.flowcontrol.apiserver.k8s.io").row_order
    assert order is not None
    every = [{"metadata": {"name": n}, "spec": {"matchingPrecedence": p}} for n, p in (("a", 9), ("c", 1), ("b", 1))]
    assert [one["metadata"]["name"] for one in sorted(every, key=order)] == ["b", "c", "a"]


@pytest.mark.parametrize(
    ("info", "shown"),
    [
        ({"kernelVersion": "6.8.0-generic", "architecture": "arm64"}, "6.8.0-generic (arm64)"),
        ({"kernelVersion": "6.8.0-generic"}, "6.8.0-generic"),
        ({}, "<unknown>"),
    ],
)
def test_a_nodes_kernel_is_shown_with_its_architecture(info: dict[str, str], shown: str) -> None:
    row = strategy("nodes").row({"metadata": META, "status": {"nodeInfo": info}}, NOW)
    assert row is not None
    assert row[8] == shown


@pytest.mark.parametrize(("value", "name"), [("true", "x (default)"), ("false", "x"), (None, "x")])
def test_the_default_ingress_class_is_marked(value: str | None, name: str) -> None:
    annotations = {"ingressclass.kubernetes.io/is-default-class": value} if value else {}
    row = strategy("ingressclasses.networking.k8s.io").row({"metadata": {**META, "annotations": annotations}}, NOW)
    assert row is not None
    assert row[0] == name
