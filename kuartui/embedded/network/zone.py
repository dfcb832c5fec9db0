"""The names of the cluster: what CoreDNS' kubernetes plugin answers.

From the specification at github.com/kubernetes/dns and the plugin's own handling of headless Services, endpoint host
names, pod names, SRV and reverse lookups. ExternalName gives a CNAME that the caller follows.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from functools import lru_cache

from kuartui.embedded.network.dns import NODATA, NXDOMAIN, Answer, Record
from kuartui.embedded.network.objects import NAMESPACES, SERVICES, Obj, ObjectTable
from kuartui.embedded.network.services import slice_endpoints

TTL = 30


class KubernetesZone:
    """Answers for one cluster domain. `pods` is the plugin's option: disabled, insecure or verified."""

    def __init__(
        self, objects: ObjectTable, domain: str = "cluster.local", pods: str = "insecure", ttl: int = TTL
    ) -> None:
        self._objects = objects
        self._labels = domain.strip(".").lower().split(".")
        self._pods = pods
        self._ttl = ttl
        self.domain = ".".join(self._labels)

    def owns(self, name: str) -> bool:
        """Whether the name lies in this zone."""
        return name == self.domain or name.endswith("." + self.domain)

    def answer(self, name: str, qtype: str) -> Answer:
        """Answer for a name of this zone."""
        labels = name.split(".")[: -len(self._labels)]
        if not labels:
            return NODATA
        kind = labels[-1]
        if kind == "pod":
            return self._pod(name, labels[:-1], qtype)
        if kind != "svc":
            return self._version(name, labels, qtype)
        if len(labels) == 1:
            return NODATA
        namespace = labels[-2]
        if len(labels) == 2:
            return NODATA if self._objects.get(NAMESPACES, "", namespace) else NXDOMAIN
        service = self._objects.get(SERVICES, namespace, labels[-3])
        if service is None:
            return NXDOMAIN
        return self._service(name, service, labels[:-3], qtype)

    def reverse(self, name: str) -> Answer | None:
        """A PTR answer, or None if the address is not the cluster's."""
        ip = _address_of(name)
        if ip is None:
            return None
        for service in self._objects.list(SERVICES):
            meta, spec = service["metadata"], service["spec"]
            base = f"{meta['name']}.{meta['namespace']}.svc.{self.domain}"
            if ip in (spec.get("clusterIPs") or [spec.get("clusterIP")]):
                return _said(Record(name, "PTR", base, self._ttl))
            if spec.get("clusterIP") == "None":
                for address, hostname, _ in self._members(service):
                    if address == ip:
                        return _said(Record(name, "PTR", f"{hostname}.{base}", self._ttl))
        return None

    def _version(self, name: str, labels: list[str], qtype: str) -> Answer:
        if labels == ["dns-version"]:
            return _said(Record(name, "TXT", '"1.1.0"', self._ttl)) if qtype == "TXT" else NODATA
        return NXDOMAIN

    def _pod(self, name: str, labels: list[str], qtype: str) -> Answer:
        if self._pods == "disabled" or len(labels) > 2:
            return NXDOMAIN
        if len(labels) < 2:
            return NODATA
        dashed, namespace = labels
        try:
            ip = str(ipaddress.ip_address(dashed.replace("-", "." if dashed.count("-") == 3 else ":")))
        except ValueError:
            return NXDOMAIN
        if self._pods == "verified":
            pod = self._objects.pod_at(ip)
            if pod is None or pod["metadata"]["namespace"] != namespace:
                return NXDOMAIN
        kind = "AAAA" if ":" in ip else "A"
        return _said(Record(name, kind, ip, self._ttl)) if qtype == kind else NODATA

    def _service(self, name: str, service: Obj, rest: list[str], qtype: str) -> Answer:
        spec = service["spec"]
        if spec.get("type") == "ExternalName":
            if rest:
                return NXDOMAIN
            target = spec.get("externalName", "").rstrip(".").lower()
            return _said(Record(name, "CNAME", target, self._ttl))
        headless = spec.get("clusterIP") == "None"
        if len(rest) == 2 and all(label.startswith("_") for label in rest):
            return self._srv(name, service, rest[0][1:], rest[1][1:], qtype)
        if not rest:
            if qtype == "SRV":
                return self._srv(name, service, None, None, qtype)
            if not headless:
                return self._addresses(name, spec.get("clusterIPs") or [spec["clusterIP"]], qtype)
            members = [address for address, _, _ in self._members(service)]
            # The plugin cannot tell "no endpoints" from "no such name" for a headless Service: NXDOMAIN.
            return self._addresses(name, members, qtype) if members else NXDOMAIN
        if len(rest) == 1 and headless:
            found = [address for address, hostname, _ in self._members(service) if hostname == rest[0]]
            return self._addresses(name, found, qtype) if found else NXDOMAIN
        return NXDOMAIN

    def _addresses(self, name: str, ips: Sequence[str], qtype: str) -> Answer:
        return _of_addresses(name, tuple(ips), qtype, self._ttl)

    def _srv(self, name: str, service: Obj, port_name: str | None, protocol: str | None, qtype: str) -> Answer:
        meta, spec = service["metadata"], service["spec"]
        base = f"{meta['name']}.{meta['namespace']}.svc.{self.domain}"
        targets: list[tuple[int, str]] = []
        known = False
        for port in spec.get("ports") or ():
            if port_name is not None and (
                port.get("name", "") != port_name or port.get("protocol", "TCP").lower() != protocol
            ):
                continue
            known = True
            if spec.get("clusterIP") != "None":
                targets.append((port["port"], base))
                continue
            for endpoint, conditions in slice_endpoints(self._slices(service), port):
                if _published(service, conditions):
                    host = _dashed(endpoint.ip)
                    for address, hostname, _ in self._members(service):
                        if address == endpoint.ip:
                            host = hostname
                    targets.append((endpoint.port, f"{host}.{base}"))
        if not known:
            return NXDOMAIN
        if qtype != "SRV" or not targets:
            return NODATA
        weight = 100 // len(targets)
        return _said(*(Record(name, "SRV", f"0 {weight} {number} {target}", self._ttl) for number, target in targets))

    def _slices(self, service: Obj) -> list[Obj]:
        return list(self._objects.slices_of(service["metadata"]["namespace"], service["metadata"]["name"]))

    def _members(self, service: Obj) -> Iterator[tuple[str, str, Obj]]:
        """Address, host name and endpoint of each published member of a headless Service."""
        for entry in self._slices(service):
            for endpoint in entry.get("endpoints") or ():
                if not _published(service, endpoint.get("conditions") or {}):
                    continue
                for address in endpoint.get("addresses") or ():
                    hostname = endpoint.get("hostname") or _dashed(address)
                    yield address, hostname, endpoint


