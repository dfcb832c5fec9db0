"""Pods that claim devices."""

from __future__ import annotations

from kuartui.embedded.controllers.resource_claims import ResourceClaims
from tests.embedded.scheduler.conftest import Scheduled

CLAIMS, TEMPLATES = "resourceclaims.resource.k8s.io", "resourceclaimtemplates.resource.k8s.io"
DEVICES = {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "fast"}}]}}


async def test_a_pod_waits_until_its_claim_is_allocated(three: Scheduled) -> None:
    await three.pod("p", resourceClaims=[{"name": "g", "resourceClaimName": "mine"}])
    await three.run()
    assert 'resourceclaim.resource.k8s.io "mine" not found' in three.why("p")
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
    assert 'pod "default/p": ResourceClaim not created yet' in three.why("p")
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
