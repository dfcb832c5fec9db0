"""Events are counted, and the recorder remembers no more of them than there are."""

from __future__ import annotations

import gc
import tracemalloc

from kuartui.embedded.api.events import EventRecorder
from kuartui.embedded.clock import FastClock
from kuartui.embedded.store import Store


def pod(number: int) -> dict[str, object]:
    meta = {"name": f"p{number}", "namespace": "default", "uid": f"uid-{number}"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta}


def say(recorder: EventRecorder, number: int, message: str = "Back-off") -> None:
    recorder.record(pod(number), "Warning", "BackOff", message, "kubelet", "node", "")


def counts(store: Store) -> list[int]:
    return [stored.data["count"] for stored in store.list("events")]


def test_the_same_event_again_is_counted_until_it_expired() -> None:
    store = Store()
    recorder = EventRecorder(store, FastClock())
    for _ in range(3):
        say(recorder, 1)
    say(recorder, 2)
    assert sorted(counts(store)) == [1, 3]
    for stored in store.list("events"):
        store.delete("events", *stored.key[1:])
    say(recorder, 1)
    assert counts(store) == [1]


def test_a_scheduler_tells_which_machine_it_runs_on() -> None:
    store = Store()
    recorder = EventRecorder(store, FastClock())
    for name, labels in (("a", {}), ("b", {"node-role.kubernetes.io/control-plane": ""})):
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}
        store.create("nodes", "", name, node)
    recorder.record(pod(1), "Normal", "Scheduled", "assigned", "default-scheduler", "", "")
    (found,) = store.list("events")
    assert found.data["reportingInstance"] == "default-scheduler-b"


async def test_a_chatterbox_is_cut_short() -> None:
    store, clock = Store(), FastClock()
    recorder = EventRecorder(store, clock)
    for _ in range(100):
        say(recorder, 1)
    assert counts(store) == [25]
    await clock.advance(300)
    say(recorder, 1)
    assert counts(store) == [101], "what was not written was counted"


async def test_many_messages_for_one_reason_are_combined() -> None:
    store, clock = Store(), FastClock()
    recorder = EventRecorder(store, clock)
    for number in range(12):
        say(recorder, 1, f"message {number}")
    said = {stored.data["message"]: stored.data["count"] for stored in store.list("events")}
    assert said == {f"message {n}": 1 for n in range(9)} | {"(combined from similar events): message 11": 3}
    await clock.advance(601)
    say(recorder, 1, "message 12")
    assert any(stored.data["message"] == "message 12" for stored in store.list("events")), "after a pause it is news"


async def test_expired_events_leave_nothing_behind() -> None:
    store, clock = Store(history=10), FastClock()
    recorder = EventRecorder(store, clock)

    async def day(first: int) -> int:
        """Fifteen hundred pods say something, in the course of a day; what the process holds in the evening."""
        for number in range(first, first + 1500):
            say(recorder, number)
            await clock.advance(57)
            for stored in list(store.list("events"))[:-100]:
                store.delete("events", *stored.key[1:])
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        evenings = [await day(1500 * number) for number in range(2)]
    finally:
        tracemalloc.stop()
    assert evenings[1] - evenings[0] < 100_000