def _said(*records: Record) -> Answer:
    return Answer("NOERROR", records) if records else NODATA


@lru_cache(512)  # who sends requests asks for the same name before each
def _of_addresses(name: str, ips: tuple[str, ...], qtype: str, ttl: int) -> Answer:
    kinds = {ip: "AAAA" if ":" in ip else "A" for ip in dict.fromkeys(ips)}
    return _said(*(Record(name, kind, ip, ttl) for ip, kind in kinds.items() if kind == qtype))


def _published(service: Obj, conditions: Obj) -> bool:
    if service["spec"].get("publishNotReadyAddresses"):
        return True
    return conditions.get("ready", True) is not False


def _dashed(ip: str) -> str:
    return ip.replace(".", "-").replace(":", "-")


def _address_of(name: str) -> str | None:
    if name.endswith(".in-addr.arpa"):
        parts = name.removesuffix(".in-addr.arpa").split(".")
        return ".".join(reversed(parts)) if len(parts) == 4 else None
    if name.endswith(".ip6.arpa"):
        nibbles = name.removesuffix(".ip6.arpa").split(".")
        if len(nibbles) != 32:
            return None
        text = "".join(reversed(nibbles))
        try:
            return str(ipaddress.ip_address(":".join(text[i : i + 4] for i in range(0, 32, 4))))
        except ValueError:
            return None
    return None
