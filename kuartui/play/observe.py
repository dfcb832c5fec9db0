"""What there is in the cluster that belongs to a level, live: rows as `kubectl get` prints them, by kind.

Watched with the player's own credentials, so nothing shows here that they could not ask for. Changes are coalesced: a
listener hears at most ten times a second that something is new, however much happens.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from kuartui.catalog.manifests import load
from kuartui.checks.registry import kind_of
from kuartui.cluster.rest import Api
from kuartui.cluster.tables import Cell, TableReflector, ago
from kuartui.cluster.watch import Change
from kuartui.errors import ApiError, ClusterError, KuartuiError
from kuartui.game.guards import guards_of
from kuartui.game.level import Level, Question

COALESCE = 0.1  # seconds between two words that something changed
SHOWN_EVENTS = 60  # the newest
PULSE = 2.0  # seconds between two questions whether the cluster still answers
PATIENCE = 2.0  # seconds until an answer is late
ALWAYS = ("Pod", "Deployment", "Service", "Event")
ORDER = ("Pod", "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Service", "EndpointSlice", "Ingress")
WHOLE = ("Node", "PersistentVolume")  # cluster-scoped kinds of which all are worth seeing
NOISE = frozenset({("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")})  # each namespace has them
LEFT_OUT = ("Namespace", "Endpoints", "PodMetrics", "NodeMetrics", "SubjectAccessReview")
BAD = (
    "Error",
    "Failed",
    "BackOff",
    "ErrImage",
    "Invalid",
    "OOMKilled",
    "Evicted",
    "NotReady",
    "Lost",
    "Warning",
    "Unknown",
)
BUSY = ("Pending", "ContainerCreating", "Init:", "PodInitializing", "Terminating", "Waiting", "Completed", "Suspended")


@dataclass(frozen=True, slots=True)
class Row:
    """One object, which stays the same whatever its cells say. `tone` is good, bad, busy or "" where nothing can be
    told."""

    kind: str
    resource: str  # as kubectl names it: deployments.apps
    namespace: str
    name: str
    cells: tuple[str, ...] = field(compare=False)
    tone: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Section:
    """The objects of one kind; `more` were left out."""

    kind: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    more: int = 0
    problem: str = ""


class Observer:
    """`start`, then `sections()` whenever `changed()` returned. `wide`: the whole cluster may be watched."""

    def __init__(
        self, kubeconfig: Path, level: Level, *, wide: bool, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.level, self.wide, self._now = level, wide, now
        self._kubeconfig = kubeconfig
        self._api: Api | None = None
        self._scope = scope(level)
        self._watched: list[TableReflector] = []
        self._news = asyncio.Event()
        self._pulse: asyncio.Task[None] | None = None
        self._answered = now()
        self._late = False

    async def start(self) -> None:
        """Begin to watch; returns at once. ClusterError when the kubeconfig cannot be read."""
        self._api = Api.open(self._kubeconfig)
        for kind, api_version in self._scope.kinds:
            try:
                resource = await self._api.resource(kind, api_version)
            except KuartuiError:
                continue  # a kind that the cluster does not have (yet)
            spaces = [""] if self.wide or not resource.namespaced else sorted(self._scope.namespaces)
            for namespace in spaces:
                watched = TableReflector(self._api, resource, namespace)
                watched.on_change.append(self._heard)
                watched.on_problem.append(lambda _: self._news.set())
                watched.start()
                self._watched.append(watched)
        self._pulse = asyncio.create_task(self._ask())

    async def _ask(self) -> None:
        """Whether anybody answers at all: a watch of a cluster that hangs looks like one where nothing happens."""
        assert self._api is not None
        while True:
            try:
                await self._api.request("GET", "/readyz", timeout=PATIENCE)
            except ApiError:
                pass  # an answer, too
            except ClusterError:
                self._late = True
                self._news.set()
                await asyncio.sleep(PULSE / 4)
                continue
            if self._late:
                self._late = False
                self._news.set()
            self._answered = self._now()
            await asyncio.sleep(PULSE)

    @property
    def silent(self) -> float:
        """For how many seconds the cluster has not answered; 0.0 while it does."""
        return self._now() - self._answered if self._late else 0.0

    async def stop(self) -> None:
        if self._pulse is not None:
            self._pulse.cancel()
            await asyncio.gather(self._pulse, return_exceptions=True)
        await asyncio.gather(*(watched.stop() for watched in self._watched))
        self._watched.clear()
        if self._api is not None:
            await self._api.close()

    async def changed(self) -> None:
        """Return when there is something new, at most ten times a second."""
        await self._news.wait()
        await asyncio.sleep(COALESCE)
        self._news.clear()

    @property
    def problem(self) -> str:
        """Why what is shown may be out of date; empty when all is well."""
        return next((watched.problem for watched in self._watched if watched.problem), "")

    @property
    def ready(self) -> bool:
        """Whether every kind was listed once."""
        return bool(self._watched) and all(watched.synced.is_set() for watched in self._watched)

    def sections(self, search: str = "") -> tuple[Section, ...]:
        """What there is now; with `search`, rows that have this text somewhere."""
        found: dict[str, Section] = {}
        wanted = search.lower()
        for watched in tuple(self._watched):
            kind = watched.resource.kind
            there = [
                row
                for row in tuple(watched.objects.values())  # screens ask from their own thread
                if self._scope.has(kind, row["metadata"], namespaced=watched.resource.namespaced)
            ]
            more = 0
            if kind == "Event" and not wanted:  # there may be thousands, of which few are shown
                more = max(0, len(there) - SHOWN_EVENTS)
                there = heapq.nlargest(SHOWN_EVENTS, there, key=_moment)
            rows = [self._row(watched, row) for row in there]
            if wanted:
                rows = [row for row in rows if wanted in " ".join((row.kind, row.namespace, *row.cells)).lower()]
            if kind in found:
                rows, more = [*rows, *found[kind].rows], more + found[kind].more
            found[kind] = Section(kind, watched.columns, tuple(rows), more, watched.problem)
        return tuple(self._tidy(section) for section in found.values() if section.rows or not wanted)

    def _tidy(self, section: Section) -> Section:
        if section.kind != "Event":
            rows = tuple(sorted(section.rows, key=lambda row: (row.namespace, row.name)))
            return Section(section.kind, section.columns, rows, problem=section.problem)
        rows, more = section.rows[:SHOWN_EVENTS], section.more + max(0, len(section.rows) - SHOWN_EVENTS)
        return Section(section.kind, section.columns, rows, more, section.problem)

    def _row(self, watched: TableReflector, row: dict[str, object]) -> Row:
        metadata: dict[str, str] = row["metadata"]  # type: ignore[assignment]
        cells: list[Cell] = row["cells"]  # type: ignore[assignment]
        now = self._now()
        texts = tuple(cell if isinstance(cell, str) else ago(now - cell) for cell in cells)
        resource = watched.resource
        name, space = metadata["name"], metadata.get("namespace", "")
        return Row(resource.kind, resource.group_resource, space, name, texts, tone(watched.columns, texts))

    def _heard(self, change: Change) -> None:
        if change.object["metadata"].get("namespace", "") in ("", *self._scope.namespaces):
            self._news.set()


def _moment(row: dict[str, object]) -> float:
    """When an event was seen last; the column comes first."""
    cells: list[Cell] = row["cells"]  # type: ignore[assignment]
    return next((cell for cell in cells if isinstance(cell, float)), 0.0)


@dataclass(frozen=True, slots=True)
class Scope:
    """What belongs to a level: its namespaces, its kinds (with API version, "" where there is one) and names."""

    namespaces: frozenset[str]
    kinds: tuple[tuple[str, str], ...]
    names: frozenset[tuple[str, str]]

    def has(self, kind: str, metadata: dict[str, str], *, namespaced: bool) -> bool:
        if namespaced:
            known = (kind, metadata["name"])
            return metadata.get("namespace", "") in self.namespaces and (known not in NOISE or known in self.names)
        return kind in WHOLE or (kind, metadata["name"]) in self.names


def scope(level: Level) -> Scope:
    """From what the level sets up and what its questions read."""
    spaces, kinds = {level.namespace}, dict.fromkeys(ALWAYS, "")
    names: set[tuple[str, str]] = set()
    applied = [stage.apply for stage in level.setup.all_stages()] + [event.apply for event in level.setup.events]
    for apply in applied:
        for obj in load(Path(level.folder), apply, level):
            metadata = obj["metadata"]
            names.add((obj["kind"], metadata["name"]))
            if obj["kind"] == "Namespace":
                spaces.add(metadata["name"])
            elif metadata.get("namespace"):
                spaces.add(metadata["namespace"])
            kinds.setdefault(obj["kind"], obj["apiVersion"])
    for question in (*level.checks, *guards_of(level)):
        if isinstance(question, Question):
            for query in kind_of(question).reads(question.spec):
                kinds.setdefault(query.kind, query.api_version)
                if query.name:
                    names.add((query.kind, query.name))
    wanted = [kind for kind in kinds if kind not in LEFT_OUT]
    order = {kind: place for place, kind in enumerate(ORDER)}
    wanted.sort(key=lambda kind: (kind == "Event", order.get(kind, len(order)), kind))
    return Scope(frozenset(spaces), tuple((kind, kinds[kind]) for kind in wanted), frozenset(names))


def tone(columns: tuple[str, ...], cells: tuple[str, ...]) -> str:
    """How a row looks at a glance, from the words that kubectl prints."""
    named = dict(zip(columns, cells, strict=False))
    status = named.get("Status") or named.get("Type") or ""
    ready, _, wanted = named.get("Ready", "").partition("/")
    if any(word in status for word in BAD):
        return "bad"
    if any(word in status for word in BUSY):
        return "busy"
    if ready.isdigit() and wanted.isdigit():
        return "good" if ready == wanted else "busy"
    return "good" if status in ("Running", "Bound", "Ready", "Active", "Complete", "Available") else ""
