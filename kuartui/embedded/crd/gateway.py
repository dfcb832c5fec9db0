"""The Gateway API as an add-on: the CRDs of its standard channel (v1.3), which data/gateway.json keeps short.

https://gateway-api.sigs.k8s.io/reference/spec/
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded import data
from kuartui.embedded.client import Client
from kuartui.embedded.controllers.conditions import new_condition
from kuartui.embedded.crd.names import APPROVAL
from kuartui.embedded.kinds.base import strategy
from kuartui.embedded.meta import random
from kuartui.embedded.meta.time import format_time

Obj = dict[str, Any]

CRDS = "customresourcedefinitions.apiextensions.k8s.io"


def install(client: Client) -> None:
    """Put in what is missing, as established CRDs.

    Straight into the store: compiling all rules to judge them once more would take longer than all else at start.
    """
    for crd in definitions():
        name = crd["metadata"]["name"]
        if client.get(CRDS, "", name) is None:
            client.store.create(CRDS, "", name, _established(crd, client))


def _established(crd: Obj, client: Client) -> Obj:
    strategy(CRDS).default(crd)
    now = client.clock.now()
    made: Obj = {"uid": random.uid(), "creationTimestamp": format_time(now), "generation": 1}
    approved = "approved in " + crd["metadata"]["annotations"][APPROVAL]
    conditions = [
        new_condition("NamesAccepted", "True", "NoConflicts", "no conflicts found", now),
        new_condition("Established", "True", "InitialNamesAccepted", "the initial names have been accepted", now),
        new_condition("KubernetesAPIApprovalPolicyConformant", "True", "ApprovedAnnotation", approved, now),
    ]
    stored = [version["name"] for version in crd["spec"]["versions"] if version["storage"]]
    status = {"acceptedNames": crd["spec"]["names"], "conditions": conditions, "storedVersions": stored}
    return {**crd, "metadata": {**crd["metadata"], **made}, "status": status}


def definitions() -> list[Obj]:
    """The CRDs, as `kubectl apply` of the release would create them."""
    facts = data.gateway()
    return [_definition(facts["group"], facts["annotations"], one) for one in facts["resources"]]


def _definition(group: str, annotations: dict[str, str], facts: Obj) -> Obj:
    names = facts["names"]
    shared: Obj = {
        "served": True,
        "schema": {"openAPIV3Schema": facts["schema"]},
        "additionalPrinterColumns": facts["additionalPrinterColumns"],
    }
    if facts["status"]:
        shared["subresources"] = {"status": {}}
    versions = [{"name": name, "storage": name == facts["storage"], **shared} for name in facts["versions"]]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names['plural']}.{group}", "annotations": annotations},
        "spec": {"group": group, "names": names, "scope": facts["scope"], "versions": versions},
    }
