"""kube-proxy: from the address of a Service to one of its endpoints.

The rules are those of the iptables proxier (pkg/proxy): ready endpoints are picked at random; if there are none, ones
that still serve while terminating; a Service port without endpoints is rejected (connection refused), an address of a
Service with another port is just forwarded and gets lost, and a Local traffic policy drops what has no local endpoint.
Only on stepped time, where levels are proven, the choice goes round instead: what a proof says must not depend on luck.
"""

from __future__ import annotations

import itertools
import operator
import random
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from kuartui.embedded.clock import Clock
from kuartui.embedded.network.errors import refused, timed_out
from kuartui.embedded.network.objects import NODES, SERVICES, Obj, ObjectTable

MANY_CLIENTS, MANY_ENDPOINTS = 1000, 400  # remembered before the old ones are forgotten
MANY_PORTS = 1000  # whose endpoints are known before all are looked up again
PROXY_NAME = "service.kubernetes.io/service-proxy-name"
AFFINITY_SECONDS = 10800  # the API's default for sessionAffinityConfig.clientIP.timeoutSeconds


class Endpoint(Struct, frozen=True):
    """One address and port behind a Service."""

    ip: str
    port: int
    node: str = ""
    for_nodes: tuple[str, ...] = ()  # its hints
    for_zones: tuple[str, ...] = ()


class Usable(Struct, frozen=True):
    """The endpoints that may be chosen, and whether each of the ready ones has hints of nodes, or of zones."""

    ready: tuple[Endpoint, ...] = ()
    leaving: tuple[Endpoint, ...] = ()
    """Those that still serve while terminating: for when nobody is ready, in the cluster or, for a Local policy, on the
    node."""
    for_nodes: bool = False
    for_zones: bool = False

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        return self.ready or self.leaving

    def on(self, node: str) -> list[Endpoint]:
        """Those of one node."""
        here = [endpoint for endpoint in self.ready if endpoint.node == node]
        return here or [endpoint for endpoint in self.leaving if endpoint.node == node]


NOBODY = Usable()


