"""Which HTTPRoutes belong to which listeners of which Gateways. Pure functions over the client.

After the Gateway API specification (v1): parentRefs, section names, allowed namespaces, intersecting host names, and
ReferenceGrants for what lies in another namespace.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.controllers import objects
from kuartui.embedded.meta.labels import from_object

Obj = dict[str, Any]

GROUP = "gateway.networking.k8s.io"
CLASSES = f"gatewayclasses.{GROUP}"
GATEWAYS = f"gateways.{GROUP}"
ROUTES = f"httproutes.{GROUP}"
GRANTS = f"referencegrants.{GROUP}"


def parents(route: Obj) -> list[Obj]:
    """spec.parentRefs that are Gateways."""
    refs = route["spec"].get("parentRefs") or []
    return [ref for ref in refs if ref.get("kind", "Gateway") == "Gateway" and ref.get("group", GROUP) == GROUP]


def gateway_of(client: Client, route: Obj, parent: Obj) -> Obj | None:
    """The Gateway that a parentRef names."""
    return client.get(GATEWAYS, parent.get("namespace") or objects.namespace_of(route), parent["name"])


def addressed(gateway: Obj, parent: Obj) -> list[Obj]:
    """The listeners that a parentRef names by section and port."""
    return [
        listener
        for listener in gateway["spec"].get("listeners") or ()
        if parent.get("sectionName") in (None, listener["name"]) and parent.get("port") in (None, listener["port"])
    ]


def refusal(client: Client, gateway: Obj, route: Obj, parent: Obj) -> tuple[str, str] | None:
    """Reason and message why a route is not accepted by a parent; None if it is."""
    listeners = addressed(gateway, parent)
    if not listeners:
        return "NoMatchingParent", "No listeners match this parent ref"
    allowed = [one for one in listeners if admits(client, gateway, one, route)]
    if not allowed:
        return "NotAllowedByListeners", "No listeners included by this parent ref allowed this attachment."
    if not any(hosts_meet(one, route) for one in allowed):
        text = "There were no hostname intersections between the HTTPRoute and this parent ref's Listener(s)."
        return "NoMatchingListenerHostname", text
    return None


def attached(client: Client, gateway: Obj, listener: Obj, route: Obj) -> bool:
    """Whether a listener carries a route."""
    for parent in parents(route):
        where = parent.get("namespace") or objects.namespace_of(route)
        if (where, parent["name"]) != (objects.namespace_of(gateway), objects.name_of(gateway)):
            continue
        if any(one is listener for one in addressed(gateway, parent)):
            return admits(client, gateway, listener, route) and hosts_meet(listener, route)
    return False


def admits(client: Client, gateway: Obj, listener: Obj, route: Obj) -> bool:
    """allowedRoutes of a listener: kinds and namespaces."""
    allowed = listener.get("allowedRoutes") or {}
    kinds = allowed.get("kinds")
    if kinds and all(kind.get("kind") != "HTTPRoute" for kind in kinds):
        return False
    namespaces = allowed.get("namespaces") or {}
    match namespaces.get("from", "Same"):
        case "All":
            return True
        case "Selector":
            found = client.get("namespaces", "", objects.namespace_of(route))
            return found is not None and from_object(namespaces.get("selector")).matches(objects.labels_of(found))
    return objects.namespace_of(route) == objects.namespace_of(gateway)


def hosts_meet(listener: Obj, route: Obj) -> bool:
    """Whether host names of a listener and a route intersect."""
    mine, names = listener.get("hostname"), route["spec"].get("hostnames") or []
    return not mine or not names or any(_meets(mine, name) for name in names)


def _meets(one: str, other: str) -> bool:
    if one == other:
        return True
    wild, plain = (one, other) if one.startswith("*.") else (other, one)
    if not wild.startswith("*."):
        return False
    return plain.removeprefix("*").endswith(wild[1:])


def granted(client: Client, source: Obj, kind: str, namespace: str, group: str, to_kind: str, name: str) -> bool:
    """Whether an object may refer to something in a namespace."""
    if namespace == objects.namespace_of(source):
        return True
    for grant in client.list(GRANTS, namespace):
        spec = grant["spec"]
        from_ = any(
            one.get("namespace") == objects.namespace_of(source)
            and one.get("kind") == kind
            and one.get("group") == GROUP
            for one in spec.get("from") or ()
        )
        to = any(
            one.get("kind") == to_kind and one.get("group", "") == group and one.get("name") in (None, "", name)
            for one in spec.get("to") or ()
        )
        if from_ and to:
            return True
    return False
