"""Changes in words: who wrote, what differs, what the cluster made of it."""

from __future__ import annotations

from typing import Any

from kuartui.cluster.watch import Change
from kuartui.play.chronicle import Chronicle, tell


def obj(kind: str, manager: str = "", time: str = "1", **more: Any) -> dict[str, Any]:
    managed = [{"manager": manager, "operation": "Update", "time": time}] if manager else []
    return {"kind": kind, "metadata": {"name": "web", "managedFields": managed}, **more}


def test_a_write_of_the_player_says_what_differs() -> None:
    before = obj("Service", "kubectl-edit", "1", spec={"selector": {"app": "old"}, "clusterIP": "10.0.0.1"})
    after = obj("Service", "kubectl-edit", "2", spec={"selector": {"app": "[/new]"}, "clusterIP": "10.0.0.1"})
    assert list(tell(Change("MODIFIED", after, before))) == [
        ("write", "kubectl-edit changed Service web: spec.selector.app: old → [/new]")
    ]


def test_values_are_written_as_in_a_manifest() -> None:
    before = obj("Deployment", "kubectl-set", "1", spec={"paused": False})
    after = obj("Deployment", "kubectl-set", "2", spec={"paused": True, "resources": {"cpu": "200m"}})
    assert list(tell(Change("MODIFIED", after, before))) == [
        (
            "write",
            'kubectl-set changed Deployment web: spec.paused: false → true, spec.resources: none → {"cpu": "200m"}',
        )
    ]


def test_the_controllers_and_our_own_writes_are_not_the_players() -> None:
    for manager in ("kube-controller-manager", "kubelet", "kuartui"):
        before = obj("Deployment", "kubectl-create", "1", spec={"replicas": 1})
        after = obj("Deployment", "kubectl-create", "1", spec={"replicas": 1}, status={"readyReplicas": 1})
        after["metadata"]["managedFields"].append({"manager": manager, "operation": "Update", "time": "2"})
        assert list(tell(Change("MODIFIED", after, before))) == [("reaction", "Deployment web: 1/1 ready")]


def test_a_status_that_stays_is_not_told_again() -> None:
    pod = obj("Pod", status={"phase": "Pending"})
    assert list(tell(Change("MODIFIED", {**pod, "x": 1}, pod))) == []
    waiting = {"state": {"waiting": {"reason": "ImagePullBackOff"}}}
    stuck = obj("Pod", status={"phase": "Pending", "containerStatuses": [waiting]})
    assert list(tell(Change("MODIFIED", stuck, pod))) == [("reaction", "Pod web: ImagePullBackOff")]


def test_values_of_secrets_are_kept() -> None:
    before = obj("Secret", "kubectl-edit", "1", data={"password": "b2xk"})
    after = obj("Secret", "kubectl-edit", "2", data={"password": "bmV3"})
    assert list(tell(Change("MODIFIED", after, before))) == [
        ("write", "kubectl-edit changed Secret web: data.password")
    ]


def test_deletions_belong_to_the_player_unless_a_controller_owns_the_object() -> None:
    assert list(tell(Change("DELETED", obj("Service")))) == [("write", "Service web is gone")]
    pod = obj("Pod")
    pod["metadata"]["ownerReferences"] = [{"controller": True}]
    assert list(tell(Change("DELETED", pod))) == [("reaction", "Pod web is gone")]


def test_only_warnings_of_the_clusters_events_are_told() -> None:
    event = {"kind": "Event", "type": "Warning", "reason": "BackOff", "message": "again", "metadata": {"name": "e"}}
    event["involvedObject"] = {"kind": "Pod", "name": "web"}
    assert list(tell(Change("ADDED", event))) == [("warning", "Pod web: BackOff: again")]
    assert list(tell(Change("ADDED", {**event, "type": "Normal"}))) == []


def test_what_was_there_before_is_no_news() -> None:
    chronicle = Chronicle(lambda: 7.0)
    chronicle.heard(Change("ADDED", obj("Service", "kubectl-create"), listed=True))
    assert chronicle.take() == []
    chronicle.heard(Change("ADDED", obj("Service", "kubectl-create")))
    assert chronicle.take() == [(7.0, "write", "kubectl-create created Service web")]
    assert chronicle.take() == []
