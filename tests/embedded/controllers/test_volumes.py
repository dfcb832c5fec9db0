"""Claims and volumes: binding, provisioning, reclaiming, growing, protection."""

from __future__ import annotations

from typing import Any

import pytest

from kuartui.embedded.controllers.volumes.binder import BinderController
from kuartui.embedded.controllers.volumes.expansion import ExpansionController
from kuartui.embedded.controllers.volumes.protection import (
    AttributesProtection,
    ClaimProtection,
    EphemeralVolumes,
    VolumeProtection,
)
from kuartui.embedded.controllers.volumes.provisioner import LocalPathProvisioner
from tests.embedded.controllers.cluster import Cluster

Obj = dict[str, Any]
KINDS = (
    BinderController,
    LocalPathProvisioner,
    ExpansionController,
    ClaimProtection,
    VolumeProtection,
    AttributesProtection,
    EphemeralVolumes,
)


@pytest.fixture
async def storage() -> Any:
    made = Cluster()
    made.start(*(kind(made.client) for kind in KINDS))
    await made.create("nodes", "n1", metadata={"labels": {"kubernetes.io/hostname": "n1"}})
    yield made
    await made.stop()


async def volume(cluster: Cluster, name: str, size: str = "2Gi", **more: Any) -> None:
    spec = {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "storageClassName": "manual"}
    spec |= {"persistentVolumeReclaimPolicy": "Retain", "hostPath": {"path": f"/data/{name}"}}
    meta = {"finalizers": ["kubernetes.io/pv-protection"], **more.pop("metadata", {})}
    spec = {key: value for key, value in (spec | more).items() if value is not None}
    await cluster.create("persistentvolumes", name, metadata=meta, spec=spec)


async def claim(cluster: Cluster, name: str = "data", size: str = "1Gi", **more: Any) -> None:
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": size}},
        "storageClassName": "manual",
    }
    spec = {key: value for key, value in (spec | more).items() if value is not None}
    meta = {"finalizers": ["kubernetes.io/pvc-protection"]}
    await cluster.create("persistentvolumeclaims", name, metadata=meta, spec=spec)
    await cluster.run()


async def storage_class(cluster: Cluster, name: str, **more: Any) -> None:
    base = {
        "provisioner": "rancher.io/local-path",
        "volumeBindingMode": "WaitForFirstConsumer",
        "reclaimPolicy": "Delete",
    }
    await cluster.create("storageclasses.storage.k8s.io", name, **(base | more))


def phase(cluster: Cluster, name: str, resource: str = "persistentvolumeclaims") -> str:
    found: str = cluster.get(resource, name).get("status", {}).get("phase", "")
    return found


async def select(cluster: Cluster, name: str = "data") -> None:
    annotations = {"volume.kubernetes.io/selected-node": "n1"}
    await cluster.edit("persistentvolumeclaims", name, {"metadata": {"annotations": annotations}})
    await cluster.run()


async def test_takes_the_smallest_volume_that_fits(storage: Cluster) -> None:
    await volume(storage, "big", "9Gi")
    await volume(storage, "small", "500Mi")
    await volume(storage, "right", "2Gi")
    await claim(storage)
    found = storage.get("persistentvolumeclaims", "data")
    assert found["spec"]["volumeName"] == "right"
    assert found["status"] == {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "2Gi"}}
    assert found["metadata"]["annotations"] == {
        "pv.kubernetes.io/bind-completed": "yes",
        "pv.kubernetes.io/bound-by-controller": "yes",
    }
    bound = storage.get("persistentvolumes", "right")
    assert bound["spec"]["claimRef"]["uid"] == found["metadata"]["uid"]
    assert phase(storage, "right", "persistentvolumes") == "Bound"
    assert phase(storage, "big", "persistentvolumes") == "Available"


