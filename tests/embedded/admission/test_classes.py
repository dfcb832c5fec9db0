"""What RuntimeClasses, default IngressClasses and the protection of storage add to what is written."""

from __future__ import annotations

from typing import Any

import pytest

from kuartui.embedded.admission.default_ingress_class import DefaultIngressClass
from kuartui.embedded.admission.priority import Priority
from kuartui.embedded.admission.runtime_class import RuntimeClass
from kuartui.embedded.admission.storage import StorageProtection
from tests.embedded.api.server import Server

Obj = dict[str, Any]

PODS, INGRESSES = "/api/v1/namespaces/default/pods", "/apis/networking.k8s.io/v1/namespaces/default/ingresses"
TOLERATION = {"key": "sandboxed", "operator": "Exists"}


@pytest.fixture
async def server() -> Server:
    made = Server()
    made.rest.admission.add(RuntimeClass(made.store), DefaultIngressClass(made.store))
    body = {
        "metadata": {"name": "gvisor"},
        "handler": "runsc",
        "overhead": {"podFixed": {"cpu": "250m"}},
        "scheduling": {"nodeSelector": {"runtime": "gvisor"}, "tolerations": [TOLERATION]},
    }
    await made.json("POST", "/apis/node.k8s.io/v1/runtimeclasses", body)
    return made


async def pod(server: Server, code: int = 0, **spec: Any) -> Obj:
    body = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}
    return await server.json("POST", PODS, body, code=code)


async def test_a_class_says_what_its_runtime_costs_and_where_it_is(server: Server) -> None:
    spec = (await pod(server, runtimeClassName="gvisor", nodeSelector={"disk": "ssd"}))["spec"]
    assert spec["overhead"] == {"cpu": "250m"}
    assert spec["nodeSelector"] == {"disk": "ssd", "runtime": "gvisor"}
    assert spec["tolerations"] == [TOLERATION]


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"runtimeClassName": "kata"}, 'pod rejected: RuntimeClass "kata" not found'),
        (
            {"overhead": {"cpu": "1"}},
            "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead",
        ),
        (
            {"runtimeClassName": "gvisor", "overhead": {"cpu": "1"}},
            "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
        ),
        (
            {"runtimeClassName": "gvisor", "nodeSelector": {"runtime": "runc"}},
            "conflict: runtimeClass.scheduling.nodeSelector[runtime] = gvisor; pod.spec.nodeSelector[runtime] = runc",
        ),
    ],
)
async def test_what_does_not_fit_the_class_is_refused(server: Server, spec: Obj, why: str) -> None:
    assert (await pod(server, code=403, **spec))["message"] == f'pods "p" is forbidden: {why}'


async def test_a_pod_may_say_the_same_overhead_in_other_words(server: Server) -> None:
    await pod(server, runtimeClassName="gvisor", overhead={"cpu": "0.25"})


async def ingress(server: Server, name: str, **metadata: Any) -> str | None:
    backend = {"service": {"name": "s", "port": {"number": 80}}}
    made = await server.json(
        "POST", INGRESSES, {"metadata": {"name": name, **metadata}, "spec": {"defaultBackend": backend}}
    )
    found: str | None = made["spec"].get("ingressClassName")
    return found


async def test_an_ingress_gets_the_newest_default_class(server: Server) -> None:
    assert await ingress(server, "before") is None
    for name in ("zoo", "new"):
        annotations = {"ingressclass.kubernetes.io/is-default-class": "true"}
        body = {"metadata": {"name": name, "annotations": annotations}, "spec": {"controller": "a.b/c"}}
        await server.json("POST", "/apis/networking.k8s.io/v1/ingressclasses", body)
        await server.clock.advance(5)
    assert await ingress(server, "plain") == "new"
    assert await ingress(server, "old-style", annotations={"kubernetes.io/ingress.class": "nginx"}) is None


async def test_a_pods_priority_stays_when_a_replacement_leaves_it_out(server: Server) -> None:
    server.rest.admission.add(Priority(server.store))
    made = await pod(server)
    assert (made["spec"]["priority"], made["spec"]["preemptionPolicy"]) == (0, "PreemptLowerPriority")
    del made["spec"]["priority"], made["spec"]["preemptionPolicy"]
    replaced = await server.json("PUT", f"{PODS}/p", made)
    assert (replaced["spec"]["priority"], replaced["spec"]["preemptionPolicy"]) == (0, "PreemptLowerPriority")


async def test_what_can_be_in_use_is_protected() -> None:
    server = Server()
    server.rest.admission.add(StorageProtection())
    body: Obj = {"metadata": {"name": "gold"}, "driverName": "d.example.com", "parameters": {"iops": "9"}}
    made = await server.json("POST", "/apis/storage.k8s.io/v1/volumeattributesclasses", body)
    assert made["metadata"]["finalizers"] == ["kubernetes.io/vac-protection"]
