"""IPAddresses and ServiceCIDRs: what cluster IPs are taken from (pkg/apis/networking)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import OWN_METADATA, Obj, Strategy, register
from kuartui.embedded.kinds.checks import cidr, dns_subdomain, errors_of, immutable
from kuartui.embedded.meta import names
from kuartui.embedded.meta.fielderr import FieldError, Path, invalid, required


@register("ipaddresses.networking.k8s.io")
class IpAddresses(Strategy):
    has_status = False
    generation = False

    def validate_name(self, name: str, prefix: bool) -> list[str]:
        return names.canonical_ip(name)

    def validate(self, obj: Obj) -> list[FieldError]:
        ref, path = (obj.get("spec") or {}).get("parentRef"), Path("spec").child("parentRef")
        if ref is None:
            return [required(path)]
        errors = dns_subdomain(ref["group"], path / "group") if ref.get("group") else []
        for field in ("resource", "name", "namespace"):
            value, at = ref.get(field, ""), path / field
            if value:
                errors += errors_of(at, value, names.path_segment(value))
            elif field != "namespace":
                errors.append(required(at))
        return errors

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        path = Path("spec").child("parentRef")
        return self.validate(new) + immutable(new["spec"].get("parentRef"), old["spec"].get("parentRef"), path)

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        ref = (obj.get("spec") or {}).get("parentRef") or {}
        group = ref.get("group")
        resource = ref.get("resource", "") + (f".{group}" if group else "")
        return [cells.name(obj), "/".join(filter(None, [resource, ref.get("namespace"), ref.get("name")]))]


@register("servicecidrs.networking.k8s.io")
class ServiceCidrs(Strategy):
    status_keeps = OWN_METADATA
    generation = False

    def validate(self, obj: Obj) -> list[FieldError]:
        cidrs, path = (obj.get("spec") or {}).get("cidrs") or [], Path("spec").child("cidrs")
        if not cidrs:
            return [required(path, "at least one CIDR required")]
        if len(cidrs) > 2:
            return [invalid(path, obj["spec"], "may only hold up to 2 values")]
        if len(cidrs) == 2 and len({":" in one for one in cidrs}) != 2:
            text = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
            return [invalid(path, obj["spec"], text)]
        return [error for index, one in enumerate(cidrs) for error in cidr(one, path.index(index))]

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """A second family may come, and nothing else."""
        after, before = (one["spec"].get("cidrs") or [] for one in (new, old))
        path = Path("spec").child("cidrs")
        second = len(before) == 1 and len(after) == 2
        if len(after) != len(before) and not second:
            return immutable(after, before, path)
        errors = [
            error
            for index, (one, was) in enumerate(zip(after, before, strict=False))
            for error in immutable(one, was, path.index(index))
        ]
        return errors + (self.validate(new) if second else [])

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        return [cells.name(obj), ",".join((obj.get("spec") or {}).get("cidrs") or []), cells.age(obj, now)]
