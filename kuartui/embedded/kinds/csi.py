"""CSIDrivers, CSINodes and CSIStorageCapacities (pkg/apis/storage)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.kinds.checks import (
    IMMUTABLE,
    dns_subdomain,
    immutable,
    label_key,
    label_selector,
    non_negative,
    one_of,
    quantity_not_negative,
)
from kuartui.embedded.kinds.fill import missing
from kuartui.embedded.kinds.pod_volumes import csi_driver_name
from kuartui.embedded.meta.fielderr import FieldError, Path, duplicate, invalid, not_supported, required

_SHORTEST = 600
_LONGEST_ID = 192
_SHORTEST_PERIOD = 10
_MODES = ("Persistent", "Ephemeral")
_GROUP_POLICIES = ("File", "None", "ReadWriteOnceWithFSType")


@register("csidrivers.storage.k8s.io")
class CsiDrivers(Strategy):
    returns_deleted = True
    unconditional_update = False
    has_status = False
    generation = False

    def default(self, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        missing(
            spec,
            attachRequired=True,
            podInfoOnMount=False,
            storageCapacity=False,
            fsGroupPolicy="ReadWriteOnceWithFSType",
            requiresRepublish=False,
            seLinuxMount=False,
        )
        if not spec.get("volumeLifecycleModes"):
            spec["volumeLifecycleModes"] = ["Persistent"]

    def validate(self, obj: Obj) -> list[FieldError]:
        spec, path = obj.get("spec") or {}, Path("spec")
        errors = one_of(spec.get("fsGroupPolicy"), path / "fsGroupPolicy", _GROUP_POLICIES)
        audiences: set[str] = set()
        for index, request in enumerate(spec.get("tokenRequests") or []):
            at, audience = (path / "tokenRequests").index(index), request.get("audience", "")
            if audience in audiences:
                errors.append(duplicate(at / "audience", audience))
                continue
            audiences.add(audience)
            seconds = request.get("expirationSeconds")
            if seconds is not None and seconds < _SHORTEST:
                text = "may not specify a duration less than 10 minutes"
                errors.append(invalid(at / "expirationSeconds", seconds, text))
            if seconds is not None and seconds > 1 << 32:
                text = "may not specify a duration larger than 2^32 seconds"
                errors.append(invalid(at / "expirationSeconds", seconds, text))
        for mode in spec.get("volumeLifecycleModes") or []:
            if mode not in _MODES:
                errors.append(not_supported(path / "volumeLifecycleModes", mode, _MODES))
        period = spec.get("nodeAllocatableUpdatePeriodSeconds")
        if period is not None and period < _SHORTEST_PERIOD:
            text = f"must be greater than or equal to {_SHORTEST_PERIOD} seconds"
            errors.append(invalid(path / "nodeAllocatableUpdatePeriodSeconds", period, text))
        return errors

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        now, was, errors = new.get("spec") or {}, old.get("spec") or {}, self.validate(new)
        for field, shown in (("attachRequired", "attachedRequired"), ("volumeLifecycleModes", "volumeLifecycleModes")):
            errors += immutable(now.get(field), was.get(field), Path("spec") / shown)  # so spelled
        return errors

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        spec = obj.get("spec") or {}
        requests = spec.get("tokenRequests")
        attach = spec.get("attachRequired")
        return [
            cells.name(obj),
            True if attach is None else attach,
            bool(spec.get("podInfoOnMount")),
            bool(spec.get("storageCapacity")),
            cells.UNSET if requests is None else ",".join(request.get("audience", "") for request in requests),
            bool(spec.get("requiresRepublish")),
            ",".join(spec.get("volumeLifecycleModes") or []) or cells.NONE,
            cells.age(obj, now),
        ]


@register("csinodes.storage.k8s.io")
class CsiNodes(Strategy):
    returns_deleted = True
    unconditional_update = False
    has_status = False
    generation = False

    def validate(self, obj: Obj) -> list[FieldError]:
        drivers, errors = (obj.get("spec") or {}).get("drivers") or [], []
        names = [driver.get("name", "") for driver in drivers]
        for index, driver in enumerate(drivers):
            at = (Path("spec") / "drivers").index(index)
            errors += csi_driver_name(names[index], at / "name")
            if not driver.get("nodeID"):
                errors.append(required(at / "nodeID"))
            elif len(driver["nodeID"]) > _LONGEST_ID:
                errors.append(invalid(at / "nodeID", driver["nodeID"], f"must be {_LONGEST_ID} characters or less"))
            errors += non_negative(driver.get("allocatable") or {}, at / "allocatable", "count")
            if names[index] in names[:index]:
                errors.append(duplicate(at / "name", names[index]))
            keys = driver.get("topologyKeys") or []
            for place, key in enumerate(keys):
                if not key:
                    errors.append(required(at))
                if key in keys[:place]:
                    errors.append(duplicate(at, key))
                errors += label_key(key, at)
        return errors

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        errors, at = self.validate(new), Path("spec") / "drivers"
        known = {driver.get("name"): driver for driver in (old.get("spec") or {}).get("drivers") or []}
        for driver in (new.get("spec") or {}).get("drivers") or []:
            before = known.get(driver.get("name"))
            if before is None:
                continue
            now, was = ({k: v for k, v in one.items() if k != "allocatable"} for one in (driver, before))
            if now != was:
                shown = {
                    "Name": now.get("name", ""),
                    "NodeID": now.get("nodeID", ""),
                    "TopologyKeys": now.get("topologyKeys"),
                    "Allocatable": None,
                }
                errors.append(invalid(at, shown, IMMUTABLE))
        return errors

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        return [cells.name(obj), len((obj.get("spec") or {}).get("drivers") or []), cells.age(obj, now)]


@register("csistoragecapacities.storage.k8s.io")
class CsiStorageCapacities(Strategy):
    unconditional_update = False
    has_status = False
    generation = False

    def validate(self, obj: Obj) -> list[FieldError]:
        errors = label_selector(obj.get("nodeTopology"), Path("nodeTopology"))
        errors += dns_subdomain(obj.get("storageClassName", ""), Path("storageClassName"))
        for field in ("capacity", "maximumVolumeSize"):
            if obj.get(field) is not None:
                errors += quantity_not_negative(obj[field], Path(field))
        return errors

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        errors = self.validate(new)
        for field in ("nodeTopology", "storageClassName"):
            errors += immutable(new.get(field), old.get(field), field)
        return errors
