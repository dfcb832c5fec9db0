"""What kind and minikube have in common: a real cluster of our own, made and removed by somebody else's command line.

Its kubeconfig is in our state directory, never the player's. A cluster that did not come up whole is removed again,
also when kuartui itself was killed meanwhile: a mark is left before it is made, and the next `up` starts over. One
process at a time makes or removes it. One that somebody else made by the same name is never removed.
"""

from __future__ import annotations

import asyncio
import json
from abc import abstractmethod
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Literal

from kuartui import locks
from kuartui.cluster import addons, tool
from kuartui.cluster.access import Access, read_access
from kuartui.cluster.base import ClusterStatus, Progress, Report, silent
from kuartui.cluster.capabilities import PROBE_IMAGE
from kuartui.cluster.engine import LOCAL, Engine, size_text
from kuartui.cluster.machines import LocalMachines
from kuartui.cluster.pins import Image, full_name, known_images, pins
from kuartui.cluster.rest import Api
from kuartui.cluster.shared import SharedCluster, SharedSandbox
from kuartui.errors import ApiError, ClusterError, GoneError, KuartuiError
from kuartui.message import later
from kuartui.paths import private_dir, write_private
from kuartui.translate import trn

Life = Literal["absent", "stopped", "running"]
SETTLE_SECONDS = 120.0  # for an add-on to serve: metrics-server has to look twice at each node
LINGER_SECONDS = 1.0  # an engine may still be at work for a command that was killed
DISCARDS = 3  # so often what is left is removed
AWAKE_SECONDS = 120.0  # for the API to answer after a cluster was woken


