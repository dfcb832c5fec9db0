"""pods/eviction: a deletion that PodDisruptionBudgets may refuse.

kubernetes/pkg/registry/core/pod/storage/eviction.go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kuartui.embedded.api import bodies, objects
from kuartui.embedded.api.request import Request, Response, json_response
from kuartui.embedded.api.resources import Endpoint
from kuartui.embedded.api.rest import Rest, Write
from kuartui.embedded.disruption import conditions_of_disrupted
from kuartui.embedded.meta import errors, labels, schema
from kuartui.embedded.meta.time import format_time

Obj = dict[str, Any]

BUDGETS = "poddisruptionbudgets.policy"
REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."
MOST_DISRUPTED = 2000
SEVERAL = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."


class Evictions:
    """Serves pods/eviction."""

    def __init__(self, rest: Rest, write: Callable[[Request], Write]) -> None:
        self._rest, self._write = rest, write

    async def evict(self, request: Request, endpoint: Endpoint) -> Response:
        """POST eviction. Raises 429 if a budget does not allow it."""
        info = request.info
        node = schema.for_kind("policy", "v1", "Eviction") or endpoint.node
        eviction = _body(request, endpoint, node)
        name = eviction.get("metadata", {}).get("name", "")
        if name and name != info.name:
            raise errors.bad_request("name in URL does not match name in Eviction object")
        options = eviction.get("deleteOptions") or {}
        write = self._write(request)
        write.subresource = ""
        write.dry_run = write.dry_run or bool(options.get("dryRun"))
        pod = self._rest.get(endpoint, info.namespace, info.name).data
        if not _ignores_budgets(pod):
            budget = self._budget(pod)
            if budget is not None and not _unhealthy_may_go(pod, budget):
                await self._spend(budget, pod, write)
        if not write.dry_run:
            options = await self._tell(endpoint, pod, options, write)
        await self._rest.delete(endpoint, info.namespace, info.name, options, write)
        body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
        return json_response(body, 201)

    async def _tell(self, endpoint: Endpoint, pod: Obj, options: Obj, write: Write) -> Obj:
        """Have the pod say why it goes; the deletion's options, for the pod as it is now. Raises 409."""
        wanted = options.get("preconditions") or {}

        def change(current: Obj) -> Obj:
            problem = objects.precondition_error(endpoint, current, wanted)
            if problem:
                raise problem
            now = self._rest.clock.now()
            conditions = conditions_of_disrupted(current, "EvictionByEvictionAPI", "Eviction API: evicting", now)
            current.setdefault("status", {})["conditions"] = conditions
            return current

        inner = Write(write.user, write.manager, subresource="status")
        metadata = pod["metadata"]
        told, _ = await self._rest.update(endpoint, metadata["namespace"], metadata["name"], change, inner)
        if not wanted.get("resourceVersion"):
            return options
        return options | {"preconditions": wanted | {"resourceVersion": told["metadata"]["resourceVersion"]}}

    def _budget(self, pod: Obj) -> Obj | None:
        found = []
        for stored in self._rest.store.list(BUDGETS, pod["metadata"]["namespace"]):
            selector = stored.data["spec"].get("selector")
            if labels.from_object(selector).matches(pod["metadata"].get("labels")):
                found.append(stored.data)
        if len(found) > 1:
            raise errors.go_error(SEVERAL)
        return found[0] if found else None

    async def _spend(self, budget: Obj, pod: Obj, write: Write) -> None:
        """Take one disruption from the budget. Raises 429."""
        metadata, status = budget["metadata"], budget.get("status", {})
        name = metadata["name"]
        if status.get("observedGeneration", 0) < metadata.get("generation", 0):
            why = f"The disruption budget {name} is still being processed by the server."
            raise errors.too_many_requests(REFUSED, 10, [{"reason": "DisruptionBudget", "message": why}])
        if len(status.get("disruptedPods") or {}) > MOST_DISRUPTED:
            why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
            raise errors.forbidden("poddisruptionbudget.policy", name, why)
        if status.get("disruptionsAllowed", 0) < 0:
            raise errors.forbidden("poddisruptionbudget.policy", name, "pdb disruptions allowed is negative")
        if not status.get("disruptionsAllowed", 0):
            why = (
                f"The disruption budget {name} needs {status.get('desiredHealthy', 0)} healthy pods and has "
                f"{status.get('currentHealthy', 0)} currently"
            )
            raise errors.too_many_requests(REFUSED, 0, [{"reason": "DisruptionBudget", "message": why}])
        if write.dry_run:
            return
        now = format_time(self._rest.clock.now())

        def change(current: Obj) -> Obj:
            state = current.setdefault("status", {})
            state["disruptionsAllowed"] = max(0, state.get("disruptionsAllowed", 0) - 1)
            state.setdefault("disruptedPods", {})[pod["metadata"]["name"]] = now
            if not state["disruptionsAllowed"]:
                for condition in state.get("conditions") or ():
                    if condition["type"] == "DisruptionAllowed":
                        condition |= {"status": "False", "reason": "InsufficientPods", "lastTransitionTime": now}
            return current

        endpoint = self._rest.resources.storage(BUDGETS)
        inner = Write(write.user, write.manager, subresource="status")
        await self._rest.update(endpoint, metadata["namespace"], name, change, inner)


def _body(request: Request, endpoint: Endpoint, node: schema.Node) -> Obj:
    from msgspec.structs import replace

    resource = replace(endpoint.resource, group="policy")
    return bodies.read_object(request, replace(endpoint, resource=resource), "Eviction", node)


def _ignores_budgets(pod: Obj) -> bool:
    """Pods that do not count for anyone: done, not yet running, or going already."""
    phase = pod.get("status", {}).get("phase")
    return phase in ("Succeeded", "Failed", "Pending") or bool(pod["metadata"].get("deletionTimestamp"))


def _unhealthy_may_go(pod: Obj, budget: Obj) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    if any(one["type"] == "Ready" and one["status"] == "True" for one in conditions):
        return False
    if budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget.get("status", {})
    return bool(status.get("currentHealthy", 0) >= status.get("desiredHealthy", 0) > 0)
