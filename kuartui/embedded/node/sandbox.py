"""A pod's network namespace: its address, host name, hosts file, resolver and host ports.

After the kubelet's `GeneratePodHostNameAndDomain`, `ensureHostsFile` and pkg/kubelet/network/dns.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from kuartui.embedded.network import NODE_RESOLVER, DnsConfig, Listener, Network, Stream, cluster_first
from kuartui.embedded.network.dns import CLUSTER_DOMAIN
from kuartui.embedded.node import spec, sysctls
from kuartui.embedded.node.machine import Machine
from kuartui.embedded.node.runtime import MemoryMeter, Sandbox

Obj = dict[str, Any]

MAX_HOSTNAME = 63
MAX_NODENAME = 64  # of the kernel
MAX_NAMESERVERS = 3  # what resolv.conf may have, after pkg/apis/core/validation
MAX_SEARCHES = 32
MAX_SEARCH_CHARACTERS = 2048
HOSTS_HEAD = (
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::0\tip6-localnet\n"
    "fe00::0\tip6-mcastprefix\n"
    "fe00::1\tip6-allnodes\n"
    "fe00::2\tip6-allrouters\n"
)


class AddressPool:
    """Addresses of one node's pod range, given out in turn, as host-local IPAM does."""

    def __init__(self, cidr: str) -> None:
        self._network = ipaddress.ip_network(cidr)
        self._used: set[str] = set()
        self._next = self._count()

    def take(self) -> str:
        """A free address. Raises RuntimeError if there is none."""
        for _ in range(self._network.num_addresses):
            ip = next(self._next)
            if ip not in self._used:
                self._used.add(ip)
                return ip
        raise RuntimeError(f"no IP addresses available in range set: {self._network[1]}-{self._network[-2]}")

    def give_back(self, ip: str) -> None:
        """Free an address."""
        self._used.discard(ip)

    def _count(self) -> Iterator[str]:
        while True:
            for number in range(2, self._network.num_addresses - 1):
                yield str(self._network[number])


def hostname(pod: Obj) -> str:
    """The host name: what overrides it, or, without domain, spec.hostname or the pod's name shortened."""
    if override := pod["spec"].get("hostnameOverride"):
        return str(override)
    name = pod["spec"].get("hostname") or pod["metadata"]["name"]
    return str(name)[:MAX_HOSTNAME].rstrip("-.")


def domain(pod: Obj) -> str:
    """The DNS domain that spec.subdomain gives, "" without or where the host name is another one."""
    subdomain = None if pod["spec"].get("hostnameOverride") else pod["spec"].get("subdomain")
    return f"{subdomain}.{pod['metadata']['namespace']}.svc.{CLUSTER_DOMAIN}" if subdomain else ""


def kernel_hostname(pod: Obj) -> str:
    """What `hostname` says in the pod: the host name, or all of its domain name. Raises ValueError if that is too long."""
    name, zone = hostname(pod), domain(pod)
    if not zone or not pod["spec"].get("setHostnameAsFQDN"):
        return name
    whole = f"{name}.{zone}"
    if len(whole) > MAX_NODENAME:
        raise ValueError(
            f"failed to construct FQDN from pod hostname and cluster domain, FQDN {whole} is too long "
            f"({MAX_NODENAME} characters is the max, {len(whole)} characters requested)"
        )
    return whole


def hosts_file(pod: Obj, ip: str, node: str) -> str:
    """/etc/hosts."""
    if spec.on_host_network(pod):
        text = f"# Kubernetes-managed hosts file (host network).\n127.0.0.1\tlocalhost\n{ip}\t{node}\n"
    else:
        name, zone = hostname(pod), domain(pod)
        own = f"{ip}\t{name}.{zone}\t{name}\n" if zone else f"{ip}\t{name}\n"
        text = f"# Kubernetes-managed hosts file.\n{HOSTS_HEAD}{own}"
    aliases = pod["spec"].get("hostAliases") or ()
    if aliases:
        text += "\n# Entries added by HostAliases.\n"
        text += "".join("\t".join([alias["ip"], *(alias.get("hostnames") or ())]) + "\n" for alias in aliases)
    return text


def hosts_table(text: str) -> dict[str, str]:
    """/etc/hosts as the resolver reads it: name to address."""
    table: dict[str, str] = {}
    for line in text.splitlines():
        words = line.split("#")[0].split()
        for name in words[1:]:
            if ":" not in words[0]:
                table.setdefault(name.lower(), words[0])
    return table


def resolver(pod: Obj, dns_ip: str) -> tuple[DnsConfig, list[str]]:
    """resolv.conf by dnsPolicy and dnsConfig, and what to say of that which is too much for it."""
    wish = _wished(pod, dns_ip)
    servers, searches = wish.nameservers[:MAX_NAMESERVERS], wish.searches[:MAX_SEARCHES]
    while len(" ".join(searches)) > MAX_SEARCH_CHARACTERS:
        searches = searches[:-1]
    omitted = []
    if servers != wish.nameservers:
        omitted.append(
            "Nameserver limits were exceeded, some nameservers have been omitted, "
            f"the applied nameserver line is: {' '.join(servers)}"
        )
    if searches != wish.searches:
        omitted.append(
            "Search Line limits were exceeded, some search paths have been omitted, "
            f"the applied search line is: {' '.join(searches)}"
        )
    return replace(wish, nameservers=servers, searches=searches), omitted


