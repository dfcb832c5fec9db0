"""What objects get without asking."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from kuartui.embedded.kinds.base import WriteContext, strategy
from kuartui.embedded.kinds.pod_defaults import pull_policy

Obj = dict[str, Any]


def defaulted(resource: str, text: str) -> Obj:
    obj: Obj = {"metadata": {"name": "x"}, **(yaml.safe_load(text) or {})}
    strategy(resource).default(obj)
    again = yaml.safe_load(yaml.safe_dump(obj))
    strategy(resource).default(again)
    assert again == obj, "defaulting twice changes nothing"
    return obj


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.27", "IfNotPresent"),
        ("reg.example.com:5000/a/b", "Always"),
        ("reg.example.com:5000/a/b:v1", "IfNotPresent"),
        ("nginx@sha256:" + "a" * 64, "IfNotPresent"),
        ("UPPER", "IfNotPresent"),  # no reference at all
    ],
)
def test_pull_policy(image: str, policy: str) -> None:
    assert pull_policy(image) == policy


def test_a_pod_asks_for_what_it_is_limited_to_and_a_template_does_not() -> None:
    spec = "{containers: [{name: c, image: i, resources: {limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 500m}}}]}"
    pod = defaulted("pods", f"spec: {spec}")
    assert pod["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "500m", "memory": "1Gi"}
    assert pod["spec"]["enableServiceLinks"] is True
    deployment = defaulted("deployments.apps", f"spec: {{template: {{spec: {spec}}}}}")
    template = deployment["spec"]["template"]["spec"]
    assert template["containers"][0]["resources"]["requests"] == {"cpu": "500m"}
    assert "enableServiceLinks" not in template


def test_volumes() -> None:
    text = """
    spec:
      containers: []
      volumes:
      - name: a
      - {name: b, secret: {secretName: s}}
      - {name: c, hostPath: {path: /x}}
      - {name: d, projected: {sources: [{serviceAccountToken: {path: t}}, {downwardAPI: {items: [{path: p, fieldRef: {fieldPath: metadata.name}}]}}]}}
    """
    volumes = defaulted("pods", text)["spec"]["volumes"]
    assert volumes[0]["emptyDir"] == {}
    assert volumes[1]["secret"]["defaultMode"] == 0o644
    assert volumes[2]["hostPath"]["type"] == ""
    token, downward = volumes[3]["projected"]["sources"]
    assert token["serviceAccountToken"]["expirationSeconds"] == 3600
    assert downward["downwardAPI"]["items"][0]["fieldRef"]["apiVersion"] == "v1"


def test_probes_and_ports_of_the_host() -> None:
    text = (
        "spec: {hostNetwork: true, containers: "
        "[{name: c, image: i, ports: [{containerPort: 80}], readinessProbe: {httpGet: {port: 80}, periodSeconds: 3}}]}"
    )
    container = defaulted("pods", text)["spec"]["containers"][0]
    assert container["ports"] == [{"containerPort": 80, "protocol": "TCP", "hostPort": 80}]
    assert container["readinessProbe"] == {
        "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
        "periodSeconds": 3,
        "timeoutSeconds": 1,
        "successThreshold": 1,
        "failureThreshold": 3,
    }


DEFAULTS: list[tuple[str, str, str, Any]] = [
    (
        "deployments.apps",
        "",
        "strategy",
        {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
    ),
    ("deployments.apps", "spec: {strategy: {type: Recreate}}", "strategy", {"type": "Recreate"}),
    ("statefulsets.apps", "", "updateStrategy", {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}),
    ("statefulsets.apps", "spec: {updateStrategy: {type: OnDelete}}", "updateStrategy", {"type": "OnDelete"}),
    ("jobs.batch", "", "completions", 1),
    ("jobs.batch", "spec: {parallelism: 3}", "completions", None),
    ("jobs.batch", "spec: {backoffLimitPerIndex: 1}", "backoffLimit", 2147483647),
    ("services", "spec: {ports: [{port: 80}]}", "ports", [{"port": 80, "protocol": "TCP", "targetPort": 80}]),
    ("services", "spec: {externalIPs: [1.2.3.4]}", "externalTrafficPolicy", "Cluster"),
    ("services", "spec: {sessionAffinity: ClientIP}", "sessionAffinityConfig", {"clientIP": {"timeoutSeconds": 10800}}),
    ("networkpolicies.networking.k8s.io", "spec: {egress: [{}]}", "policyTypes", ["Ingress", "Egress"]),
    ("networkpolicies.networking.k8s.io", "", "policyTypes", ["Ingress"]),
    (
        "horizontalpodautoscalers.autoscaling",
        "spec: {behavior: {}}",
        "behavior",
        {
            "scaleUp": {
                "selectPolicy": "Max",
                "stabilizationWindowSeconds": 0,
                "policies": [
                    {"type": "Pods", "value": 4, "periodSeconds": 15},
                    {"type": "Percent", "value": 100, "periodSeconds": 15},
                ],
            },
            "scaleDown": {"selectPolicy": "Max", "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]},
        },
    ),
    (
        "customresourcedefinitions.apiextensions.k8s.io",
        "spec: {names: {kind: K}, conversion: {strategy: Webhook, webhook: {clientConfig: {service: {name: s}}}}}",
        "conversion",
        {"strategy": "Webhook", "webhook": {"clientConfig": {"service": {"name": "s", "port": 443}}}},
    ),
    (
        "limitranges",
        "spec: {limits: [{type: Container, max: {cpu: 1}, min: {memory: 1Mi}}]}",
        "limits",
        [
            {
                "type": "Container",
                "max": {"cpu": 1},
                "min": {"memory": "1Mi"},
                "default": {"cpu": 1},
                "defaultRequest": {"memory": "1Mi", "cpu": 1},
            }
        ],
    ),
]


@pytest.mark.parametrize(("resource", "text", "field", "expected"), DEFAULTS)
def test_field(resource: str, text: str, field: str, expected: Any) -> None:
    assert defaulted(resource, text)["spec"].get(field) == expected


@pytest.mark.parametrize(
    ("resources", "container", "expected"),
    [
        (
            "{limits: {cpu: 1}}",
            "{requests: {cpu: 100m, memory: 1Gi}}",
            {"limits": {"cpu": 1}, "requests": {"cpu": "100m", "memory": "1Gi"}},
        ),
        ("{limits: {cpu: 1}}", "{}", {"limits": {"cpu": 1}, "requests": {"cpu": 1}}),
        ("{requests: {cpu: 1}}", "{limits: {memory: 1Gi}}", {"requests": {"cpu": 1}}),
        (
            "{requests: {cpu: 1}}",
            "{limits: {hugepages-2Mi: 4Mi, cpu: 2}}",
            {"requests": {"cpu": 1, "hugepages-2Mi": "4Mi"}, "limits": {"hugepages-2Mi": "4Mi"}},
        ),
        ("{}", "{limits: {cpu: 1}}", {}),
    ],
)
def test_what_a_pod_asks_for_as_a_whole(resources: str, container: str, expected: Obj) -> None:
    containers = f"[{{name: c, image: i, resources: {container}}}, {{name: d, image: i}}]"
    pod = defaulted("pods", f"spec: {{resources: {resources}, containers: {containers}}}")
    assert pod["spec"]["resources"] == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("{containers: [{name: c}]}", "BestEffort"),
        ("{containers: [{name: c, resources: {requests: {cpu: 1}}}]}", "Burstable"),
        ("{containers: [{name: c, resources: {limits: {cpu: 1, memory: 1Gi}}}]}", "Guaranteed"),
        ("{containers: [{name: c, resources: {limits: {cpu: 1, memory: 1Gi}}}, {name: d}]}", "Burstable"),
        ("{resources: {limits: {cpu: 1, memory: 1Gi}}, containers: [{name: c}]}", "Guaranteed"),
    ],
)
def test_quality_of_service(spec: str, expected: str) -> None:
    pod = defaulted("pods", f"spec: {spec}")
    strategy("pods").prepare_create(pod, WriteContext())
    assert pod["status"] == {"phase": "Pending", "qosClass": expected}


def test_text_in_secrets_becomes_data() -> None:
    secret = defaulted("secrets", "{stringData: {a: hunter2}, data: {a: b2xk, b: eA==}}")
    assert secret["data"] == {"a": "aHVudGVyMg==", "b": "eA=="}
    assert "stringData" not in secret
    assert secret["type"] == "Opaque"


def test_an_autoscaler_in_two_versions() -> None:
    rules = strategy("horizontalpodautoscalers.autoscaling")
    old = {
        "apiVersion": "autoscaling/v1",
        "metadata": {"name": "x"},
        "spec": {"maxReplicas": 3, "targetCPUUtilizationPercentage": 60},
    }
    new = rules.convert(old, "v2")
    assert new["spec"]["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 60}
    back = rules.convert(new, "v1")
    assert back["spec"] == old["spec"]
    new["spec"]["metrics"].append(
        {"type": "Pods", "pods": {"metric": {"name": "rps"}, "target": {"type": "AverageValue", "averageValue": "1k"}}}
    )
    there = rules.convert(new, "v1")
    assert "autoscaling.alpha.kubernetes.io/metrics" in there["metadata"]["annotations"]
    assert rules.convert(there, "v2")["spec"]["metrics"] == new["spec"]["metrics"]


AVERAGE = {"type": "AverageValue", "averageValue": "3"}


@pytest.mark.parametrize(
    ("metric", "old"),
    [
        (
            {"type": "External", "external": {"metric": {"name": "q", "selector": {}}, "target": AVERAGE}},
            {"type": "External", "external": {"metricName": "q", "metricSelector": {}, "targetAverageValue": "3"}},
        ),
        (
            {
                "type": "Object",
                "object": {
                    "describedObject": {"apiVersion": "v1", "kind": "Pod", "name": "p"},
                    "metric": {"name": "m"},
                    "target": {"type": "Value", "value": "40"},
                },
            },
            {
                "type": "Object",
                "object": {
                    "target": {"kind": "Pod", "name": "p", "apiVersion": "v1"},
                    "metricName": "m",
                    "targetValue": "40",
                },
            },
        ),
        (
            {"type": "Object", "object": {"describedObject": {}, "metric": {"name": "m"}, "target": AVERAGE}},
            {
                "type": "Object",
                "object": {"target": {}, "metricName": "m", "targetValue": "0", "averageValue": "3"},
            },
        ),
        (
            {
                "type": "ContainerResource",
                "containerResource": {"name": "memory", "container": "c", "target": AVERAGE},
            },
            {
                "type": "ContainerResource",
                "containerResource": {"name": "memory", "targetAverageValue": "3", "container": "c"},
            },
        ),
    ],
)
def test_metrics_that_v1_has_no_field_for(metric: Obj, old: Obj) -> None:
    rules = strategy("horizontalpodautoscalers.autoscaling")
    new = {"apiVersion": "autoscaling/v2", "metadata": {"name": "x"}, "spec": {"metrics": [metric]}}
    there = rules.convert(new, "v1")
    text = there["metadata"]["annotations"]["autoscaling.alpha.kubernetes.io/metrics"]
    assert text == json.dumps([old], separators=(",", ":"))
    assert rules.convert(there, "v2")["spec"]["metrics"] == [metric]


def test_what_v1_says_of_metrics_that_failed_and_of_behavior() -> None:
    rules = strategy("horizontalpodautoscalers.autoscaling")
    policies = [{"type": "Pods", "value": 4, "periodSeconds": 15}]
    behavior = {"scaleUp": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": policies}}
    external = {"metric": {"name": "q"}, "current": {"averageValue": "16m"}}
    current = [{"type": ""}, {"type": "External", "external": external}]
    new = {"metadata": {"name": "x"}, "spec": {"behavior": behavior}, "status": {"currentMetrics": current}}
    there = rules.convert(new, "v1")
    assert there["status"] == {"currentReplicas": 0, "desiredReplicas": 0}
    assert there["metadata"]["annotations"] == {
        "autoscaling.alpha.kubernetes.io/current-metrics": (
            '[{"type":""},{"type":"External","external":{"metricName":"q","currentValue":"0",'
            '"currentAverageValue":"16m"}}]'
        ),
        "autoscaling.alpha.kubernetes.io/behavior": (
            '{"ScaleUp":{"StabilizationWindowSeconds":0,"SelectPolicy":"Max","Policies":[{"Type":"Pods","Value":4,'
            '"PeriodSeconds":15}],"Tolerance":null},"ScaleDown":null}'
        ),
    }
    assert rules.convert(there, "v2")["spec"]["behavior"] == behavior


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            "{clusterIP: None, clusterIPs: [None], externalIPs: [1.2.3.4], sessionAffinity: ClientIP}",
            [
                "spec.externalIPs is ignored for headless services",
                "spec.SessionAffinity is ignored for headless services",
            ],
        ),
        (
            "{externalIPs: [1.2.3.4]}",
            ["spec.externalIPs is deprecated and may no longer be implemented in some clusters"],
        ),
        (
            "{type: ExternalName, externalName: a.b, externalIPs: [1.2.3.4]}",
            ['spec.externalIPs is ignored when spec.type is "ExternalName"'],
        ),
        (
            "{type: LoadBalancer, loadBalancerIP: 01.2.3.4, externalIPs: ['2001:DB8::1']}",
            [
                'spec.externalIPs[0]: IPv6 address "2001:DB8::1" should be in RFC 5952 canonical format ("2001:db8::1")',
                "spec.externalIPs is deprecated and may no longer be implemented in some clusters",
                'spec.loadBalancerIP: non-standard IP address "01.2.3.4" will be considered invalid in a future '
                'Kubernetes release: use "1.2.3.4"',
            ],
        ),
        (
            "{type: LoadBalancer, loadBalancerIP: '::ffff:1.2.3.4'}",
            [
                'spec.loadBalancerIP: non-standard IP address "::ffff:1.2.3.4" will be considered invalid in a future '
                'Kubernetes release: use "1.2.3.4"',
            ],
        ),
        (
            "{trafficDistribution: PreferClose}",
            ['spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'],
        ),
    ],
)
def test_fields_of_a_service_that_are_set_in_vain(spec: str, expected: list[str]) -> None:
    service = defaulted("services", f"metadata: {{name: a}}\nspec: {spec}")
    assert strategy("services").warnings(service, None) == expected


def test_warnings() -> None:
    text = """
    metadata: {name: a.b}
    spec:
      nodeSelector: {beta.kubernetes.io/os: linux}
      containers:
      - {name: c, image: i, env: [{name: A, value: '1'}, {name: A, value: '2'}, {name: A, value: '$(A)3'}]}
      - {name: d, image: i, resources: {limits: {memory: 100m}}, ports: [{containerPort: 80}, {containerPort: 80}]}
    """
    pod = defaulted("pods", text)
    assert strategy("pods").warnings(pod, None) == [
        (
            "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is "
            "recommended: [must not contain dots]"
        ),
        'spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead',
        'spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply',
        'spec.containers[1].resources.limits[memory]: fractional byte value "100m" is invalid, must be an integer',
        'spec.containers[1].resources.requests[memory]: fractional byte value "100m" is invalid, must be an integer',
        "spec.containers[1].ports[1]: duplicate port definition with spec.containers[1].ports[0]",
    ]


@pytest.mark.parametrize(
    ("hooks", "left"),
    [
        ("{stopSignal: SIGUSR1}", None),
        ("{stopSignal: SIGUSR1, preStop: {sleep: {seconds: 1}}}", {"preStop": {"sleep": {"seconds": 1}}}),
        ("{}", {}),
    ],
)
def test_stop_signals_are_not_for_1_36(hooks: str, left: Obj | None) -> None:
    pod = defaulted("pods", f"spec: {{containers: [{{name: c, image: i, lifecycle: {hooks}}}]}}")
    assert pod["spec"]["containers"][0].get("lifecycle") == left
