"""CronJobs: what is started when, and what is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kuartui.embedded.clock import FastClock
from kuartui.embedded.controllers.cronjob import Calendar, CronJobController
from kuartui.embedded.controllers.garbage_collector import GarbageCollector
from kuartui.embedded.controllers.job import JobController
from kuartui.embedded.meta import cron
from tests.embedded.controllers.cluster import Cluster

Obj = dict[str, Any]


@pytest.fixture
async def at_noon() -> Any:
    """Half past noon and ten seconds, on a Monday."""
    made = Cluster()
    made.clock = made.memory.clock = FastClock(datetime(2026, 11, 23, 12, 30, 10, tzinfo=UTC))
    yield made
    await made.stop()


async def ticking(cluster: Cluster, schedule: str = "* * * * *", image: str = "ok", **more: Any) -> None:
    cluster.exits |= {"ok": 0, "bad": 1}
    cluster.start(CronJobController(cluster.client), JobController(cluster.client), GarbageCollector(cluster.client))
    labels = {"tick": "yes"}
    body = {"nodeName": "n1", "restartPolicy": "Never", "containers": [{"name": "c", "image": image}]}
    job = {"template": {"metadata": {"labels": labels}, "spec": body}, "selector": {"matchLabels": labels}}
    job |= {"completions": 1, "parallelism": 1, "backoffLimit": 0}
    base = {
        "schedule": schedule,
        "concurrencyPolicy": "Allow",
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 1,
    }
    await cluster.create("cronjobs.batch", "tick", spec=base | more | {"jobTemplate": {"spec": job}})
    await cluster.run(1)


def jobs(cluster: Cluster) -> list[str]:
    return sorted(job["metadata"]["name"] for job in cluster.client.list("jobs.batch"))


def status(cluster: Cluster) -> Obj:
    found: Obj = cluster.get("cronjobs.batch", "tick").get("status", {})
    return found


async def test_starts_a_job_each_minute_and_forgets_old_ones(at_noon: Cluster) -> None:
    await ticking(at_noon)
    assert jobs(at_noon) == []
    await at_noon.run(50)
    minute = int(datetime(2026, 11, 23, 12, 31, tzinfo=UTC).timestamp()) // 60
    assert jobs(at_noon) == [f"tick-{minute}"]
    job = at_noon.get("jobs.batch", f"tick-{minute}")
    assert job["metadata"]["annotations"] == {"batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-11-23T12:31:00Z"}
    assert status(at_noon)["lastScheduleTime"] == "2026-11-23T12:31:00Z"
    await at_noon.run(5)
    assert "active" not in status(at_noon)
    assert status(at_noon)["lastSuccessfulTime"]
    assert at_noon.events("SawCompletedJob") == [f"Saw completed job: tick-{minute}, condition: Complete"]
    await at_noon.run(600)
    assert len(jobs(at_noon)) == 3
    assert len(at_noon.events("SuccessfulCreate", "CronJob")) == 11


async def test_forbids_a_second_while_one_runs(at_noon: Cluster) -> None:
    await ticking(at_noon, image="forever", concurrencyPolicy="Forbid")
    await at_noon.run(180)
    assert len(jobs(at_noon)) == 1
    assert at_noon.events("JobAlreadyActive")[0] == (
        "Not starting job because prior execution is running and concurrency policy is Forbid"
    )


async def test_replaces_the_one_that_runs(at_noon: Cluster) -> None:
    await ticking(at_noon, image="forever", concurrencyPolicy="Replace")
    await at_noon.run(180)
    assert len(jobs(at_noon)) == 1
    assert len(at_noon.events("SuccessfulDelete", "CronJob")) == 2
    assert [ref["name"] for ref in status(at_noon)["active"]] == jobs(at_noon)


async def test_a_time_zone_shifts_the_schedule(at_noon: Cluster) -> None:
    await ticking(at_noon, schedule="35 13 * * *", timeZone="Europe/Berlin")
    await at_noon.run(280)
    assert jobs(at_noon) == []
    await at_noon.run(20)
    assert len(jobs(at_noon)) == 1


async def test_suspended_and_unreadable_ones_do_nothing(at_noon: Cluster) -> None:
    await ticking(at_noon, suspend=True)
    await at_noon.run(300)
    assert jobs(at_noon) == []
    await at_noon.edit("cronjobs.batch", "tick", {"spec": {"suspend": False, "schedule": "never"}})
    await at_noon.run(1)
    assert at_noon.events("UnparseableSchedule") == [
        'unparseable schedule: "never" : expected exactly 5 fields, found 1: [never]'
    ]
    await at_noon.edit("cronjobs.batch", "tick", {"spec": {"schedule": "59 23 31 2 *"}})
    await at_noon.run(1)
    assert at_noon.events("InvalidSchedule") == [
        "invalid schedule: 59 23 31 2 * : time difference between two schedules is less than 1 second"
    ]


async def test_after_a_pause_only_the_last_missed_run_is_made_up_for(at_noon: Cluster) -> None:
    await ticking(at_noon, suspend=True)
    await at_noon.run(600)
    await at_noon.edit("cronjobs.batch", "tick", {"spec": {"suspend": False}})
    await at_noon.run(1)
    assert len(jobs(at_noon)) == 1
    assert status(at_noon)["lastScheduleTime"] == "2026-11-23T12:40:00Z"


async def test_too_late_is_too_late(at_noon: Cluster) -> None:
    await ticking(at_noon, schedule="31 12 * * *", suspend=True, startingDeadlineSeconds=30)
    await at_noon.run(120)
    await at_noon.edit("cronjobs.batch", "tick", {"spec": {"suspend": False}})
    await at_noon.run(5)
    assert jobs(at_noon) == []


async def test_failed_ones_have_their_own_limit(at_noon: Cluster) -> None:
    await ticking(at_noon, image="bad")
    await at_noon.run(400)
    assert len(jobs(at_noon)) == 1


async def test_an_hour_that_a_clock_shows_twice_has_its_jobs_twice() -> None:
    cluster = Cluster()
    cluster.clock = cluster.memory.clock = FastClock(datetime(2026, 11, 1, 5, 10, tzinfo=UTC))
    try:
        await ticking(cluster, schedule="*/20 * * * *", timeZone="America/New_York")
        await cluster.run(3 * 3600)
        first = int(datetime(2026, 11, 1, 5, 20, tzinfo=UTC).timestamp()) // 60
        assert cluster.events("SuccessfulCreate", "CronJob") == [
            f"Created job tick-{first + 20 * number}" for number in range(9)
        ]
    finally:
        await cluster.stop()


async def test_a_deadline_says_when_it_was_too_late_and_how_often(at_noon: Cluster) -> None:
    await ticking(at_noon, suspend=True, startingDeadlineSeconds=86400)
    await at_noon.run(3 * 3600)
    await at_noon.edit("cronjobs.batch", "tick", {"spec": {"suspend": False}})
    await at_noon.run(1)
    assert len(jobs(at_noon)) == 1
    assert at_noon.events("TooManyMissedTimes") == [
        "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
    ]


async def test_a_job_on_its_way_out_still_keeps_the_next_one_away(at_noon: Cluster) -> None:
    await ticking(at_noon, image="forever", concurrencyPolicy="Forbid")
    await at_noon.run(60)
    (name,) = jobs(at_noon)
    await at_noon.edit("jobs.batch", name, {"metadata": {"finalizers": ["example.com/hold"]}})
    await at_noon.delete("jobs.batch", name)
    await at_noon.run(120)
    assert jobs(at_noon) == [name]
    assert [ref["name"] for ref in status(at_noon)["active"]] == [name]
    await at_noon.edit("jobs.batch", name, {"metadata": {"finalizers": None}})
    await at_noon.run(1)
    assert at_noon.events("MissingJob") == [f"Active job went missing: {name}"]


TOP = datetime(2016, 5, 19, 10, tzinfo=UTC)  # a Thursday


@pytest.mark.parametrize(
    ("schedule", "minutes", "due", "following"),
    [
        ("0 * * * *", 31, None, 60),
        ("0 * * * *", 61, 60, 120),
        ("0 * * * *", 301, 300, 360),
        ("30 6-16/4 * * 1-5", 24 * 60 + 31, 24 * 60 + 30, 28 * 60 + 30),
        ("30 6-16/4 * * 1-5", 96 * 60 + 31, 96 * 60 + 30, 100 * 60 + 30),
        ("30 10,11,12 * * 1-5", 30 * 60 + 30, None, 96 * 60 + 30),
        ("@every 1h", 7 * 24 * 60 + 59, 7 * 24 * 60 + 30, 7 * 24 * 60 + 90),
    ],
)
def test_which_run_is_made_up_for_and_which_comes_next(
    schedule: str, minutes: int, due: int | None, following: int
) -> None:
    """The last start was at half past ten. How many runs were missed is only guessed, as in Kubernetes."""
    cronjob = {"metadata": {"creationTimestamp": "2016-05-19T10:00:00Z"}, "spec": {}}
    status = {"lastScheduleTime": "2016-05-19T10:30:00Z"}
    calendar = Calendar(cronjob, cron.parse(schedule), TOP + timedelta(minutes=minutes), UTC)
    assert calendar.due(status)[0] == (TOP + timedelta(minutes=due) if due is not None else None)
    assert calendar.following(status) == TOP + timedelta(minutes=following)
