"""Writes small level packs for tests."""

from __future__ import annotations

import textwrap
from pathlib import Path

LEVEL = """\
apiVersion: kuartui.dev/v1alpha1
kind: Level
metadata:
  name: NAME
  labels: {kuartui.dev/track: first, kuartui.dev/chapter: "1"}
spec:
  title: A quiet shop
  story: Nobody answers in {{place}}.
  task: Make it answer on {{port}}.
  difficulty: 1
  parTime: 2m
  timeLimit: 5m
  namespace: "{{place}}"
  variables:
    place: [here, there]
    port: [8080, 9090]
    shop: [{name: tea, size: 2}, {name: figs, size: 3}]
  setup: {manifests: [setup/]}
  checks:
    - name: up
      title: It answers
      weight: 60
      state:
        resources: {pods: {kind: Pod, selector: "app={{shop.name}}"}}
        cel: pods.size() == {{shop.size}}
        observe: "string(pods.size())"
    - name: reached
      title: It is reached
      weight: 40
      reach: {from: pod, url: "http://{{shop.name}}:{{port}}/", status: 200}
  guards:
    - name: same
      title: It is the same
      unchanged: {kind: Service, name: tea}
  hints:
    - {cost: 5, text: Look.}
    - {cost: 10, text: Look closer.}
    - {cost: 20, text: Do it.}
  solutions:
    - {name: one, run: ["kubectl get pods"]}
    - {name: two, run: ["kubectl get pods -A"]}
  cheats:
    - {name: lazy, run: ["true"], caughtBy: [up, reached]}
    - {name: rude, run: ["true"], caughtBy: [same]}
  references: [{title: Pod, url: "https://kubernetes.io/docs/concepts/workloads/pods/"}]
  needs: [network]
"""
MANIFEST = """\
apiVersion: v1
kind: Pod
metadata: {name: "{{shop.name}}", labels: {app: "{{shop.name}}"}}
spec:
  containers:
    - name: main
      image: busybox:1.36
      env: [{name: PORT, value: "{{port|string}}"}]
      ports: [{containerPort: "{{port}}"}]
"""


DEBRIEF = "# What happened\n\nIt was {{shop.name}}.\n\n# The mental model\n\n" + "Look at the pods first. " * 6 + "\n"


def write(
    root: Path, name: str = "sample", *, level: str = LEVEL, manifest: str = MANIFEST, track: str = "first"
) -> Path:
    """A level folder below root."""
    folder = root / track / name
    (folder / "setup").mkdir(parents=True)
    (folder / "level.yaml").write_text(level.replace("NAME", name))
    (folder / "setup" / "pod.yaml").write_text(textwrap.dedent(manifest))
    (folder / "debrief.md").write_text(DEBRIEF)
    return folder
