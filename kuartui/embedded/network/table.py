"""The cluster's network: one table of addresses, and connections made in memory.

Programs listen on an address and port of their pod, node or the outside; `connect` does what the kernel, the C library,
kube-proxy and the CNI plugin do together: resolve the name, translate a Service's address into an endpoint's, ask the
NetworkPolicies of both ends, and hand over a stream, or fail the way it would fail on a real cluster.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
from collections.abc import Callable, Mapping
from functools import lru_cache

from msgspec import Struct, field

from kuartui.embedded.clock import Clock
from kuartui.embedded.network import health_checks
from kuartui.embedded.network.corefile import DEFAULT as DEFAULT_COREFILE
from kuartui.embedded.network.corefile import CoreDns
from kuartui.embedded.network.dns import (
    NODATA,
    NODE_RESOLVER,
    NXDOMAIN,
    SERVFAIL,
    SHORT_TRY_SECONDS,
    TRIES,
    TRY_SECONDS,
    Answer,
    DnsConfig,
    DnsServer,
    Record,
    search,
)
from kuartui.embedded.network.dns_wire import over_tcp
from kuartui.embedded.network.errors import NameNotResolved, Unreachable, refused, timed_out
from kuartui.embedded.network.objects import PODS, SERVICES, Obj, ObjectTable
from kuartui.embedded.network.policy import Party, PolicyTable
from kuartui.embedded.network.services import Endpoint, ServiceProxy
from kuartui.embedded.network.stream import Handler, Stream, pipe

SYN_SECONDS = 127.0  # tcp_syn_retries=6
ARP_SECONDS = 3.0  # until the kernel says "No route to host"
ANY = ("", "0.0.0.0", "::", "*")
OUTSIDE_IP = NODE_RESOLVER  # the host that a kind cluster runs on


class Host(Struct):
    """Whoever holds an address: a pod's network namespace, a node, or a machine outside."""

    ip: str
    kind: str  # pod | node | outside | edge
    namespace: str = ""
    name: str = ""
    node: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    dns: DnsConfig = field(default_factory=lambda: DnsConfig(()))
    hosts: Mapping[str, str] = field(default_factory=dict)  # /etc/hosts: name to address
    listeners: dict[tuple[int, str, str], Listener] = field(default_factory=dict)
    """By port, protocol and the address that it is bound to: "" for all of them."""
    streams: set[Stream] = field(default_factory=set)


class Listener:
    """A listening socket; `close` stops it and, if asked, its connections."""

    def __init__(self, host: Host, port: int, protocol: str, bind: str, handler: Handler | None) -> None:
        self.host = host
        self.port = port
        self.protocol = protocol
        self.bind = "" if bind in ANY else "127.0.0.1" if bind == "localhost" else bind
        self.handler = handler
        self.dns: DnsServer | None = None
        self.tasks: set[asyncio.Task[None]] = set()

    @property
    def local_only(self) -> bool:
        """Bound to the loopback interface."""
        return self.bind.startswith("127.") or self.bind == "::1"

    @property
    def key(self) -> tuple[int, str, str]:
        """Under which its host knows it."""
        return self.port, self.protocol, self.bind

    def accept(self, stream: Stream) -> None:
        """Serve one connection in a task of its own."""
        if self.handler is None:
            stream.abort()
            return
        task = asyncio.get_running_loop().create_task(_serve(self.handler, stream))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def close(self, *, connections: bool = True) -> None:
        """Stop listening; with `connections`, end those that are open too."""
        if self.host.listeners.get(self.key) is self:
            del self.host.listeners[self.key]
        if connections:
            for task in list(self.tasks):
                task.cancel()


async def _serve(handler: Handler, stream: Stream) -> None:
    try:
        await handler(stream)
    except OSError:
        pass  # the peer went away; nobody else needs to know
    finally:
        if not stream.closed:
            stream.abort()


class AddressInUse(OSError):
    """bind(2): EADDRINUSE."""

    def __init__(self) -> None:
        super().__init__(98, "Address in use")


