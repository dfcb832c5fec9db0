"""ClusterRoles that are the sum of others, by label.

After pkg/controller/clusterroleaggregation: rules are taken over in the order of the roles' names, each once.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.auth.rbac import CLUSTER_ROLES
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.meta import labels
from kuartui.embedded.store import Event

Obj = dict[str, Any]


class RoleAggregation(Controller):
    """Keeps the rules of aggregated ClusterRoles."""

    name = "clusterrole-aggregation-controller"

    def setup(self) -> None:
        self.watch(CLUSTER_ROLES, self._role_changed)

    def _role_changed(self, event: Event) -> None:
        """Any role may have begun or ceased to be part of any aggregate."""
        for stored in self.client.store.list(CLUSTER_ROLES):
            if stored.data.get("aggregationRule"):
                self.enqueue("", stored.key.name)

    async def reconcile(self, namespace: str, name: str) -> None:
        role = self.client.get(CLUSTER_ROLES, "", name)
        if role is None or not role.get("aggregationRule"):
            return
        rules: list[Obj] = []
        for selector in role["aggregationRule"].get("clusterRoleSelectors") or ():
            matching = labels.from_object(selector)
            for stored in self.client.store.list(CLUSTER_ROLES):
                if stored.key.name != name and matching.matches(stored.data["metadata"].get("labels")):
                    rules += [rule for rule in stored.data.get("rules") or () if rule not in rules]
        if rules != (role.get("rules") or []):
            await self.client.patch(CLUSTER_ROLES, "", name, {"rules": rules or None})