async def test_waits_for_what_does_not_fit(storage: Cluster) -> None:
    await volume(storage, "v", metadata={"labels": {"tier": "silver"}})
    await claim(storage, "modes", accessModes=["ReadWriteMany"])
    await claim(storage, "picky", selector={"matchLabels": {"tier": "gold"}})
    assert phase(storage, "modes") == phase(storage, "picky") == "Pending"
    assert storage.events("ProvisioningFailed")[0] == 'storageclass.storage.k8s.io "manual" not found'
    await storage.edit("persistentvolumes", "v", {"metadata": {"labels": {"tier": "gold"}}})
    await storage.run()
    assert phase(storage, "picky") == "Bound"


async def test_claims_that_wait_tell_again_and_again_of_what(storage: Cluster) -> None:
    await storage_class(storage, "standard")
    for name, told in (("FailedBinding", None), ("ProvisioningFailed", "nope"), ("WaitForFirstConsumer", "standard")):
        await claim(storage, name.lower(), storageClassName=told)
        before = len(storage.events(name))
        await storage.run(31)
        assert len(storage.events(name)) == before + 2
    await storage.delete("persistentvolumeclaims", "failedbinding")
    before = len(storage.events("FailedBinding"))
    await storage.run(60)
    assert len(storage.events("FailedBinding")) == before


