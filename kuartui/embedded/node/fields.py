"""The downward API: fields of a pod and resources of its containers as text.

After pkg/fieldpath and pkg/api/v1/resource (`ExtractContainerResourceValue`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from kuartui.embedded.meta.quantity import parse
from kuartui.embedded.node import spec
from kuartui.embedded.node.wording import quoted

Obj = dict[str, Any]

_SUBSCRIPT = re.compile(r"^(?P<path>metadata\.(?:labels|annotations))\['(?P<key>.*)'\]$")


def field_value(pod: Obj, path: str, ips: list[str], host_ips: list[str]) -> str:
    """The text of a `fieldRef`. `ips` are the pod's, known before the API knows them."""
    meta, pod_spec = pod["metadata"], pod["spec"]
    found = _SUBSCRIPT.match(path)
    if found:
        kind = found["path"].rpartition(".")[2]
        return str((meta.get(kind) or {}).get(found["key"], ""))
    match path:
        case "metadata.labels" | "metadata.annotations":
            return _map_lines(meta.get(path.rpartition(".")[2]) or {})
        case "metadata.name" | "metadata.namespace" | "metadata.uid":
            return str(meta[path.rpartition(".")[2]])
        case "spec.nodeName" | "spec.serviceAccountName":
            return str(pod_spec.get(path.rpartition(".")[2], ""))
        case "spec.restartPolicy":
            return str(pod_spec.get("restartPolicy", ""))
        case "status.podIP":
            return ips[0] if ips else ""
        case "status.podIPs":
            return ",".join(ips)
        case "status.hostIP":
            return host_ips[0]
        case "status.hostIPs":
            return ",".join(host_ips)
    raise ValueError(f"unsupported fieldPath: {path}")


def _map_lines(values: Mapping[str, str]) -> str:
    return "\n".join(f"{key}={quoted(values[key])}" for key in sorted(values))


def resource_value(pod: Obj, selector: Obj, own: Obj | None, allocatable: Mapping[str, str]) -> str:
    """The text of a `resourceFieldRef`; `own` is the container that it belongs to, if it names none.

    A limit that the container lacks is the pod's own, and without that one what the node has to give.
    """
    name = selector.get("containerName")
    if name:
        found = spec.container(pod, name)
        if found is None:
            raise ValueError(f"container {name} not found")
        own = found[1]
    if own is None:
        raise ValueError("containerName is required in a volume")
    which, _, resource = selector["resource"].partition(".")
    given = ((own.get("resources") or {}).get(which) or {}).get(resource)
    if given is None and which == "limits":
        of_pod = (pod["spec"].get("resources") or {}).get("limits") or {}
        given = of_pod.get(resource) or allocatable.get(resource)
    divisor = parse(selector.get("divisor") or "1").value or Decimal(1)
    return str(math.ceil(parse(given or "0").value / divisor))
