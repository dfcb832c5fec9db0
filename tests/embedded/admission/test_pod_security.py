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