async def test_without_a_class(storage: Cluster) -> None:
    await claim(storage, storageClassName=None)
    assert (
        storage.events("FailedBinding")[0]
        == "no persistent volumes available for this claim and no storage class is set"
    )
    await storage_class(
        storage, "standard", metadata={"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
    )
    await storage.run()
    assert storage.get("persistentvolumeclaims", "data")["spec"]["storageClassName"] == "standard"


async def test_a_volume_may_be_reserved_for_a_claim(storage: Cluster) -> None:
    await volume(storage, "v", storageClassName="", claimRef={"namespace": "default", "name": "data"})
    await claim(storage, "other", storageClassName="")
    assert phase(storage, "other") == "Pending"
    await claim(storage, storageClassName="")
    assert phase(storage, "data") == "Bound"


async def test_a_volume_may_be_reserved_for_nothing_that_there_can_be(storage: Any) -> None:
    await volume(storage, "v", claimRef={"name": "data"})
    await storage.run()
    assert storage.client.get("persistentvolumes", "", "v")["status"]["phase"] == "Available"


async def test_a_claim_may_name_its_volume(storage: Cluster) -> None:
    await volume(storage, "v", size="500Mi")
    await claim(storage, volumeName="v")
    assert storage.events("VolumeMismatch")[0] == 'Cannot bind to requested volume "v": requested PV is too small'


async def test_a_volume_has_the_attributes_that_a_claim_asks_for(storage: Cluster) -> None:
    await volume(storage, "plain")
    await claim(storage, "any", volumeAttributesClassName="gold")
    await claim(storage, "named", volumeAttributesClassName="gold", volumeName="plain")
    assert phase(storage, "any") == phase(storage, "named") == "Pending"
    wrong = 'Cannot bind to requested volume "plain": volumeAttributesClassName does not match'
    assert set(storage.events("VolumeMismatch")) == {wrong}
    await volume(storage, "golden", volumeAttributesClassName="gold")
    await storage.run()
    assert storage.get("persistentvolumeclaims", "any")["spec"]["volumeName"] == "golden"
    status = storage.get("persistentvolumeclaims", "any")["status"]
    assert (status["phase"], status["currentVolumeAttributesClassName"]) == ("Bound", "gold")


async def test_a_volume_that_is_being_deleted_is_given_to_nobody(storage: Cluster) -> None:
    await volume(storage, "v", metadata={"finalizers": ["example.com/hold"]})
    await storage.delete("persistentvolumes", "v")
    await claim(storage, volumeName="v")
    assert phase(storage, "data") == "Pending"
    going = 'Cannot bind to requested volume "v": the volume is marked for deletion "v"'
    assert storage.events("VolumeMismatch")[0] == going


async def test_what_somebody_wrote_into_the_status_of_a_bound_volume_stays(storage: Cluster) -> None:
    await volume(storage, "v")
    await claim(storage)
    old = storage.get("persistentvolumes", "v")
    await storage.client.update_status(
        "persistentvolumes", {**old, "status": {**old["status"], "reason": "Mine", "message": "as I say"}}
    )
    await storage.run()
    assert storage.get("persistentvolumes", "v")["status"]["message"] == "as I say"


async def test_retained_volumes_are_released_and_can_be_freed(storage: Cluster) -> None:
    await volume(storage, "v")
    await claim(storage)
    await storage.delete("persistentvolumeclaims", "data")
    await storage.run()
    assert storage.gone("persistentvolumeclaims", "data")
    assert phase(storage, "v", "persistentvolumes") == "Released"
    await claim(storage, "next")
    assert phase(storage, "next") == "Pending"
    await storage.edit("persistentvolumes", "v", {"spec": {"claimRef": None}})
    await storage.run()
    assert phase(storage, "next") == "Bound"


async def test_nobody_can_delete_a_hand_made_volume_for_us(storage: Cluster) -> None:
    await volume(storage, "v", persistentVolumeReclaimPolicy="Delete")
    await claim(storage)
    await storage.delete("persistentvolumeclaims", "data")
    await storage.run()
    assert storage.get("persistentvolumes", "v")["status"]["message"] == (
        "host_path deleter only supports /tmp/.+ but received provided /data/v"
    )


async def test_a_volume_is_provisioned_where_its_pod_goes(storage: Cluster) -> None:
    await storage_class(storage, "standard")
    await claim(storage, storageClassName="standard")
    assert storage.events("WaitForFirstConsumer")[0] == "waiting for first consumer to be created before binding"
    await select(storage)
    found = storage.get("persistentvolumeclaims", "data")
    name = f"pvc-{found['metadata']['uid']}"
    assert found["spec"]["volumeName"] == name
    assert phase(storage, "data") == "Bound"
    made = storage.get("persistentvolumes", name)
    assert made["metadata"]["annotations"]["pv.kubernetes.io/provisioned-by"] == "rancher.io/local-path"
    assert storage.events("ProvisioningSucceeded") == [f"Successfully provisioned volume {name}"]
    await storage.delete("persistentvolumeclaims", "data")
    await storage.run()
    assert storage.gone("persistentvolumes", name)


async def test_the_provisioner_has_its_limits(storage: Cluster) -> None:
    await storage_class(storage, "standard")
    await claim(storage, storageClassName="standard", accessModes=["ReadWriteMany"])
    await select(storage)
    assert storage.events("ProvisioningFailed")[0] == (
        'failed to provision volume with StorageClass "standard": Only support ReadWriteOnce access mode'
    )


async def test_a_foreign_provisioner_is_waited_for(storage: Cluster) -> None:
    await storage_class(storage, "cloud", provisioner="example.com/none", volumeBindingMode="Immediate")
    await claim(storage, storageClassName="cloud")
    assert storage.events("ExternalProvisioning")[0].startswith(
        "Waiting for a volume to be created either by the external provisioner 'example.com/none' or manually"
    )


async def test_drivers_are_asked_in_place_of_what_kubernetes_had_built_in(storage: Cluster) -> None:
    await storage_class(storage, "ebs", provisioner="kubernetes.io/aws-ebs", volumeBindingMode="Immediate")
    await claim(storage, storageClassName="ebs")
    annotations = storage.get("persistentvolumeclaims", "data")["metadata"]["annotations"]
    assert annotations["volume.kubernetes.io/storage-provisioner"] == "ebs.csi.aws.com"
    assert "by the external provisioner 'ebs.csi.aws.com' or" in storage.events("ExternalProvisioning")[0]


async def test_a_volume_of_a_driver_is_left_to_it(storage: Cluster) -> None:
    source = {"driver": "ebs.csi.aws.com", "volumeHandle": "vol-1"}
    await volume(storage, "v", persistentVolumeReclaimPolicy="Delete", hostPath=None, csi=source)
    await claim(storage)
    await storage.delete("persistentvolumeclaims", "data")
    await storage.run()
    assert phase(storage, "v", "persistentvolumes") == "Released"
    assert not storage.events("VolumeFailedDelete")


async def test_a_reservation_outlives_the_claim_s_other_choice(storage: Cluster) -> None:
    await volume(storage, "other")
    await claim(storage)
    bound = storage.get("persistentvolumeclaims", "data")
    ref = {"namespace": "default", "name": "data", "uid": bound["metadata"]["uid"]}
    await volume(storage, "reserved", claimRef=ref)
    await storage.run()
    assert phase(storage, "reserved", "persistentvolumes") == "Available"
    assert storage.get("persistentvolumes", "reserved")["spec"]["claimRef"] == {"namespace": "default", "name": "data"}


async def test_a_lost_volume_is_told(storage: Cluster) -> None:
    await volume(storage, "v")
    await claim(storage)
    await storage.edit("persistentvolumes", "v", {"metadata": {"finalizers": None}})
    await storage.delete("persistentvolumes", "v")
    await storage.run()
    assert storage.get("persistentvolumeclaims", "data")["status"] == {"phase": "Lost"}
    assert storage.events("ClaimLost") == ["Bound claim has lost its PersistentVolume. Data on the volume is lost!"]


async def test_a_claim_in_use_stays(storage: Cluster) -> None:
    await volume(storage, "v")
    await claim(storage)
    volumes = [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]
    await storage.create("pods", "user", spec={"nodeName": "n1", "containers": [{}], "volumes": volumes})
    await storage.delete("persistentvolumeclaims", "data")
    await storage.delete("persistentvolumes", "v")
    await storage.run()
    assert not storage.gone("persistentvolumeclaims", "data")
    assert not storage.gone("persistentvolumes", "v")
    await storage.delete("pods", "user")
    await storage.run()
    assert storage.gone("persistentvolumeclaims", "data")
    assert storage.gone("persistentvolumes", "v")


async def test_a_claim_grows_when_a_pod_has_it(storage: Cluster) -> None:
    await storage_class(storage, "standard", allowVolumeExpansion=True)
    await claim(storage, storageClassName="standard")
    await select(storage)
    await storage.edit("persistentvolumeclaims", "data", {"spec": {"resources": {"requests": {"storage": "5Gi"}}}})
    await storage.run()
    found = storage.get("persistentvolumeclaims", "data")
    assert found["status"]["capacity"] == {"storage": "1Gi"}
    assert found["status"]["conditions"][0]["type"] == "FileSystemResizePending"
    assert found["status"]["allocatedResources"] == {"storage": "5Gi"}
    assert found["status"]["allocatedResourceStatuses"] == {"storage": "NodeResizePending"}
    assert storage.get("persistentvolumes", found["spec"]["volumeName"])["spec"]["capacity"] == {"storage": "5Gi"}
    volumes = [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]
    await storage.create("pods", "user", spec={"nodeName": "n1", "containers": [{}], "volumes": volumes})
    await storage.run()
    found = storage.get("persistentvolumeclaims", "data")
    assert found["status"]["capacity"] == {"storage": "5Gi"}
    assert not {"conditions", "allocatedResourceStatuses"} & found["status"].keys()
    assert found["status"]["allocatedResources"] == {"storage": "5Gi"}
    name = found["spec"]["volumeName"]
    done = f'MountVolume.NodeExpandVolume succeeded for volume "{name}" n1'
    assert storage.events(about="PersistentVolumeClaim/data")[-4:] == [
        "waiting for an external controller to expand this PVC",
        f"External resizer is resizing volume {name}",
        "Require file system resize of volume on node",
        done,
    ]
    assert storage.events("FileSystemResizeSuccessful", "Pod/user") == [done]


async def test_ephemeral_volumes_bring_their_claim(storage: Cluster) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"accessModes": ["ReadWriteOnce"]}}
    volumes = [{"name": "scratch", "ephemeral": {"volumeClaimTemplate": template}}]
    await storage.create("pods", "p", spec={"containers": [{}], "volumes": volumes})
    await storage.run()
    made = storage.get("persistentvolumeclaims", "p-scratch")
    assert made["metadata"]["ownerReferences"][0]["kind"] == "Pod"
    assert made["metadata"]["labels"] == {"a": "b"}


