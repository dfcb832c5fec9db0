"""Which pod a question means: a ready one, and for logs one that has done its work."""

from __future__ import annotations

import pytest

from kuartui.checks.evidence import NotThereError
from kuartui.cluster import exec as cluster_exec
from kuartui.cluster.clock import Clock, RealClock, SteppedClock
from kuartui.cluster.exec import ExecResult
from kuartui.game.spec import Place
from tests.checks.fakes import world
from tests.game.levels import LEVEL

JOB = Place(selector="job-name=pack")


async def test_a_pod_that_succeeded_can_be_read_and_not_be_run_in() -> None:
    place, objects, _ = world(LEVEL)
    objects.put("Pod", "broken", status={"phase": "Failed"})
    objects.put("Pod", "packed", status={"phase": "Succeeded"})
    assert [name for _, name, _ in await place.places(JOB, ended=True)] == ["packed"]
    with pytest.raises(NotThereError, match="no ready pod"):
        await place.place(JOB)


async def test_a_ready_pod_comes_first() -> None:
    place, objects, _ = world(LEVEL)
    objects.put("Pod", "packed", status={"phase": "Succeeded"})
    objects.put("Pod", "at-work", status={"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]})
    assert [name for _, name, _ in await place.places(JOB, ended=True)] == ["at-work", "packed"]
    assert (await place.place(JOB))[1] == "at-work"


@pytest.mark.parametrize(
    ("containers", "wanted"),
    [
        ([], ""),
        ([{"name": "redis", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}], ""),
        ([{"name": "redis", "state": {"terminated": {}}}, {"name": "other", "state": {"running": {}}}], "redis"),
    ],
)
async def test_a_container_that_does_not_run_is_not_asked(containers: list[dict[str, object]], wanted: str) -> None:
    place, objects, _ = world(LEVEL)  # it has no API: asking would fail in another way
    objects.put("Pod", "redis-0", status={"containerStatuses": containers})
    with pytest.raises(NotThereError, match="cannot run commands in pod redis-0"):
        await place.run(Place(pod="redis-0", container=wanted), ("true",), 1)


@pytest.mark.parametrize(("clock", "seconds"), [(RealClock(), 12.0), (SteppedClock(), 62.0)])
async def test_a_command_has_longer_where_time_is_stepped(
    clock: Clock, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There a busy machine, whose seconds mean nothing, must not decide what a check sees."""
    given: list[float] = []

    async def run(*_: object, timeout: float, **__: object) -> ExecResult:
        given.append(timeout)
        return ExecResult(0, "", "")

    monkeypatch.setattr(cluster_exec, "run", run)
    place, _, _ = world(LEVEL)
    place.clock = clock
    await place.run("pod", ("true",), 2)
    assert given == [seconds]
