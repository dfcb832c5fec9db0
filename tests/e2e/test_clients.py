"""Client libraries that people script Kubernetes with, as they come from PyPI, against an embedded cluster."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.conftest import Kuartui

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("kubectl")]

OFFICIAL = """
import sys
from kubernetes import client, config, dynamic, watch
from kubernetes.stream import portforward, stream

config.load_kube_config(sys.argv[1])
core, space = client.CoreV1Api(), "official"
core.create_namespace({"metadata": {"name": space}})

loop = "i=0; while sleep 0.1; do i=$((i + 1)); echo line $i; done"
containers = [{"name": "web", "image": "nginx:1.27"}]
containers.append({"name": "talk", "image": "busybox:1.36", "command": ["sh", "-c", loop]})
core.create_namespaced_pod(space, {"metadata": {"name": "p"}, "spec": {"containers": containers}})
watcher = watch.Watch()
for event in watcher.stream(core.list_namespaced_pod, space, timeout_seconds=60):
    if all(one.ready for one in event["object"].status.container_statuses or [client.V1ContainerStatus(
        name="", image="", image_id="", ready=False, restart_count=0)]):
        watcher.stop()

patched = core.patch_namespaced_pod("p", space, {"metadata": {"labels": {"a": "b"}}})
zone = {"topology.kubernetes.io/zone", "topology.kubernetes.io/region"}  # of its node
assert {k: v for k, v in patched.metadata.labels.items() if k not in zone} == {"a": "b"}

maps = dynamic.DynamicClient(client.ApiClient()).resources.get(api_version="v1", kind="ConfigMap")
body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"k": "1"}}
maps.server_side_apply(body, name="m", namespace=space, field_manager="one")
body["data"] = {"k": "2"}
try:
    maps.server_side_apply(body, name="m", namespace=space, field_manager="two")
    raise SystemExit("no conflict")
except client.ApiException as error:
    assert error.status == 409, error
forced = maps.server_side_apply(body, name="m", namespace=space, field_manager="two", force_conflicts=True)
assert forced.data.k == "2"

run = ["sh", "-c", "echo out; echo err >&2; exit 3"]
done = stream(core.connect_get_namespaced_pod_exec, "p", space, container="talk", command=run, stdin=False,
              stdout=True, stderr=True, tty=False, _preload_content=False)
done.run_forever(timeout=30)
assert (done.read_stdout(), done.read_stderr(), done.returncode) == ("out\\n", "err\\n", 3)

forward = portforward(core.connect_get_namespaced_pod_portforward, "p", space, ports="80")
socket = forward.socket(80)
socket.setblocking(True)
socket.sendall(b"GET / HTTP/1.0\\r\\nHost: p\\r\\n\\r\\n")
assert b"200 OK" in socket.recv(4096)

follow = watch.Watch().stream(core.read_namespaced_pod_log, "p", space, container="talk", follow=True)
assert [line for line, _ in zip(follow, range(3))] == ["line 1", "line 2", "line 3"]
core.delete_namespaced_config_map("m", space)
print("done")
"""

KR8S = """
import asyncio
import sys
import httpx
import kr8s
from kr8s.asyncio.objects import ConfigMap, Deployment, Namespace, Pod

async def main():
    api = await kr8s.asyncio.api(kubeconfig=sys.argv[1], namespace="kr")
    await (await Namespace({"metadata": {"name": "kr"}}, api=api)).create()
    meta = {"name": "p", "namespace": "kr"}
    pod = await Pod({"metadata": meta, "spec": {"containers": [{"name": "c", "image": "nginx:1.27"}]}}, api=api)
    await pod.create()
    async for event, seen in api.watch("pods", namespace="kr"):
        assert seen.name == "p", event
        break
    await pod.wait("condition=Ready", timeout=60)
    await pod.patch({"metadata": {"labels": {"a": "b"}}})
    zone = {"topology.kubernetes.io/zone", "topology.kubernetes.io/region"}  # of its node
    assert {k: v for k, v in pod.labels.items() if k not in zone} == {"a": "b"}
    assert (await pod.exec(["echo", "hi"])).stdout == b"hi\\n"
    async with pod.portforward(80, local_port="auto") as port, httpx.AsyncClient() as http:
        assert (await http.get(f"http://127.0.0.1:{port}/")).status_code == 200
    async for line in pod.logs(follow=True):
        assert line
        break
    template = {"metadata": {"labels": {"q": "r"}}, "spec": {"containers": [{"name": "c", "image": "nginx:1.27"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"q": "r"}}, "template": template}
    deployment = await Deployment({"metadata": {"name": "d", "namespace": "kr"}, "spec": spec}, api=api)
    await deployment.create()
    await deployment.scale(2)
    await deployment.wait("condition=Available", timeout=60)
    assert len(await deployment.pods()) == 2
    await pod.delete()
    print("done")

asyncio.run(main())
"""


@pytest.mark.parametrize(("library", "script"), [("kubernetes", OFFICIAL), ("kr8s", KR8S)])
def test_a_client_library_drives_the_cluster(kuartui: Kuartui, library: str, script: str) -> None:
    """Create, watch, patch, (server-side) apply, exec, port-forward, follow logs."""
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed; it comes with the test extra")
    path = kuartui("cluster", "kubeconfig", "--path").stdout.strip()
    command = [sys.executable, "-W", "ignore", "-c", script, path]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout == "done\n", done.stderr
