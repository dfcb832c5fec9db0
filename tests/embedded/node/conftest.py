"""A small cluster for kubelets: the store, a client without admission, one or more nodes, programs for images."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime
from typing import Any

import pytest

from kuartui.embedded.clock import FastClock
from kuartui.embedded.images.model import PATH, Image, ImageConfig, ImageFile
from kuartui.embedded.images.registry import Finder, ImageCatalogue
from kuartui.embedded.meta.errors import not_found
from kuartui.embedded.network import RESOURCES, Network
from kuartui.embedded.node.fleet import Fleet
from kuartui.embedded.node.machine import Machine
from kuartui.embedded.node.runtime.process import Process
from kuartui.embedded.node.volumes.disks import Disks
from kuartui.embedded.store import Event, EventType, Store

Obj = dict[str, Any]


class MemoryClient:
    """The Client protocol straight over a store: no admission, no defaults, graceful deletion of pods only."""

    def __init__(self, store: Store, clock: FastClock) -> None:
        self.store = store
        self.clock = clock
        self.events: list[tuple[str, str, str, str, str]] = []
        self._uids = itertools.count(1)

    def as_user(self, user: str, *groups: str, manager: str = "") -> MemoryClient:
        return self

    def get(self, resource: str, namespace: str, name: str) -> Obj | None:
        found = self.store.get(resource, namespace, name)
        return found.data if found else None

    def list(self, resource: str, namespace: str | None = None, selector: Obj | None = None) -> list[Obj]:
        return [stored.data for stored in self.store.list(resource, namespace)]

    def owned_by(self, resource: str, uid: str) -> list[Obj]:
        return []

    async def create(self, resource: str, obj: Obj) -> Obj:
        meta = obj["metadata"]
        meta.setdefault("uid", f"00000000-0000-0000-0000-{next(self._uids):012d}")
        meta.setdefault("creationTimestamp", self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"))
        meta.setdefault("generation", 1)
        return self.store.create(resource, meta.get("namespace", ""), meta["name"], obj).data

    async def update(self, resource: str, obj: Obj) -> Obj:
        meta = obj["metadata"]
        return self.store.update(resource, meta.get("namespace", ""), meta["name"], obj, None).data

    update_status = update

    async def patch(self, resource: str, namespace: str, name: str, patch: Obj, subresource: str = "") -> Obj:
        await asyncio.sleep(0)
        found = self.store.get(resource, namespace, name)
        if found is None:
            raise not_found(resource, name)
        return self.store.update(resource, namespace, name, merged(found.mutable(), patch), None).data

    async def delete(
        self,
        resource: str,
        namespace: str,
        name: str,
        *,
        uid: str | None = None,
        grace: int | None = None,
        propagation: str | None = None,
    ) -> None:
        found = self.store.get(resource, namespace, name)
        if found is None or uid not in (None, found.uid):
            raise not_found(resource, name)
        obj = found.mutable()
        seconds = grace if grace is not None else obj["spec"].get("terminationGracePeriodSeconds", 30)
        if resource == "pods" and seconds and obj["spec"].get("nodeName"):
            obj["metadata"]["deletionTimestamp"] = self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
            obj["metadata"]["deletionGracePeriodSeconds"] = seconds
            self.store.update(resource, namespace, name, obj, None)
        else:
            self.store.delete(resource, namespace, name)

    async def bind(self, namespace: str, pod: str, node: str) -> None:
        await self.patch("pods", namespace, pod, {"spec": {"nodeName": node}})

    def record(
        self, obj: Obj, type_: str, reason: str, message: str, component: str, host: str = "", field_path: str = ""
    ) -> None:
        self.events.append((obj["metadata"]["name"], type_, reason, message, field_path))

    def listen(self, resource: str, listener: Callable[[Event], None]) -> Callable[[], None]:
        for stored in self.store.list(resource):
            listener(Event(EventType.ADDED, stored, None))
        return self.store.listen(resource, listener)


def merged(target: Obj, patch: Obj) -> Obj:
    """RFC 7386."""
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            target[key] = merged(target.get(key) if isinstance(target.get(key), dict) else {}, value)
        else:
            target[key] = value
    return target


class Tokens:
    """Tokens that say whose they are."""

    def token(self, pod: Obj, audiences: list[str], seconds: int) -> str:
        return f"token-of-{pod['spec'].get('serviceAccountName', 'default')}"


async def sleeper(process: Process) -> int:
    """Runs until it is told to stop."""
    stop = process.signals("TERM", "INT")
    await process.out("started\n")
    await stop.get()
    return 0


async def stubborn(process: Process) -> int:
    """Does not hear SIGTERM."""
    await process.clock.sleep(1e6)
    return 0


async def fail(process: Process) -> int:
    """Says something and exits with its first argument, after as many seconds as the second one says."""
    await process.out("trying\n")
    await process.clock.sleep(sum(map(float, process.argv[2:])))
    await process.err("oops\n")
    return int(process.argv[1])


async def show(process: Process) -> int:
    """Prints variables (NAME) and files (/path) that it is asked for."""
    for word in process.argv[1:]:
        if word.startswith("/"):
            await process.out(process.read(word).decode() + "\n")
        else:
            await process.out(f"{word}={process.env.get(word, '<unset>')}\n")
    return 0


async def last_words(process: Process) -> int:
    """Writes the termination log and fails."""
    process.files.write("/dev/termination-log", b"ran out of luck", process.user)
    return 2


async def hog(process: Process) -> int:
    """Takes the memory it is told to (MiB)."""
    await process.clock.sleep(1)
    process.memory = int(process.argv[1]) << 20
    await process.clock.sleep(1e6)
    return 0


async def check(process: Process) -> int:
    """0 if the file exists."""
    return 0 if process.files.exists(process.argv[1]) else 1


async def touch(process: Process) -> int:
    """Makes a file."""
    try:
        process.files.write(process.argv[1], " ".join(process.argv[2:]).encode(), process.user)
    except OSError as error:
        await process.err(f"touch: {process.argv[1]}: {error.strerror}\n")
        return 1
    return 0


async def pause(process: Process) -> int:
    """Waits and ends well."""
    await process.clock.sleep(float(process.argv[1]))
    return 0


PROGRAMS = {
    f"/bin/{program.__name__.replace('_', '-')}": program
    for program in (sleeper, stubborn, fail, show, last_words, hog, check, touch, pause)
}
USERS = ImageFile(b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n")


def image(name: str, *, user: str = "", size: int = 1 << 20) -> Image:
    """An image with all test programs; it runs `sleeper`."""
    config = ImageConfig(entrypoint=("sleeper",), env=(("PATH", PATH),), user=user)
    return Image(f"docker.io/library/{name}", "1", config, {"/etc/passwd": USERS}, PROGRAMS, size=size)


def library(images: dict[str, Image]) -> Callable[[str], Finder | None]:
    """A catalogue's library of `images`, by name:tag."""

    def finder(repository: str) -> Finder | None:
        names = {name.partition(":")[0] for name in images}
        if repository.removeprefix("docker.io/library/") not in names:
            return None
        return lambda reference: images.get(f"{repository.removeprefix('docker.io/library/')}:{reference.tag}")

    return finder