class Network:
    """Addresses, listeners, and the way between them."""

    def __init__(
        self, clock: Clock, seed: int = 0, dns_ip: str = "10.96.0.10", pod_cidr: str = "10.244.0.0/16"
    ) -> None:
        self.clock = clock
        self.objects = ObjectTable()
        self.dns_ip = dns_ip
        self._pod_cidr = ipaddress.ip_network(pod_cidr)
        self._hosts: dict[str, Host] = {}
        self._services = ServiceProxy(self.objects, clock, random.Random(seed))
        self._policies = PolicyTable(self.objects)
        self._observers: dict[str, list[Callable[[str, Obj], None]]] = {}
        self._names: dict[str, list[str]] = {}
        self._own_dns = CoreDns(DEFAULT_COREFILE, self.objects, self._ask_upstream)
        self._chance = random.Random(seed)

    # --- what the cluster tells us ---

    def apply(self, resource: str, event_type: str, obj: Obj) -> None:
        """Learn an ADDED, MODIFIED or DELETED object; see `RESOURCES` for what to subscribe to. Read `objects`."""
        self.objects.apply(resource, event_type, obj)
        for callback in self._observers.get(resource, ()):
            callback(event_type, obj)

    def observe(self, resource: str, callback: Callable[[str, Obj], None]) -> Callable[[], None]:
        """Have a part of the network called for each change of a resource, until it calls what it gets."""
        observers = self._observers.setdefault(resource, [])
        observers.append(callback)
        return lambda: observers.remove(callback)

    def choose_endpoint(self, service: Obj, port: Obj, source_ip: str) -> Endpoint:
        """An endpoint of a Service's port, as routers pick them. Raises ConnectionRefusedError."""
        return self._services.choose(service, port, source_ip)

    # --- who is there ---

    def add_pod(
        self,
        ip: str,
        namespace: str,
        name: str,
        *,
        node: str = "",
        labels: Mapping[str, str] | None = None,
        dns: DnsConfig | None = None,
        hosts: Mapping[str, str] | None = None,
    ) -> Host:
        """A pod's network namespace comes up. `labels` count only while the feed has no such pod."""
        host = Host(ip, "pod", namespace, name, node, dict(labels or {}), dns or DnsConfig(()), hosts or {})
        self._hosts[ip] = host
        return host

    def remove_pod(self, ip: str) -> None:
        """A pod's network namespace is gone, and with it every connection."""
        host = self._hosts.get(ip)
        if host is not None and host.kind == "pod":
            del self._hosts[ip]
            _drop(host)

    def add_node(self, name: str, ip: str) -> Host:
        """A machine of the cluster; pods on the host network listen on its address."""
        host = self._hosts.get(ip)
        if host is None or host.kind != "node":
            host = self._hosts[ip] = Host(ip, "node", name=name, node=name, dns=DnsConfig((OUTSIDE_IP,)))
        return host

    def remove_node(self, ip: str) -> None:
        """The machine is gone."""
        host = self._hosts.get(ip)
        if host is not None and host.kind == "node":
            del self._hosts[ip]
            _drop(host)

    def add_outside(self, ip: str, *names: str) -> Host:
        """A machine outside of the cluster, and the public DNS names that it has."""
        host = self._hosts.setdefault(ip, Host(ip, "outside", name=names[0] if names else ip))
        for name in names:
            self._names.setdefault(name.rstrip(".").lower(), []).append(ip)
        return host

    def add_edge(self, ip: str, namespace: str, name: str, labels: Mapping[str, str]) -> Host:
        """A router with an address that inside and outside know; for policies it is a pod."""
        host = self._hosts.setdefault(ip, Host(ip, "edge"))
        host.namespace, host.name, host.labels = namespace, name, dict(labels)
        return host

    def host(self, ip: str) -> Host | None:
        """Who holds an address."""
        return self._hosts.get(ip)

    def listen(
        self, ip: str, port: int, handler: Handler | None, protocol: str = "TCP", bind: str = "0.0.0.0"
    ) -> Listener:
        """Listen at an address that was added before. Raises OSError if the port is taken (EADDRINUSE)."""
        host = self._hosts.get(ip)
        if host is None:
            raise OSError(99, "Address not available")
        if port == 0:
            port = self._chance.randint(32768, 60999)
        listener = Listener(host, port, protocol, bind, handler)
        for other in host.listeners.values():
            if (other.port, other.protocol) == (port, protocol) and (
                other.bind == listener.bind or not other.bind or not listener.bind
            ):
                raise AddressInUse
        host.listeners[listener.key] = listener
        return listener

    def listen_dns(
        self, ip: str, server: DnsServer, port: int = 53, *, tcp: DnsServer | None = None
    ) -> tuple[Listener, Listener]:
        """A DNS server on `port`, UDP and TCP, or one for each. Programs ask by `query`; TCP is open to bytes as well."""
        for_tcp = tcp or server
        listeners = self.listen(ip, port, None, "UDP"), self.listen(ip, port, over_tcp(for_tcp))
        listeners[0].dns, listeners[1].dns = server, for_tcp
        return listeners

    # --- names ---

    async def resolve(self, source: str | None, name: str, qtype: str = "A", *, musl: bool = False) -> list[str]:
        """Addresses (or other data) of a name as the C library finds them. Raises NameNotResolved."""
        if qtype in ("A", "AAAA"):
            found = self._without_dns(source, name)
            if found is not None:
                return [found]
        answer = await self.search(source, name, qtype, musl=musl)
        records = [record.data for record in answer.records if record.type == qtype]
        if not records:
            raise NameNotResolved(name, answer.rcode)
        return records

    async def search(self, source: str | None, name: str, qtype: str = "A", *, musl: bool = False) -> Answer:
        """Ask the source's name servers, through its search list. Raises NameNotResolved if none answers."""
        config = self._dns_of(source)

        async def query(candidate: str, kind: str) -> Answer:
            if not musl:
                return await self.query(source, candidate, kind)
            try:
                return await self.query(source, candidate, kind, seconds=SHORT_TRY_SECONDS)
            except ConnectionRefusedError:  # musl does not hear of it, and waits
                await self.clock.sleep(TRIES * SHORT_TRY_SECONDS)
                raise timed_out() from None

        try:
            return await search(name, qtype, config, query, musl=musl)
        except ConnectionRefusedError:
            raise NameNotResolved(name, "CLOSED") from None
        except OSError:
            raise NameNotResolved(name, "TIMEOUT") from None

    async def query(
        self,
        source: str | None,
        name: str,
        qtype: str = "A",
        server: str | None = None,
        protocol: str = "UDP",
        seconds: float = TRY_SECONDS,
    ) -> Answer:
        """One question for one absolute name. Raises TimeoutError or ConnectionRefusedError if no server answers, in
        `seconds` at each try."""
        servers = [server] if server else list(self._dns_of(source).nameservers)
        failure: OSError = refused()
        for _ in range(TRIES):
            for address in servers:
                try:
                    return await self._ask(source, address, name.rstrip(".").lower(), qtype, protocol)
                except ConnectionRefusedError as error:
                    failure = error
                except OSError as error:
                    failure = error
                    await self.clock.sleep(seconds)
        raise failure

    # --- connections ---

    async def connect(
        self,
        source: str | None,
        host: str,
        port: int,
        protocol: str = "TCP",
        seconds: float = SYN_SECONDS,
        *,
        musl: bool = False,
    ) -> Stream:
        """Connect from an address (None: from outside of the cluster) to a name or address.

        Raises NameNotResolved, ConnectionRefusedError, Unreachable or, after `seconds`, TimeoutError.
        """
        addresses = [host.strip("[]")] if _is_address(host) else await self.resolve(source, host, musl=musl)
        failure: OSError = timed_out()
        for address in addresses:
            try:
                listener, target = self.locate(source, address, port, protocol)
            except TimeoutError as error:
                failure = error
                await self.clock.sleep(seconds)
                continue
            except Unreachable as error:
                failure = error
                await self.clock.sleep(min(seconds, ARP_SECONDS))
                continue
            except OSError as error:
                failure = error
                continue
            return self._join(source, listener, (address, port), target, protocol)
        raise failure

    def locate(self, source: str | None, ip: str, port: int, protocol: str = "TCP") -> tuple[Listener, Host]:
        """The listener that a packet would reach now; raises at once what `connect` would raise in the end."""
        client = self._hosts.get(source) if source else None
        if _is_loopback(ip):
            if client is None:
                raise refused()
            return self._at_home(client, ip, port, protocol)
        internal = client is not None and client.kind != "outside"
        source_ip = client.ip if client else OUTSIDE_IP
        source_node = client.node if client else ""
        endpoint = self._services.route(source_ip, source_node, ip, port, protocol, internal=internal)
        node = self._hosts.get(ip)
        if endpoint is None and node is not None and node.kind == "node":
            endpoint = self._services.node_port(source_ip, source_node, node.node, port, protocol)
        direct = endpoint is None
        target_ip, target_port = (ip, port) if endpoint is None else (endpoint.ip, endpoint.port)
        target = self._hosts.get(target_ip)
        if target is None:
            if internal and ipaddress.ip_address(target_ip) in self._pod_cidr:
                raise Unreachable
            raise timed_out()
        if target.kind == "pod" and direct and not internal:
            raise timed_out()  # pod addresses mean nothing outside
        if not self._policies.idle() and not self._policies.allows(
            self._party(client), self._party(target), target_port, protocol, self._pod(target)
        ):
            raise timed_out()
        check = self._services.health_check(target.node, target_port) if direct and target.kind == "node" else None
        if check is not None:
            return Listener(target, target_port, protocol, "", health_checks.handler(*check)), target
        return _listener(target, target_port, protocol, target_ip, local=client is target), target

    def _at_home(self, client: Host, ip: str, port: int, protocol: str) -> tuple[Listener, Host]:
        """What answers at a host's loopback address; on a node, kube-proxy has node ports and health checks there, too."""
        if client.kind == "node" and ip != "::1":
            endpoint = self._services.node_port(client.ip, client.node, client.node, port, protocol)
            if endpoint is not None:
                return self.locate(client.ip, endpoint.ip, endpoint.port, protocol)
            check = self._services.health_check(client.node, port)
            if check is not None:
                return Listener(client, port, protocol, "", health_checks.handler(*check)), client
        return _listener(client, port, protocol, ip, local=True), client

    def reachable(self, source: str | None, ip: str) -> bool:
        """Whether a ping would come back: somebody holds the address. (Cluster IPs answer no ping.)"""
        client = self._hosts.get(source) if source else None
        target = self._hosts.get(ip) if not _is_loopback(ip) else client
        if target is None:
            return False
        return self._policies.allows(self._party(client), self._party(target), -1, "ICMP", self._pod(target))

    def _join(
        self, source: str | None, listener: Listener, asked: tuple[str, int], target: Host, protocol: str
    ) -> Stream:
        near, far = pipe()
        client = self._hosts.get(source) if source else None
        ip = client.ip if client else OUTSIDE_IP
        if client is target and _is_loopback(asked[0]):
            ip = asked[0]
        own = (ip, self._chance.randint(32768, 60999))
        near.local, near.remote = own, asked
        node = self._hosts.get(asked[0])
        by_node = node is not None and node.kind == "node" and self._services.masquerades(asked[1], protocol)
        far.local, far.remote = (target.ip, listener.port), (asked[0], own[1]) if by_node else own
        for host, end in ((client, near), (target, far)):
            if host is not None:
                host.streams.add(end)
                end.on_close(host.streams.discard)
        listener.accept(far)
        return near

    def _party(self, host: Host | None) -> Party:
        if host is None:
            return Party(OUTSIDE_IP)
        pod = self._pod(host)
        labels = host.labels if pod is None else pod["metadata"].get("labels") or {}
        return Party(host.ip, host.namespace, labels, host.kind in ("pod", "edge"), host.node, host.kind == "node")

    def _pod(self, host: Host) -> Obj | None:
        return self.objects.get(PODS, host.namespace, host.name) if host.kind == "pod" else None

    def _without_dns(self, source: str | None, name: str) -> str | None:
        if _is_address(name):
            return name
        host = self._hosts.get(source) if source else None
        known = host.hosts.get(name.lower().rstrip(".")) if host else None
        return known or ("127.0.0.1" if name == "localhost" else None)

    def _dns_of(self, source: str | None) -> DnsConfig:
        host = self._hosts.get(source) if source else None
        return host.dns if host and host.dns.nameservers else DnsConfig((OUTSIDE_IP,))

    async def _ask(self, source: str | None, server: str, name: str, qtype: str, protocol: str = "UDP") -> Answer:
        if server == OUTSIDE_IP:
            return self._public(name, qtype)
        if server == self.dns_ip and self.objects.get(SERVICES, "kube-system", "kube-dns") is None:
            return await self._own_dns.answer(name, qtype, source or OUTSIDE_IP)
        listener, _ = self.locate(source, server, 53, protocol)
        if listener.dns is None:
            raise timed_out()
        return await listener.dns.answer(name, qtype, source or OUTSIDE_IP)

    async def ask_upstream(self, server: str, name: str, qtype: str) -> Answer:
        """What a DNS server in the cluster gets when it forwards: `server` is an address, "" the node's resolver."""
        return await self._ask_upstream(server, name, qtype)

    async def _ask_upstream(self, server: str, name: str, qtype: str) -> Answer:
        if not server or server == OUTSIDE_IP or server not in self._hosts:
            return self._public(name, qtype)
        try:
            return await self._ask(None, server, name, qtype)
        except OSError:
            return SERVFAIL

    def _public(self, name: str, qtype: str) -> Answer:
        addresses = self._names.get(name)
        if addresses is None:
            return NXDOMAIN
        if qtype != "A":
            return NODATA
        return Answer("NOERROR", tuple(Record(name, "A", ip, 300) for ip in addresses), authoritative=False)


def _drop(host: Host) -> None:
    for listener in list(host.listeners.values()):
        listener.close()
    for stream in list(host.streams):
        stream.abort()


def _listener(host: Host, port: int, protocol: str, ip: str, *, local: bool) -> Listener:
    """Who listens at an address of the host: whoever bound it, or all; or, from the host itself, another one of it."""
    listener = host.listeners.get((port, protocol, ip)) or host.listeners.get((port, protocol, ""))
    if listener is None and local:
        listener = next((one for one in host.listeners.values() if (one.port, one.protocol) == (port, protocol)), None)
    if listener is None:
        raise refused()
    return listener


@lru_cache(1024)
def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


def _is_loopback(ip: str) -> bool:
    return ip.startswith("127.") or ip == "::1" or ip == "0.0.0.0"
