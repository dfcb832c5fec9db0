"""Hints teach how to look, and do not do the work."""

from __future__ import annotations

from pathlib import Path

import pytest

from kuartui.catalog.hints import doing
from kuartui.catalog.lint import lint
from tests.catalog.pack import LEVEL, write


@pytest.mark.parametrize(
    "text",
    [
        "kubectl scale deployment bell --replicas=3",
        "Then kubectl -n elsewhere patch service/web -p '{}'",
        "kubectl set image deployment/web web=nginx:1.29",
        "kubectl rollout undo deployment/web --to-revision=2",
        "kubectl create configmap prices --from-literal=TOLL=4",
        "kubectl create secret generic key --from-literal=word=x",
        "Write it down, and\nkubectl apply -f policy.yaml",
        "kubectl delete pods -l app=web",
        "kubectl label namespace bank pod-security.kubernetes.io/enforce=restricted",
        "kubectl run probe --image=busybox:1.36",
        "kubectl drain kuartui-worker2 --ignore-daemonsets",
        "kubectl uncordon NODE",
        "kubectl certificate approve jane",
        "docker update --memory 64m guest-book",
        "docker build -t guest-book:2 .",
    ],
)
def test_a_command_that_changes_something_does_the_work(text: str) -> None:
    assert len(list(doing(f"Look. {text} And see.", ["guest-book"]))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "kubectl get deployment web -o yaml, and what does kubectl describe pod say?",
        "kubectl exec deploy/web -- wget -qO- http://db:5432/",
        "kubectl rollout history deployment/web",
        "kubectl auth can-i --list --as=jane",
        "Try to edit it; kubectl delete --help, --cascade",
        "kubectl label --dry-run=server tells what the standard would say",
        "kubectl create job makes the frame: try it with --dry-run=client -o yaml.",
        "Try kubectl drain with --dry-run=server on a worker",
        "What does kubectl scale change, and what kubectl apply?",
        "docker run has options for all of this; docker run --rm guest-book id",
        "docker inspect guest-book",
    ],
)
def test_looking_and_trying_do_not(text: str) -> None:
    assert list(doing(text, ["guest-book"])) == []


def test_lint_says_which_hint_does_the_work_except_in_a_guided_level(tmp_path: Path) -> None:
    level = LEVEL.replace("text: Do it.", 'text: "kubectl scale deployment {{shop.name}} --replicas=2"')
    assert level != LEVEL
    found = [str(item) for item in lint(write(tmp_path / "told", level=level))]
    assert any("spec.hints[2].text: does the work (kubectl scale deployment tea" in item for item in found), found
    guided = level + "  coach: [{text: Watch the check., seconds: 3}]\n"
    assert [str(item) for item in lint(write(tmp_path / "guided", level=guided))] == []
