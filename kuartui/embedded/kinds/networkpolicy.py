"""NetworkPolicies (pkg/apis/networking)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.kinds.checks import cidr, cidr_warnings, label_selector, port_number, port_or_name
from kuartui.embedded.meta import names
from kuartui.embedded.meta.fielderr import FieldError, Path, forbidden, invalid, not_supported, required

_PROTOCOLS = ("TCP", "UDP", "SCTP")
_TYPES = ("Ingress", "Egress")


@register("networkpolicies.networking.k8s.io")
class NetworkPolicies(Strategy):
    has_status = False

    def default(self, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("podSelector", {})
        for direction in ("ingress", "egress"):
            for rule in spec.get(direction) or []:
                for port in (rule or {}).get("ports") or []:
                    if port.get("protocol") is None:
                        port["protocol"] = "TCP"
        if not spec.get("policyTypes"):
            spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]

    def validate(self, obj: Obj) -> list[FieldError]:
        spec, path = obj.get("spec") or {}, Path("spec")
        errors = label_selector(spec.get("podSelector"), path / "podSelector")
        for direction, peers in (("ingress", "from"), ("egress", "to")):
            for index, rule in enumerate(spec.get(direction) or []):
                at = (path / direction).index(index)
                for place, port in enumerate(rule.get("ports") or []):
                    errors += _port(port, (at / "ports").index(place))
                for place, peer in enumerate(rule.get(peers) or []):
                    errors += _peer(peer, (at / peers).index(place))
        types = spec.get("policyTypes") or []
        if len(types) > len(_TYPES):
            return [*errors, invalid(path / "policyTypes", types, "may not specify more than two policyTypes")]
        for index, kind in enumerate(types):
            if kind not in _TYPES:
                errors.append(not_supported((path / "policyTypes").index(index), kind, _TYPES))
        return errors

    def warnings(self, obj: Obj, old: Obj | None) -> list[str]:
        spec, found = obj.get("spec") or {}, []
        for direction, peers in (("ingress", "from"), ("egress", "to")):
            for index, rule in enumerate(spec.get(direction) or []):
                for place, peer in enumerate(rule.get(peers) or []):
                    block = peer.get("ipBlock") or {}
                    at = ((Path("spec") / direction).index(index) / peers).index(place) / "ipBlock"
                    found += cidr_warnings(block.get("cidr", ""), at / "cidr")
                    for number, part in enumerate(block.get("except") or []):
                        found += cidr_warnings(part, (at / "except").index(number))
        return found

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        selector = (obj.get("spec") or {}).get("podSelector")
        return [cells.name(obj), cells.selector_or_none(selector), cells.age(obj, now)]


def _port(port: Obj, path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    protocol, number, end = port.get("protocol"), port.get("port"), port.get("endPort")
    if protocol is not None and protocol not in _PROTOCOLS:
        errors.append(not_supported(path / "protocol", protocol, _PROTOCOLS))
    if end is not None and not isinstance(number, int):
        why = "not specified" if number is None else "non-numeric"
        errors.append(invalid(path / "endPort", end, f"may not be specified when `port` is {why}"))
    if number is not None:
        errors += port_or_name(number, path / "port")
    if end is not None and isinstance(number, int):
        if end < number:  # the value shown is Kubernetes' own slip
            errors.append(invalid(path / "endPort", number, "must be greater than or equal to `port`"))
        errors += port_number(end, path / "endPort")
    return errors


def _peer(peer: Obj, path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    given = [field for field in ("podSelector", "namespaceSelector", "ipBlock") if peer.get(field) is not None]
    for field in given:
        if field == "ipBlock":
            errors += _block(peer["ipBlock"], path / "ipBlock")
        else:
            errors += label_selector(peer[field], path / field)
    if not given:
        errors.append(required(path, "must specify a peer"))
    elif len(given) > 1 and "ipBlock" in given:
        errors.append(forbidden(path, "may not specify both ipBlock and another peer"))
    return errors


def _block(block: Obj, path: Path) -> list[FieldError]:
    whole = block.get("cidr", "")
    if not whole:
        return [required(path / "cidr")]
    errors, network = cidr(whole, path / "cidr"), names.sloppy_cidr(whole)
    for index, part in enumerate(block.get("except") or []) if network is not None else ():
        at, inside = (path / "except").index(index), names.sloppy_cidr(part)
        errors += cidr(part, at)
        if network is not None and inside is not None:
            within = inside.version == network.version and inside.network_address in network
            if not within or inside.prefixlen <= network.prefixlen:
                errors.append(invalid(at, part, "must be a strict subset of `cidr`"))
    return errors
