"""How controllers, the scheduler and kubelets use the API from inside the process.

Reads come straight from the store (an always-fresh informer cache); writes take the same way as those from outside
(defaulting, admission, validation, managedFields), without HTTP. Objects read here are shared: never change them in
place, take `client.mutable`.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any, Protocol

from kuartui.embedded.clock import Clock
from kuartui.embedded.store import Event, Store, Stored

Obj = dict[str, Any]


class Client(Protocol):
    """A user's view of the API. Writes raise `meta.errors.StatusError`."""

    store: Store
    clock: Clock

    def as_user(self, user: str, *groups: str, manager: str = "") -> Client:
        """The same cluster as somebody else; controllers are system:serviceaccount:kube-system:<name>."""
        ...

    def get(self, resource: str, namespace: str, name: str) -> Obj | None:
        """`resource` is the group resource: "pods", "deployments.apps"."""
        ...

    def list(self, resource: str, namespace: str | None = None, selector: Obj | None = None) -> list[Obj]:
        """Objects of a resource; `selector` is a metav1.LabelSelector, None takes all."""
        ...

    def owned_by(self, resource: str, uid: str) -> builtins.list[Obj]:
        """Objects with an owner reference to this uid (any, not only the controller)."""
        ...

    async def create(self, resource: str, obj: Obj) -> Obj: ...

    async def update(self, resource: str, obj: Obj) -> Obj:
        """Replace; a stale metadata.resourceVersion raises a conflict (409)."""
        ...

    async def update_status(self, resource: str, obj: Obj) -> Obj: ...

    async def patch(self, resource: str, namespace: str, name: str, patch: Obj, subresource: str = "") -> Obj:
        """JSON merge patch, as controllers need it."""
        ...

    async def delete(
        self,
        resource: str,
        namespace: str,
        name: str,
        *,
        uid: str | None = None,
        grace: int | None = None,
        propagation: str | None = None,
    ) -> None: ...

    async def bind(self, namespace: str, pod: str, node: str) -> None:
        """POST pods/binding."""
        ...

    def record(
        self, obj: Obj, type_: str, reason: str, message: str, component: str, host: str = "", field_path: str = ""
    ) -> None:
        """Record an Event about `obj` as client-go's recorder does: correlated, counted, rate-limited, never failing."""
        ...

    def listen(self, resource: str, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Be called on each change; existing objects are replayed first as ADDED."""
        ...


def mutable(stored: Stored) -> Obj:
    """A private copy of a stored object."""
    return stored.mutable()