class ServiceProxy:
    """Chooses endpoints, remembering client-IP affinity."""

    def __init__(self, objects: ObjectTable, clock: Clock, chance: random.Random) -> None:
        self._objects = objects
        self._clock = clock
        self._chance = chance
        self._affinity: dict[tuple[str, str, str, str], tuple[Endpoint, float]] = {}
        self._taken: dict[tuple[str, str], dict[Endpoint, int]] = {}  # on stepped time: when each was last chosen
        self._choices = itertools.count(1)
        self._known: dict[tuple[str, str, str, str], tuple[tuple[Obj, ...], Usable]] = {}
        """Who is behind a port, and the slices that said so."""

    def route(
        self, source_ip: str, source_node: str, ip: str, port: int, protocol: str, *, internal: bool
    ) -> Endpoint | None:
        """Where a packet to `ip`:`port` goes; None if no Service claims it.

        `internal` says that the client is in the cluster (a pod or a node); cluster IPs mean nothing to others.
        Raises ConnectionRefusedError or TimeoutError.
        """
        claimed = False
        for service in self._objects.services_at(ip):
            if _is_anothers(service):
                continue
            spec = service.get("spec", {})
            is_cluster_ip = ip in (spec.get("clusterIPs") or [spec.get("clusterIP")])
            if is_cluster_ip and not internal:
                continue
            claimed = True
            if not is_cluster_ip and not _source_allowed(spec, source_ip, internal=internal):
                raise timed_out()
            for service_port in spec.get("ports") or ():
                if service_port["port"] == port and service_port.get("protocol", "TCP") == protocol:
                    policy = "internalTrafficPolicy" if is_cluster_ip or internal else "externalTrafficPolicy"
                    # In-cluster traffic to a load-balancer address is short-cut by kube-proxy to all endpoints.
                    local = spec.get(policy) == "Local" and (is_cluster_ip or not internal)
                    return self.choose(service, service_port, source_ip, source_node, local=local)
        if claimed:
            raise timed_out()
        return None

    def node_port(self, source_ip: str, source_node: str, node: str, port: int, protocol: str) -> Endpoint | None:
        """Where a packet to a node's own `port` goes; None if it is no node port.

        A Local policy spares only the pods of that very node: from elsewhere they come with their node's address.
        """
        found = self._of_node_port(port, protocol)
        if found is None:
            return None
        service, service_port = found
        local = service["spec"].get("externalTrafficPolicy") == "Local" and source_node != node
        return self.choose(service, service_port, source_ip, node, local=local)

    def masquerades(self, port: int, protocol: str) -> bool:
        """Whether who comes in by a node port is seen with the address of the node: unless its policy is Local."""
        found = self._of_node_port(port, protocol)
        return found is not None and found[0]["spec"].get("externalTrafficPolicy") != "Local"

    def _of_node_port(self, port: int, protocol: str) -> tuple[Obj, Obj] | None:
        """The Service that has a node port, and its port."""
        for service in self._objects.list(SERVICES):
            spec = service.get("spec", {})
            if spec.get("type") not in ("NodePort", "LoadBalancer") or _is_anothers(service):
                continue
            for service_port in spec.get("ports") or ():
                if service_port.get("nodePort") == port and service_port.get("protocol", "TCP") == protocol:
                    return service, service_port
        return None

    def health_check(self, node: str, port: int) -> tuple[str, str, int] | None:
        """Whose health checks a node's port answers: namespace, name, and how many endpoints the node has; or None."""
        for service in self._objects.list(SERVICES):
            meta, spec = service["metadata"], service.get("spec", {})
            if spec.get("healthCheckNodePort") != port or _is_anothers(service):
                continue
            found = [self._usable(meta["namespace"], meta["name"], one) for one in spec.get("ports") or ()]
            here = {endpoint.ip for usable in found for endpoint in usable.ready if endpoint.node == node}
            return meta["namespace"], meta["name"], len(here)
        return None

    def choose(
        self, service: Obj, service_port: Obj, source_ip: str, node: str = "", *, local: bool = False
    ) -> Endpoint:
        """One endpoint of a Service port, for a packet at `node`; `local` restricts to that node. Raises as `route`."""
        meta, spec = service["metadata"], service["spec"]
        found = self._usable(meta["namespace"], meta["name"], service_port)
        if local:
            usable: Sequence[Endpoint] = found.on(node)
            if found.endpoints and not usable:
                raise timed_out()
        else:
            usable = self._near(found, node)
        if not usable:
            raise refused()
        if spec.get("sessionAffinity") != "ClientIP":
            return self._pick(meta, usable)
        key = (meta["namespace"], meta["name"], service_port.get("name", ""), source_ip)
        seconds = (spec.get("sessionAffinityConfig") or {}).get("clientIP", {}).get("timeoutSeconds", AFFINITY_SECONDS)
        now = self._clock.monotonic()
        self._forget_clients(now)
        chosen, until = self._affinity.get(key, (None, 0.0))
        if chosen is None or chosen not in usable or now >= until:
            chosen = self._pick(meta, usable)
        self._affinity[key] = chosen, now + seconds
        return chosen

    def _forget_clients(self, now: float) -> None:
        if len(self._affinity) > MANY_CLIENTS:
            self._affinity = {key: held for key, held in self._affinity.items() if held[1] > now}

    def _near(self, found: Usable, node: str) -> Sequence[Endpoint]:
        """What the hints of the endpoints leave for a node (pkg/proxy/topology.go): all of them, if any has none."""
        usable = found.endpoints
        if found.for_nodes:
            same = [endpoint for endpoint in usable if node in endpoint.for_nodes]
            if same:
                return same
        if found.for_zones:
            machine = self._objects.get(NODES, "", node)
            zone = ((machine or {}).get("metadata", {}).get("labels") or {}).get("topology.kubernetes.io/zone")
            return [endpoint for endpoint in usable if zone in endpoint.for_zones] or usable
        return usable

    def _pick(self, service: Obj, usable: Sequence[Endpoint]) -> Endpoint:
        if not self._clock.stepped:
            return self._chance.choice(usable)
        taken = self._taken.setdefault((service["namespace"], service["name"]), {})
        chosen = min(usable, key=lambda endpoint: taken.get(endpoint, 0))
        taken[chosen] = next(self._choices)
        if len(taken) > MANY_ENDPOINTS:  # pods come and go; who was not chosen for long is gone
            for old in sorted(taken, key=lambda endpoint: taken[endpoint])[: MANY_ENDPOINTS // 2]:
                del taken[old]
        return chosen

    def _usable(self, namespace: str, name: str, service_port: Obj) -> Usable:
        key = (namespace, name, service_port.get("name") or "", service_port.get("protocol", "TCP"))
        slices = tuple(self._objects.slices_of(namespace, name))
        before, known = self._known.get(key, ((), NOBODY))
        if len(slices) == len(before) and all(map(operator.is_, slices, before)):
            return known
        if len(self._known) > MANY_PORTS:
            self._known.clear()
        found = self._look_up(slices, service_port)
        self._known[key] = slices, found
        return found

    @staticmethod
    def _look_up(slices: Iterable[Obj], service_port: Obj) -> Usable:
        ready: dict[Endpoint, None] = {}
        leaving: dict[Endpoint, None] = {}
        for endpoint, conditions in slice_endpoints(slices, service_port):
            if conditions.get("ready", True) is not False:
                ready[endpoint] = None
            elif conditions.get("serving") and conditions.get("terminating"):
                leaving[endpoint] = None
        return Usable(
            tuple(ready),
            tuple(leaving),
            bool(ready) and all(endpoint.for_nodes for endpoint in ready),
            bool(ready) and all(endpoint.for_zones for endpoint in ready),
        )


def slice_endpoints(slices: Iterable[Obj], service_port: Obj) -> Iterator[tuple[Endpoint, Obj]]:
    """Endpoints of one Service port in its slices, with their conditions. Target ports are already numbers there."""
    wanted = (service_port.get("name") or "", service_port.get("protocol", "TCP"))
    for entry in slices:
        if entry.get("addressType", "IPv4") == "FQDN":
            continue
        for port in entry.get("ports") or ():
            if (port.get("name") or "", port.get("protocol") or "TCP") != wanted or not port.get("port"):
                continue
            for endpoint in entry.get("endpoints") or ():
                node, hints = endpoint.get("nodeName") or "", endpoint.get("hints") or {}
                nodes = tuple(one["name"] for one in hints.get("forNodes") or ())
                zones = tuple(one["name"] for one in hints.get("forZones") or ())
                for address in endpoint.get("addresses") or ():
                    yield Endpoint(address, port["port"], node, nodes, zones), endpoint.get("conditions") or {}


def _is_anothers(service: Obj) -> bool:
    """Whether the Service names another proxy, of which there is none here: kube-proxy leaves it alone."""
    return PROXY_NAME in (service["metadata"].get("labels") or {})


def _source_allowed(spec: Obj, source_ip: str, *, internal: bool) -> bool:
    import ipaddress

    ranges = spec.get("loadBalancerSourceRanges")
    if not ranges or internal:
        return True
    return any(ipaddress.ip_address(source_ip) in ipaddress.ip_network(cidr.strip(), strict=False) for cidr in ranges)
