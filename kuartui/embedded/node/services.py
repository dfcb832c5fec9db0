"""What the pod workers of one node share."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from kuartui.embedded.client import Client
from kuartui.embedded.clock import Clock
from kuartui.embedded.network import Network
from kuartui.embedded.node.backoff import Backoff
from kuartui.embedded.node.env import Surroundings
from kuartui.embedded.node.hooks import HookRunner
from kuartui.embedded.node.journal import Journal
from kuartui.embedded.node.machine import Machine
from kuartui.embedded.node.probes.handlers import Prober
from kuartui.embedded.node.pull import ImageStore
from kuartui.embedded.node.runtime import Container, ContainerRuntime
from kuartui.embedded.node.sandbox import AddressPool
from kuartui.embedded.node.volumes.content import TokenSource
from kuartui.embedded.node.volumes.disks import Disks

Obj = dict[str, Any]


class NodeServices(Struct):
    """Everything that a pod worker needs of its node and cluster."""

    client: Client
    machine: Machine
    network: Network
    runtime: ContainerRuntime
    images: ImageStore
    disks: Disks
    tokens: TokenSource
    addresses: AddressPool
    prober: Prober
    hooks: HookRunner
    restarts: Backoff
    journal: Journal

    @property
    def clock(self) -> Clock:
        """The cluster's clock."""
        return self.client.clock

    def node(self) -> Obj:
        """The Node object, {} before it is registered."""
        return self.client.get("nodes", "", self.machine.name) or {}

    def around(self, ips: list[str]) -> Surroundings:
        """What the downward API tells of the node."""
        return Surroundings(ips, [self.machine.ip], self.node().get("status", {}).get("allocatable") or {})

    async def run_hook(self, hook: Obj, pod: Obj, spec: Obj, container: Container) -> None:
        """Run a LifecycleHandler of a container to its end. Raises HookFailed."""
        await self.hooks.run(hook, pod, spec, container, lambda *event: self.event(pod, *event))

    def event(self, pod: Obj, type_: str, reason: str, message: str, field_path: str = "") -> None:
        """Record an event about a pod, or with a field path about one of its containers."""
        self.journal.event(pod, type_, reason, message)
        self.client.record(pod, type_, reason, message, "kubelet", self.machine.name, field_path)
