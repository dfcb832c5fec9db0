"""A node's own system: what one finds there after `chroot /host` in a debugging pod."""

from __future__ import annotations

import json

import pytest

from kuartui.embedded.images.library import busybox
from kuartui.embedded.images.reference import parse


@pytest.fixture
async def host(cluster):
    """Runs a command line in the node's system; its code and output."""
    cluster.images["busybox:1.36"] = busybox.find(parse("busybox:1.36"))
    container = {
        "name": "debugger",
        "image": "busybox:1.36",
        "stdin": True,  # a shell without a command of its own, as kubectl debug has it
        "volumeMounts": [{"name": "root", "mountPath": "/host"}],
    }
    await cluster.pod("debug", containers=[container], volumes=[{"name": "root", "hostPath": {"path": "/"}}])
    await cluster.pod("web")
    await cluster.run()

    async def run(line: str) -> tuple[int, str]:
        return await cluster.exec("chroot", "/host", "sh", "-c", line, name="debug", container="debugger")

    return run


async def test_the_root_is_the_nodes_disk_with_its_programs(cluster, host):
    code, text = await host("cat /etc/hostname; ls /etc/kubernetes; cat /etc/os-release | head -1")
    assert (code, text) == (0, 'one\nkubelet.conf\nmanifests\npki\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n')
    assert await host("echo x > /tmp/x") == (0, "")
    assert cluster.fleet.disks.tree("one").read("/tmp/x") == b"x\n"
    assert (await host("nosuch"))[0] == 127


async def test_the_kubelets_version_and_the_networks_configuration_are_found(cluster, host):
    assert await host("kubelet --version") == (0, "Kubernetes v1.36.2\n")
    code, text = await host("kubelet")
    assert (code, "10250: bind: address already in use" in text) == (1, True)
    code, text = await host("cat /etc/cni/net.d/*")
    assert (code, json.loads(text)["plugins"][0]["type"]) == (0, "ptp")
    code, text = await host("ls /opt/cni/bin")
    assert {plugin["type"] for plugin in json.loads((await host("cat /etc/cni/net.d/*"))[1])["plugins"]} <= {
        *text.split()
    }
    assert "inet 127.0.0.1/8" in (await host("ip addr"))[1]


async def test_chroot_says_what_is_wrong(cluster, host):
    async def run(*argv):
        return await cluster.exec("chroot", *argv, name="debug", container="debugger")

    why = "chroot: can't change root directory to '/nope': No such file or directory\n"
    assert await run("/nope") == (1, why)
    assert await run("/host", "nope") == (127, "chroot: can't execute 'nope': No such file or directory\n")
    assert await run("/tmp") == (127, "chroot: can't execute '/bin/sh': No such file or directory\n")


async def test_crictl_lists_what_runs(cluster, host):
    code, text = await host("crictl ps")
    rows = [line.split() for line in text.splitlines()[1:]]
    assert code == 0
    assert {(row[-4], row[-2]) for row in rows} == {("0", "debug"), ("0", "web")}
    web = cluster.status("web")["containerID"].removeprefix("containerd://")
    assert await host(f"crictl logs {web[:13]}") == (0, "started\n")
    assert (await host("crictl ps -q --name c"))[1] == web + "\n"
    code, text = await host("crictl logs 123")
    assert code == 1
    assert 'an error occurred when try to find container "123": not found' in text


async def test_crictl_runs_commands_in_containers(cluster, host):
    own = cluster.status("debug", "debugger")["containerID"].removeprefix("containerd://")
    assert await host(f"crictl exec {own[:13]} hostname") == (0, "debug\n")
    assert await host(f"echo in | crictl exec -i {own[:13]} sed s/in/out/") == (0, "out\n")
    code, text = await host(f"crictl exec {own[:13]} sh -c 'exit 3'")
    assert (code, "terminated with exit code 3" in text) == (1, True)
    code, text = await host(f"crictl exec {own[:13]} nope")
    assert (code, "executable file not found in $PATH" in text) == (1, True)


async def test_crictl_chooses_pods_by_label_and_state_and_names_images_by_id(cluster, host):
    await cluster.pod("labelled", meta={"labels": {"run": "x"}})
    await cluster.run()
    (row,) = (await host("crictl pods --label run=x --state ready"))[1].splitlines()[1:]
    assert "labelled" in row
    ids = (await host("crictl images -q"))[1].split()
    assert ids
    assert all(one.startswith("sha256:") and len(one) == 71 for one in ids)


async def test_iptables_save_shows_the_tables_asked_for(cluster, host):
    spec = {"clusterIP": "10.96.0.30", "ports": [{"port": 80, "protocol": "TCP"}]}
    await cluster.client.create("services", {"metadata": {"name": "web", "namespace": "default"}, "spec": spec})
    code, text = await host("iptables-save | grep default/web")
    assert code == 0
    assert "REJECT" in text
    nat = (await host("iptables-save -t nat"))[1].splitlines()
    assert [line for line in nat if line.startswith("*")] == ["*nat"]
    assert ":KUBE-SERVICES - [0:0]" in nat
    assert (await host("iptables-save -t nope"))[0] == 1


