"""Recording Events as client-go's recorder does: the same event again counts up instead of adding another.

k8s.io/client-go/tools/record (EventCorrelator). Recording never fails and never waits; events are written beside the
registry, since nobody's admission minds them, and go after an hour as in Kubernetes.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from kuartui.embedded.clock import Clock
from kuartui.embedded.meta.random import uid
from kuartui.embedded.meta.time import format_micro, format_time
from kuartui.embedded.store import AlreadyExists, Store, StoreError

Obj = dict[str, Any]

MODERN = frozenset({"default-scheduler"})
"""Components that write events through events.k8s.io: no source, no count, a series instead."""
ACTIONS = {"Scheduled": "Binding", "FailedScheduling": "Scheduling", "Preempted": "Preempting"}
TTL = timedelta(hours=1)
BURST, REFILL_SECONDS = 25, 300.0  # per source and object: 25 at once, then one in five minutes
SIMILAR, SIMILAR_SECONDS = 10, 600.0  # so many messages for one reason in that time: further ones share an event
COMBINED = "(combined from similar events): "
SWEEP = 512  # events known before the expired ones are forgotten


class EventRecorder:
    """Writes events to the store."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._known: dict[tuple[str, ...], tuple[str, str]] = {}
        self._budgets: dict[tuple[str, str, str], tuple[float, float]] = {}
        self._similar: dict[tuple[str, ...], tuple[set[str], float]] = {}
        """Messages for one reason about one object, and when the last one came."""
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
        if not self._spend((component, host, involved.get("uid", metadata["name"]))):
            return
        group = (component, host, involved.get("uid", ""), metadata["name"], type_, reason)
        key: tuple[str, ...] = (*group, field_path, message)
        if component not in MODERN and self._is_one_of_many(group, message):
            key, message = group, COMBINED + message
        namespace = metadata.get("namespace") or "default"
        known = self._known.get(key)
        if known and self._count_up(*known, involved, message):
            return
        self._known[key] = namespace, self._create(namespace, involved, type_, reason, message, component, host)
        if len(self._known) > self._sweep_at:
            self._sweep()

    def _is_one_of_many(self, group: tuple[str, ...], message: str) -> bool:
        """client-go's aggregator: who says ever new things for the same reason is not quoted with all of them."""
        now = self._clock.monotonic()
        messages, last = self._similar.get(group, (set[str](), now))
        if now - last > SIMILAR_SECONDS:
            messages = set()
        messages.add(message)
        self._similar[group] = messages, now
        if len(messages) < SIMILAR:
            return False
        messages.pop()
        return True

    def _sweep(self) -> None:
        """Forget events that expired, and sources that kept quiet for so long that they may say as much as new ones."""
        now = self._clock.monotonic()
        self._known = {key: at for key, at in self._known.items() if self._store.get("events", *at) is not None}
        self._budgets = {
            source: (tokens, since)
            for source, (tokens, since) in self._budgets.items()
            if tokens + (now - since) / REFILL_SECONDS < BURST
        }
        self._similar = {group: seen for group, seen in self._similar.items() if now - seen[1] <= SIMILAR_SECONDS}
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

    def _count_up(self, namespace: str, name: str, involved: Obj, message: str) -> bool:
        found = self._store.get("events", namespace, name)
        if found is None:
            return False
        event = found.mutable()
        if event.get("eventTime"):
            count = event.get("series", {}).get("count", 1) + 1
            event["series"] = {"count": count, "lastObservedTime": format_micro(self._clock.now())}
        else:
            event["count"] = event.get("count", 1) + 1
            event["lastTimestamp"] = format_time(self._clock.now())
        event["involvedObject"] = involved
        event["message"] = message[:1024]
        try:
            self._store.update("events", namespace, name, event, found.rv)
        except StoreError:
            return False
        return True

    def _create(
        self, namespace: str, involved: Obj, type_: str, reason: str, message: str, component: str, host: str
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
                "count": 1,
                "type": type_,
                "eventTime": None,
                "reportingComponent": component,
                "reportingInstance": host,
            }
            if component in MODERN:
                event |= {
                    "action": ACTIONS.get(reason, reason),
                    "eventTime": format_micro(now.replace(microsecond=0)),  # sorts with others of this second
                    "firstTimestamp": None,
                    "lastTimestamp": None,
                    "reportingInstance": f"{component}-kuartui",
                    "source": {},
                }
                del event["count"]
            try:
                self._store.create("events", namespace, name, event)
            except AlreadyExists:
                nanoseconds += 1
                continue
            return name

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
