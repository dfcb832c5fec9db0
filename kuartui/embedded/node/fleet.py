"""All nodes of a cluster: who runs which pod, and the way from the API to a container on a node."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.images.registry import ImageCatalogue
from kuartui.embedded.network import NameNotResolved, Network, Stream, not_found_on_node
from kuartui.embedded.node import logs
from kuartui.embedded.node.backoff import Backoff
from kuartui.embedded.node.hooks import HookRunner
from kuartui.embedded.node.journal import Journal
from kuartui.embedded.node.kubelet import Kubelet
from kuartui.embedded.node.machine import KUBELET_PORT, Machine
from kuartui.embedded.node.probes.handlers import Prober
from kuartui.embedded.node.pull import ImageStore
from kuartui.embedded.node.resources import amounts
from kuartui.embedded.node.runtime import Container, ContainerRuntime, ExecIO
from kuartui.embedded.node.sandbox import AddressPool
from kuartui.embedded.node.services import NodeServices
from kuartui.embedded.node.state import Run
from kuartui.embedded.node.volumes.content import TokenSource
from kuartui.embedded.node.volumes.disks import Disks, persistent_key
from kuartui.embedded.node.worker import PodWorker
from kuartui.embedded.rounds import attempt, rounds
from kuartui.embedded.store import Event, EventType

Obj = dict[str, Any]

log = logging.getLogger(__name__)

SWITCHES = ("fail", "recover", "pause", "resume")
"""What can be done to a node: its power, and its kubelet alone."""
SAVE_SECONDS = 5.0  # between looks at persistent volumes, to keep their content beyond this process


class NodeUnreachable(Exception):
    """The API can't talk to a node's kubelet; the text is what its proxy says."""


class NoSuchContainer(Exception):
    """The kubelet has no such running container; the text is its answer."""


class Fleet:
    """Runs the nodes. Give it to the API as the way to containers, to metrics as the source of usage."""

    def __init__(
        self,
        client: Client,
        network: Network,
        catalogue: ImageCatalogue,
        tokens: TokenSource,
        machines: Iterable[Machine],
        disks: Disks | None = None,
        preload: Iterable[str] = (),
    ) -> None:
        self.client = client
        self.network = network
        self.disks = disks or Disks()
        self.runtime = ContainerRuntime(client.clock, network)
        self.kubelets: dict[str, Kubelet] = {}
        self._catalogue, self._tokens = catalogue, tokens
        self._preload = list(preload)
        self._unsubscribe: list[Any] = []
        self._saving: asyncio.Task[None] | None = None
        for machine in machines:
            self.kubelets[machine.name] = self._kubelet(machine)

    # --- life ---

    async def start(self) -> None:
        """Boot all nodes, and take up the pods that are bound to them."""
        listen = self.client.listen
        self._unsubscribe = [
            listen("pods", self._pod_event),
            listen("configmaps", self._shown_object),
            listen("secrets", self._shown_object),
            listen("persistentvolumes", self._volume_event),
        ]
        for kubelet in self.kubelets.values():
            await kubelet.on()
        saving = rounds(self.client.clock, SAVE_SECONDS, self._save)
        self._saving = asyncio.get_running_loop().create_task(saving)

    async def stop(self) -> None:
        """Switch everything off and keep what persists."""
        for stop in self._unsubscribe:
            stop()
        if self._saving is not None:
            self._saving.cancel()
        for kubelet in self.kubelets.values():
            if kubelet.powered:
                kubelet.off()
        await attempt(self._save)

    async def switch(self, node: str, action: str) -> None:
        """Do one of `SWITCHES` to a node."""
        match action:
            case "fail":
                await self.fail(node)
            case "recover":
                await self.recover(node)
            case _:
                await self.pause(node, action == "pause")

    async def fail(self, node: str) -> None:
        """A machine loses power."""
        self.kubelets[node].off()

    async def recover(self, node: str) -> None:
        """It comes back."""
        await self.kubelets[node].on()

    async def pause(self, node: str, paused: bool = True) -> None:
        """Its kubelet is stopped (or started again); containers go on."""
        await self.kubelets[node].pause(paused)

    def _kubelet(self, machine: Machine) -> Kubelet:
        client = self.client.as_user(f"system:node:{machine.name}", "system:nodes", manager="kubelet")
        images = ImageStore(client.clock, self._catalogue)
        images.load(self._preload)
        services = NodeServices(
            client=client,
            machine=machine,
            network=self.network,
            runtime=self.runtime,
            images=images,
            disks=self.disks,
            tokens=self._tokens,
            addresses=AddressPool(machine.pod_cidr),
            prober=Prober(client.clock, self.network, machine.ip),
            hooks=HookRunner(client.clock, self.network, machine.ip),
            restarts=Backoff(client.clock),
            journal=Journal(client.clock),
        )
        capacity = amounts(machine.capacity())
        return Kubelet(services, float(capacity["cpu"]), int(capacity["memory"]))

    # --- what changes in the API ---

    def _pod_event(self, event: Event) -> None:
        pod = event.obj.data
        kubelet = self.kubelets.get(pod["spec"].get("nodeName", ""))
        if kubelet is None:
            return
        if event.type is EventType.DELETED:
            kubelet.pod_removed(pod["metadata"]["uid"])
        else:
            kubelet.pod_changed(pod)

    def _shown_object(self, event: Event) -> None:
        resource, namespace, name = event.obj.key
        for kubelet in self.kubelets.values():
            kubelet.object_changed(resource, namespace, name)

    def _volume_event(self, event: Event) -> None:
        pv = event.obj.data
        if event.type is EventType.DELETED and pv["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
            for node in self.kubelets:
                self.disks.remove(persistent_key(pv, node))

    async def _save(self) -> None:
        self.disks.save()

    # --- the way to a container ---

    def reach(self, node: str) -> Kubelet:
        """A node's kubelet. Raises NodeUnreachable."""
        kubelet = self.kubelets.get(node)
        if kubelet is None:
            raise NodeUnreachable(not_found_on_node(node))
        if not kubelet.running:
            reason = "connect: connection refused" if kubelet.powered else "connect: no route to host"
            raise NodeUnreachable(f"dial tcp {kubelet.services.machine.ip}:{KUBELET_PORT}: {reason}")
        return kubelet

    def worker(self, pod: Obj) -> PodWorker:
        """The worker of a pod. Raises NodeUnreachable, NoSuchContainer."""
        kubelet = self.reach(pod["spec"].get("nodeName", ""))
        worker = kubelet.workers.get(pod["metadata"]["uid"])
        if worker is None:
            raise NoSuchContainer("pod does not exist")
        return worker

    def container(self, pod: Obj, name: str) -> Container:
        """A running container. Raises NodeUnreachable, NoSuchContainer."""
        found = self._running(pod, name)
        if found is None:
            raise NoSuchContainer(f'container not found ("{name}")')
        return found

    def _running(self, pod: Obj, name: str) -> Container | None:
        run = self.worker(pod).state.last(name)
        return None if run is None or run.exited or run.started_at is None else run.container

    async def logs(self, pod: Obj, container: str, options: logs.LogOptions) -> AsyncIterator[bytes]:
        """A container's log. Raises NodeUnreachable, NoSuchContainer, logs.NoLog before the first piece."""
        worker = self.worker(pod)
        chosen = logs.choose(pod, _status(pod, container), worker.state, container, options.previous)
        return _nothing() if chosen is None else logs.read(chosen, options)

    async def exec(self, pod: Obj, container: str, argv: list[str], io: ExecIO) -> int:
        """Run a command in a container; its exit code. Raises also runtime.ExecError."""
        return await self.container(pod, container).exec(argv, io)

    async def attach(self, pod: Obj, container: str, io: ExecIO) -> None:
        """Join a container's first process. Raises NodeUnreachable, NoSuchContainer."""
        found = self._running(pod, container)
        if found is None:  # in other words than exec, as the kubelet
            full_name = f"{pod['metadata']['name']}_{pod['metadata']['namespace']}"
            raise NoSuchContainer(f"container {container} not found in pod {full_name}")
        await found.attach(io)

    async def port_forward(self, pod: Obj, port: int) -> Stream:
        """Connect to a port inside of a pod. Raises OSError with the text that kubectl prints."""
        worker = self.worker(pod)
        if worker.sandbox is None:
            raise NoSuchContainer("pod does not exist")
        try:
            return await self.network.connect(worker.sandbox.ip, "127.0.0.1", port)
        except (OSError, NameNotResolved):
            netns = f"/var/run/netns/cni-{worker.uid}"
            inside = f'inside namespace "{worker.uid.replace("-", "")}"'
            raise ConnectionRefusedError(
                f'failed to execute portforward in network namespace "{netns}": failed to connect to localhost:{port} '
                f"{inside}, IPv4: dial tcp4 127.0.0.1:{port}: connect: connection refused "
                f"IPv6 dial tcp6 [::1]:{port}: connect: connection refused"
            ) from None

    # --- usage ---

    def runs(self, node: str | None = None) -> Iterable[tuple[Obj, Run]]:
        """Every running container with its pod, of one node or of all that answer."""
        for name, kubelet in self.kubelets.items():
            if node not in (None, name) or not kubelet.running:
                continue
            for worker in kubelet.workers.values():
                for run in worker.state.active():
                    yield worker.pod, run

    def answers(self, node: str) -> bool:
        """Whether a node's kubelet can be asked."""
        kubelet = self.kubelets.get(node)
        return kubelet is not None and kubelet.running


def _status(pod: Obj, container: str) -> Obj | None:
    status = pod.get("status") or {}
    lists = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
    return next((one for name in lists for one in status.get(name) or () if one["name"] == container), None)


async def _nothing() -> AsyncIterator[bytes]:
    """The log of a container that ran in a former process."""
    yield b""
