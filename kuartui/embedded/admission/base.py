"""What an admission plugin is, and the chain of them.

https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/. All `mutate` first, then all
`validate`; each sees objects in the storage version and may raise a StatusError.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import orjson
from msgspec import Struct, field

if TYPE_CHECKING:
    from kuartui.embedded.api.request import User
    from kuartui.embedded.api.resources import Endpoint

Obj = dict[str, Any]


class Attributes(Struct):
    """One write on its way in. `obj` is None for deletions, `old` for creations."""

    endpoint: Endpoint
    operation: str  # CREATE, UPDATE, DELETE, CONNECT
    namespace: str
    name: str
    user: User
    obj: Obj | None
    old: Obj | None
    subresource: str = ""
    dry_run: bool = False
    options: Obj = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    changed: bool = False
    """Whether a webhook or a policy has changed the object: then all that mutate have another look."""
    again: bool = False
    """Whether this is that other look."""
    left: dict[str, bytes] = field(default_factory=dict)
    """What webhooks and policies that want another look (reinvocationPolicy IfNeeded) left behind, by who it was."""

    def leave(self, who: str) -> None:
        """Note the object as somebody left it."""
        self.left[who] = _dump(self.obj)

    def wants_again(self, who: str) -> bool:
        """Whether somebody who has seen the object would find it changed."""
        return self.left.get(who, b"") not in (b"", _dump(self.obj))

    @property
    def resource(self) -> str:
        """The group resource: "deployments.apps"."""
        return self.endpoint.resource.name


def _dump(obj: Obj | None) -> bytes:
    return orjson.dumps(obj, option=orjson.OPT_SORT_KEYS)


class Plugin:
    """Override what the plugin does."""

    async def mutate(self, attributes: Attributes) -> None:
        """Change `attributes.obj` in place."""

    async def validate(self, attributes: Attributes) -> None:
        """Raise a StatusError to refuse."""


class Chain:
    """All plugins of a cluster, in the order of kube-apiserver's."""

    def __init__(self, plugins: Iterable[Plugin] = ()) -> None:
        self._mutating: list[Plugin] = []
        self._validating: list[Plugin] = []
        self.add(*plugins)

    def add(self, *plugins: Plugin) -> None:
        """Append plugins. Only those that do something in a phase are asked in it."""
        self._mutating += [plugin for plugin in plugins if type(plugin).mutate is not Plugin.mutate]
        self._validating += [plugin for plugin in plugins if type(plugin).validate is not Plugin.validate]

    async def mutate(self, attributes: Attributes) -> None:
        """Once through all plugins; twice if a webhook or a policy changed something (plugin/.../reinvocation.go)."""
        for plugin in self._mutating:
            await plugin.mutate(attributes)
        if attributes.changed:
            attributes.again = True
            for plugin in self._mutating:
                await plugin.mutate(attributes)

    async def validate(self, attributes: Attributes) -> None:
        for plugin in self._validating:
            await plugin.validate(attributes)
