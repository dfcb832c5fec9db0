"""ClusterRoles that gather the rules of others, after pkg/controller/clusterroleaggregation."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.controllers import objects
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.meta.labels import from_object
from kuartui.embedded.store import Event

Obj = dict[str, Any]

ROLES = "clusterroles.rbac.authorization.k8s.io"


class ClusterRoleAggregation(Controller):
    """Keeps the rules of roles with an aggregationRule."""

    name = "clusterrole-aggregation-controller"

    def setup(self) -> None:
        self.watch(ROLES, self._role_changed)

    def _role_changed(self, event: Event) -> None:
        """Any role may be part of another one."""
        for stored in self.client.store.list(ROLES):
            if stored.data.get("aggregationRule"):
                self.enqueue("", stored.key.name)

    async def reconcile(self, namespace: str, name: str) -> None:
        role = self.client.get(ROLES, "", name)
        if role is None or not role.get("aggregationRule"):
            return
        rules: list[Obj] = []
        every = self.client.list(ROLES)
        for selector in role["aggregationRule"].get("clusterRoleSelectors") or ():
            wanted = from_object(selector)
            for other in every:
                if objects.name_of(other) == name or not wanted.matches(objects.labels_of(other)):
                    continue
                rules += [rule for rule in other.get("rules") or () if rule not in rules]
        if rules != (role.get("rules") or []):
            await self.client.update(ROLES, {**role, "metadata": {**role["metadata"]}, "rules": rules})
