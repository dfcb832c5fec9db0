"""Events: one kind in two groups. Stored as core/v1; events.k8s.io/v1 is another view of it.

pkg/apis/events/v1/conversion.go, pkg/apis/core/validation/events.go, printEvent.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.kinds.checks import immutable, label_key
from kuartui.embedded.meta.fielderr import FieldError, Path, invalid, required
from kuartui.embedded.meta.time import age as since

_MAX_MESSAGE = 1024
_RENAMED = (  # core/v1, events.k8s.io/v1
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
)

_FINAL = (
    "involvedObject",
    "reason",
    "message",
    "source",
    "firstTimestamp",
    "lastTimestamp",
    "count",
    "type",
    "eventTime",
    "action",
    "related",
    "reportingComponent",
    "reportingInstance",
)
_SHORT = 128


class Events(Strategy):
    has_status = False
    generation = False
    create_on_update = True

    def validate(self, obj: Obj) -> list[FieldError]:
        involved, space = obj.get("involvedObject") or {}, obj["metadata"].get("namespace", "")
        about, errors = involved.get("namespace", ""), []
        if obj.get("eventTime"):
            mismatch = not about and space not in ("default", "kube-system")
            reporter = obj.get("reportingComponent", "")
            errors = [] if reporter else [required("reportingController")]
            errors += label_key(reporter, Path("reportingController"))
            for field in ("reportingInstance", "action", "reason"):
                if not obj.get(field):
                    errors.append(required(field))
                elif len(obj[field]) > _SHORT:
                    errors.append(invalid(field, "", f"can have at most {_SHORT} characters"))
            if len(obj.get("message", "")) > _MAX_MESSAGE:
                errors.append(invalid("message", "", f"can have at most {_MAX_MESSAGE} characters"))
        else:
            mismatch = about != space if about else space not in ("", "default")
        if mismatch:
            errors.insert(0, invalid("involvedObject.namespace", about, "does not match event.namespace"))
        return errors

    def fields(self, obj: Obj) -> dict[str, str]:
        involved = obj.get("involvedObject") or {}
        wanted = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
        reporter = obj.get("reportingComponent", "")
        return {
            **{f"involvedObject.{field}": str(involved.get(field, "")) for field in wanted},
            "reason": obj.get("reason", ""),
            "reportingComponent": reporter,
            "reportingController": reporter,
            "source": (obj.get("source") or {}).get("component") or reporter,
            "type": obj.get("type", ""),
        }

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        obj = self.convert(obj, "v1")
        involved = obj.get("involvedObject") or {}
        first = since(obj.get("firstTimestamp") or obj.get("eventTime"), now)
        last = since(obj["lastTimestamp"], now) if obj.get("lastTimestamp") else first
        count = obj.get("count") or 1
        if obj.get("series"):
            last = since(obj["series"].get("lastObservedTime"), now)
            count = obj["series"].get("count", 0)
        kind, target = involved.get("kind", "").lower(), involved.get("name", "")
        source = obj.get("source") or {}
        component = source.get("component") or obj.get("reportingComponent") or ""
        instance = source.get("host") or obj.get("reportingInstance") or ""
        return [
            last,
            obj.get("type", ""),
            obj.get("reason", ""),
            f"{kind}/{target}" if target else kind,
            involved.get("fieldPath", ""),
            f"{component}, {instance}" if instance else component,
            (obj.get("message") or "").strip(),
            first,
            count,
            cells.name(obj),
        ]

    def convert(self, obj: Obj, version: str) -> Obj:
        """`version` is the whole apiVersion here, for the two groups have the same version."""
        to_new = version.startswith("events.k8s.io")
        if (obj.get("apiVersion", "v1") == "v1") != to_new:
            return obj
        pairs = [pair if to_new else pair[::-1] for pair in _RENAMED]
        names = dict(pairs)
        return {**{names.get(key, key): value for key, value in obj.items()}, "apiVersion": version}


register("events")(Events)


@register("events.events.k8s.io")
class NewEvents(Events):
    """Who writes through events.k8s.io must fill the newer fields and leave the older ones alone."""

    def validate(self, obj: Obj) -> list[FieldError]:
        errors = super().validate(obj) + _series(obj)
        if not obj.get("eventTime"):
            errors.append(required("eventTime"))
        kind = obj.get("type", "")
        if kind not in ("Normal", "Warning"):
            errors.append(invalid("type", "", f"has invalid value: {kind}"))
        for field in ("firstTimestamp", "lastTimestamp", "count", "source"):
            if obj.get(field):
                errors.append(invalid(field, "", "needs to be unset"))
        return errors

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """Only its series may be told anew."""
        errors = Events.validate(self, new)
        if new.get("series") != old.get("series"):
            errors += _series(new)
        for field in _FINAL:
            shown = "reportingController" if field == "reportingComponent" else field
            errors += immutable(new.get(field), old.get(field), shown)
        return errors


def _series(obj: Obj) -> list[FieldError]:
    series = obj.get("series")
    if series is None:
        return []
    errors = []
    if series.get("count", 0) < 2:
        errors.append(invalid("series.count", "", "should be at least 2"))
    if not series.get("lastObservedTime"):
        errors.append(required("series.lastObservedTime"))
    return errors
