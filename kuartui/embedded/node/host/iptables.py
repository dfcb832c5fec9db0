"""iptables-save on a node: the rules by which kube-proxy leads packets to the endpoints of Services.

The proxy of the network works without rules; these are what pkg/proxy/iptables/proxier.go writes for the same Services
and EndpointSlices, chain names included, in iptables-save's own form.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from kuartui.embedded.images.applets.options import parse
from kuartui.embedded.images.model import Program
from kuartui.embedded.network.objects import SLICES
from kuartui.embedded.network.services import AFFINITY_SECONDS, PROXY_NAME, slice_endpoints

if TYPE_CHECKING:
    from kuartui.embedded.node.kubelet import Kubelet
    from kuartui.embedded.node.runtime.process import Process

Obj = dict[str, Any]

POD_CIDR = "10.244.0.0/16"
SERVICE_NAME = "kubernetes.io/service-name"
MARK = "0x4000/0x4000"
PORTALS = '-m comment --comment "kubernetes service portals" -j KUBE-SERVICES'
LAST = (
    '-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" '
    "-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS"
)
NAT = (
    f"-A PREROUTING {PORTALS}",
    f"-A OUTPUT {PORTALS}",
    '-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
    f"-A KUBE-MARK-MASQ -j MARK --set-xmark {MARK}",
    f"-A KUBE-POSTROUTING -m mark ! --mark {MARK} -j RETURN",
    "-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0",
    '-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully',
)
CONNTRACK = (
    '-m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT'
)
FILTER = (
    f"-A FORWARD -m conntrack --ctstate NEW {PORTALS}",
    '-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
    f"-A OUTPUT -m conntrack --ctstate NEW {PORTALS}",
    f'-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark {MARK} -j ACCEPT',
    f"-A KUBE-FORWARD {CONNTRACK}",
)
BUILT_IN = {"filter": ("INPUT", "FORWARD", "OUTPUT"), "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING")}


def iptables_save(kubelet: Kubelet) -> Program:
    """iptables-save [-t nat|filter]."""

    async def run(process: Process) -> int:
        options, _ = await parse(process, "t:c", ("table=", "counters"))
        wanted = options.get("t", "") or options.get("table", "")
        client = kubelet.services.client
        nat, rejected = rules(client.list("services"), client.list(SLICES), kubelet.name)
        tables = {"filter": [*FILTER, *rejected], "nat": [*NAT, *nat, LAST]}
        if wanted and wanted not in (*tables, "mangle", "raw", "security"):
            await process.err(f"iptables-save v1.8.11 (nf_tables): table '{wanted}' does not exist\n")
            return 1
        stamp = f"{process.clock.now():%a %b %e %H:%M:%S %Y}"
        for name, lines in tables.items():
            if wanted in ("", name):
                await process.out(_table(name, lines, stamp))
        return 0

    return run


def rules(services: Iterable[Obj], slices: Iterable[Obj], node: str) -> tuple[list[str], list[str]]:
    """kube-proxy's rules about Services on a node: those of the table nat, and those of filter that reject."""
    by_service: dict[tuple[str, str], list[Obj]] = {}
    for one in slices:
        labels = one["metadata"].get("labels") or {}
        by_service.setdefault((one["metadata"]["namespace"], labels.get(SERVICE_NAME, "")), []).append(one)
    nat: list[str] = []
    rejected: list[str] = []
    for service in sorted(services, key=lambda one: (one["metadata"]["namespace"], one["metadata"]["name"])):
        meta, spec = service["metadata"], service.get("spec") or {}
        if spec.get("clusterIP") in (None, "", "None") or PROXY_NAME in (meta.get("labels") or {}):
            continue
        for port in spec.get("ports") or ():
            found = by_service.get((meta["namespace"], meta["name"]), ())
            endpoints = sorted({f"{one.ip}:{one.port}" for one in _usable(found, port, spec, node)})
            if endpoints:
                nat += _port_rules(service, port, endpoints)
            else:
                rejected += _rejections(service, port)
    return nat, rejected


def _usable(slices: Iterable[Obj], port: Obj, spec: Obj, node: str) -> Iterator[Any]:
    known = list(slice_endpoints(slices, port))
    ready = [one for one, conditions in known if conditions.get("ready", True) is not False]
    leaving = [one for one, conditions in known if conditions.get("serving") and conditions.get("terminating")]
    local = spec.get("internalTrafficPolicy") == "Local"
    return (one for one in ready or leaving if not local or one.node == node)


