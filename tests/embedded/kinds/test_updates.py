"""What may change once an object exists, and what a write carries over."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
import yaml

from kuartui.embedded.kinds.base import Strategy, WriteContext, strategy
from kuartui.embedded.meta.errors import StatusError

Obj = dict[str, Any]


def made(resource: str, text: str, ctx: WriteContext | None = None) -> Obj:
    """A stored object: defaulted and prepared."""
    obj: Obj = {"metadata": {"name": "x", "namespace": "d", "uid": "u"}, **yaml.safe_load(text)}
    rules = strategy(resource)
    rules.default(obj)
    rules.prepare_create(obj, ctx or WriteContext())
    rules.default(obj)
    assert [str(error) for error in rules.validate(obj)] == []
    return obj


def changed(rules: Strategy, old: Obj, patch: Obj, ctx: WriteContext | None = None) -> tuple[Obj, list[str]]:
    """The object after a merge patch, and the errors of the update."""
    new = merge(orjson.loads(orjson.dumps(old)), patch)
    rules.default(new)
    rules.prepare_update(new, old, ctx or WriteContext(operation="UPDATE"))
    rules.default(new)
    return new, [str(error) for error in rules.validate_update(new, old)]


def merge(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


POD = "spec: {containers: [{name: c, image: i}]}"
TEMPLATE = "template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}"
WORKLOAD = f"spec: {{selector: {{matchLabels: {{a: b}}}}, {TEMPLATE}}}"


def test_a_pod_keeps_its_spec() -> None:
    _, errors = changed(strategy("pods"), made("pods", POD), {"spec": {"serviceAccountName": "y", "hostname": "h"}})
    first, *diff = errors[0].splitlines()
    assert first.startswith("spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,")
    assert '- "Hostname": "",' in diff
    assert '+ "Hostname": "h",' in diff
    assert diff[0].startswith("@@ ")


def test_the_difference_shows_maps_with_sorted_keys() -> None:
    old = made("pods", "spec: {nodeSelector: {z: '1', b: '2'}, containers: [{name: c, image: i}]}")
    _, errors = changed(strategy("pods"), old, {"spec": {"nodeSelector": {"a": "3"}}})
    diff = errors[0].splitlines()
    added = diff.index('+  "a": "3",')
    assert diff[added - 1 : added + 3] == ['  "NodeSelector": {', '+  "a": "3",', '   "b": "2",', '   "z": "1"']


@pytest.mark.parametrize("kind", ["deployments.apps", "replicasets.apps", "daemonsets.apps"])
def test_a_selector_that_stays_is_shown_as_its_struct(kind: str) -> None:
    expression = "matchExpressions: [{values: [b], operator: In, key: a}]"
    old = made(kind, f"spec: {{selector: {{{expression}}}, {TEMPLATE}}}")
    _, errors = changed(strategy(kind), old, {"spec": {"selector": {"matchLabels": {"a": "b"}}}})
    assert errors == [
        'spec.selector: Invalid value: {"matchLabels":{"a":"b"},"matchExpressions":[{"key":"a","operator":"In",'
        '"values":["b"]}]}: field is immutable'
    ]


@pytest.mark.parametrize(("labels", "shown"), [({"a": None}, "{}"), (None, "null")])
def test_labels_that_went_one_by_one_are_an_empty_map(labels: Obj | None, shown: str) -> None:
    patch = {"spec": {"template": {"metadata": {"labels": labels}}}}
    _, errors = changed(strategy("deployments.apps"), made("deployments.apps", WORKLOAD), patch)
    assert errors == [
        f"spec.template.metadata.labels: Invalid value: {shown}: `selector` does not match template `labels`"
    ]


def test_a_gated_pod_says_since_when() -> None:
    ctx = WriteContext(now=datetime(2026, 1, 2, tzinfo=UTC))
    pod = made("pods", "spec: {schedulingGates: [{name: a/b}], containers: [{name: c, image: i}]}", ctx)
    (condition,) = pod["status"]["conditions"]
    assert condition["reason"] == "SchedulingGated"
    assert condition["lastTransitionTime"] == "2026-01-02T00:00:00Z"


LABELLED = "{name: x, namespace: d, uid: u, labels: {app: web, rev: '7'}}"
SPREAD = "{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule, %s}"


def test_label_keys_become_a_part_of_a_pods_selectors() -> None:
    term = "{topologyKey: zone, labelSelector: {}, matchLabelKeys: [app, none], mismatchLabelKeys: [rev]}"
    affinity = f"{{podAntiAffinity: {{preferredDuringSchedulingIgnoredDuringExecution: [{{weight: 1, podAffinityTerm: {term}}}]}}}}"
    spread = SPREAD % "labelSelector: {matchLabels: {app: web}}, matchLabelKeys: [rev]"
    spec = f"{{affinity: {affinity}, topologySpreadConstraints: [{spread}], containers: [{{name: c, image: i}}]}}"
    found = made("pods", f"metadata: {LABELLED}\nspec: {spec}")["spec"]
    (constraint,) = found["topologySpreadConstraints"]
    (preferred,) = found["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    of_rev = {"key": "rev", "operator": "In", "values": ["7"]}
    assert constraint["labelSelector"] == {"matchLabels": {"app": "web"}, "matchExpressions": [of_rev]}
    assert preferred["podAffinityTerm"]["labelSelector"]["matchExpressions"] == [
        {"key": "app", "operator": "In", "values": ["web"]},
        {"key": "rev", "operator": "NotIn", "values": ["7"]},
    ]


@pytest.mark.parametrize(
    "selector", ["matchLabels: {rev: '7'}", "matchExpressions: [{key: rev, operator: In, values: ['7']}]"]
)
def test_a_label_key_may_not_be_in_the_selector_before(selector: str) -> None:
    spread = SPREAD % f"labelSelector: {{{selector}}}, matchLabelKeys: [rev]"
    text = f"metadata: {LABELLED}\nspec: {{topologySpreadConstraints: [{spread}], containers: [{{name: c, image: i}}]}}"
    with pytest.raises(AssertionError, match="exists in both matchLabelKeys and labelSelector"):
        made("pods", text)


def test_images_and_new_tolerations_of_a_pod_may_change() -> None:
    old = made("pods", POD)
    container = {**old["spec"]["containers"][0], "image": "other"}
    patch = {"spec": {"containers": [container], "tolerations": [{"operator": "Exists"}]}}
    assert changed(strategy("pods"), old, patch)[1] == []


def test_a_pod_gets_no_more_containers() -> None:
    old = made("pods", POD)
    more = [*old["spec"]["containers"], {"name": "d", "image": "i"}]
    _, errors = changed(strategy("pods"), old, {"spec": {"containers": more}})
    assert errors == ["spec.containers: Forbidden: pod updates may not add or remove containers"]


def test_ephemeral_containers_come_through_their_subresource_only() -> None:
    rules, old = strategy("pods"), made("pods", POD)
    patch = {"spec": {"ephemeralContainers": [{"name": "e", "image": "i"}], "hostname": "h"}}
    _, errors = changed(rules, old, {"spec": {"ephemeralContainers": [{"name": "e", "image": "i"}]}})
    assert errors[0].startswith("spec: Forbidden: pod updates may not change fields other than")
    assert '"Name": "e"' in errors[0]
    new, errors = changed(rules.at("ephemeralcontainers"), old, patch)
    assert [c["name"] for c in new["spec"]["ephemeralContainers"]] == ["e"]
    assert "hostname" not in new["spec"]
    assert errors == []
    _, errors = changed(rules.at("ephemeralcontainers"), new, {"spec": {"ephemeralContainers": None}})
    assert errors == ['spec.ephemeralContainers: Forbidden: existing ephemeral containers "e" may not be removed\n']


def test_resize_changes_cpu_and_memory_only() -> None:
    rules = strategy("pods").at("resize")
    old = made("pods", "spec: {containers: [{name: c, image: i, resources: {requests: {cpu: 100m}}}]}")
    container = {"name": "c", "resources": {"requests": {"cpu": "200m"}}}
    new, errors = changed(rules, old, {"spec": {"containers": [container]}})
    assert new["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "200m"}
    assert errors == []
    _, errors = changed(rules, old, {"spec": {"containers": [{"name": "c", "resources": {}}]}})
    assert "spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed" in errors


def test_resize_leaves_other_fields_and_metadata_alone() -> None:
    rules = strategy("pods").at("resize")
    old = made("pods", POD)
    new, errors = changed(rules, old, {"metadata": {"labels": {"a": "b"}}, "spec": {"hostname": "h"}})
    assert "labels" not in new["metadata"]
    assert "hostname" not in new["spec"]
    assert errors == []


@pytest.mark.parametrize(
    ("containers", "wanted"),
    [
        (["d", "c"], ["spec.containers: Forbidden: containers may not be added or removed on resize"]),
        (["d"], ["spec.containers[0].name: Forbidden: containers may not be renamed or reordered on resize"]),
    ],
)
def test_resize_of_other_containers(containers: list[str], wanted: list[str]) -> None:
    given = [{"name": name, "image": "i"} for name in containers]
    _, errors = changed(strategy("pods").at("resize"), made("pods", POD), {"spec": {"containers": given}})
    assert errors == wanted


def test_resize_changes_init_containers_too() -> None:
    rules = strategy("pods").at("resize")
    init = "initContainers: [{name: i, image: i, resources: {requests: {cpu: 100m}}}]"
    old = made("pods", f"spec: {{{init}, containers: [{{name: c, image: i}}]}}")
    more = {"name": "i", "resources": {"requests": {"cpu": "200m"}}}
    new, errors = changed(rules, old, {"spec": {"initContainers": [more]}})
    assert new["spec"]["initContainers"][0]["resources"]["requests"]["cpu"] == "200m"
    assert errors == []


def test_resize_of_a_pods_own_resources() -> None:
    rules = strategy("pods").at("resize")
    old = made("pods", "spec: {resources: {requests: {cpu: 1}, limits: {cpu: 1}}, containers: [{name: c, image: i}]}")
    more = {"requests": {"cpu": "2"}, "limits": {"cpu": "2"}}
    new, errors = changed(rules, old, {"spec": {"resources": more}})
    assert new["spec"]["resources"] == more
    assert errors == []
    _, errors = changed(rules, old, {"spec": {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": None}}}})
    assert "spec.resources.limits: Forbidden: pod-level resource limits cannot be removed" in errors


def test_resize_tells_where_something_else_would_change() -> None:
    rules = strategy("pods").at("resize")
    init = "initContainers: [{name: i, image: i, restartPolicy: Always}]"
    old = made("pods", f"spec: {{{init}, containers: [{{name: c, image: i}}]}}")
    disk = {"resources": {"requests": {"ephemeral-storage": "1Gi"}}}
    patch = {
        "initContainers": [{"name": "i", **disk}],
        "containers": [{"name": "c", **disk}],
        "resources": disk["resources"],
    }
    _, errors = changed(rules, old, {"spec": patch})
    assert errors[-3:] == [
        "spec: Forbidden: only cpu and memory resources are mutable at pod-level",
        "spec: Forbidden: only cpu and memory resources are mutable",
        "spec.initContainers[0]: Forbidden: only cpu and memory resources for init or sidecar containers are mutable",
    ]


def test_resize_may_add_a_memory_limit() -> None:
    rules = strategy("pods").at("resize")
    old = made("pods", "spec: {containers: [{name: c, image: i, resources: {requests: {memory: 1Gi}}}]}")
    limited = {"name": "c", "resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "2Gi"}}}
    _, errors = changed(rules, old, {"spec": {"containers": [limited]}})
    assert errors == []


@pytest.mark.parametrize(
    ("subresource", "text"),
    [
        ("ephemeralcontainers", "static pods do not support ephemeral containers"),
        ("resize", "static pods cannot be resized"),
    ],
)
def test_static_pods_stay_as_they_are(subresource: str, text: str) -> None:
    mirror = "metadata: {name: x, annotations: {kubernetes.io/config.mirror: m}}\nspec: {nodeName: n, containers: [{name: c, image: i}]}"
    _, errors = changed(strategy("pods").at(subresource), made("pods", mirror), {})
    assert f"[]: Forbidden: {text}" in errors


def test_the_attributes_class_of_a_volume_stays() -> None:
    spec = "capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], csi: {driver: d.io, volumeHandle: h}"
    old = made("persistentvolumes", f"spec: {{{spec}, volumeAttributesClassName: gold}}")
    _, errors = changed(strategy("persistentvolumes"), old, {"spec": {"volumeAttributesClassName": None}})
    assert errors == ["spec.volumeAttributesClassName: Forbidden: update from non-nil value to nil is forbidden"]


@pytest.mark.parametrize(("given", "noun"), [(None, "nil"), ("", "empty string")])
def test_the_attributes_class_of_a_claim_can_be_taken_back_until_it_is_in_use(given: str | None, noun: str) -> None:
    spec = "accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}, volumeAttributesClassName: gold"
    old = made("persistentvolumeclaims", f"spec: {{{spec}}}")
    old["status"] = {"phase": "Bound"}
    rules, patch = strategy("persistentvolumeclaims"), {"spec": {"volumeAttributesClassName": given}}
    assert changed(rules, old, patch)[1] == []
    old["status"]["currentVolumeAttributesClassName"] = "gold"
    text = f"update to {noun} is forbidden when status.currentVolumeAttributesClassName is not nil"
    assert changed(rules, old, patch)[1] == [f"spec.volumeAttributesClassName: Forbidden: {text}"]


@pytest.mark.parametrize("resource", ["deployments.apps", "replicasets.apps", "daemonsets.apps"])
def test_selectors_are_for_ever(resource: str) -> None:
    old = made(resource, WORKLOAD)
    patch = {"spec": {"selector": {"matchLabels": {"a": "c"}}, "template": {"metadata": {"labels": {"a": "c"}}}}}
    assert changed(strategy(resource), old, patch)[1] == [
        'spec.selector: Invalid value: {"matchLabels":{"a":"c"}}: field is immutable'
    ]


def test_most_of_a_stateful_set_is_for_ever() -> None:
    rules, old = strategy("statefulsets.apps"), made("statefulsets.apps", WORKLOAD)
    assert changed(rules, old, {"spec": {"replicas": 3}})[1] == []
    assert changed(rules, old, {"spec": {"serviceName": "other"}})[1] == [
        (
            "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
            "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are "
            "forbidden"
        )
    ]


def test_a_stateful_set_rolls_one_by_one_whatever_it_asks_for() -> None:
    rolling = "updateStrategy: {rollingUpdate: {maxUnavailable: 2, partition: 1}}"
    old = made("statefulsets.apps", WORKLOAD.replace("spec: {", f"spec: {{{rolling}, ", 1))
    assert old["spec"]["updateStrategy"]["rollingUpdate"] == {"partition": 1}
    patch = {"spec": {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 0, "partition": 2}}}}
    new, errors = changed(strategy("statefulsets.apps"), old, patch)
    assert (errors, new["spec"]["updateStrategy"]["rollingUpdate"]) == ([], {"partition": 2})


def test_a_job_selects_its_own_pods() -> None:
    job = made("jobs.batch", "spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}")
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert labels["batch.kubernetes.io/controller-uid"] == labels["controller-uid"] == "u"
    assert job["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}}
    assert job["metadata"]["labels"] == labels
    rules = strategy("jobs.batch")
    assert changed(rules, job, {"spec": {"parallelism": 2}})[1] == []
    assert changed(rules, job, {"spec": {"completions": 3}})[1] == [
        "spec.completions: Invalid value: 3: field is immutable"
    ]


def test_immutable_configuration() -> None:
    for resource in ("configmaps", "secrets"):
        old = made(resource, "{immutable: true, data: {a: YQ==}}")
        rules, text = strategy(resource), "Forbidden: field is immutable when `immutable` is set"
        assert changed(rules, old, {"data": {"a": "Yg=="}})[1] == [f"data: {text}"]
        assert changed(rules, old, {"immutable": False})[1] == [f"immutable: {text}"]


def test_claims_change_in_size_only_and_when_bound() -> None:
    text = "spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}"
    rules, old = strategy("persistentvolumeclaims"), made("persistentvolumeclaims", text)
    grown: Obj = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    errors = changed(rules, old, grown)[1]
    assert errors[0].startswith("spec: Forbidden: spec is immutable after creation except resources.requests and")
    assert '+ "storage": "2Gi"' in [line.replace("   ", " ") for line in errors[0].splitlines()]
    old["status"] = {"phase": "Bound", "capacity": {"storage": "1Gi"}}
    assert changed(rules, old, grown)[1] == []
    shrunk: Obj = {"spec": {"resources": {"requests": {"storage": "1Mi"}}}}
    assert changed(rules, old, shrunk)[1] == [
        "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"
    ]


def stored(*services: Obj) -> WriteContext:
    return WriteContext(objects=lambda resource: services if resource == "services" else ())


def test_services_get_addresses_and_ports() -> None:
    text = "spec: {type: NodePort, ports: [{name: a, port: 53}, {name: b, port: 53, protocol: UDP}]}"
    service = made("services", text)
    spec = service["spec"]
    assert spec["clusterIP"] == spec["clusterIPs"][0]
    assert spec["clusterIP"].startswith("10.96.")
    assert (spec["ipFamilies"], spec["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")
    ports = [port["nodePort"] for port in spec["ports"]]
    assert 30000 <= ports[0] <= 32767
    assert ports[0] == ports[1], "one number serves both protocols"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "ports: [{port: 1}], clusterIP: 10.96.0.9",
            "failed to allocate IP 10.96.0.9: provided IP is already allocated",
        ),
        (
            "ports: [{port: 1}], clusterIP: 10.1.2.3",
            "failed to allocate IP 10.1.2.3: the provided network does not match the current range",
        ),
        ("type: NodePort, ports: [{port: 1, nodePort: 30009}]", "provided port is already allocated"),
        ("type: NodePort, ports: [{port: 1, nodePort: 80}]", "The range of valid ports is 30000-32767"),
        (
            "type: NodePort, ports: [{name: a, port: 1, nodePort: 30001}, {name: b, port: 2, nodePort: 30001}]",
            "spec.ports[1].nodePort: Invalid value: 30001: provided port is already allocated",
        ),
        (
            "ports: [{port: 1}], ipFamilyPolicy: RequireDualStack",
            'Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services',
        ),
        ("ports: [{port: 1}], ipFamilies: [IPv6]", 'Invalid value: "IPv6": not configured on this cluster'),
        (
            'ports: [{port: 1}], clusterIP: "fd00::1"',
            'Invalid value: ["fd00::1"]: IPv6 is not configured on this cluster',
        ),
        (
            "ports: [{port: 1}], clusterIPs: [10.96.0.8]",
            'Invalid value: ["10.96.0.8"]: must be empty when `clusterIP` is not specified',
        ),
        (
            "ports: [{port: 1}], clusterIP: 10.96.0.7, clusterIPs: [10.96.0.8]",
            'Invalid value: ["10.96.0.8"]: first value must match `clusterIP`',
        ),
        (
            "ports: [{port: 1}], ipFamilyPolicy: SingleStack, ipFamilies: [IPv4, IPv6]",
            "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified",
        ),
    ],
)
def test_addresses_and_ports_that_are_not_to_be_had(text: str, message: str) -> None:
    other = {"spec": {"clusterIPs": ["10.96.0.9"], "ports": [{"nodePort": 30009}]}}
    with pytest.raises(StatusError, match="Invalid value") as caught:
        made("services", f"spec: {{{text}}}", stored(other))
    assert caught.value.message.endswith(message)


@pytest.mark.parametrize(
    ("text", "policy", "families"),
    [
        ("clusterIP: None", "RequireDualStack", ["IPv4", "IPv6"]),
        ("clusterIP: None, ipFamilyPolicy: SingleStack", "SingleStack", ["IPv4"]),
        ("clusterIP: None, selector: {a: b}", "SingleStack", ["IPv4"]),
        ("ipFamilyPolicy: PreferDualStack", "PreferDualStack", ["IPv4"]),
    ],
)
def test_families_of_a_service(text: str, policy: str, families: list[str]) -> None:
    spec = made("services", f"spec: {{ports: [{{port: 1}}], {text}}}")["spec"]
    assert (spec["ipFamilyPolicy"], spec["ipFamilies"]) == (policy, families)


def test_a_health_check_port_that_is_taken() -> None:
    text = "{type: LoadBalancer, externalTrafficPolicy: Local, ports: [{port: 1}], healthCheckNodePort: 30009}"
    taken = {"spec": {"ports": [{"nodePort": 30009}]}}
    with pytest.raises(StatusError, match="requested HealthCheck NodePort 30009: provided port is already allocated"):
        made("services", f"spec: {text}", stored(taken))
    assert made("services", f"spec: {text}")["spec"]["healthCheckNodePort"] == 30009


def test_a_changed_service_may_not_open_a_node_port_twice() -> None:
    rules, old = strategy("services"), made("services", "spec: {type: NodePort, ports: [{port: 80}]}")
    number = old["spec"]["ports"][0]["nodePort"]
    ports = [{"name": name, "port": at, "nodePort": number} for name, at in (("a", 80), ("b", 81))]
    with pytest.raises(StatusError, match=rf"duplicate nodePort: {{TCP {number}}}"):
        changed(rules, old, {"spec": {"ports": ports}}, stored(old))


def test_a_service_keeps_what_it_was_given() -> None:
    rules, old = strategy("services"), made("services", "spec: {type: NodePort, ports: [{port: 80}]}")
    ctx = stored(old)
    bare = {"spec": {"clusterIP": None, "clusterIPs": None, "ports": [{"port": 80, "targetPort": 8080}]}}
    new, errors = changed(rules, old, bare, ctx)
    assert errors == []
    assert new["spec"]["clusterIP"] == old["spec"]["clusterIP"]
    assert new["spec"]["ports"][0]["nodePort"] == old["spec"]["ports"][0]["nodePort"]
    assert changed(rules, old, {"spec": {"clusterIP": "10.96.9.9"}}, ctx)[1] == [
        'spec.clusterIPs[0]: Invalid value: ["10.96.9.9"]: may not change once set'
    ]


def test_a_change_of_type_drops_what_it_makes_meaningless() -> None:
    rules, old = strategy("services"), made("services", "spec: {type: NodePort, ports: [{port: 80}]}")
    inside, errors = changed(rules, old, {"spec": {"type": "ClusterIP"}})
    assert errors == []
    assert "nodePort" not in inside["spec"]["ports"][0]
    assert "externalTrafficPolicy" not in inside["spec"]
    outside, errors = changed(rules, old, {"spec": {"type": "ExternalName", "externalName": "db.example.com"}})
    assert errors == []
    assert not {"clusterIP", "clusterIPs", "ipFamilies"} & set(outside["spec"])


def test_bindings_keep_their_role() -> None:
    text = "{roleRef: {kind: Role, name: a}, subjects: []}"
    rules = strategy("rolebindings.rbac.authorization.k8s.io")
    old = made("rolebindings.rbac.authorization.k8s.io", text)
    assert changed(rules, old, {"roleRef": {"name": "b"}})[1] == [
        (
            'roleRef: Invalid value: {"APIGroup":"rbac.authorization.k8s.io","Kind":"Role","Name":"b"}: cannot change '
            "roleRef"
        )
    ]


def test_who_asks_for_a_certificate_is_written_down() -> None:
    obj: Obj = {"metadata": {"name": "x"}, "spec": {"username": "root", "signerName": "example.com/x"}}
    rules = strategy("certificatesigningrequests.certificates.k8s.io")
    rules.prepare_create(obj, WriteContext(user="jane", groups=("dev",)))
    assert (obj["spec"]["username"], obj["spec"]["groups"]) == ("jane", ["dev"])


def test_a_template_generation_counts_changes_of_a_daemon_sets_template() -> None:
    rules, old = strategy("daemonsets.apps"), made("daemonsets.apps", WORKLOAD)
    key = "deprecated.daemonset.template.generation"
    assert old["metadata"]["annotations"][key] == "1"
    same, _ = changed(rules, old, {"spec": {"minReadySeconds": 5}})
    assert same["metadata"]["annotations"][key] == "1"
    other, _ = changed(rules, old, {"spec": {"template": {"spec": {"hostname": "h"}}}})
    assert other["metadata"]["annotations"][key] == "2"


@pytest.mark.parametrize(
    ("resource", "status", "errors"),
    [
        (
            "deployments.apps",
            {"replicas": 2, "readyReplicas": 3, "availableReplicas": 4},
            [
                "status.readyReplicas: Invalid value: 3: cannot be greater than status.replicas",
                "status.availableReplicas: Invalid value: 4: cannot be greater than status.replicas",
                "status.availableReplicas: Invalid value: 4: cannot be greater than readyReplicas",
            ],
        ),
        (
            "statefulsets.apps",
            {"replicas": 1, "availableReplicas": 1},
            ["status.availableReplicas: Invalid value: 1: cannot be greater than status.readyReplicas"],
        ),
        (
            "replicasets.apps",
            {"replicas": 1, "fullyLabeledReplicas": 2},
            ["status.fullyLabeledReplicas: Invalid value: 2: cannot be greater than status.replicas"],
        ),
        (
            "daemonsets.apps",
            {"numberReady": -1},
            ["status.numberReady: Invalid value: -1: must be greater than or equal to 0"],
        ),
        ("replicationcontrollers", {"replicas": 2, "readyReplicas": 2, "availableReplicas": 1}, []),
    ],
)
def test_the_numbers_of_a_status_must_fit_each_other(resource: str, status: Obj, errors: list[str]) -> None:
    assert [str(error) for error in strategy(resource).validate_status_update({"status": status}, {})] == errors


POINTS = "status.loadBalancer.ingress"


@pytest.mark.parametrize(
    ("resource", "obj", "errors"),
    [
        (
            "services",
            {"spec": {"type": "ClusterIP"}, "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}},
            [f"{POINTS}: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"],
        ),
        (
            "services",
            {
                "spec": {"type": "LoadBalancer"},
                "status": {
                    "loadBalancer": {
                        "ingress": [
                            {"ip": "x", "ipMode": "VIP"},
                            {"hostname": "10.0.0.1", "ipMode": "VIP"},
                            {"ip": "192.0.2.1", "ipMode": "Sometimes"},
                        ]
                    }
                },
            },
            [
                f'{POINTS}[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
                f'{POINTS}[1].hostname: Invalid value: "10.0.0.1": must be a DNS name, not an IP address',
                f"{POINTS}[1].ipMode: Forbidden: may not be specified when `ip` is not set",
                f'{POINTS}[2].ipMode: Unsupported value: "Sometimes": supported values: "Proxy", "VIP"',
            ],
        ),
        (
            "namespaces",
            {"metadata": {}, "status": {"phase": "Terminating"}},
            ["status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty"],
        ),
        (
            "resourcequotas",
            {"status": {"hard": {"pods": "1"}, "used": {"pods": "500m"}}},
            ['status.used[pods]: Invalid value: "500m": must be an integer'],
        ),
        (
            "persistentvolumeclaims",
            {"status": {"capacity": {"storage": "-1"}}},
            ["status.capacity[storage]: Invalid value: -1: must be a valid resource quantity"],
        ),
    ],
)
def test_a_status_says_what_can_be(resource: str, obj: Obj, errors: list[str]) -> None:
    found = sorted(str(error) for error in strategy(resource).validate_status_update(obj, {}))
    assert found == sorted(errors)


@pytest.mark.parametrize("resource", ["deployments.apps", "statefulsets.apps", "daemonsets.apps"])
def test_collisions_of_names_are_not_forgotten(resource: str) -> None:
    def problems(before: Obj, after: Obj) -> list[str]:
        return [str(e) for e in strategy(resource).validate_status_update({"status": after}, {"status": before})]

    assert problems({}, {"collisionCount": 1}) == []
    assert problems({"collisionCount": 1}, {}) == ["status.collisionCount: Invalid value: 0: cannot be decremented"]


@pytest.mark.parametrize(
    ("resource", "field", "place"), [("configmaps", "data", "[]"), ("secrets", "stringData", "data")]
)
def test_a_mebibyte_is_the_most(resource: str, field: str, place: str) -> None:
    obj: Obj = {"metadata": {"name": "x"}, field: {"k": "x" * (1 << 20), "l": "x"}}
    rules = strategy(resource)
    rules.default(obj)
    rules.prepare_create(obj, WriteContext())
    assert [str(error) for error in rules.validate(obj)] == [f"{place}: Too long: may not be more than 1048576 bytes"]


@pytest.mark.parametrize(("code", "allowed"), [(42, True), (1, False)])
def test_a_container_leaves_its_end_behind_where_a_rule_says_so(code: int, allowed: bool) -> None:
    rule = {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}
    container = {"name": "c", "image": "i", "restartPolicy": "Never", "restartPolicyRules": [rule]}

    def pod(state: Obj) -> Obj:
        status = {"phase": "Running", "containerStatuses": [{"name": "c", "state": state}]}
        meta = {"name": "p", "namespace": "d"}
        return {"metadata": meta, "spec": {"restartPolicy": "Never", "containers": [container]}, "status": status}

    found = strategy("pods").validate_status_update(
        pod({"waiting": {"reason": "CrashLoopBackOff"}}), pod({"terminated": {"exitCode": code}})
    )
    assert [error.detail for error in found] == ([] if allowed else ["may not be transitioned to non-terminated state"])


def test_a_priority_class_keeps_its_value_and_its_policy() -> None:
    rules, old = strategy("priorityclasses.scheduling.k8s.io"), made("priorityclasses.scheduling.k8s.io", "value: 5")
    assert changed(rules, old, {"description": "d"})[1] == []
    assert changed(rules, old, {"value": 6, "preemptionPolicy": "Never"})[1] == [
        "value: Forbidden: may not be changed in an update.",
        'preemptionPolicy: Invalid value: "Never": field is immutable',
    ]


NODE = "{spec: {podCIDR: 10.1.0.0/24}}"


def test_the_range_of_a_node_is_one_field_under_two_names() -> None:
    old = made("nodes", NODE)
    assert old["spec"]["podCIDRs"] == ["10.1.0.0/24"]
    new, errors = changed(strategy("nodes"), old, {"spec": {"podCIDR": "10.2.0.0/24"}})
    assert new["spec"]["podCIDRs"] == ["10.2.0.0/24"]
    assert errors == ['spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid']


@pytest.mark.parametrize(
    ("patch", "told"),
    [
        ({"spec": {"externalID": "x"}}, ["spec.externalID: Forbidden: may not be updated"]),
        ({"spec": {"configSource": {}}}, []),
        (
            {"status": {"addresses": [{"type": "Hostname", "address": "a"}] * 2}},
            ['status.addresses[1]: Duplicate value: {"Type":"Hostname","Address":"a"}'],
        ),
    ],
)
def test_what_of_a_node_is_for_ever(patch: Obj, told: list[str]) -> None:
    assert changed(strategy("nodes"), made("nodes", NODE), patch)[1] == told


@pytest.mark.parametrize(
    ("resource", "text", "warned"),
    [
        (
            "secrets",
            "{type: kubernetes.io/tls, data: {tls.crt: Zm9v, tls.key: Zm9v}}",
            ["tls: failed to find any PEM data in certificate input"],
        ),
        ("secrets", "{type: Opaque, data: {tls.crt: Zm9v}}", []),
        (
            "serviceaccounts",
            "{metadata: {name: x, annotations: {kubernetes.io/enforce-mountable-secrets: 'true'}}}",
            [
                "metadata.annotations[kubernetes.io/enforce-mountable-secrets]: deprecated in v1.32+; prefer separate "
                "namespaces to isolate access to mounted secrets"
            ],
        ),
        (
            "storageclasses.storage.k8s.io",
            "{provisioner: a, allowedTopologies: [{matchLabelExpressions: [{key: beta.kubernetes.io/os, values: [a]}]}]}",
            [
                "allowedTopologies[0].matchLabelExpressions[0].key: deprecated since v1.14; "
                'use "kubernetes.io/os" instead'
            ],
        ),
        (
            "runtimeclasses.node.k8s.io",
            "{handler: a, scheduling: {nodeSelector: {beta.kubernetes.io/arch: a}}}",
            ['scheduling.nodeSelector: deprecated since v1.14; use "kubernetes.io/arch" instead'],
        ),
        (
            "persistentvolumes",
            "{spec: {capacity: {storage: 1}, accessModes: [ReadWriteOnce], rbd: {image: a, monitors: [b]}}}",
            ["spec.rbd: deprecated in v1.28, non-functional in v1.31+"],
        ),
        (
            "endpointslices.discovery.k8s.io",
            "{addressType: FQDN, endpoints: [{addresses: [a.b]}]}",
            ["spec.addressType: FQDN endpoints are deprecated"],
        ),
        (
            "pods",
            """
            spec:
              containers: [{name: c, image: i}]
              volumes:
              - {name: v, configMap: {name: m, items: [{key: k, path: a}, {key: l, path: a/b}]}}
              - name: p
                projected:
                  sources:
                  - {secret: {name: s, items: [{key: k, path: x/y}]}}
                  - {downwardAPI: {items: [{path: x/y/z, fieldRef: {fieldPath: metadata.name}}]}}
            """,
            [
                'volume "v" (ConfigMap "m"): overlapping paths: "a/b" with "a"',
                'volume "p" (Projected DownwardAPI): overlapping paths: "x/y/z" with "x/y"',
            ],
        ),
        (
            "statefulsets.apps",
            f"{WORKLOAD[:-1]}, volumeClaimTemplates: [{{metadata: {{name: v}}, spec: {{accessModes: [ReadWriteOnce], "
            "resources: {requests: {storage: 1500m}}}}]}",
            [
                'spec.volumeClaimTemplates[0].Spec.resources.requests[storage]: fractional byte value "1500m" is '
                "invalid, must be an integer"
            ],
        ),
        (
            "networkpolicies.networking.k8s.io",
            "spec: {podSelector: {}, egress: [{to: [{ipBlock: {cidr: '2001:DB8::/64'}}]}]}",
            [
                'spec.egress[0].to[0].ipBlock.cidr: IPv6 CIDR value "2001:DB8::/64" should be in RFC 5952 canonical '
                'format ("2001:db8::/64")'
            ],
        ),
    ],
)
def test_what_is_better_not_written_is_warned_of(resource: str, text: str, warned: list[str]) -> None:
    assert strategy(resource).warnings(made(resource, text), None) == warned


def test_of_an_event_only_its_series_may_change() -> None:
    event = (
        "{eventTime: '2026-01-01T00:00:00.000000Z', reportingComponent: a.b/c, reportingInstance: i, action: A, reason: R, "
        "type: Normal, involvedObject: {namespace: d}, message: m}"
    )
    rules = strategy("events.events.k8s.io")
    old = made("events.events.k8s.io", event)
    assert changed(rules, old, {"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:00.000000Z"}})[1] == []
    assert changed(rules, old, {"series": {"count": 1}})[1] == [
        'series.count: Invalid value: "": should be at least 2',
        "series.lastObservedTime: Required value",
    ]
    assert changed(rules, old, {"message": "n", "reason": "S"})[1] == [
        'reason: Invalid value: "S": field is immutable',
        'message: Invalid value: "n": field is immutable',
    ]
    assert changed(strategy("events"), old, {"message": "n"})[1] == []


def test_claims_are_filled_from_claims_and_snapshots_only_unless_they_say_otherwise() -> None:
    rest = "accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}"
    kept = made("persistentvolumeclaims", f"spec: {{{rest}, dataSource: {{kind: PersistentVolumeClaim, name: a}}}}")
    assert kept["spec"]["dataSourceRef"] == {"kind": "PersistentVolumeClaim", "name": "a"}
    for dropped in (
        "dataSource: {apiGroup: example.com, kind: Store, name: a}",
        "dataSourceRef: {kind: PersistentVolumeClaim, name: a, namespace: other}",
    ):
        claim = made("persistentvolumeclaims", f"spec: {{{rest}, {dropped}}}")
        assert "dataSource" not in claim["spec"]
        assert "dataSourceRef" not in claim["spec"]
        again = {"spec": yaml.safe_load(f"{{{dropped}}}")}
        assert changed(strategy("persistentvolumeclaims"), claim, again) == (claim, [])


def test_of_service_cidrs_only_a_second_family_may_come() -> None:
    rules = strategy("servicecidrs.networking.k8s.io")
    old = made("servicecidrs.networking.k8s.io", "spec: {cidrs: [10.1.0.0/16]}")
    assert changed(rules, old, {"spec": {"cidrs": ["10.1.0.0/16", "fd00::/112"]}})[1] == []
    assert changed(rules, old, {"spec": {"cidrs": []}})[1] == ["spec.cidrs: Invalid value: []: field is immutable"]
    assert changed(rules, old, {"spec": {"cidrs": ["10.2.0.0/16"]}})[1] == [
        'spec.cidrs[0]: Invalid value: "10.2.0.0/16": field is immutable'
    ]
    assert changed(rules, old, {"spec": {"cidrs": ["10.1.0.0/16", ""]}})[1]


def test_old_annotations_confine_containers() -> None:
    ctx = WriteContext()
    key = "container.apparmor.security.beta.kubernetes.io"
    text = f"""
    metadata: {{name: x, annotations: {{{key}/a: runtime/default, {key}/b: localhost/p, {key}/c: localhost/}}}}
    spec: {{containers: [{{name: a, image: i}}, {{name: b, image: i}}, {{name: c, image: i}}]}}
    """
    contexts = [c.get("securityContext") for c in made("pods", text, ctx)["spec"]["containers"]]
    assert contexts == [
        {"appArmorProfile": {"type": "RuntimeDefault"}},
        {"appArmorProfile": {"type": "Localhost", "localhostProfile": "p"}},
        None,
    ]
    assert ctx.warnings == [
        f'metadata.annotations[{key}/{name}]: deprecated since v1.30; use the "appArmorProfile" field instead'
        for name in "abc"
    ]


def test_what_says_how_a_pod_runs_stays() -> None:
    armor, mirror = "container.apparmor.security.beta.kubernetes.io/c", "kubernetes.io/config.mirror"
    text = f"metadata: {{name: x, annotations: {{{armor}: unconfined}}}}\nspec: {{nodeName: n, containers: [{{name: c, image: i}}]}}"
    old = made("pods", text)
    wanted = [
        f"metadata.annotations[{armor}]: Forbidden: may not remove or update AppArmor annotations",
        f"metadata.annotations[{mirror}]: Forbidden: may not add mirror pod annotation",
    ]
    patch = {"metadata": {"annotations": {armor: None, mirror: "m", "other": "o"}}}
    assert changed(strategy("pods"), old, patch)[1] == wanted


def test_a_wrong_template_of_a_stateful_set_is_borne_where_it_was_wrong_before() -> None:
    rules = strategy("statefulsets.apps")
    old = made("statefulsets.apps", WORKLOAD)
    wrong = {"spec": {"template": {"spec": {"containers": [{"name": "C", "image": "i"}]}}}}
    _, errors = changed(rules, old, wrong)
    assert [error.partition(": ")[0] for error in errors] == ["spec.template.spec.containers[0].name"]
    before = merge(old, wrong)
    rules.default(before)
    assert changed(rules, before, {"spec": {"replicas": 2}})[1] == []


def test_a_storage_class_keeps_how_its_volumes_are_made() -> None:
    old = made("storageclasses.storage.k8s.io", "{provisioner: a.b/c}")
    patch = {"provisioner": "a.b/d", "parameters": {"a": "b"}, "reclaimPolicy": "Retain"}
    assert changed(strategy("storageclasses.storage.k8s.io"), old, patch)[1] == [
        "parameters: Forbidden: updates to parameters are forbidden.",
        'provisioner: Invalid value: "a.b/d": field is immutable',
        'reclaimPolicy: Invalid value: "Retain": field is immutable',
    ]


def test_of_the_drivers_of_a_node_only_the_limits_may_change() -> None:
    rules = strategy("csinodes.storage.k8s.io")
    old = made("csinodes.storage.k8s.io", "spec: {drivers: [{name: d.io, nodeID: n}]}")
    driver = {"name": "d.io", "nodeID": "n", "allocatable": {"count": 3}}
    assert changed(rules, old, {"spec": {"drivers": [driver]}})[1] == []
    shown = '{"Name":"d.io","NodeID":"m","TopologyKeys":null,"Allocatable":null}'
    assert changed(rules, old, {"spec": {"drivers": [{**driver, "nodeID": "m"}]}})[1] == [
        f"spec.drivers: Invalid value: {shown}: field is immutable"
    ]


def test_whether_a_driver_attaches_is_for_ever() -> None:
    old = made("csidrivers.storage.k8s.io", "spec: {}")
    assert changed(strategy("csidrivers.storage.k8s.io"), old, {"spec": {"attachRequired": False}})[1] == [
        "spec.attachedRequired: Invalid value: false: field is immutable"
    ]
