"""The machines at the cluster's edge: addresses where Gateways listen.

A Gateway's controller writes an address into its status; whoever connects there meets a `GatewayProxy`. For policies
the proxy is a pod in a namespace of its own, as Gateway implementations are.
"""

from __future__ import annotations

import random
import ssl
from functools import partial

from kuartui.embedded.network.gateway import GatewayProxy
from kuartui.embedded.network.http import server
from kuartui.embedded.network.objects import GATEWAYS, Obj
from kuartui.embedded.network.table import Listener, Network
from kuartui.embedded.network.tls import load_pem, self_signed, tls_handler

NAMESPACE = "gateway-system"
LABELS = {"app.kubernetes.io/name": "gateway"}


class GatewayEdge:
    """Keeps listeners for every Gateway that has an address."""

    def __init__(self, network: Network, seed: int = 0) -> None:
        self._network = network
        self._chance = random.Random(seed)
        self._listeners: dict[tuple[str, str], dict[tuple[str, int], Listener]] = {}
        network.observe(GATEWAYS, self._changed)

    def _changed(self, event_type: str, gateway: Obj) -> None:
        meta = gateway["metadata"]
        key = (meta["namespace"], meta["name"])
        addresses = [] if event_type == "DELETED" else gateway.get("status", {}).get("addresses") or []
        wanted = {
            (address["value"], listener["port"]): listener
            for address in addresses
            if address.get("type", "IPAddress") == "IPAddress"
            for listener in gateway["spec"].get("listeners") or ()
            if listener.get("protocol") in ("HTTP", "HTTPS")
        }
        have = self._listeners.setdefault(key, {})
        for place in [place for place in have if place not in wanted]:
            have.pop(place).close()
        for place, listener in wanted.items():
            if place not in have:
                have[place] = self._listen(*key, place, tls=listener["protocol"] == "HTTPS")

    def _listen(self, namespace: str, name: str, place: tuple[str, int], *, tls: bool) -> Listener:
        ip, port = place
        self._network.add_edge(ip, NAMESPACE, name, LABELS)
        proxy = GatewayProxy(self._network, ip, namespace, name, self._chance)
        handler = server(partial(proxy.handle, port), scheme="https" if tls else "http")
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            load_pem(context, *self_signed(f"{name}.{namespace}"))
            handler = tls_handler(proxy.tls_context(port, context), handler)
        return self._network.listen(ip, port, handler)