def _port_rules(service: Obj, port: Obj, endpoints: list[str]) -> list[str]:
    """The chains of one port of a Service: to it by its addresses, from it to its endpoints, one by one."""
    spec, name, protocol = service["spec"], _port_name(service, port), _protocol(port)
    chain, outer = _chain("KUBE-SVC-", name + protocol), _chain("KUBE-EXT-", name + protocol)
    to = (
        f"-d {spec['clusterIP']}/32 -p {protocol} {_comment(f'{name} cluster IP')} -m {protocol} --dport {port['port']}"
    )
    lines = [f"-A KUBE-SERVICES {to} -j {chain}"]
    masquerade = _comment(f"masquerade traffic for {name} external destinations")
    opened = [f"-A {outer} {masquerade} -j KUBE-MARK-MASQ", f"-A {outer} -j {chain}"]
    balancers = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    outside = [(ip, "external IP") for ip in spec.get("externalIPs") or ()]
    outside += [(one["ip"], "loadbalancer IP") for one in balancers if one.get("ip")]
    for ip, kind in outside:
        matched = f"-d {ip}/32 -p {protocol} {_comment(f'{name} {kind}')} -m {protocol} --dport {port['port']}"
        lines.append(f"-A KUBE-SERVICES {matched} -j {outer}")
    if port.get("nodePort"):
        lines.append(
            f"-A KUBE-NODEPORTS -p {protocol} {_comment(name)} -m {protocol} --dport {port['nodePort']} -j {outer}"
        )
    if outside or port.get("nodePort"):
        lines += opened
    lines.append(f"-A {chain} ! -s {POD_CIDR} {to} -j KUBE-MARK-MASQ")
    ends = {endpoint: _chain("KUBE-SEP-", name + protocol + endpoint) for endpoint in endpoints}
    sticky = spec.get("sessionAffinity") == "ClientIP"
    config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    seconds = config.get("timeoutSeconds", AFFINITY_SECONDS)
    if sticky:
        for endpoint, end in ends.items():
            recent = f"-m recent --rcheck --seconds {seconds} --reap --name {end} --mask 255.255.255.255 --rsource"
            lines.append(f"-A {chain} {_comment(f'{name} -> {endpoint}')} {recent} -j {end}")
    for index, (endpoint, end) in enumerate(ends.items()):
        left = len(ends) - index
        chance = f"-m statistic --mode random --probability {1 / left:.11f} " if left > 1 else ""
        lines.append(f"-A {chain} {_comment(f'{name} -> {endpoint}')} {chance}-j {end}")
    for endpoint, end in ends.items():
        lines.append(f"-A {end} -s {endpoint.rpartition(':')[0]}/32 {_comment(name)} -j KUBE-MARK-MASQ")
        remembered = f"-m recent --set --name {end} --mask 255.255.255.255 --rsource " if sticky else ""
        target = f"-j DNAT --to-destination {endpoint}"
        lines.append(f"-A {end} -p {protocol} {_comment(name)} {remembered}-m {protocol} {target}")
    return lines


def _rejections(service: Obj, port: Obj) -> list[str]:
    name, protocol = _port_name(service, port), _protocol(port)
    why = _comment(f"{name} has no endpoints")
    to = f"-d {service['spec']['clusterIP']}/32 -p {protocol} {why} -m {protocol} --dport {port['port']}"
    return [f"-A KUBE-SERVICES {to} -j REJECT --reject-with icmp-port-unreachable"]


def _port_name(service: Obj, port: Obj) -> str:
    meta = service["metadata"]
    return f"{meta['namespace']}/{meta['name']}" + (f":{port['name']}" if port.get("name") else "")


def _protocol(port: Obj) -> str:
    return str(port.get("protocol", "TCP")).lower()


def _chain(prefix: str, text: str) -> str:
    """portProtoHash: kube-proxy's names of chains, which iptables limits to 28 characters."""
    return prefix + base64.b32encode(hashlib.sha256(text.encode()).digest()).decode()[:16]


def _comment(text: str) -> str:
    """iptables-save quotes only what needs it."""
    return f'-m comment --comment "{text}"' if " " in text else f"-m comment --comment {text}"


def _table(name: str, lines: list[str], stamp: str) -> str:
    own = sorted({line.split()[1] for line in lines} | {line.rpartition(" -j ")[2].split()[0] for line in lines})
    chains = [f":{chain} ACCEPT [0:0]" for chain in BUILT_IN[name]]
    chains += [f":{chain} - [0:0]" for chain in own if chain.startswith("KUBE-")]
    head = f"# Generated by iptables-save v1.8.11 (nf_tables) on {stamp}"
    return "\n".join([head, f"*{name}", *chains, *lines, "COMMIT", f"# Completed on {stamp}", ""])
