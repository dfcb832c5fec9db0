"""Endpoints, the older form of EndpointSlices."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.kinds.checks import (
    PROTOCOLS,
    dns_label,
    dns_subdomain,
    ip_address,
    label_key,
    one_of,
    ordinary_ip,
    port_number,
)
from kuartui.embedded.meta.fielderr import FieldError, Path, required


@register("endpoints")
class Endpoints(Strategy):
    create_on_update = True
    has_status = False
    generation = False
    deprecated = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"

    def default(self, obj: Obj) -> None:
        for subset in obj.get("subsets") or []:
            for port in subset.get("ports") or []:
                if not port.get("protocol"):
                    port["protocol"] = "TCP"

    def validate(self, obj: Obj) -> list[FieldError]:
        errors: list[FieldError] = []
        for index, subset in enumerate(obj.get("subsets") or []):
            at = Path("subsets").index(index)
            listed = [(field, subset.get(field) or []) for field in ("addresses", "notReadyAddresses")]
            if not any(addresses for _, addresses in listed):
                errors.append(required(at, "must specify `addresses` or `notReadyAddresses`"))
            for field, addresses in listed:
                for place, address in enumerate(addresses):
                    errors += _address(address, (at / field).index(place))
            ports = subset.get("ports") or []
            for place, port in enumerate(ports):
                errors += _port(port, len(ports) > 1, (at / "ports").index(place))
        return errors

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        return [cells.name(obj), format_endpoints(obj), cells.age(obj, now)]


def format_endpoints(obj: Obj) -> str:
    """The first three addresses with their ports."""
    subsets = obj.get("subsets") or []
    if not subsets:
        return cells.NONE
    found: list[str] = []
    for subset in subsets:
        addresses = [address.get("ip", "") for address in subset.get("addresses") or []]
        ports = subset.get("ports") or []
        found += [_host_port(ip, port.get("port", 0)) for port in ports for ip in addresses] if ports else addresses
    return cells.first_few(found)


def _host_port(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def _address(address: Obj, path: Path) -> list[FieldError]:
    errors = ip_address(address.get("ip", ""), path / "ip")
    if address.get("hostname"):
        errors += dns_label(address["hostname"], path / "hostname")
    if address.get("nodeName") is not None:
        errors += dns_subdomain(address["nodeName"], path / "nodeName")
    return errors + ordinary_ip(address.get("ip", ""), path / "ip")


def _port(port: Obj, named: bool, path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    if port.get("name"):
        errors += dns_label(port["name"], path / "name")
    elif named:
        errors.append(required(path / "name"))
    errors += port_number(port.get("port"), path / "port")
    errors += one_of(port.get("protocol"), path / "protocol", PROTOCOLS)
    if port.get("appProtocol") is not None:
        errors += label_key(port["appProtocol"], path / "appProtocol")
    return errors
