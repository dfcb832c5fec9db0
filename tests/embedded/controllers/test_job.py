"""Jobs: completions, failures, policies, and pods that are counted once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kuartui.embedded.controllers.garbage_collector import GarbageCollector
from kuartui.embedded.controllers.job import JobController, indexes
from kuartui.embedded.controllers.job.podsets import finished_at
from kuartui.embedded.controllers.ttl import TTLController
from kuartui.embedded.meta import errors
from tests.embedded.controllers.cluster import Cluster

Obj = dict[str, Any]
KEYS = ("active", "succeeded", "failed", "completedIndexes", "failedIndexes")


async def started(cluster: Cluster, image: str = "ok", pod: Obj | None = None, **more: Any) -> None:
    cluster.exits |= {"ok": 0, "bad": 1, "worse": 42}
    cluster.start(JobController(cluster.client), TTLController(cluster.client), GarbageCollector(cluster.client))
    labels = {"batch.kubernetes.io/job-name": "j", "batch.kubernetes.io/controller-uid": "u"}
    body = {"nodeName": "n1", "restartPolicy": "Never", "containers": [{"name": "c", "image": image}]} | (pod or {})
    template = {"metadata": {"labels": labels}, "spec": body}
    base = {"parallelism": 1, "completions": 1, "backoffLimit": 6, "completionMode": "NonIndexed"}
    spec = {key: value for key, value in (base | more).items() if value is not None}
    selector = {"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}}
    await cluster.create("jobs.batch", "j", spec=spec | {"template": template, "selector": selector})
    await cluster.run(0.5)


def status(cluster: Cluster) -> Obj:
    found: Obj = cluster.get("jobs.batch", "j").get("status", {})
    return found


def numbers(cluster: Cluster) -> Obj:
    return {key: value for key, value in status(cluster).items() if key in KEYS}


def conditions(cluster: Cluster) -> list[tuple[str, str]]:
    return [(one["type"], one["reason"]) for one in status(cluster).get("conditions", ())]


def tracked(cluster: Cluster) -> list[str]:
    return [pod["metadata"]["name"] for pod in cluster.pods(active=False) if pod["metadata"].get("finalizers")]


async def test_refused_pods_are_asked_for_again_ever_more_slowly(cluster: Cluster) -> None:
    refusal = errors.forbidden("pods", "j-x", "exceeded quota: q")
    cluster.memory.refuse = lambda resource, obj: refusal if resource == "pods" else None
    await started(cluster)
    counts = []
    for seconds in (0, 1, 2, 4):
        await cluster.run(seconds)
        counts.append(len(cluster.events("FailedCreate")))
    assert counts == [2, 3, 3, 4]  # the second because the first changed the status


async def test_runs_to_completion(cluster: Cluster) -> None:
    await started(cluster, completions=3, parallelism=2)
    assert numbers(cluster) == {"active": 2}
    assert len(tracked(cluster)) == 2
    await cluster.run(5)
    assert numbers(cluster) == {"succeeded": 3}
    assert conditions(cluster) == [("SuccessCriteriaMet", "CompletionsReached"), ("Complete", "CompletionsReached")]
    assert status(cluster)["completionTime"]
    assert status(cluster)["uncountedTerminatedPods"] == {}
    assert (status(cluster)["ready"], status(cluster)["terminating"]) == (0, 0)
    assert not tracked(cluster)
    assert len(cluster.pods()) == 3
    assert cluster.events("Completed") == ["Job completed"]


async def test_gives_up_after_the_backoff_limit(cluster: Cluster) -> None:
    await started(cluster, image="bad", backoffLimit=2)
    await cluster.run(9)
    assert numbers(cluster) == {"failed": 1}  # it waits ten seconds before the next
    await cluster.run(60)
    assert numbers(cluster) == {"failed": 3}
    assert conditions(cluster) == [("FailureTarget", "BackoffLimitExceeded"), ("Failed", "BackoffLimitExceeded")]
    assert cluster.events("BackoffLimitExceeded") == ["Job has reached the specified backoff limit"]
    assert len(cluster.pods()) == 3


async def test_has_a_deadline(cluster: Cluster) -> None:
    await started(cluster, image="forever", activeDeadlineSeconds=20)
    await cluster.run(18)
    assert numbers(cluster) == {"active": 1}
    await cluster.run(4)
    assert conditions(cluster) == [("FailureTarget", "DeadlineExceeded"), ("Failed", "DeadlineExceeded")]
    assert numbers(cluster) == {"failed": 1}
    assert not cluster.pods()


async def test_each_index_once(cluster: Cluster) -> None:
    await started(cluster, completions=4, parallelism=3, completionMode="Indexed")
    pod = cluster.pods()[0]
    assert pod["spec"]["hostname"] == "j-0"
    assert pod["metadata"]["generateName"] == "j-0-"
    assert pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] == "0"
    (variable,) = pod["spec"]["containers"][0]["env"]
    assert variable["name"] == "JOB_COMPLETION_INDEX"
    await cluster.run(5)
    assert numbers(cluster) == {"succeeded": 4, "completedIndexes": "0-3"}


async def test_an_index_may_fail_alone(cluster: Cluster) -> None:
    await started(
        cluster,
        image="bad",
        completions=2,
        parallelism=2,
        completionMode="Indexed",
        backoffLimitPerIndex=1,
        backoffLimit=None,
    )
    await cluster.run(8)
    assert numbers(cluster) == {"failedIndexes": ""}, (
        "a failure is counted when the index tries again, ten seconds later"
    )
    assert len(cluster.pods()) == 2
    await cluster.run(12)
    assert numbers(cluster) == {"failed": 4, "failedIndexes": "0,1"}
    assert conditions(cluster)[-1] == ("Failed", "FailedIndexes")


async def test_a_failure_policy_decides(cluster: Cluster) -> None:
    rule = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}
    await started(cluster, image="worse", podFailurePolicy={"rules": [rule]})
    await cluster.run(3)
    (target, failed) = status(cluster)["conditions"]
    assert (target["type"], failed["type"], failed["reason"]) == ("FailureTarget", "Failed", "PodFailurePolicy")
    name = cluster.pods()[0]["metadata"]["name"]
    assert (
        failed["message"]
        == f"Container c for pod default/{name} failed with exit code 42 matching FailJob rule at index 0"
    )


async def test_ignored_failures_do_not_count(cluster: Cluster) -> None:
    rule = {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [1]}}
    await started(cluster, image="bad", backoffLimit=0, podFailurePolicy={"rules": [rule]})
    await cluster.run(5)
    assert "failed" not in numbers(cluster)
    assert conditions(cluster) == []
    assert len(cluster.pods()) > 1


async def test_suspended_until_told_to_run(cluster: Cluster) -> None:
    await started(cluster, suspend=True)
    assert conditions(cluster) == [("Suspended", "JobSuspended")]
    assert not cluster.pods()
    assert "startTime" not in status(cluster)
    await cluster.edit("jobs.batch", "j", {"spec": {"suspend": False}})
    await cluster.run(5)
    assert conditions(cluster)[-1] == ("Complete", "CompletionsReached")
    assert cluster.events("Resumed") == ["Job resumed"]


async def test_suspending_is_no_failure(cluster: Cluster) -> None:
    await started(cluster, image="forever", backoffLimit=0)
    await cluster.edit("jobs.batch", "j", {"spec": {"suspend": True}})
    await cluster.run(3)
    assert not cluster.pods(active=False)
    assert numbers(cluster) == {}
    assert conditions(cluster) == [("Suspended", "JobSuspended")]


async def test_a_work_queue_ends_when_one_has_succeeded_and_all_are_done(cluster: Cluster) -> None:
    await started(cluster, completions=None, parallelism=3)
    await cluster.run(5)
    assert numbers(cluster) == {"succeeded": 3}


async def test_success_may_need_less_than_all(cluster: Cluster) -> None:
    rules = {"rules": [{"succeededIndexes": "0", "succeededCount": 1}]}
    await started(cluster, completions=3, parallelism=1, completionMode="Indexed", successPolicy=rules)
    await cluster.run(10)
    assert conditions(cluster) == [("SuccessCriteriaMet", "SuccessPolicy"), ("Complete", "SuccessPolicy")]
    assert numbers(cluster)["completedIndexes"] == "0"


async def test_parallelism_can_change(cluster: Cluster) -> None:
    await started(cluster, image="forever", completions=9, parallelism=3)
    await cluster.edit("jobs.batch", "j", {"spec": {"parallelism": 1}})
    await cluster.run(2)
    assert len(cluster.pods()) == 1
    assert numbers(cluster) == {"active": 1}


async def test_finished_jobs_go_in_time(cluster: Cluster) -> None:
    await started(cluster, ttlSecondsAfterFinished=30)
    await cluster.run(20)
    assert status(cluster)["succeeded"] == 1
    await cluster.run(20)
    assert cluster.gone("jobs.batch", "j")
    assert not cluster.pods(active=False)


async def test_pods_of_a_deleted_job_do_not_hang(cluster: Cluster) -> None:
    await started(cluster, image="forever", parallelism=3, completions=3)
    await cluster.delete("jobs.batch", "j", propagation="Background")
    await cluster.run(5)
    assert not cluster.pods(active=False)


def test_indexes_are_written_as_ranges() -> None:
    assert indexes.write({0, 1, 2, 4, 6, 7}) == "0-2,4,6,7"
    assert indexes.parse("0-2,4,6,7", 7) == {0, 1, 2, 4, 6}


async def test_who_was_listed_before_a_crash_is_released_and_counted_once(cluster: Cluster) -> None:
    """The controller ended between the list of what has ended and the release of the second pod."""
    await started(cluster, image="forever", completions=4, parallelism=2)
    first, second = cluster.pods()
    await cluster.stop()
    for pod in (first, second):
        cluster.set_status("default", pod["metadata"]["name"], "Succeeded", ready=False)
    await cluster.edit("pods", first["metadata"]["name"], {"metadata": {"finalizers": None}})
    listed = {"succeeded": [first["metadata"]["uid"], second["metadata"]["uid"]]}
    job = cluster.get("jobs.batch", "j")
    counted = job["status"] | {"uncountedTerminatedPods": listed}
    await cluster.client.update_status("jobs.batch", {**job, "status": counted})
    cluster.start(JobController(cluster.client), kubelet=False)
    await cluster.run(1)
    assert numbers(cluster) == {"active": 2, "succeeded": 2}
    assert not {pod["metadata"]["name"] for pod in (first, second)} & set(tracked(cluster))


async def test_a_deleted_pod_is_a_failure_of_its_index(cluster: Cluster) -> None:
    await started(cluster, image="forever", completionMode="Indexed", backoffLimitPerIndex=1, backoffLimit=None)
    await cluster.delete("pods", cluster.pods()[0]["metadata"]["name"])
    await cluster.run(30)
    (pod,) = cluster.pods()
    assert pod["metadata"]["annotations"]["batch.kubernetes.io/job-index-failure-count"] == "1"
    await cluster.delete("pods", pod["metadata"]["name"])
    await cluster.run(5)
    assert numbers(cluster) == {"failed": 2, "failedIndexes": "0"}
    assert conditions(cluster)[-1] == ("Failed", "FailedIndexes")


async def test_ignored_failures_of_an_index_are_kept_apart(cluster: Cluster) -> None:
    rule = {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [42]}}
    more = {"completionMode": "Indexed", "backoffLimitPerIndex": 1, "backoffLimit": None}
    await started(cluster, image="worse", podFailurePolicy={"rules": [rule]}, **more)
    await cluster.run(60)  # ten seconds after the first failure, twenty after the second
    every = sorted(cluster.pods(active=False), key=lambda pod: pod["metadata"]["creationTimestamp"])
    assert [
        {
            key.rpartition("job-index-")[2]: value
            for key, value in pod["metadata"]["annotations"].items()
            if "count" in key
        }
        for pod in every
    ] == [
        {"failure-count": "0"},
        {"failure-count": "0", "ignored-failure-count": "1"},
        {"failure-count": "0", "ignored-failure-count": "2"},
    ]
    assert numbers(cluster)["failedIndexes"] == ""


ENDED = {"state": {"terminated": {"finishedAt": "2026-11-30T12:00:10Z"}}}
LATER = {"state": {"terminated": {"finishedAt": "2026-11-30T12:00:20Z"}}}
UNREADY = {"type": "Ready", "status": "False", "lastTransitionTime": "2026-11-30T12:00:30Z"}
GOING = {"deletionTimestamp": "2026-11-30T12:01:10Z", "deletionGracePeriodSeconds": 30}


@pytest.mark.parametrize(
    ("status", "meta", "second"),
    [
        ({"containerStatuses": [ENDED, LATER], "conditions": [UNREADY]}, GOING, 20),
        ({"containerStatuses": [ENDED, {"state": {"running": {}}}], "conditions": [UNREADY]}, GOING, 30),
        ({"conditions": [UNREADY]}, GOING, 30),
        ({"conditions": [UNREADY | {"status": "True"}]}, GOING, 40),
        ({}, {}, 0),
    ],
)
def test_when_a_pod_ended(status: Obj, meta: Obj, second: int) -> None:
    pod = {"metadata": {"creationTimestamp": "2026-11-30T12:00:00Z"} | meta, "status": status}
    assert finished_at(pod) == datetime(2026, 11, 30, 12, 0, second, tzinfo=UTC)


async def test_a_job_that_goes_after_its_pods_holds_none_back(cluster: Cluster) -> None:
    await started(cluster, image="bad", completionMode="Indexed", backoffLimitPerIndex=3, backoffLimit=None)
    await cluster.run(3)
    (held,) = tracked(cluster)
    await cluster.delete("jobs.batch", "j", propagation="Foreground")
    await cluster.run(5)
    assert cluster.gone("pods", held)
    assert cluster.gone("jobs.batch", "j")
