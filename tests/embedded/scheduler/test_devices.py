"""Pods that claim devices."""

from __future__ import annotations

from typing import Any

import pytest

from kuartui.embedded.controllers.resource_claims import ResourceClaims
from tests.embedded.scheduler.conftest import Scheduled

CLAIMS, TEMPLATES = "resourceclaims.resource.k8s.io", "resourceclaimtemplates.resource.k8s.io"
CLASSES, SLICES = "deviceclasses.resource.k8s.io", "resourceslices.resource.k8s.io"
DRIVER = "gpu.example.com"
SMALL, LARGE = "8Gi", "80Gi"
DEVICES = {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "fast"}}]}}


async def test_a_pod_waits_until_its_claim_is_allocated(three: Scheduled) -> None:
    await three.pod("p", resourceClaims=[{"name": "g", "resourceClaimName": "mine"}])
    await three.run()
    assert says_nothing(three)
    await three.create(CLAIMS, "mine", spec=DEVICES)
    await three.run(20)
    assert "request gpu: device class fast does not exist" in three.why("p")
    await three.create("deviceclasses.resource.k8s.io", "fast", spec={})
    await three.run(20)
    assert three.why("p").startswith("0/3 nodes are available: 3 cannot allocate all claims. ")
    await three.edit(CLAIMS, "mine", {"status": {"allocation": {"devices": {}}}})
    await three.run(20)
    assert three.place("p")


async def test_a_template_makes_a_claim_of_the_pods_own(three: Scheduled) -> None:
    three.start(ResourceClaims(three.client), kubelet=False)
    await three.pod("p", resourceClaims=[{"name": "g", "resourceClaimTemplateName": "t"}])
    await three.run()
    assert says_nothing(three)
    told = three.events("FailedResourceClaimCreation")[0]
    assert told.startswith("PodResourceClaim g: ")
    await three.create(TEMPLATES, "t", spec={"spec": DEVICES})
    await three.run()
    (claim,) = three.client.list(CLAIMS)
    assert claim["metadata"]["name"].startswith("p-g-")
    assert claim["metadata"]["ownerReferences"][0]["name"] == "p"
    assert three.get("pods", "p")["status"]["resourceClaimStatuses"] == [
        {"name": "g", "resourceClaimName": claim["metadata"]["name"]}
    ]
    await three.edit(CLAIMS, claim["metadata"]["name"], {"status": {"allocation": {"devices": {}}}})
    await three.run(20)
    assert three.place("p")


async def test_a_pod_is_tried_once_its_status_names_the_claims_made_for_it(three: Scheduled) -> None:
    await three.create(CLAIMS, "p-g-1", spec=DEVICES, status={"allocation": {"devices": {}}})
    await three.pod("p", resourceClaims=[{"name": "g", "resourceClaimTemplateName": "t"}])
    await three.run()
    assert says_nothing(three)
    await three.edit("pods", "p", {"status": {"resourceClaimStatuses": [{"name": "g", "resourceClaimName": "p-g-1"}]}})
    await three.run()
    assert three.place("p")


def says_nothing(cluster: Scheduled) -> bool:
    """Whether nobody has tried the pod yet."""
    return not cluster.get("pods", "p")["status"].get("conditions") and not cluster.events("FailedScheduling")


Obj = dict[str, Any]


def device(name: str, memory: str = SMALL, **more: Any) -> Obj:
    attributes = {"model": {"string": "a100" if memory == LARGE else "t4"}, "numa": {"int": int(name[-1]) % 2}}
    attributes["driverVersion"] = {"version": "2.1.0" if memory == LARGE else "1.0.0"}
    return {"name": name, "attributes": attributes, "capacity": {"memory": {"value": memory}}, **more}


async def slices(three: Scheduled) -> None:
    """n1 has two small devices, n2 two large ones and a small one, n3 none."""
    await three.create(CLASSES, "gpu", spec={"selectors": [{"cel": {"expression": f"device.driver == '{DRIVER}'"}}]})
    for node, found in (
        ("n1", [device("g0"), device("g1")]),
        ("n2", [device("g0", LARGE), device("g2", LARGE), device("g3")]),
    ):
        pool = {"name": node, "generation": 1, "resourceSliceCount": 1}
        await three.create(
            SLICES, f"{node}-{DRIVER}", spec={"driver": DRIVER, "pool": pool, "nodeName": node, "devices": found}
        )


def claim(*requests: Obj, **more: Any) -> Obj:
    return {"devices": {"requests": list(requests), **more}}


def exactly(name: str = "r", expression: str = "", **more: Any) -> Obj:
    selectors = {"selectors": [{"cel": {"expression": expression}}]} if expression else {}
    return {"name": name, "exactly": {"deviceClassName": "gpu", **selectors, **more}}


async def ask(three: Scheduled, spec: Obj, name: str = "p") -> None:
    await three.create(CLAIMS, f"{name}-claim", spec=spec)
    await three.pod(name, resourceClaims=[{"name": "g", "resourceClaimName": f"{name}-claim"}])
    await three.run(20)


def got(three: Scheduled, name: str = "p") -> list[tuple[str, str]]:
    """Request and device of each result, with the pool in front of it."""
    status = three.get(CLAIMS, f"{name}-claim").get("status") or {}
    results = status.get("allocation", {}).get("devices", {}).get("results", [])
    return [(one["request"], f"{one['pool']}/{one['device']}") for one in results]


