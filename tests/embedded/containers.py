"""A small world for tests of the runtime, its images and the network: a stepped clock, pods, containers, services."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from kuartui.embedded.clock import FastClock
from kuartui.embedded.images.library import catalogue
from kuartui.embedded.network import Network, cluster_first
from kuartui.embedded.node.runtime import (
    Capture,
    Container,
    ContainerRuntime,
    ContainerSpec,
    ExecIO,
    Exit,
    Mount,
    Sandbox,
    once,
)


class World:
    """Pods named p1, p2, … at 10.244.0.N in namespace default."""

    def __init__(self) -> None:
        self.clock = FastClock()
        self.network = Network(self.clock)
        self.network.add_node("node-a", "172.18.0.2")
        self.runtime = ContainerRuntime(self.clock, self.network)
        self.catalogue = catalogue()
        self.containers: list[Container] = []

    def sandbox(self, name: str = "", namespace: str = "default", labels: Mapping[str, str] | None = None) -> Sandbox:
        number = len(self.containers) + 2
        ip = f"10.244.0.{number}"
        name = name or f"p{number - 1}"
        dns = cluster_first(namespace, self.network.dns_ip)
        self.network.add_pod(ip, namespace, name, node="node-a", labels=labels, dns=dns)
        hosts = f"127.0.0.1\tlocalhost\n{ip}\t{name}\n"
        return Sandbox(namespace, name, f"uid-{name}", ip, name, "node-a", "172.18.0.2", hosts, dns.text())

    def create(self, image: str, *argv: str, sandbox: Sandbox | None = None, **spec: Any) -> Container:
        if argv:
            spec["command"] = argv
        found = spec.pop("found", None) or self.catalogue.pull(image)
        target = spec.pop("target", None)
        container = self.runtime.create(ContainerSpec("c", found, **spec), sandbox or self.sandbox(), target)
        self.containers.append(container)
        return container

    async def start(self, image: str, *argv: str, **spec: Any) -> Container:
        container = self.create(image, *argv, **spec)
        await container.start()
        await self.clock.settle()
        return container

    async def run(self, image: str, *argv: str, seconds: float = 60, **spec: Any) -> tuple[Exit, str]:
        """Run a container to its end; exit and log."""
        container = await self.start(image, *argv, **spec)
        await self.clock.advance(seconds)
        assert container.exit is not None, "still running; log:\n" + self.log(container)
        return container.exit, self.log(container)

    async def sh(
        self, container: Container, script: str, stdin: bytes | None = None, seconds: float = 60
    ) -> tuple[int, str, str]:
        """`kubectl exec -- sh -c`."""
        return await self.exec(container, "sh", "-c", script, stdin=stdin, seconds=seconds)

    async def exec(
        self, container: Container, *argv: str, stdin: bytes | None = None, seconds: float = 60
    ) -> tuple[int, str, str]:
        out, err = Capture(), Capture()
        io = ExecIO(out.write, err.write, once(stdin) if stdin is not None else None)
        task = asyncio.ensure_future(container.exec(list(argv), io))
        await self.clock.settle()
        if not task.done():
            await self.clock.advance(seconds)
        assert task.done(), f"{argv} still runs: {out.text!r} {err.text!r}"
        return task.result(), out.text, err.text

    @staticmethod
    def log(container: Container) -> str:
        return b"".join(entry.line for entry in container.log.entries()).decode()

    def mount(self, path: str, volume: Any, **options: Any) -> Mount:
        return Mount(path, volume, **options)

    def service(
        self, name: str, ip: str, port: int, endpoints: list[tuple[str, int]], namespace: str = "default", **spec: Any
    ) -> None:
        """A Service and its EndpointSlice."""
        ports = [{"port": port, "protocol": "TCP", "name": ""}]
        spec = {"clusterIP": ip, "clusterIPs": [ip], "type": "ClusterIP", "ports": ports, **spec}
        meta = {"name": name, "namespace": namespace}
        self.network.apply("services", "ADDED", {"metadata": meta, "spec": spec})
        by_port: dict[int, list[str]] = {}
        for address, target in endpoints:
            by_port.setdefault(target, []).append(address)
        for target, addresses in by_port.items():
            labels = {"kubernetes.io/service-name": name}
            self.network.apply(
                "endpointslices.discovery.k8s.io",
                "ADDED",
                {
                    "metadata": {"name": f"{name}-{target}", "namespace": namespace, "labels": labels},
                    "addressType": "IPv4",
                    "ports": [{"name": "", "port": target, "protocol": "TCP"}],
                    "endpoints": [
                        {"addresses": [a], "conditions": {"ready": True}, "nodeName": "node-a"} for a in addresses
                    ],
                },
            )

    async def close(self) -> None:
        for container in self.containers:
            container.kill()
        await self.clock.settle()
        for container in self.containers:
            container.remove()
