"""Pod and service addresses, DNS, kube-proxy, NetworkPolicy, Ingress and Gateway: one table in memory."""

from kuartui.embedded.network.dns import (
    NODE_RESOLVER,
    Answer,
    DnsConfig,
    DnsServer,
    Record,
    cluster_first,
    not_found_on_node,
    parse_resolv_conf,
)
from kuartui.embedded.network.errors import NameNotResolved, Unreachable
from kuartui.embedded.network.objects import RESOURCES, Objects
from kuartui.embedded.network.stream import Handler, Stream, pipe
from kuartui.embedded.network.table import Host, Listener, Network

__all__ = [
    "NODE_RESOLVER",
    "RESOURCES",
    "Answer",
    "DnsConfig",
    "DnsServer",
    "Handler",
    "Host",
    "Listener",
    "NameNotResolved",
    "Network",
    "Objects",
    "Record",
    "Stream",
    "Unreachable",
    "cluster_first",
    "not_found_on_node",
    "parse_resolv_conf",
    "pipe",
]