class Cluster:
    """Nodes over a store, on a fast clock."""

    def __init__(self, machines: Iterable[Machine], disks: Disks | None = None, store: Store | None = None) -> None:
        self.clock = FastClock()
        self.store = store or Store()
        self.client = MemoryClient(self.store, self.clock)
        self.network = Network(self.clock)
        self.images = {
            "box:1": image("box"),
            "nobody:1": image("nobody", user="nobody"),
            "uid:1": image("uid", user="7"),
        }
        self.catalogue = ImageCatalogue(library(self.images))
        for resource in RESOURCES:
            self.client.listen(resource, self._feed(resource))
        self.fleet = Fleet(self.client, self.network, self.catalogue, Tokens(), machines, disks)

    def _feed(self, resource: str) -> Callable[[Event], None]:
        return lambda event: self.network.apply(resource, event.type.value, event.obj.data)

    async def pod(self, name: str = "p", *, node: str = "one", meta: Obj | None = None, **spec: Any) -> None:
        """Create a pod on a node; `spec` needs no containers if one of box:1 will do."""
        containers = spec.pop("containers", [{"name": "c"}])
        for container in [*containers, *spec.get("initContainers", ())]:
            container.setdefault("image", "box:1")
        body = {"restartPolicy": "Always", "nodeName": node, "containers": containers} | spec
        metadata = {"name": name, "namespace": "default"} | (meta or {})
        await self.client.create("pods", {"metadata": metadata, "spec": body, "status": {"phase": "Pending"}})

    async def config(self, name: str, **data: str) -> None:
        """Create a ConfigMap."""
        await self.client.create("configmaps", {"metadata": {"name": name, "namespace": "default"}, "data": data})

    def get(self, name: str = "p") -> Obj:
        """A pod as it is in the API."""
        found = self.client.get("pods", "default", name)
        assert found is not None, f"pod {name} is gone"
        return found

    def exists(self, name: str = "p") -> bool:
        return self.client.get("pods", "default", name) is not None

    def status(self, name: str = "p", container: str = "c") -> Obj:
        """A container's status."""
        status = self.get(name)["status"]
        lists = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
        return next(one for kind in lists for one in status.get(kind, ()) if one["name"] == container)

    def waiting(self, name: str = "p", container: str = "c") -> str | None:
        """The reason of a container's waiting state."""
        reason: str | None = self.status(name, container)["state"].get("waiting", {}).get("reason")
        return reason

    def condition(self, type_: str, name: str = "p") -> Obj:
        return next(one for one in self.get(name)["status"]["conditions"] if one["type"] == type_)

    def events(self, reason: str = "", name: str = "p") -> list[str]:
        """Messages of the events about a pod."""
        return [event[3] for event in self.client.events if event[0] == name and reason in ("", event[2])]

    async def logs(self, name: str = "p", container: str = "c", **options: Any) -> str:
        from kuartui.embedded.node.logs import LogOptions

        pieces = await self.fleet.logs(self.get(name), container, LogOptions(**options))
        return b"".join([piece async for piece in pieces]).decode()

    async def exec(self, *argv: str, name: str = "p", container: str = "c") -> tuple[int, str]:
        from kuartui.embedded.node.runtime import Capture

        capture = Capture()
        code = await self.fleet.exec(self.get(name), container, list(argv), capture.io())
        return code, capture.text

    async def run(self, seconds: float = 2.0) -> None:
        """Let time pass."""
        await self.clock.advance(seconds)

    def now(self) -> datetime:
        return self.clock.now()


@pytest.fixture
def programs() -> dict[str, Any]:
    """The programs of every test image, by path."""
    return PROGRAMS


@pytest.fixture
def machines() -> list[Machine]:
    """The nodes of `cluster`."""
    return [Machine("one", "172.18.0.2", "10.244.1.0/24")]


@pytest.fixture
async def cluster(machines: list[Machine]) -> AsyncIterator[Cluster]:
    """A running cluster."""
    made = Cluster(machines)
    await made.fleet.start()
    await made.run(0)
    yield made
    await made.fleet.stop()
    await made.run(0)


@pytest.fixture
def make_cluster() -> type[Cluster]:
    """Makes a cluster over a given store and disks; the test starts and stops it."""
    return Cluster