async def test_a_claim_of_another_is_not_taken_for_an_ephemeral_volume(storage: Cluster) -> None:
    await claim(storage, name="p-scratch")
    volumes = [{"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"]}}}}]
    await storage.create("pods", "p", spec={"containers": [{}], "volumes": volumes})
    await storage.run()
    message = "ephemeral volume scratch: PVC default/p-scratch was not created for pod default/p (pod is not owner)"
    assert storage.events("FailedBinding", "Pod/p") == [message]


async def test_keeps_a_class_of_attributes_while_a_claim_names_it(storage: Cluster) -> None:
    classes = "volumeattributesclasses.storage.k8s.io"
    meta = {"finalizers": ["kubernetes.io/vac-protection"]}
    await storage.create(classes, "gold", metadata=meta, driverName="d.example.com", parameters={"iops": "9"})
    await claim(storage, volumeAttributesClassName="gold")
    await storage.delete(classes, "gold")
    await storage.run()
    assert storage.get(classes, "gold")["metadata"]["deletionTimestamp"]
    await storage.delete("persistentvolumeclaims", "data")
    await storage.run()
    assert storage.gone(classes, "gold")


async def test_a_volume_that_offers_just_what_is_asked_for_comes_before_a_smaller_one(storage: Cluster) -> None:
    await volume(storage, "shared", "1Gi", accessModes=["ReadWriteOnce", "ReadWriteMany"])
    await volume(storage, "large", "8Gi")
    await volume(storage, "medium", "5Gi")
    for name, taken in (("first", "medium"), ("second", "large"), ("third", "shared")):
        await claim(storage, name)
        assert storage.get("persistentvolumeclaims", name)["spec"]["volumeName"] == taken


