"""ResourceQuota: what a namespace may use, checked and charged at creation.

kubernetes/plugin/pkg/admission/resourcequota and pkg/quota/v1/evaluator/core. The status that is charged here is
recomputed by the quota controller.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.admission.base import Attributes, Plugin
from kuartui.embedded.api.request import SYSTEM
from kuartui.embedded.api.rest import Rest, Write
from kuartui.embedded.meta import errors
from kuartui.embedded.meta.quantity import ZERO, Quantity, parse
from kuartui.embedded.quota import in_scope, unspecified, usage

Obj = dict[str, Any]
Amounts = dict[str, Quantity]


class ResourceQuota(Plugin):
    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    async def validate(self, attributes: Attributes) -> None:
        new = attributes.obj
        if new is None or attributes.operation not in ("CREATE", "UPDATE"):
            return
        if attributes.subresource and (attributes.resource, attributes.subresource) != ("pods", "resize"):
            return
        quotas = self._rest.store.list("resourcequotas", attributes.namespace) if attributes.namespace else []
        if not quotas or attributes.resource == "events":
            return
        wanted = usage(attributes.resource, new)
        before = usage(attributes.resource, attributes.old) if attributes.old is not None else {}
        delta = {name: wanted.get(name, ZERO) - before.get(name, ZERO) for name in {**wanted, **before}}
        found = [stored.data for stored in sorted(quotas, key=lambda quota: quota.key.name)]
        concerned = [quota for quota in found if in_scope(quota.get("spec") or {}, attributes.resource, new)]
        # each quota has its say before any is charged
        if attributes.resource == "pods" and attributes.operation == "CREATE":
            for quota in concerned:
                _must_specify(attributes, quota, new)
        totals = [(quota, _charged(attributes, quota, delta)) for quota in concerned]
        if attributes.dry_run:
            return
        for quota, total in totals:
            if total:
                await self._charge(attributes.namespace, quota["metadata"]["name"], total)

    async def _charge(self, namespace: str, name: str, total: dict[str, str]) -> None:
        """Note what a quota has used in all from now on."""
        endpoint = self._rest.resources.storage("resourcequotas")

        def change(current: Obj) -> Obj:
            state = current.setdefault("status", {})
            state["used"] = {**(state.get("used") or {}), **total}
            return current

        write = Write(SYSTEM, "kube-apiserver", subresource="status")
        await self._rest.update(endpoint, namespace, name, change, write)


def _hard(quota: Obj) -> Amounts:
    return {name: parse(value) for name, value in ((quota.get("spec") or {}).get("hard") or {}).items()}


def _must_specify(attributes: Attributes, quota: Obj, pod: Obj) -> None:
    """Raises StatusError where a new pod leaves out what a quota counts."""
    lacking = unspecified(pod, _hard(quota))
    if lacking:
        why = f"failed quota: {quota['metadata']['name']}: must specify {lacking}"
        raise errors.forbidden("pods", attributes.name, why)


def _charged(attributes: Attributes, quota: Obj, delta: Amounts) -> dict[str, str]:
    """What a quota has used with this write, where that changes. Raises StatusError if it is too much."""
    hard = _hard(quota)
    charged = {key: amount for key, amount in delta.items() if key in hard and (amount or attributes.old is None)}
    status = quota.get("status", {}).get("used") or {}
    used = {key: parse(status.get(key, "0")) for key in charged}
    over = sorted(key for key in charged if charged[key] > ZERO and hard[key] < used[key] + charged[key])
    if over:

        def show(amounts: Amounts) -> str:
            return ",".join(f"{key}={amounts[key]}" for key in over)

        name = quota["metadata"]["name"]
        why = f"exceeded quota: {name}, requested: {show(charged)}, used: {show(used)}, limited: {show(hard)}"
        raise errors.forbidden(attributes.resource, attributes.name, why)
    if not any(charged.values()):
        return {}
    return {key: str(used[key] + charged[key]) for key in charged}
