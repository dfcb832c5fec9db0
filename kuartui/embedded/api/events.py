"""Recording Events as client-go's recorder does: the same event again counts up instead of adding another.

k8s.io/client-go/tools/record (EventCorrelator). Recording never fails and never waits; events are written beside the
registry, since nobody's admission minds them, and go after an hour as in Kubernetes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from kuartui.embedded.clock import Clock
from kuartui.embedded.meta.random import uid
from kuartui.embedded.meta.time import format_micro, format_time
from kuartui.embedded.store import AlreadyExists, Store, StoreError

Obj = dict[str, Any]

ACTIONS = {"Scheduled": "Binding", "FailedScheduling": "Scheduling", "Preempted": "Preempting"}
"""By reason: what schedulers, whatever their name, tell through events.k8s.io: no source, no count, a series instead."""
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
TTL = timedelta(hours=1)
BURST, REFILL_SECONDS = 25, 300.0  # per source and object: 25 at once, then one in five minutes
ALIKE, ALIKE_SECONDS = 10, 600.0  # messages of one source, object and reason until they are combined; apart by at most
COMBINED = "(combined from similar events): "
SWEEP = 512  # events known before the expired ones are forgotten


@dataclass(slots=True)
class _Known:
    """An event that was recorded: where it is ("" when it never was written), and how often it came since unwritten."""

    namespace: str
    name: str = ""
    unwritten: int = 0


@dataclass(slots=True)
class _Alike:
    """Messages that differ, of one source about one object for one reason."""

    at: float  # monotonic seconds of the newest
    messages: set[str] = field(default_factory=set)


class EventRecorder:
    """Writes events to the store."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._known: dict[tuple[str, ...], _Known] = {}
        self._alike: dict[tuple[str, ...], _Alike] = {}
        self._budgets: dict[tuple[str, str, str], tuple[float, float]] = {}
        self._sweep_at = SWEEP

    def record(
        self, obj: Obj, type_: str, reason: str, message: str, component: str, host: str, field_path: str
    ) -> None:
        """Record one event about `obj`."""
        metadata = obj["metadata"]
        involved: Obj = {
            "kind": obj.get("kind", ""),
            "namespace": metadata.get("namespace", ""),
            "name": metadata["name"],
            "uid": metadata.get("uid", ""),
            "apiVersion": obj.get("apiVersion", ""),
            "resourceVersion": metadata.get("resourceVersion", ""),
            "fieldPath": field_path,
        }
        involved = {key: value for key, value in involved.items() if value}
        about = (component, host, involved.get("uid", ""), metadata["name"], type_, reason)
        key: tuple[str, ...] = (*about, field_path, message)
        if reason not in ACTIONS and self._combine(about, message):
            key, message = about, COMBINED + message
        namespace = metadata.get("namespace") or "default"
        known = self._known.setdefault(key, _Known(namespace))
        known.unwritten += 1
        if not self._spend((component, host, involved.get("uid", metadata["name"]))):
            return
        times, known.unwritten = known.unwritten, 0
        if not known.name or not self._count_up(known, involved, message, times):
            known.name = self._create(namespace, involved, type_, reason, message, component, host, times)
        if len(self._known) > self._sweep_at:
            self._sweep()

    def _combine(self, about: tuple[str, ...], message: str) -> bool:
        """Whether so many different messages came of late that this one is counted among them (EventAggregator)."""
        now = self._clock.monotonic()
        alike = self._alike.get(about)
        if alike is None or now - alike.at > ALIKE_SECONDS:
            alike = self._alike[about] = _Alike(now)
        alike.at = now
        alike.messages.add(message)
        if len(alike.messages) < ALIKE:
            return False
        alike.messages.discard(message)
        return True

    def _sweep(self) -> None:
        """Forget events that expired, and sources that kept quiet for so long that they may say as much as new ones."""
        now = self._clock.monotonic()
        self._known = {
            key: known
            for key, known in self._known.items()
            if known.name and self._store.get("events", known.namespace, known.name) is not None
        }
        self._alike = {about: alike for about, alike in self._alike.items() if now - alike.at <= ALIKE_SECONDS}
        self._budgets = {
            source: (tokens, since)
            for source, (tokens, since) in self._budgets.items()
            if tokens + (now - since) / REFILL_SECONDS < BURST
        }
        self._sweep_at = max(SWEEP, 2 * len(self._known))

    def _spend(self, source: tuple[str, str, str]) -> bool:
        """client-go's token bucket against event spam."""
        now = self._clock.monotonic()
        tokens, since = self._budgets.get(source, (float(BURST), now))
        tokens = min(float(BURST), tokens + (now - since) / REFILL_SECONDS)
        if tokens < 1:
            self._budgets[source] = tokens, now
            return False
        self._budgets[source] = tokens - 1, now
        return True

    def _count_up(self, known: _Known, involved: Obj, message: str, times: int) -> bool:
        found = self._store.get("events", known.namespace, known.name)
        if found is None:
            return False
        event = found.mutable()
        if event.get("eventTime"):
            count = event.get("series", {}).get("count", 1) + times
            event["series"] = {"count": count, "lastObservedTime": format_micro(self._clock.now())}
        else:
            event["count"] = event.get("count", 1) + times
            event["message"] = message[:1024]
            event["lastTimestamp"] = format_time(self._clock.now())
        event["involvedObject"] = involved
        try:
            self._store.update("events", known.namespace, known.name, event, found.rv)
        except StoreError:
            return False
        return True

    def _create(
        self,
        namespace: str,
        involved: Obj,
        type_: str,
        reason: str,
        message: str,
        component: str,
        host: str,
        times: int,
    ) -> str:
        now = self._clock.now()
        stamp = format_time(now)
        nanoseconds = int(now.timestamp() * 1_000_000) * 1000
        source = {"component": component, "host": host} if host else {"component": component}
        while True:
            name = f"{involved['name']}.{nanoseconds:x}"
            event: Obj = {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": name, "namespace": namespace, "uid": uid(), "creationTimestamp": stamp},
                "involvedObject": involved,
                "reason": reason,
                "message": message[:1024],
                "source": source,
                "firstTimestamp": stamp,
                "lastTimestamp": stamp,
                "count": times,
                "type": type_,
                "eventTime": None,
                "reportingComponent": component,
                "reportingInstance": host,
            }
            if reason in ACTIONS:
                event |= {
                    "action": ACTIONS[reason],
                    "eventTime": format_micro(now.replace(microsecond=0)),  # sorts with others of this second
                    "firstTimestamp": None,
                    "lastTimestamp": None,
                    "reportingInstance": f"{component}-{self._host()}",
                    "source": {},
                }
                del event["count"]
            try:
                self._store.create("events", namespace, name, event)
            except AlreadyExists:
                nanoseconds += 1
                continue
            return name

    def _host(self) -> str:
        """The machine that schedulers run on: the node of the control plane, which is the first one."""
        names = [
            stored.key.name
            for stored in self._store.list("nodes")
            if CONTROL_PLANE in (stored.data["metadata"].get("labels") or {})
        ]
        return min(names, default="control-plane")

    def expire(self) -> None:
        """Drop events older than an hour."""
        oldest = format_time(self._clock.now() - TTL)
        for stored in self._store.list("events"):
            series = stored.data.get("series") or {}
            last = (
                series.get("lastObservedTime")
                or stored.data.get("lastTimestamp")
                or stored.data["metadata"].get("creationTimestamp")
                or ""
            )
            if last < oldest:
                self._store.delete("events", stored.key.namespace, stored.key.name)