@pytest.mark.parametrize(("exit_code", "outcome"), [(0, "Available"), (1, "Failed")])
async def test_a_pod_empties_a_volume_that_is_to_be_recycled(storage: Cluster, exit_code: int, outcome: str) -> None:
    recycler = "registry.k8s.io/build-image/debian-base:bookworm-v1.0.6"
    storage.exits[recycler] = exit_code
    await volume(storage, "v", "4Gi", persistentVolumeReclaimPolicy="Recycle")
    await claim(storage)
    await storage.delete("persistentvolumeclaims", "data")
    await storage.run(0.1)
    assert phase(storage, "v", "persistentvolumes") == "Released"
    (pod,) = storage.pods()
    assert (pod["metadata"]["name"], pod["spec"]["activeDeadlineSeconds"]) == ("recycler-for-v", 120)
    await storage.edit("pods", "recycler-for-v", {"spec": {"nodeName": "n1"}})
    await storage.run(5)
    assert storage.gone("pods", "recycler-for-v")
    assert phase(storage, "v", "persistentvolumes") == outcome
    if outcome == "Available":
        assert "claimRef" not in storage.get("persistentvolumes", "v")["spec"]
        assert storage.events("VolumeRecycled") == ["Volume recycled"]
    else:
        told = "Recycle failed: pod failed, pod.Status.Message unknown"
        assert storage.events("VolumeFailedRecycle") == [told]
        assert storage.get("persistentvolumes", "v")["status"]["message"] == told