async def test_a_claim_gets_a_device_and_its_pod_the_node_with_it(three: Scheduled) -> None:
    await slices(three)
    await ask(three, claim(exactly(expression=f"device.attributes['{DRIVER}'].model == 'a100'")))
    assert three.place("p") == "n2"
    assert got(three) == [("r", "n2/g0")]
    made = three.get(CLAIMS, "p-claim")
    field = {"key": "metadata.name", "operator": "In", "values": ["n2"]}
    assert made["status"]["allocation"]["nodeSelector"] == {"nodeSelectorTerms": [{"matchFields": [field]}]}
    pod = three.get("pods", "p")
    assert made["status"]["reservedFor"] == [{"resource": "pods", "name": "p", "uid": pod["metadata"]["uid"]}]
    assert made["metadata"]["finalizers"] == ["resource.kubernetes.io/delete-protection"]


@pytest.mark.parametrize(
    ("spec", "devices"),
    [
        (claim(exactly(count=3)), {"n2/g0", "n2/g2", "n2/g3"}),
        (claim(exactly(count=4)), set()),
        (claim(exactly(expression=f"device.capacity['{DRIVER}'].memory.compareTo(quantity('40Gi')) >= 0", allocationMode="All")), {"n2/g0", "n2/g2"}),
        (claim(exactly(expression=f"device.attributes['{DRIVER}'].driverVersion.isGreaterThan(semver('2.0.0'))", count=2)), {"n2/g0", "n2/g2"}),
        (claim(exactly("a", f"device.attributes['{DRIVER}'].model == 't4'"), exactly("b", f"device.attributes['{DRIVER}'].model == 'a100'")), {"n2/g3", "n2/g0"}),
        (claim(exactly(count=2), constraints=[{"matchAttribute": f"{DRIVER}/numa"}]), {"n2/g0", "n2/g2"}),
        (claim({"name": "r", "firstAvailable": [{"name": "x", "deviceClassName": "gpu", "count": 9}, {"name": "y", "deviceClassName": "gpu", "count": 3}]}), {"n2/g0", "n2/g2", "n2/g3"}),
    ],
)  # fmt: skip
async def test_requests_are_met_by_count_mode_selectors_and_constraints(
    three: Scheduled, spec: Obj, devices: set[str]
) -> None:
    await slices(three)
    await ask(three, spec)
    assert {place for _, place in got(three)} == devices
    if not devices:
        assert three.why("p") == (
            "0/3 nodes are available: 3 cannot allocate all claims. still not schedulable, preemption: "
            "0/3 nodes are available: 3 Preemption is not helpful for scheduling."
        )


async def test_a_device_is_for_one_claim_until_its_pod_is_gone(three: Scheduled) -> None:
    three.start(ResourceClaims(three.client), kubelet=False)
    await slices(three)
    both = claim(exactly(expression=f"device.attributes['{DRIVER}'].model == 'a100'", count=2))
    await ask(three, both)
    await ask(three, both, "q")
    assert three.place("p") == "n2"
    assert not three.place("q")
    await three.client.delete("pods", "default", "p", grace=0)
    await three.run(20)
    assert three.place("q") == "n2"
    old = three.get(CLAIMS, "p-claim")
    assert not (old.get("status") or {}).get("allocation")
    assert not old["metadata"].get("finalizers")


async def test_taints_keep_claims_away_that_do_not_tolerate_them(three: Scheduled) -> None:
    await three.create(CLASSES, "gpu", spec={})
    taint = {"key": "broken", "value": "yes", "effect": "NoSchedule"}
    pool = {"name": "p", "generation": 1, "resourceSliceCount": 1}
    spec = {"driver": DRIVER, "pool": pool, "allNodes": True, "devices": [device("g0", taints=[taint])]}
    await three.create(SLICES, "s", spec=spec)
    await ask(three, claim(exactly()))
    assert not three.place("p")
    await ask(three, claim(exactly(tolerations=[{"key": "broken", "operator": "Exists"}])), "q")
    assert got(three, "q") == [("r", "p/g0")]
    assert "nodeSelector" not in three.get(CLAIMS, "q-claim")["status"]["allocation"]


async def test_pools_count_once_they_are_complete(three: Scheduled) -> None:
    await three.create(CLASSES, "gpu", spec={})
    pool = {"name": "p", "generation": 1, "resourceSliceCount": 2}
    await three.create(SLICES, "s", spec={"driver": DRIVER, "pool": pool, "allNodes": True, "devices": [device("g0")]})
    await ask(three, claim(exactly()))
    assert not three.place("p")
    await three.create(SLICES, "t", spec={"driver": DRIVER, "pool": pool, "allNodes": True, "devices": []})
    await three.run(20)
    assert three.place("p")


async def test_a_selector_without_an_answer_is_told(three: Scheduled) -> None:
    await slices(three)
    await ask(three, claim(exactly(expression=f"device.attributes['{DRIVER}'].nope == 1")))
    start = (
        'running "DynamicResources" filter plugin: claim default/p-claim: selector #0: CEL runtime error: no such key'
    )
    assert three.why("p").startswith(start)


async def test_devices_after_the_one_that_fits_are_not_asked(three: Scheduled) -> None:
    await slices(three)
    pool = {"name": "x", "generation": 1, "resourceSliceCount": 1}
    await three.create(
        SLICES, "zz-bare", spec={"driver": DRIVER, "pool": pool, "nodeName": "n2", "devices": [{"name": "g9"}]}
    )
    await ask(three, claim(exactly(expression=f"device.attributes['{DRIVER}'].model == 'a100'")))
    assert got(three) == [("r", "n2/g0")]