async def test_crictl_stops_a_container_and_the_kubelet_starts_it_again(cluster, host):
    web = cluster.status("web")["containerID"].removeprefix("containerd://")
    assert await host(f"crictl stop {web}") == (0, web + "\n")
    await cluster.run(20)
    assert cluster.status("web")["restartCount"] == 1
    assert len((await host("crictl ps -a -q --name c"))[1].split()) == 2


async def test_systemctl_and_journalctl_tell_of_the_kubelet(cluster, host):
    code, text = await host("systemctl status kubelet")
    assert code == 0
    assert "Active: active (running) since" in text
    assert (await host("systemctl status docker")) == (4, "Unit docker.service could not be found.\n")
    code, text = await host("journalctl -u kubelet -n 1 -o cat")
    assert 'reason="Started"' in text
    assert len(text.splitlines()) == 1
    assert "Starting kubelet." in (await host("journalctl -u kubelet"))[1]
    assert await host("journalctl -u sshd") == (0, "-- No entries --\n")


async def test_sudo_starts_what_it_is_given(host):
    assert await host("sudo -E A=1 sh -c 'echo $A $SUDO_USER'") == (0, "1 root\n")
    assert await host("sudo -i whoami") == (0, "root\n")
    assert await host("sudo nothing") == (1, "sudo: nothing: command not found\n")
    assert (await host("sudo -u nobody id"))[0] == 1


async def test_systemctl_stops_the_kubelet(cluster, host):
    assert cluster.fleet.answers("one")
    assert (await host("systemctl stop kubelet; systemctl is-active kubelet"))[1] == "inactive\n"
    assert not cluster.fleet.answers("one")
    await cluster.fleet.pause("one", False)
    assert (await host("systemctl restart kubelet; systemctl is-active kubelet"))[1] == "active\n"
    assert cluster.fleet.answers("one")


async def test_containers_that_share_processes_see_and_signal_each_other(cluster):
    cluster.images["busybox:1.36"] = busybox.find(parse("busybox:1.36"))
    shell = {"name": "sh", "image": "busybox:1.36", "command": ["sleep", "1000"]}
    await cluster.pod("shared", containers=[{"name": "c"}, shell], shareProcessNamespace=True)
    await cluster.run()
    code, text = await cluster.exec("ps", name="shared", container="sh")
    commands = {line.split(maxsplit=3)[3]: line.split()[:2] for line in text.splitlines()[1:]}
    assert code == 0
    assert commands["/pause"] == ["1", "65535"]
    assert {"sleeper", "sleep 1000"} <= commands.keys()
    assert (await cluster.exec("kill", commands["sleeper"][0], name="shared", container="sh"))[0] == 0
    await cluster.run(20)
    assert cluster.status("shared", "c")["restartCount"] == 1


async def test_containers_that_share_processes_see_each_others_files(cluster):
    cluster.images["busybox:1.36"] = busybox.find(parse("busybox:1.36"))
    shell = {"name": "sh", "image": "busybox:1.36", "command": ["sleep", "1000"]}
    writer = {**shell, "name": "w", "command": ["sh", "-c", "echo mine > /tmp/note; exec sleep 2000"]}
    await cluster.pod("shared", containers=[writer, shell], shareProcessNamespace=True)
    await cluster.run()
    read = "cat /proc/$(pgrep -f 'sleep 200[0]')/root/tmp/note; ls /proc/77/root"
    code, text = await cluster.exec("sh", "-c", read, name="shared", container="sh")
    assert code == 1
    assert text.startswith("mine\n")
    assert "No such file or directory" in text


async def test_a_pod_without_the_nodes_users_has_a_namespace_of_its_own(cluster):
    cluster.images["busybox:1.36"] = busybox.find(parse("busybox:1.36"))
    shell = {"name": "c", "image": "busybox:1.36", "command": ["sleep", "1000"]}
    seen = {}
    for name, more in (("a", {}), ("b", {"hostUsers": False}), ("c", {"hostUsers": False})):
        await cluster.pod(name, containers=[shell], **more)
        await cluster.run()
        script = "readlink /proc/self/ns/user; cat /proc/self/uid_map"
        seen[name] = (await cluster.exec("sh", "-c", script, name=name))[1].split()
    assert seen["a"] == ["user:[4026531837]", "0", "0", "4294967295"]
    assert seen["b"][1] == "0"
    assert seen["b"][3] == "65536"
    assert len({tuple(words) for words in seen.values()}) == 3


async def test_the_nodes_processes_are_seen_with_host_pid(cluster):
    cluster.images["busybox:1.36"] = busybox.find(parse("busybox:1.36"))
    shell = {"name": "sh", "image": "busybox:1.36", "command": ["sleep", "1000"]}
    await cluster.pod("other")
    await cluster.pod("debug", containers=[shell], hostPID=True)
    await cluster.pod("alone", containers=[{**shell, "name": "sh"}])
    await cluster.run()
    seen = (await cluster.exec("ps", name="debug", container="sh"))[1]
    assert all(word in seen for word in ("/usr/bin/kubelet", "/usr/bin/containerd", "sleeper"))
    assert "kubelet" not in (await cluster.exec("ps", name="alone", container="sh"))[1]