def _wished(pod: Obj, dns_ip: str) -> DnsConfig:
    policy = pod["spec"].get("dnsPolicy", "ClusterFirst")
    if policy == "ClusterFirst" and spec.on_host_network(pod):
        policy = "Default"
    if policy in ("ClusterFirst", "ClusterFirstWithHostNet"):
        config = cluster_first(pod["metadata"]["namespace"], dns_ip)
    elif policy == "None":
        config = DnsConfig(())
    else:
        config = DnsConfig((NODE_RESOLVER,))
    extra = pod["spec"].get("dnsConfig") or {}
    options = dict(config.options) | {one["name"]: one.get("value") for one in extra.get("options") or ()}
    return replace(
        config,
        nameservers=tuple(dict.fromkeys([*config.nameservers, *(extra.get("nameservers") or ())])),
        searches=tuple(dict.fromkeys([*config.searches, *(extra.get("searches") or ())])),
        options=tuple(options.items()),
    )


class PodNetwork:
    """The network side of one sandbox."""

    def __init__(
        self, network: Network, machine: Machine, pool: AddressPool, cores: float, memory: int, meter: MemoryMeter
    ) -> None:
        self._network = network
        self._machine = machine
        self._pool = pool
        self._cores = cores
        self._memory = memory
        self._meter = meter
        self._own_ip = ""
        self._host_ports: list[Listener] = []

    def omitted(self, pod: Obj) -> list[str]:
        """What of the pod's wishes for its resolver cannot be had, as the kubelet tells it."""
        return resolver(pod, self._network.dns_ip)[1]

    def up(self, pod: Obj) -> Sandbox:
        """Give the pod an address and make it known. Raises RuntimeError without a free address, ValueError for its name."""
        meta = pod["metadata"]
        config, _ = resolver(pod, self._network.dns_ip)
        shared = spec.on_host_network(pod)
        name = self._machine.name if shared else kernel_hostname(pod)
        ip = self._machine.ip if shared else self._pool.take()
        hosts = hosts_file(pod, ip, self._machine.name)
        if not shared:
            self._own_ip = ip
            self._network.add_pod(
                ip,
                meta["namespace"],
                meta["name"],
                node=self._machine.name,
                labels=meta.get("labels"),
                dns=config,
                hosts=hosts_table(hosts),
            )
            self._open_host_ports(pod, ip)
        return Sandbox(
            namespace=meta["namespace"],
            name=meta["name"],
            uid=meta["uid"],
            ip=ip,
            hostname=name,
            node=self._machine.name,
            host_ip=self._machine.ip,
            hosts=hosts,
            resolv_conf=config.text(),
            cores=self._cores,
            node_memory=self._memory,
            meter=self._meter,
            share_processes=bool(pod["spec"].get("shareProcessNamespace")),
            host_processes=bool(pod["spec"].get("hostPID")),
            host_network=shared,
            host_users=pod["spec"].get("hostUsers") is not False,
            sysctls=sysctls.in_force(pod),
        )

    def down(self) -> None:
        """Take the namespace away: connections break, the address is free."""
        for listener in self._host_ports:
            listener.close()
        self._host_ports.clear()
        if self._own_ip:
            self._network.remove_pod(self._own_ip)
            self._pool.give_back(self._own_ip)
            self._own_ip = ""

    def _open_host_ports(self, pod: Obj, ip: str) -> None:
        for _, container in spec.all_containers(pod):
            for port in container.get("ports") or ():
                protocol = port.get("protocol", "TCP")
                if port.get("hostPort") and protocol in ("TCP", "UDP"):
                    inside = ip, int(port["containerPort"])
                    self._open(int(port["hostPort"]), inside, protocol, port.get("hostIP") or "0.0.0.0")

    def _open(self, host_port: int, inside: tuple[str, int], protocol: str, bind: str) -> None:
        async def forward(near: Stream) -> None:
            far = await self._network.connect(self._machine.ip, *inside, protocol)
            await splice(near, far)

        try:
            self._host_ports.append(self._network.listen(self._machine.ip, host_port, forward, protocol, bind))
        except OSError:
            return  # somebody on the host network has it; the scheduler avoids that, nodeName does not


async def splice(one: Stream, other: Stream) -> None:
    """Join two streams until both directions have ended."""

    async def pump(source: Stream, sink: Stream) -> None:
        try:
            while data := await source.read():
                await sink.write(data)
            sink.close()
        except OSError:
            sink.abort()
            source.abort()

    await asyncio.gather(pump(one, other), pump(other, one))
