"""Cells of tables that several kinds share, after pkg/printers/internalversion/printers.go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from kuartui.embedded.meta import quantity
from kuartui.embedded.meta.time import age as since

Obj = dict[str, Any]

NONE = "<none>"
UNSET = "<unset>"
_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


def name(obj: Obj) -> str:
    text: str = obj["metadata"].get("name", "")
    return text


def age(obj: Obj, now: datetime) -> str:
    """How long ago the object was created."""
    return since(obj["metadata"].get("creationTimestamp"), now)


def labels(pairs: Mapping[str, str] | None) -> str:
    """k=v,k=v or <none>. Sorted as they are written, so that app.kubernetes.io/name=a comes before app=b."""
    if not pairs:
        return NONE
    return ",".join(sorted(f"{key}={value}" for key, value in pairs.items()))


def selector(label_selector: Obj | None) -> str:
    """A metav1.LabelSelector as labels.Selector.String prints it, "" if it takes nothing or everything."""
    if not label_selector:
        return ""
    parts = [(key, f"{key}={value}") for key, value in (label_selector.get("matchLabels") or {}).items()]
    for term in label_selector.get("matchExpressions") or []:
        key, operator = term.get("key", ""), term.get("operator", "")
        values = ",".join(sorted(term.get("values") or []))
        text = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }.get(operator)
        if text is None:
            return "<error>"
        parts.append((key, text))
    return ",".join(text for _, text in sorted(parts, key=lambda part: part[0]))


def selector_or_none(label_selector: Obj | None) -> str:
    return selector(label_selector) or NONE


def containers(pod_spec: Obj | None) -> list[str]:
    """The two wide cells Containers and Images."""
    listed = (pod_spec or {}).get("containers") or []
    return [",".join(c.get("name", "") for c in listed), ",".join(c.get("image", "") for c in listed)]


def access_modes(modes: Iterable[str] | None) -> str:
    """RWO,ROX,RWX,RWOP, each once and in this order."""
    given = set(modes or ())
    return ",".join(short for mode, short in _MODES.items() if mode in given)


def amount(text: str | None) -> str:
    """A quantity in canonical form; a missing one is zero."""
    return quantity.canonical(text) if text is not None else "0"


def flag(value: bool | None) -> str:
    return NONE if value is None else "True" if value else "False"


def first_few(items: Sequence[str], most: int = 3) -> str:
    """The first items, and how many more there are."""
    text = ",".join(items[:most])
    return f"{text} + {len(items) - most} more..." if len(items) > most else text


def load_balancer(status: Obj | None) -> str:
    """Addresses of a load balancer, sorted."""
    points = (status or {}).get("ingress") or []
    return ",".join(sorted({point.get("ip") or point.get("hostname") or "" for point in points} - {""}))
