"""PodSecurity: what the labels of a namespace may say, and what follows."""

from __future__ import annotations

from typing import Any

import pytest

from kuartui.embedded.admission.pod_security import PREFIX, PodSecurity
from tests.embedded.api.server import Server


class Secured(Server):
    def __init__(self) -> None:
        super().__init__()
        self.rest.admission.add(PodSecurity(self.store))

    async def namespace(self, code: int = 201, **labels: str) -> dict[str, Any]:
        named = {PREFIX + mode.replace("_", "-"): value for mode, value in labels.items()}
        return await self.json("POST", "/api/v1/namespaces", {"metadata": {"name": "n", "labels": named}}, code=code)


@pytest.mark.parametrize(
    ("mode", "value", "words"),
    [
        ("enforce", "strict", "must be one of privileged, baseline, restricted"),
        ("warn_version", "v2.0", 'must be "latest" or "v1.x"'),
        ("audit_version", "1.36", 'must be "latest" or "v1.x"'),
    ],
)
async def test_labels_that_make_no_sense_are_refused(mode: str, value: str, words: str) -> None:
    answer = await Secured().namespace(422, **{mode: value})
    label = PREFIX + mode.replace("_", "-")
    assert answer["message"] == f'Namespace "n" is invalid: metadata.labels[{label}]: Invalid value: "{value}": {words}'


async def test_a_pod_beyond_the_enforced_level_is_denied_with_level_and_version() -> None:
    server = Secured()
    await server.namespace(enforce="baseline", enforce_version="v1.30")
    pod = {"metadata": {"name": "p"}, "spec": {"hostNetwork": True, "containers": [{"name": "c", "image": "x"}]}}
    answer = await server.json("POST", "/api/v1/namespaces/n/pods", pod, code=403)
    assert answer["message"] == (
        'pods "p" is forbidden: violates PodSecurity "baseline:v1.30": host namespaces (hostNetwork=true)'
    )


@pytest.mark.parametrize(("version", "code"), [("v1.18", 201), ("v1.21", 201), ("v1.22", 403), ("latest", 403)])
async def test_an_old_version_of_a_standard_knows_no_rule_that_came_later(version: str, code: int) -> None:
    server = Secured()
    await server.namespace(enforce="restricted", enforce_version=version)
    context = {"runAsNonRoot": True, "allowPrivilegeEscalation": False, "seccompProfile": {"type": "RuntimeDefault"}}
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "x", "securityContext": context}]}}
    await server.json("POST", "/api/v1/namespaces/n/pods", pod, code=code)


async def test_before_its_stricter_sister_came_the_baseline_rule_holds_at_the_restricted_level_too() -> None:
    server = Secured()
    await server.namespace(enforce="restricted", enforce_version="v1.21")
    context = {
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "seccompProfile": {"type": "RuntimeDefault"},
        "capabilities": {"add": ["NET_ADMIN"]},
    }
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "x", "securityContext": context}]}}
    answer = await server.json("POST", "/api/v1/namespaces/n/pods", pod, code=403)
    assert "non-default capabilities" in answer["message"]


PODS = "/api/v1/namespaces/n/pods"


def pod(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "x"}], **spec}}


async def relabelled(server: Secured, **labels: str) -> list[str]:
    """The warnings that come with other labels of the namespace."""
    named = {PREFIX + mode: value for mode, value in labels.items()}
    body = {"metadata": {"name": "n", "labels": named}}
    answer = await server.ask("PUT", "/api/v1/namespaces/n", body)
    return [value for name, value in answer.headers if name == "Warning"]


async def test_a_stricter_level_names_the_pods_that_break_it_and_a_laxer_one_none() -> None:
    server = Secured()
    await server.namespace()
    for name in ("web", "web-2", "z"):
        more = {"hostPID": True} if name == "web-2" else {"hostNetwork": True} if name == "web" else {}
        await server.json("POST", PODS, pod(name, **more))
    head = 'existing pods in namespace "n" violate the new PodSecurity enforce level'
    found = await relabelled(server, enforce="restricted")
    assert found[0] == f'{head} "restricted:latest"'
    assert [text.split(":")[0] for text in found[1:]] == ["web (and 1 other pod)", "z"]
    assert await relabelled(server, enforce="baseline") == []
    assert len(await relabelled(server, enforce="restricted")) == 3


async def test_a_pod_that_is_there_is_judged_again_only_for_its_containers() -> None:
    server = Secured()
    await server.namespace()
    made = await server.json("POST", PODS, pod("p", hostNetwork=True))
    await relabelled(server, enforce="baseline")
    made["spec"]["tolerations"] = [{"key": "a", "operator": "Exists"}]
    made = await server.json("PUT", f"{PODS}/p", made)
    made["spec"]["containers"][0]["image"] = "y"
    await server.json("PUT", f"{PODS}/p", made, code=403)


async def test_each_update_of_what_makes_pods_is_warned_about() -> None:
    server = Secured()
    await server.namespace(warn="restricted")
    deployments = "/apis/apps/v1/namespaces/n/deployments"
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
    body = {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}
    made = await server.json("POST", deployments, body)
    made["metadata"]["labels"] = {"new": "label"}
    answer = await server.ask("PUT", f"{deployments}/d", made)
    assert [value[:31] for name, value in answer.headers if name == "Warning"] == ['would violate PodSecurity "rest']
