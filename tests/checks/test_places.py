"""Which pod a question means: a ready one, and for logs one that has done its work."""

from __future__ import annotations

import pytest

from kuartui.checks.evidence import NotThereError
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
