"""An API server that serves custom resources, and CRDs in few words."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.api.events import EventRecorder
from kuartui.embedded.api.local import OWNER_INDEX, LocalClient, owner_uids
from kuartui.embedded.api.request import SYSTEM, Request, Response
from kuartui.embedded.api.resources import Endpoint
from kuartui.embedded.api.subresources.scale import Scales
from kuartui.embedded.crd.registrar import Registrar
from kuartui.embedded.store import Store
from tests.embedded.api.server import Server

Obj = dict[str, Any]

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
GADGETS = "/apis/shop.example.com/v1/namespaces/default/gadgets"
NAME = "gadgets.shop.example.com"


class World(Server):
    """A server whose only controller is that of CRDs."""

    def __init__(self, store: Store | None = None) -> None:
        super().__init__(store=store)
        self.client = LocalClient(self.rest, EventRecorder(self.store, self.clock), SYSTEM, "kube-apiserver")
        self.registrar = Registrar(
            self.client, self.resources, lambda name: self.store.add_index(name, OWNER_INDEX, owner_uids)
        )
        self._scales = Scales(self.rest, self.dispatcher.write)

    async def _subresource(self, request: Request, endpoint: Endpoint) -> Response | None:
        scaled = request.info.subresource == "scale" and endpoint.subresource("scale") is not None
        return await self._scales.answer(request, endpoint) if scaled else None

    async def settle(self) -> None:
        """Let the controller do what is to do now."""
        await self.clock.settle()

    async def define(self, schema: Obj | None = None, *versions: Obj, **spec: Any) -> Obj:
        """Create gadgets.shop.example.com, by a schema of spec or by versions."""
        created = await self.json("POST", CRDS, crd(schema, *versions, **spec))
        await self.settle()
        return created

    async def refused(self, schema: Obj | None = None, *versions: Obj, **spec: Any) -> list[str]:
        """What is wrong with such a CRD."""
        return problems(await self.json("POST", CRDS, crd(schema, *versions, **spec), code=422))

    async def make(self, name: str = "one", **fields: Any) -> Obj:
        """Create a gadget."""
        return await self.json("POST", GADGETS, gadget(name, **fields))

    async def invalid(self, name: str = "bad", **fields: Any) -> list[str]:
        """What is wrong with a gadget."""
        return problems(await self.json("POST", GADGETS, gadget(name, **fields), code=422))

    async def change(self, spec: Any, name: str = "one", code: int = 200) -> Obj:
        """Merge something into a gadget's spec."""
        kind = "application/merge-patch+json"
        return await self.json("PATCH", f"{GADGETS}/{name}", {"spec": spec}, code=code, content_type=kind)


def crd(schema: Obj | None = None, *versions: Obj, **spec: Any) -> Obj:
    """A CRD of gadgets; `schema` is that of spec."""
    made = list(versions) or [version("v1", schema, storage=True)]
    names = {"plural": "gadgets", "kind": "Gadget", **spec.pop("names", {})}
    body = {"group": "shop.example.com", "scope": "Namespaced", "names": names, "versions": made, **spec}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": NAME},
        "spec": body,
    }


def version(name: str, schema: Obj | None = None, **more: Any) -> Obj:
    """A served version whose spec has a schema."""
    properties = {"spec": schema or {"type": "object"}, "status": KEEP}
    whole = more.pop("whole", {"type": "object", "properties": properties})
    return {"name": name, "served": True, "storage": False, "schema": {"openAPIV3Schema": whole}, **more}


KEEP: Obj = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def fields(*required: str, **properties: Obj) -> Obj:
    """The schema of an object with fields."""
    found: Obj = {"type": "object", "properties": properties}
    return {**found, "required": list(required)} if required else found


def gadget(name: str, **body: Any) -> Obj:
    """A gadget."""
    return {"apiVersion": "shop.example.com/v1", "kind": "Gadget", "metadata": {"name": name}, **body}


def problems(status: Obj) -> list[str]:
    """The causes of a Status, as `field: message`."""
    return [f"{cause['field']}: {cause['message']}" for cause in status["details"]["causes"]]
