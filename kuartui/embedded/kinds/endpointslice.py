"""EndpointSlices (pkg/apis/discovery, pkg/registry/discovery/endpointslice)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.kinds.checks import (
    PROTOCOLS,
    dns_label,
    dns_subdomain,
    immutable,
    ip_address,
    ip_warnings,
    label_key,
    one_of,
    ordinary_ip,
)
from kuartui.embedded.meta.fielderr import FieldError, Path, duplicate, invalid, required, too_many

_ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
_MOST = 1000
_MANAGER = "endpointslice.kubernetes.io/managed-by"
_CONTROLLERS = ("endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io")


@register("endpointslices.discovery.k8s.io")
class EndpointSlices(Strategy):
    has_status = False

    def default(self, obj: Obj) -> None:
        for port in obj.get("ports") or []:
            if port.get("name") is None:
                port["name"] = ""
            if port.get("protocol") is None:
                port["protocol"] = "TCP"

    def desired(self, obj: Obj) -> Obj:
        return {**super().desired(obj), "labels": obj["metadata"].get("labels") or {}}

    def validate(self, obj: Obj) -> list[FieldError]:
        kind, errors = obj.get("addressType", ""), []
        if kind not in _ADDRESS_TYPES:
            errors += one_of(kind, Path("addressType"), _ADDRESS_TYPES)
        endpoints, ports = obj.get("endpoints") or [], obj.get("ports") or []
        if len(endpoints) > _MOST:
            errors.append(too_many("endpoints", len(endpoints), _MOST))
        for index, endpoint in enumerate(endpoints):
            errors += _endpoint(endpoint, kind, Path("endpoints").index(index))
        seen: set[str] = set()
        for index, port in enumerate(ports):
            at, name = Path("ports").index(index), port.get("name") or ""
            if name:
                errors += dns_label(name, at / "name")
            if name in seen:
                errors.append(duplicate(at / "name", name))
            seen.add(name)
            errors += one_of(port.get("protocol"), at / "protocol", PROTOCOLS)
            if port.get("appProtocol") is not None:
                errors += label_key(port["appProtocol"], at / "appProtocol")
        return errors

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return self.validate(new) + immutable(new.get("addressType"), old.get("addressType"), "addressType")

    def warnings(self, obj: Obj, old: Obj | None) -> list[str]:
        found = ["spec.addressType: FQDN endpoints are deprecated"]  # the path is Kubernetes' own slip
        if old is not None or obj.get("addressType") != "FQDN":
            found = []
        if (obj["metadata"].get("labels") or {}).get(_MANAGER) in _CONTROLLERS or obj.get("addressType") == "FQDN":
            return found
        return found + [
            warning
            for index, endpoint in enumerate(obj.get("endpoints") or [])
            for place, address in enumerate(endpoint.get("addresses") or [])
            for warning in ip_warnings(address, (Path("endpoints").index(index) / "addresses").index(place))
        ]

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        ports = [
            "*" if port.get("port") is None and port.get("name") is None else str(port.get("port") or port.get("name"))
            for port in obj.get("ports") or []
        ]
        addresses = [one for endpoint in obj.get("endpoints") or [] for one in endpoint.get("addresses") or []]
        return [
            cells.name(obj),
            obj.get("addressType", ""),
            cells.first_few(ports) or cells.UNSET,
            cells.first_few(addresses) or cells.UNSET,
            cells.age(obj, now),
        ]


def _of_family(address: str, kind: str, path: Path) -> list[FieldError]:
    """An address of the slice's other family."""
    return [] if (":" in address) == (kind == "IPv6") else [invalid(path, address, f"must be an {kind} address")]


def _endpoint(endpoint: Obj, kind: str, path: Path) -> list[FieldError]:
    addresses = endpoint.get("addresses") or []
    errors: list[FieldError] = []
    if not addresses:
        errors.append(required(path / "addresses", "must contain at least 1 address"))
    for index, address in enumerate(addresses):
        at = (path / "addresses").index(index)
        if kind == "FQDN":
            errors += dns_subdomain(address, at)
        elif kind in _ADDRESS_TYPES:  # those of an unknown type are nobody's to judge
            errors += ip_address(address, at) or _of_family(address, kind, at) or ordinary_ip(address, at)
    if endpoint.get("nodeName") is not None:
        errors += dns_subdomain(endpoint["nodeName"], path / "nodeName")
    if endpoint.get("hostname") is not None:
        errors += dns_label(endpoint["hostname"], path / "hostname")
    return errors
