"""What a person does with a cluster, through the real kubectl."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.conftest import Kuartui

Kubectl = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.e2e

CONFIG = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: blue}
"""


@pytest.fixture(scope="module")
def web(kubectl: Kubectl) -> Kubectl:
    """A Deployment of three nginx pods, rolled out."""
    kubectl("create", "deployment", "web", "--image=nginx:1.27", "--replicas=3")
    kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    return kubectl


def test_nodes_are_ready(kubectl: Kubectl) -> None:
    nodes = json.loads(kubectl("get", "nodes", "-o", "json").stdout)["items"]
    assert len(nodes) == 3
    for node in nodes:
        ready = [c["status"] for c in node["status"]["conditions"] if c["type"] == "Ready"]
        assert ready == ["True"]


def test_a_deployment_rolls_out(web: Kubectl) -> None:
    assert re.search(r"web +3/3 +3 +3 ", web("get", "deployment", "web").stdout)
    assert (
        web("get", "pods", "-l", "app=web", "--field-selector=status.phase=Running", "-o", "name").stdout.count("\n")
        == 3
    )


def test_describe_tells_conditions_and_events(web: Kubectl) -> None:
    text = web("describe", "deployment", "web").stdout
    assert "3 desired | 3 updated | 3 total | 3 available | 0 unavailable" in text
    assert re.search(r"Normal +ScalingReplicaSet .* Scaled up replica set web-\w+ from 0 to 3", text)


def test_exec_and_logs(web: Kubectl) -> None:
    assert web("exec", "deploy/web", "--", "sh", "-c", "echo $((6*7))").stdout == "42\n"
    assert web("exec", "deploy/web", "--", "sh", "-c", "exit 3", check=False).returncode == 3
    assert "start worker process" in web("logs", "deploy/web").stdout


def test_port_forward_reaches_the_program(web: Kubectl, kuartui: Kuartui) -> None:
    forward = kuartui.start("kubectl", "--", "port-forward", "deploy/web", ":80")
    try:
        assert forward.stdout
        port = re.search(r"127\.0\.0\.1:(\d+)", forward.stdout.readline())
        assert port
        with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/", timeout=10) as answer:
            assert "Welcome to nginx!" in answer.read().decode()
    finally:
        forward.terminate()
        forward.wait(10)
        assert forward.stdout
        forward.stdout.close()


def test_scale_set_image_and_undo(web: Kubectl) -> None:
    web("scale", "deployment/web", "--replicas=2")
    web("set", "image", "deployment/web", "nginx=nginx:1.26")
    web("rollout", "status", "deployment/web", "--timeout=30s")
    image = "jsonpath={.spec.template.spec.containers[0].image}"
    assert web("get", "deployment", "web", "-o", image).stdout == "nginx:1.26"
    web("rollout", "undo", "deployment/web")
    web("rollout", "status", "deployment/web", "--timeout=30s")
    assert web("get", "deployment", "web", "-o", image).stdout == "nginx:1.27"


def test_apply_is_idempotent_and_three_way(kubectl: Kubectl) -> None:
    assert kubectl("apply", "-f", "-", stdin=CONFIG).stdout == "configmap/settings created\n"
    assert kubectl("apply", "-f", "-", stdin=CONFIG).stdout == "configmap/settings unchanged\n"
    changed = CONFIG.replace("blue", "green")
    assert kubectl("apply", "-f", "-", stdin=changed).stdout == "configmap/settings configured\n"
    assert kubectl("get", "configmap", "settings", "-o", "jsonpath={.data.colour}").stdout == "green"


def test_auth_can_i(kubectl: Kubectl) -> None:
    assert kubectl("auth", "can-i", "create", "deployments").stdout == "yes\n"
    nobody = "--as=system:serviceaccount:default:default"
    assert kubectl("auth", "can-i", "create", "deployments", nobody, check=False).stdout == "no\n"


def test_explain(kubectl: Kubectl) -> None:
    text = kubectl("explain", "deployment.spec.replicas").stdout
    assert "FIELD: replicas <integer>" in text
    assert "Number of desired pods" in text


def test_an_unknown_image_backs_off(kubectl: Kubectl) -> None:
    kubectl("run", "lost", "--image=nginx:9.99")
    kubectl(
        "wait",
        "pod/lost",
        "--for=jsonpath={.status.containerStatuses[0].state.waiting.reason}=ImagePullBackOff",
        "--timeout=30s",
    )
    kubectl("delete", "pod", "lost", "--now")


def test_a_killed_process_loses_nothing(kuartui: Kuartui, kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "kept", "--from-literal=a=1")
    pid = int(json.loads(kuartui("cluster", "status", "--output", "json").stdout)["facts"]["pid"])
    subprocess.run(["kill", f"-{signal.SIGKILL.value}", str(pid)], check=True)
    assert kuartui("cluster", "status", check=False).returncode == 1
    found = kubectl("get", "configmap", "kept", "-o", "jsonpath={.data.a}")
    assert (found.stdout, found.stderr) == ("1", "[1/2] starting the embedded Kubernetes\n")


def test_a_bare_cluster_has_one_plain_node(kuartui: Kuartui) -> None:
    kuartui("cluster", "up", "--name", "bare", "--bare")

    def bare(*arguments: str) -> str:
        return kuartui("kubectl", "--name", "bare", "--", *arguments).stdout

    (node,) = json.loads(bare("get", "nodes", "-o", "json"))["items"]
    assert not node["spec"].get("taints")
    assert json.loads(bare("get", "storageclasses", "-o", "json"))["items"] == []
    assert "metrics.k8s.io" not in bare("api-versions")
    refused = kuartui("cluster", "up", "--name", "bare", "--nodes", "2", check=False)
    assert refused.returncode == 4
    assert refused.stderr.splitlines() == [
        "error: cluster bare runs already, with 1 node",
        "hint: kuartui cluster down --name bare removes it, with what is in it; or give another --name",
    ]
    kuartui("cluster", "up", "--name", "bare", "--bare")
    kuartui("cluster", "up", "--name", "bare")
    kuartui("cluster", "down", "--name", "bare")
    assert kuartui("cluster", "status", "--name", "bare", check=False).returncode == 1


def test_up_is_quick(kuartui: Kuartui) -> None:
    """A second cluster in the running process is nearly free; the bound leaves room for a slow machine."""
    begin = time.monotonic()
    kuartui("cluster", "up", "--name", "second")
    assert time.monotonic() - begin < 5
    kuartui("cluster", "down", "--name", "second")


def test_code_in_the_working_directory_is_not_run(stranger: Kuartui) -> None:
    for name in ("kuartui", "json"):
        (stranger.home / f"{name}.py").write_text("raise SystemExit('not this one')\n")
    try:
        stranger("cluster", "up", "--bare", "--nodes", "1")
    finally:
        stranger("cluster", "down", "--all")
