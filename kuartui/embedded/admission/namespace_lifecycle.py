"""NamespaceLifecycle: nothing is created where there is no namespace, or one that is going; some never go."""

from __future__ import annotations

from kuartui.embedded.admission.base import Attributes, Plugin
from kuartui.embedded.meta import errors
from kuartui.embedded.store import Store

IMMORTAL = frozenset({"default", "kube-system", "kube-public"})


class NamespaceLifecycle(Plugin):
    def __init__(self, store: Store) -> None:
        self._store = store

    async def mutate(self, attributes: Attributes) -> None:
        if attributes.operation == "DELETE" and attributes.resource == "namespaces" and attributes.name in IMMORTAL:
            raise errors.forbidden("namespaces", attributes.name, "this namespace may not be deleted")
        if attributes.operation != "CREATE" or not attributes.endpoint.resource.namespaced:
            return
        if attributes.subresource or attributes.endpoint.resource.plural == "localsubjectaccessreviews":
            return
        namespace = self._store.get("namespaces", "", attributes.namespace)
        if namespace is None:
            raise errors.not_found("namespaces", attributes.namespace)
        if namespace.data.get("status", {}).get("phase") == "Terminating":
            why = f"unable to create new content in namespace {attributes.namespace} because it is being terminated"
            error = errors.forbidden(attributes.resource, attributes.name, why)
            message = f"namespace {attributes.namespace} is being terminated"
            error.details["causes"] = [
                {"reason": "NamespaceTerminating", "message": message, "field": "metadata.namespace"}
            ]
            raise error
