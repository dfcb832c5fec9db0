"""Static pods: a file on the node is a pod, its mirror in the API comes back, and the file alone ends it."""

from __future__ import annotations

from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.node.static_pods import shows_manifests
from kuartui.embedded.node.volumes.disks import Disks

DIRECTORY = "/etc/kubernetes/manifests"
MANIFEST = "{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {restartPolicy: Always, containers: [{name: c, image: 'box:1'}]}}"
NAME = "web-one"


async def editor(cluster):
    """A pod that shows the directory at /m."""
    mount = {"name": "m", "mountPath": "/m"}
    containers = [{"name": "c", "volumeMounts": [mount]}]
    await cluster.pod("ed", containers=containers, volumes=[{"name": "m", "hostPath": {"path": DIRECTORY}}])
    await cluster.run()


async def write(cluster, text=MANIFEST):
    assert await cluster.exec("touch", "/m/web.yaml", text, name="ed") == (0, "")
    await cluster.run(3)


async def test_a_file_becomes_a_pod_with_a_mirror(cluster):
    await editor(cluster)
    await write(cluster)
    pod = cluster.get(NAME)
    annotations = pod["metadata"]["annotations"]
    assert annotations["kubernetes.io/config.source"] == "file"
    assert annotations["kubernetes.io/config.mirror"] == annotations["kubernetes.io/config.hash"]
    assert [(one["kind"], one["name"], one["controller"]) for one in pod["metadata"]["ownerReferences"]] == [
        ("Node", "one", True)
    ]
    assert pod["spec"]["nodeName"] == "one"
    assert {"operator": "Exists", "effect": "NoExecute"} in pod["spec"]["tolerations"]
    assert cluster.status(NAME)["ready"]


async def test_a_deleted_mirror_comes_back_and_the_container_goes_on(cluster):
    await editor(cluster)
    await write(cluster)
    before, container = cluster.get(NAME), cluster.status(NAME)["containerID"]
    await cluster.client.delete("pods", "default", NAME)
    await cluster.run()
    after = cluster.get(NAME)
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert "deletionTimestamp" not in after["metadata"]
    assert cluster.status(NAME)["containerID"] == container
    assert await cluster.logs(NAME) == "started\n"
    assert cluster.events("Killing", NAME) == []


async def test_another_text_replaces_the_pod_and_no_file_ends_it(cluster):
    await editor(cluster)
    await write(cluster)
    container = cluster.status(NAME)["containerID"]
    await write(cluster, MANIFEST.replace("restartPolicy: Always", "restartPolicy: OnFailure"))
    await cluster.run(35)
    assert cluster.get(NAME)["spec"]["restartPolicy"] == "OnFailure"
    assert cluster.status(NAME)["containerID"] != container
    cluster.fleet.disks.tree("one").remove(f"{DIRECTORY}/web.yaml")
    await cluster.run(35)
    assert not cluster.exists(NAME)
    assert NAME not in {worker.pod["metadata"]["name"] for worker in cluster.fleet.kubelets["one"].workers.values()}


async def test_what_is_no_manifest_is_told_in_the_journal(cluster):
    await editor(cluster)
    await write(cluster, "hello")
    lines = [entry.line() for entry in cluster.fleet.kubelets["one"].services.journal.entries("kubelet")]
    assert any('"Could not process manifest file" path="/etc/kubernetes/manifests/web.yaml"' in line for line in lines)
    assert not cluster.exists(NAME)


async def test_it_runs_again_after_a_power_failure(cluster):
    await editor(cluster)
    await write(cluster)
    await cluster.fleet.fail("one")
    await cluster.run(5)
    await cluster.fleet.recover("one")
    await cluster.run(5)
    assert cluster.status(NAME)["ready"]
    assert cluster.status(NAME)["restartCount"] == 1


async def test_it_is_found_by_the_next_process(make_cluster, machines, tmp_path):
    first = make_cluster(machines, Disks(tmp_path))
    await first.fleet.start()
    await first.run(0)
    await editor(first)
    await write(first)
    await first.fleet.stop()
    await first.run(0)
    second = make_cluster(machines, Disks(tmp_path), first.store)
    await second.fleet.start()
    await second.run(5)
    assert second.status(NAME)["ready"]
    await second.fleet.stop()
    await second.run(0)


def test_who_shows_the_directory():
    def shown(path):
        return shows_manifests({"spec": {"volumes": [{"name": "h", "hostPath": {"path": path}}]}})

    assert all(shown(path) for path in ("/", "/etc", "/etc/kubernetes/", "/etc/kubernetes/manifests"))
    assert not any(shown(path) for path in ("/etc/kube", "/etc/kubernetes/manifests/x", "/var/lib"))
    assert not shows_manifests({"spec": {}})


async def test_a_mirror_that_was_refused_comes_once_it_may(cluster, monkeypatch):
    """As where a webhook for pods does not answer for a while: nobody looks at the directory meanwhile."""
    await editor(cluster)

    async def refuse(*_: object) -> None:
        raise StatusError(500, "InternalError", "failed calling webhook")

    with monkeypatch.context() as patched:
        patched.setattr(cluster.client, "create", refuse)
        await write(cluster)
        await cluster.client.delete("pods", "default", "ed")
        await cluster.run(35)
    assert not cluster.exists(NAME)
    await cluster.run(15)
    assert cluster.status(NAME)["ready"]


async def test_a_node_that_was_deleted_and_made_anew_has_its_static_pods(cluster):
    await editor(cluster)
    await write(cluster)
    await cluster.client.delete("pods", "default", "ed")
    await cluster.run(5)
    node = cluster.client.get("nodes", "", "one")
    cluster.store.delete("nodes", "", "one")
    cluster.store.delete("pods", "default", NAME)
    await cluster.run(5)
    assert not cluster.exists(NAME)
    await cluster.client.create("nodes", {**node, "metadata": {"name": "one"}})
    await cluster.run(15)
    owner = cluster.get(NAME)["metadata"]["ownerReferences"][0]
    assert owner["uid"] == cluster.client.get("nodes", "", "one")["metadata"]["uid"]
