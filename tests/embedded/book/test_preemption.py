"""Beyond the book: scheduler, kubelet and ReplicaSet controller at once, when a more important pod comes to full nodes."""

from __future__ import annotations

from tests.embedded.book.conftest import Book

FULL = """
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: vip}
value: 100000
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: low}
spec:
  replicas: 8
  selector: {matchLabels: {app: low}}
  template:
    metadata: {labels: {app: low}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: c, image: "nginx:1.27", resources: {requests: {cpu: 900m}}}]
"""
VIP = """
apiVersion: v1
kind: Pod
metadata: {name: vip, labels: {app: vip}}
spec:
  priorityClassName: vip
  containers: [{name: c, image: "nginx:1.27", resources: {requests: {cpu: 1800m}}}]
"""


async def test_the_node_takes_whom_room_was_made_for(book: Book) -> None:
    await book.apply(FULL)
    await book.wait(30)
    assert len(book.ready(app="low")) == 8
    await book.apply(VIP)
    await book.wait(30)
    assert book.ready(app="vip") == ["vip"], book.get("Pod", "vip")["status"]
    low = book.pods(app="low")
    assert len(book.ready(app="low")) == 6
    assert len([pod for pod in low if not pod["spec"].get("nodeName")]) == 2
