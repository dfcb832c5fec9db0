"""CSIDrivers, CSINodes and CSIStorageCapacities (pkg/apis/storage)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.kinds.checks import immutable, one_of
from kuartui.embedded.kinds.fill import missing
from kuartui.embedded.meta.fielderr import FieldError, Path, not_supported

_MODES = ("Ephemeral", "Persistent")
_GROUP_POLICIES = ("File", "None", "ReadWriteOnceWithFSType")


@register("csidrivers.storage.k8s.io")
class CsiDrivers(Strategy):
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
        for mode in spec.get("volumeLifecycleModes") or []:
            if mode not in _MODES:
                errors.append(not_supported(path / "volumeLifecycleModes", mode, _MODES))
        return errors

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        now, was, errors = new.get("spec") or {}, old.get("spec") or {}, self.validate(new)
        for field in ("attachRequired", "volumeLifecycleModes"):
            errors += immutable(now.get(field), was.get(field), Path("spec") / field)
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
    has_status = False
    generation = False

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        return [cells.name(obj), len((obj.get("spec") or {}).get("drivers") or []), cells.age(obj, now)]


@register("csistoragecapacities.storage.k8s.io")
class CsiStorageCapacities(Strategy):
    has_status = False
    generation = False