class LocalCluster(SharedCluster):
    """Subclasses know the commands. `noun` is what the tool calls such a cluster."""

    noun: str
    engine: Engine

    @property
    def kubeconfig(self) -> Path:
        return self.folder / f"{self.name}.kubeconfig"

    @property
    def _memory(self) -> Path:
        return self.folder / f"{self.name}.json"

    def made_with(self) -> dict[str, str]:
        """The choices that the present cluster was made with; none when there is no cluster of ours."""
        try:
            found = json.loads(self._memory.read_text())
        except (OSError, ValueError):
            return {}
        return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}

    def remember(self, **choices: str) -> None:
        """Keep what the cluster is made with: a reset makes it anew with the same."""
        write_private(self._memory, json.dumps(choices))

    @property
    def _mark(self) -> Path:
        """There while the cluster is being made."""
        return self.folder / f"{self.name}.unfinished"

    @property
    @abstractmethod
    def machines(self) -> LocalMachines:
        """Those of its nodes."""

    @property
    def _machines_record(self) -> Path:
        return self.folder / f"{self.name}.machines.json"

    @property
    def context(self) -> str:
        """What the tool calls the cluster's context."""
        return self.name

    def access(self) -> Access:
        return read_access(self.kubeconfig, self.context)

    # --- what the tool does -------------------------------------------------------------------------------------

    @abstractmethod
    async def check_tool(self) -> None:
        """MissingError when the tool is not there, or of a version that will not do."""

    @abstractmethod
    async def life(self) -> tuple[Life, str]:
        """Whether there is such a cluster and whether it runs, and the tool's word for it."""

    @abstractmethod
    async def _make(self, report: Report) -> None:
        """Create it, and write its kubeconfig."""

    @abstractmethod
    async def _wake(self, word: str, report: Report) -> None:
        """Start one that is stopped or paused: the tool's `word` says which."""

    @abstractmethod
    async def _fetch_kubeconfig(self) -> None: ...

    @abstractmethod
    async def _remove(self) -> None:
        """Delete it. Nothing to do when there is none."""

    @abstractmethod
    async def load(self, archive: Path, report: Report = silent) -> None:
        """Give all nodes the images of a `docker save` archive."""

    async def enable(self, addon: addons.Addon, report: Report) -> None:
        """Put an add-on in. Here: our own pinned manifest."""
        await addons.install(addon, self.kubeconfig, self.context, report)

    def images_of(self, addon: addons.Addon) -> tuple[str, ...]:
        """What the nodes need for it."""
        return addon.images

    # --- life ---------------------------------------------------------------------------------------------------

    async def up(self, report: Report = silent) -> None:
        async with self._alone():
            life, word = await self.life()
            if life != "absent" and self._mark.exists():
                left = later("removing what an interrupted start left of {noun} {name}", noun=self.noun, name=self.name)
                report(Progress(left))
                await self._discard()
                life = "absent"
            if life == "absent":
                await self._make_whole(report)
                life = "running"
            await self._rouse(life, word, report)
        await super().wake(report)  # not ours, which would ask the tool once more
        await self._look_around(report)

    async def wake(self, report: Report = silent) -> None:
        """GoneError when there is none, or only what is left of a start: one that was deleted on purpose does not come
        back because an attempt was still in play there."""
        async with self._alone():
            life, word = await self.life()
            if life == "absent" or self._mark.exists():
                raise GoneError(
                    later("{noun} {name} is gone", noun=self.noun, name=self.name),
                    hint="kuartui level finish --abandon",
                )
            await self._rouse(life, word, report)
        await super().wake(report)

    async def _rouse(self, life: Life, word: str, report: Report) -> None:
        """Start one that sleeps, and have what leads to it."""
        if life == "stopped":
            await self._wake(word, report)
        if not self.kubeconfig.is_file():
            private_dir(self.folder)
            await self._fetch_kubeconfig()
        if life == "stopped":
            await self._answers(report)

    async def find(self, sandbox_id: str, *, uid: str = "") -> SharedSandbox | None:
        """None when the whole cluster is gone."""
        if (await self.life())[0] == "absent":
            return None
        return await super().find(sandbox_id, uid=uid)

    def _alone(self) -> AbstractAsyncContextManager[None]:
        """Else a second process would take what the first is making for what is left of a start that was killed."""
        return locks.alone(self.folder / f"{self.name}.lock")

    async def _make_whole(self, report: Report) -> None:
        await self.check_tool()
        private_dir(self.folder)
        write_private(self._mark, "")
        self.machines.forget()  # of one that somebody deleted by hand
        try:
            await self._make(report)
        except BaseException:
            report(Progress(later("removing what is there of {noun} {name}", noun=self.noun, name=self.name)))
            await self._discard()
            raise
        self._mark.unlink(missing_ok=True)

    async def _answers(self, report: Report) -> None:
        """Wait until a woken cluster's API server is there again. ClusterError when it does not come."""
        report(Progress(later("waiting for {name} to answer", name=self.name)))
        until = self.clock.monotonic() + AWAKE_SECONDS
        while (status := await super().status()).phase != "ready":
            if self.clock.monotonic() > until:
                raise ClusterError(
                    later(
                        "{noun} {name} was started again but does not answer: {detail}",
                        noun=self.noun,
                        name=self.name,
                        detail=status.detail,
                    ),
                    hint=f"kuartui cluster reset --cluster {self.kind}",
                )
            await self.clock.sleep(1.0)

    async def _discard(self) -> None:
        """Remove what is there of it; what went wrong before is what the player has to know."""
        try:
            for _ in range(DISCARDS):
                await self.clock.sleep(LINGER_SECONDS)
                await self._remove()
                if (await self.life())[0] == "absent":
                    self._forget()
                    return
        except KuartuiError:
            return  # the mark stays: the next `up` tries again
        finally:
            self.kubeconfig.unlink(missing_ok=True)

    async def down(self, report: Report = silent) -> None:
        """Delete the cluster. ClusterError when it is not ours, or still there afterwards."""
        async with self._alone():
            await self._down(report)

    async def _down(self, report: Report) -> None:
        report(Progress(later("deleting {noun} {name}", noun=self.noun, name=self.name)))
        if (await self.life())[0] != "absent":
            if not self.made_with() and not self._mark.exists():
                raise ClusterError(
                    later("{noun} {name} was not made by kuartui: it is left alone", noun=self.noun, name=self.name),
                    hint=self.delete_command,
                )
            try:
                await self._remove()
            finally:
                self.kubeconfig.unlink(missing_ok=True)
            if (await self.life())[0] != "absent":
                raise ClusterError(
                    later("{noun} {name} is still there", noun=self.noun, name=self.name), hint=self.delete_command
                )
        self._forget()
        self._capabilities = None

    def _forget(self) -> None:
        """There is no cluster any more, nor the choices that it was made with."""
        self._mark.unlink(missing_ok=True)
        self._memory.unlink(missing_ok=True)
        self.machines.forget()

    @property
    @abstractmethod
    def delete_command(self) -> str:
        """What a person would type to delete it."""

    async def reset(self, report: Report = silent) -> None:
        """A new cluster of the same name."""
        await self.down(report)
        await self.up(report)

    async def status(self) -> ClusterStatus:
        try:
            life, word = await self.life()
        except KuartuiError as error:
            return ClusterStatus("broken", error.message)
        if life == "absent":
            return ClusterStatus("absent")
        if self._mark.exists():
            return ClusterStatus(
                "broken", later("its start was interrupted; {command} starts over", command=self._up_command)
            )
        if life == "stopped":
            return ClusterStatus(
                "stopped",
                later("{kind} says {word}; {command} wakes it", kind=self.kind, word=word, command=self._up_command),
            )
        return await super().status()

    @property
    def _up_command(self) -> str:
        return f"kuartui cluster up --cluster {self.kind}"

    # --- what a level needs -------------------------------------------------------------------------------------

    @property
    def within_reach(self) -> frozenset[str]:
        return self.capabilities.union(*(addon.provides for addon in addons.known()))

    async def provide(self, needs: Iterable[str], images: Iterable[str], report: Report = silent) -> None:
        """Load `images` that the nodes do not have, and put in the add-ons that give what is missing of `needs`."""
        lacking = [need for need in needs if need not in self.capabilities]
        wanted = [addon for addon in addons.known() if {*addon.provides} & {*lacking}]
        await self.preload([*images, *(image for addon in wanted for image in self.images_of(addon))], report)
        for addon in wanted:
            await self.enable(addon, report)
            await self._settled(addon)
        if wanted:
            self._capabilities = None
            await self.up(report)

    async def _settled(self, addon: addons.Addon) -> None:
        """Wait until what it serves is there. ClusterError when it does not come."""
        until = self.clock.monotonic() + SETTLE_SECONDS
        async with self.admin() as api:
            while addon.settled and not await _lists(api, addon.settled):
                if self.clock.monotonic() > until:
                    raise ClusterError(
                        later(
                            "{name} is installed but does not serve {settled}", name=addon.name, settled=addon.settled
                        ),
                        hint=f"kuartui cluster reset --cluster {self.kind}",
                    )
                await self.clock.sleep(1.0)

    async def prepare_probe(self, report: Report) -> None:
        """The pods that try network policies run the pinned image, too. Without it the nodes have to find one."""
        try:
            await self.preload([PROBE_IMAGE], report)
        except KuartuiError as error:
            report(Progress(later("{image} could not be brought: {why}", image=PROBE_IMAGE, why=error.message)))

    async def preload(self, images: Iterable[str], report: Report = silent) -> None:
        """Load what not every node has as it is pinned; what has to be pulled first is told with its size before."""
        async with self.admin() as api:
            nodes = (await api.list(await api.resource("Node"))).items
        lacking = [item for item in pins(images) if not all(has(node, item) for node in nodes)]
        if lacking:
            await self._bring(lacking, report)

    async def _bring(self, images: list[Image], report: Report) -> None:
        absent = [item for item in images if not await self.engine.has(item)]
        pulled = [item for item in absent if not item.image.startswith(LOCAL)]
        if pulled:
            sizes = await asyncio.gather(*(self.engine.remote_size(item.source) for item in pulled))
            told = [f"{item.image} ({size_text(size)})" for item, size in zip(pulled, sizes, strict=True)]
            total = sum(size or 0 for size in sizes)
            report(
                Progress(
                    later("to be pulled: {told}; {size} in all", told=", ".join(told), size=size_text(total))
                    if total
                    else later("to be pulled: {told}", told=", ".join(told))
                )
            )
        for item in absent:
            await self.engine.bring(item, report)
        await self._load([item.image for item in images], report)

    async def _load(self, images: list[str], report: Report) -> None:
        """Through an archive of our engine's. By name, kind asks docker whatever its provider is, and hands on archives
        that nodes refuse; minikube takes what it kept of that name, or asks the registry."""
        report(Progress(trn("loading {n} image into the nodes", "loading {n} images into the nodes", len(images))))
        archive = private_dir(self.folder) / "images.tar"
        try:
            for platform, some in await self.engine.archives(images):
                await self.engine.save(some, archive, platform)
                await self.load(archive)
        finally:
            archive.unlink(missing_ok=True)


def has(node: dict[str, Any], wanted: Image) -> bool:
    """Whether a node has an image by its tag, and does not know it by another digest: that one it pulled by itself."""
    for names in known_images(node):
        if full_name(wanted.image) in {full_name(name) for name in names}:
            return wanted.held(names) != "moved"
    return False


async def _lists(api: Api, path: str) -> bool:
    try:
        return bool((await api.glimpse(path) or {}).get("items"))
    except ApiError:
        return False  # registered, but nobody answers yet: 503


async def version_of(program: str, arguments: list[str], install: str) -> str:
    """What a tool says its version is ("0.30.0"). MissingError when it is not installed."""
    said = await tool.run(
        [tool.need(program, install), *arguments], what=later("asking {program} for its version", program=program)
    )
    return said.strip().splitlines()[0].strip().removeprefix("v") if said.strip() else ""
