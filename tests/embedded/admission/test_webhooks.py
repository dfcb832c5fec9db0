"""Admission webhooks behind services of the cluster."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from kuartui.embedded.admission.base import Attributes, Plugin
from kuartui.embedded.admission.webhooks import MutatingWebhooks, ValidatingWebhooks
from kuartui.embedded.api.request import Request as ApiRequest
from kuartui.embedded.api.request import parse_info, parse_query
from kuartui.embedded.api.subresources.connections import Connections
from kuartui.embedded.bootstrap import API_ADDRESS
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.network.http import Request, Response, reply, server
from kuartui.embedded.network.tls import tls_handler
from tests.embedded.api.server import ADMIN, Server
from tests.embedded.certificates import Authority
from tests.embedded.containers import World

Obj = dict[str, Any]

GROUP = "/apis/admissionregistration.k8s.io/v1"
MAPS = "/api/v1/namespaces/default/configmaps"
RULES = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}]
FAILED = 'Internal error occurred: failed calling webhook "w.example.com": failed to call webhook: '
TARGET = 'Post "https://guard.default.svc:443/check?timeout=5s": '


class Guarded(Server):
    def __init__(self, world: World) -> None:
        super().__init__()
        self.world, self.authority = world, Authority()
        world.network.add_node("control", API_ADDRESS)
        self.rest.clock = self.clock = world.clock
        plugins = (MutatingWebhooks(self.rest, world.network), ValidatingWebhooks(self.rest, world.network))
        self.rest.admission.add(*plugins)
        self.seen: list[Obj] = []
        self.response: Obj = {"allowed": True}

    async def configure(self, kind: str = "validating", **webhook: Any) -> None:
        made = {
            "name": "w.example.com",
            "rules": RULES,
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "timeoutSeconds": 5,
            "clientConfig": {
                "service": {"name": "guard", "namespace": "default", "path": "/check"},
                "caBundle": base64.b64encode(self.authority.pem).decode(),
            },
            **webhook,
        }
        body = {"metadata": {"name": "hooks"}, "webhooks": [made]}
        await self.json("POST", f"{GROUP}/{kind}webhookconfigurations", body)

    async def serve(self, *, name: str = "guard.default.svc", port: int = 443) -> None:
        await self.service()
        context = self.authority.server(name)
        self.world.network.add_pod("10.244.0.70", "default", "guard-1", node="control")
        self.world.network.listen("10.244.0.70", 8443, tls_handler(context, server(self._handle, scheme="https")))
        self.world.service("guard", "10.96.0.70", 443, [("10.244.0.70", 8443)])

    async def service(self) -> None:
        spec = {"clusterIP": "10.96.0.70", "ports": [{"port": 443, "protocol": "TCP"}]}
        self.store.create("services", "default", "guard", {"metadata": {"name": "guard"}, "spec": spec})

    async def _handle(self, request: Request) -> Response:
        review = orjson.loads(request.body)
        self.seen.append(review["request"])
        answer = {**review, "response": {"uid": review["request"]["uid"], **self.response}}
        return reply(200, orjson.dumps(answer), "application/json")

    async def try_map(self, code: int = 0, target: str = MAPS, **data: str) -> Obj:
        asked = asyncio.ensure_future(self.json("POST", target, {"metadata": {"name": "m"}, "data": data}, code=code))
        for _ in range(40):
            await asyncio.sleep(0.002)
            if asked.done():
                break
        else:
            await self.world.clock.advance(30)
        return await asked


@pytest.fixture
async def guarded() -> AsyncIterator[Guarded]:
    world = World()
    found = Guarded(world)
    await found.json("POST", "/api/v1/namespaces", {"metadata": {"name": "default"}})
    yield found
    await world.close()


async def test_it_is_told_everything(guarded: Guarded) -> None:
    await guarded.serve()
    await guarded.configure()
    await guarded.try_map(a="1")
    (seen,) = guarded.seen
    assert (seen["operation"], seen["name"], seen["namespace"]) == ("CREATE", "m", "default")
    assert seen["userInfo"]["username"] == "admin"
    assert seen["object"]["data"] == {"a": "1"}
    assert seen["oldObject"] is None
    assert seen["options"] == {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"}


@pytest.mark.parametrize(
    ("operation", "method", "query", "told"),
    [
        ("CREATE", "POST", "?fieldManager=me&fieldValidation=Strict",
         {"kind": "CreateOptions", "fieldManager": "me", "fieldValidation": "Strict"}),
        ("UPDATE", "PATCH", "/m?fieldManager=me", {"kind": "PatchOptions", "fieldManager": "me"}),
        ("UPDATE", "PUT", "/m?dryRun=All", {"kind": "UpdateOptions", "dryRun": ["All"]}),
        ("DELETE", "DELETE", "/m?gracePeriodSeconds=3", {"kind": "DeleteOptions", "gracePeriodSeconds": 3}),
    ],
)  # fmt: skip
async def test_it_is_told_how_it_was_asked(
    guarded: Guarded, operation: str, method: str, query: str, told: Obj
) -> None:
    if operation != "CREATE":
        await guarded.config_map("m")
    await guarded.serve()
    await guarded.configure(rules=[{**RULES[0], "operations": [operation]}])
    body = {"metadata": {"name": "m"}, "data": {"a": "1"}} if method != "DELETE" else None
    kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
    await guarded.json(method, f"{MAPS}{query}", body, content_type=kind)
    (seen,) = guarded.seen
    assert seen["options"] == {**told, "apiVersion": "meta.k8s.io/v1"}


async def test_a_rejection(guarded: Guarded) -> None:
    await guarded.serve()
    await guarded.configure()
    guarded.response = {"allowed": False, "status": {"message": "not on a Friday", "code": 403}}
    answer = await guarded.try_map(code=403)
    assert answer["message"] == 'admission webhook "w.example.com" denied the request: not on a Friday'
    guarded.response = {"allowed": False}
    answer = await guarded.try_map(code=400)
    assert answer["message"] == 'admission webhook "w.example.com" denied the request without explanation'


async def test_a_patch(guarded: Guarded) -> None:
    await guarded.serve()
    await guarded.configure("mutating")
    patch = orjson.dumps([{"op": "add", "path": "/data/b", "value": "2"}])
    guarded.response = {"allowed": True, "patchType": "JSONPatch", "patch": base64.b64encode(patch).decode()}
    assert (await guarded.try_map(a="1"))["data"] == {"a": "1", "b": "2"}


async def test_a_connection_is_told_of_with_its_options(guarded: Guarded) -> None:
    await guarded.serve()
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CONNECT"], "resources": ["pods/exec"]}]
    await guarded.configure(rules=rules)
    query = "container=c&command=sh&command=-c&stdin=true"
    request = ApiRequest("POST", "/api/v1/namespaces/default/pods/p/exec", parse_query(query), {}, b"")
    request.info, request.user = parse_info("POST", request.path, request.query), ADMIN
    endpoint = guarded.dispatcher.endpoint(request.info)
    connections = Connections(guarded.rest, guarded.dispatcher.write)
    await connections.admit(request, endpoint)
    (seen,) = guarded.seen
    assert (seen["operation"], seen["name"], seen["subResource"]) == ("CONNECT", "p", "exec")
    assert seen["kind"] == {"group": "", "version": "v1", "kind": "PodExecOptions"}
    options = {"kind": "PodExecOptions", "apiVersion": "v1", "container": "c", "command": ["sh", "-c"], "stdin": True}
    assert seen["object"] == options
    guarded.response = {"allowed": False, "status": {"message": "hands off"}}
    with pytest.raises(StatusError, match="denied the request: hands off"):
        await connections.admit(request, endpoint)


async def test_it_sees_the_version_that_it_knows(guarded: Guarded) -> None:
    await guarded.serve()
    scalers = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
    rules = [{"apiGroups": ["autoscaling"], "apiVersions": ["v1"], "operations": ["CREATE"],
              "resources": ["horizontalpodautoscalers"]}]  # fmt: skip
    await guarded.configure("mutating", rules=rules)
    patch = orjson.dumps([{"op": "replace", "path": "/spec/targetCPUUtilizationPercentage", "value": 70}])
    guarded.response = {"allowed": True, "patchType": "JSONPatch", "patch": base64.b64encode(patch).decode()}
    target = {"type": "Utilization", "averageUtilization": 50}
    metrics = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    scaled = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    spec = {"maxReplicas": 3, "scaleTargetRef": scaled, "metrics": metrics}
    made = await guarded.json("POST", scalers, {"metadata": {"name": "web"}, "spec": spec})
    assert made["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 70
    (seen,) = guarded.seen
    assert (seen["kind"]["version"], seen["requestKind"]["version"]) == ("v1", "v2")
    assert (seen["object"]["apiVersion"], seen["object"]["spec"]["targetCPUUtilizationPercentage"]) == (
        "autoscaling/v1",
        50,
    )
    exact = {"webhooks": [{"name": "w.example.com", "matchPolicy": "Exact"}]}
    kind = "application/strategic-merge-patch+json"
    await guarded.json("PATCH", f"{GROUP}/mutatingwebhookconfigurations/hooks", exact, content_type=kind)
    made = await guarded.json("POST", scalers, {"metadata": {"name": "other"}, "spec": spec})
    assert made["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 50


async def test_a_second_look_at_what_others_changed(guarded: Guarded) -> None:
    class Stamp(Plugin):
        """A plugin of the server itself: it, too, looks again."""

        async def mutate(self, attributes: Attributes) -> None:
            if attributes.resource == "configmaps" and attributes.obj is not None:
                attributes.obj["data"]["seen"] = " ".join(sorted(set(attributes.obj["data"]) - {"seen"}))

    guarded.rest.admission.add(Stamp())
    await guarded.serve()
    await guarded.configure("mutating", reinvocationPolicy="IfNeeded")
    patch = orjson.dumps([{"op": "add", "path": "/data/b", "value": "2"}])
    guarded.response = {"allowed": True, "patchType": "JSONPatch", "patch": base64.b64encode(patch).decode()}
    made = await guarded.try_map(a="1")
    assert made["data"] == {"a": "1", "b": "2", "seen": "a b"}
    assert [seen["object"]["data"] for seen in guarded.seen] == [{"a": "1"}, {"a": "1", "b": "2", "seen": "a b"}]
    await guarded.json("DELETE", f"{MAPS}/m")
    guarded.seen.clear()
    patch_never = {"webhooks": [{"name": "w.example.com", "reinvocationPolicy": "Never"}]}
    kind = "application/strategic-merge-patch+json"
    await guarded.json("PATCH", f"{GROUP}/mutatingwebhookconfigurations/hooks", patch_never, content_type=kind)
    await guarded.try_map(a="1")
    assert len(guarded.seen) == 1


async def test_its_service_is_gone(guarded: Guarded) -> None:
    await guarded.configure()
    answer = await guarded.try_map(code=500)
    assert answer["message"] == f'{FAILED}{TARGET}service "guard" not found'
    assert answer["reason"] == "InternalError"


async def test_nobody_is_behind_its_service(guarded: Guarded) -> None:
    await guarded.service()
    guarded.world.service("guard", "10.96.0.70", 443, [])
    await guarded.configure()
    answer = await guarded.try_map(code=500)
    assert answer["message"] == f"{FAILED}{TARGET}dial tcp 10.96.0.70:443: connect: connection refused"


async def test_another_certificate(guarded: Guarded) -> None:
    await guarded.serve()
    guarded.authority = Authority()
    await guarded.configure()
    answer = await guarded.try_map(code=500)
    why = "tls: failed to verify certificate: x509: certificate signed by unknown authority"
    assert answer["message"] == f"{FAILED}{TARGET}{why}"


async def test_a_certificate_for_other_names(guarded: Guarded) -> None:
    await guarded.serve(name="watch.default.svc")
    await guarded.configure()
    answer = await guarded.try_map(code=500)
    why = "tls: failed to verify certificate: x509: certificate is valid for watch.default.svc, not guard.default.svc"
    assert answer["message"] == f"{FAILED}{TARGET}{why}"


async def test_no_certificate_at_all(guarded: Guarded) -> None:
    await guarded.service()
    guarded.world.network.add_pod("10.244.0.70", "default", "guard-1", node="control")
    guarded.world.network.listen("10.244.0.70", 8443, server(guarded._handle))
    guarded.world.service("guard", "10.96.0.70", 443, [("10.244.0.70", 8443)])
    await guarded.configure()
    answer = await guarded.try_map(code=500)
    assert answer["message"] == f"{FAILED}{TARGET}http: server gave HTTP response to HTTPS client"


async def test_failures_may_be_ignored(guarded: Guarded) -> None:
    await guarded.configure(failurePolicy="Ignore")
    await guarded.try_map()


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"namespaceSelector": {"matchLabels": {"team": "a"}}},
        {"objectSelector": {"matchLabels": {"team": "a"}}},
        {"matchConditions": [{"name": "never", "expression": "request.name != 'm'"}]},
        {"rules": [{**RULES[0], "operations": ["DELETE"]}]},
        {"rules": [{**RULES[0], "scope": "Cluster"}]},
        {"rules": None},
        {"rules": []},
    ],
)
async def test_it_is_asked_about_its_own_things_only(guarded: Guarded, elsewhere: Obj) -> None:
    await guarded.configure(**elsewhere)
    await guarded.try_map()


async def test_dry_runs_need_its_promise(guarded: Guarded) -> None:
    await guarded.serve()
    await guarded.configure(sideEffects="NoneOnDryRun")
    await guarded.try_map(target=f"{MAPS}?dryRun=All")
    assert guarded.seen[0]["dryRun"] is True


async def test_configurations_are_never_intercepted(guarded: Guarded) -> None:
    everything = [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"]}]
    await guarded.configure(rules=everything)
    await guarded.try_map(code=500)
    await guarded.json("DELETE", f"{GROUP}/validatingwebhookconfigurations/hooks")
    await guarded.try_map()


def _patching(*operations: Obj) -> Obj:
    """An answer that allows and changes."""
    patch = base64.b64encode(orjson.dumps(operations)).decode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": patch}


def _rules(group: str, resource: str, operation: str) -> list[Obj]:
    return [{"apiGroups": [group], "apiVersions": ["v1"], "operations": [operation], "resources": [resource]}]


async def test_what_it_makes_of_a_service_decides_what_is_allocated(guarded: Guarded) -> None:
    await guarded.serve()
    await guarded.configure("mutating", rules=_rules("", "services", "CREATE"))
    guarded.response = _patching({"op": "add", "path": "/spec/type", "value": "NodePort"})
    body = {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}
    made = await guarded.json("POST", "/api/v1/namespaces/default/services", body)
    assert made["spec"]["type"] == "NodePort"
    assert made["spec"]["ports"][0]["nodePort"]
    assert "clusterIP" not in guarded.seen[0]["object"]["spec"]


async def test_its_change_to_a_spec_is_a_new_generation(guarded: Guarded) -> None:
    labels = {"app": "web"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": labels}, "template": pod}
    sets = "/apis/apps/v1/namespaces/default/replicasets"
    made = await guarded.json("POST", sets, {"metadata": {"name": "web"}, "spec": spec})
    await guarded.serve()
    await guarded.configure("mutating", rules=_rules("apps", "replicasets", "UPDATE"))
    guarded.response = _patching({"op": "replace", "path": "/spec/replicas", "value": 3})
    kind = "application/merge-patch+json"
    touched = {"metadata": {"labels": {"a": "b"}}}
    changed = await guarded.json("PATCH", f"{sets}/web", touched, content_type=kind)
    assert changed["spec"]["replicas"] == 3
    assert changed["metadata"]["generation"] == made["metadata"]["generation"] + 1


async def test_through_a_subresource_it_changes_no_more_than_that(guarded: Guarded) -> None:
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    pods = "/api/v1/namespaces/default/pods"
    await guarded.json("POST", pods, pod)
    await guarded.serve()
    await guarded.configure("mutating", rules=_rules("", "pods/status", "UPDATE"))
    guarded.response = _patching(
        {"op": "add", "path": "/spec/nodeName", "value": "n"},
        {"op": "add", "path": "/status/message", "value": "changed"},
    )
    kind = "application/merge-patch+json"
    changed = await guarded.json("PATCH", f"{pods}/p/status", {"status": {"phase": "Running"}}, content_type=kind)
    assert changed["status"]["message"] == "changed"
    assert "nodeName" not in changed["spec"]


@pytest.mark.parametrize(("expression", "asked"), [("false", 0), ("true", 0), ("request.name == 'm'", 0)])
async def test_a_condition_that_is_false_settles_it(guarded: Guarded, expression: str, asked: int) -> None:
    await guarded.serve()
    broken = {"name": "broken", "expression": "object.nothing.there == 'x'"}
    conditions = [broken, {"name": "other", "expression": expression}]
    await guarded.configure(matchConditions=conditions)
    answer = await guarded.try_map(code=201 if expression == "false" else 403)
    assert len(guarded.seen) == asked
    assert expression == "false" or answer["message"] == (
        "configmaps \"m\" is forbidden: expression 'object.nothing.there == 'x'' resulted in error: no such key: nothing"
    )


@pytest.mark.parametrize(
    "spec",
    [
        {"clusterIP": "10.96.0.99", "ports": [{"port": 80}]},
        {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30099}]},
    ],
)
async def test_what_is_allocated_while_it_is_asked_goes_to_one(guarded: Guarded, spec: Obj) -> None:
    await guarded.serve()
    await guarded.configure(rules=_rules("", "services", "CREATE"))
    services = "/api/v1/namespaces/default/services"
    bodies = [{"metadata": {"name": name}, "spec": spec} for name in ("a", "b")]
    answers = await asyncio.gather(*(guarded.ask("POST", services, body) for body in bodies))
    assert len(guarded.seen) == 2
    assert sorted(answer.status for answer in answers) == [201, 422]
