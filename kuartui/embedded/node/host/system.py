"""What is installed on a node: the programs that `chroot /host` finds there, and the files of kubeadm, kubelet and containerd.

Nothing here is made before somebody mounts a directory of the node.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from kuartui.embedded.images.model import Image, ImageConfig, Program
from kuartui.embedded.node.machine import KUBELET_VERSION, OS_IMAGE
from kuartui.embedded.node.runtime.process import Process
from kuartui.embedded.node.runtime.rootfs import STUB

if TYPE_CHECKING:
    from kuartui.embedded.node.kubelet import Kubelet

DIRECTORIES = (
    "/etc", "/home", "/lib/modules", "/mnt", "/opt/cni/bin", "/root", "/run", "/srv", "/tmp", "/usr", "/var/lib",
    "/var/log", "/etc/kubernetes/manifests",
)  # fmt: skip
OS_RELEASE = f'''PRETTY_NAME="{OS_IMAGE}"
NAME="Debian GNU/Linux"
VERSION_ID="13"
VERSION="13 (trixie)"
VERSION_CODENAME=trixie
ID=debian
'''
KUBELET_COMMAND = (
    "/usr/bin/kubelet --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf "
    "--kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml --v=3"
)
UNIT = """[Unit]
Description=kubelet: The Kubernetes Node Agent
Documentation=https://kubernetes.io/docs/
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=/usr/bin/kubelet
Restart=always
StartLimitInterval=0
RestartSec=10

[Install]
WantedBy=multi-user.target
"""
DROP_IN = """# Note: This dropin only works with kubeadm and kubelet v1.11+
[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf \
--kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml --v=3"
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS
"""
KUBELET_CONF = """apiVersion: v1
clusters:
- cluster:
    certificate-authority: /etc/kubernetes/pki/ca.crt
    server: https://{server}
  name: default-cluster
contexts:
- context:
    cluster: default-cluster
    namespace: default
    user: default-auth
  name: default-context
current-context: default-context
kind: Config
users:
- name: default-auth
  user:
    client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem
    client-key: /var/lib/kubelet/pki/kubelet-client-current.pem
"""
CONTAINERD = """version = 3

[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "registry.k8s.io/pause:3.10.1"

[plugins."io.containerd.cri.v1.runtime".containerd]
  default_runtime_name = "runc"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
  SystemdCgroup = true
"""
CRICTL = "runtime-endpoint: unix:///run/containerd/containerd.sock\n"
CNI = "/etc/cni/net.d/10-kindnet.conflist"
CNI_PLUGINS = ("host-local", "loopback", "portmap", "ptp")
API_SERVER = "172.18.0.2:6443"


class HostSystem(Struct, frozen=True):
    """The system of one node."""

    kubelet: Kubelet

    def directories(self) -> tuple[str, ...]:
        """What a new disk has, beside the directories of `files`."""
        return DIRECTORIES

    def files(self) -> dict[str, bytes]:
        """What a new disk has."""
        from kuartui.embedded.images.library.accounts import accounts
        from kuartui.embedded.metrics.kubelet import CONFIGURATION

        name = self.kubelet.name
        found = self.kubelet.services.client.get("configmaps", "kube-system", "extension-apiserver-authentication")
        texts: dict[str, str] = {
            "/etc/hostname": f"{name}\n",
            "/etc/hosts": f"127.0.0.1\tlocalhost\n{self.kubelet.services.machine.ip}\t{name}\n",
            "/etc/os-release": OS_RELEASE,
            "/etc/debian_version": "13.2\n",
            "/etc/crictl.yaml": CRICTL,
            "/etc/containerd/config.toml": CONTAINERD,
            "/etc/kubernetes/kubelet.conf": KUBELET_CONF.format(server=API_SERVER),
            "/etc/kubernetes/pki/ca.crt": ((found or {}).get("data") or {}).get("client-ca-file", ""),
            "/usr/lib/systemd/system/kubelet.service": UNIT,
            "/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf": DROP_IN,
            "/var/lib/kubelet/config.yaml": CONFIGURATION,
            CNI: _network((self.kubelet.services.client.get("nodes", "", name) or {}).get("spec") or {}),
        }
        files = {path: text.encode() for path, text in texts.items()}
        files |= {f"/opt/cni/bin/{plugin}": STUB for plugin in CNI_PLUGINS}
        return files | {path: one.data for path, one in accounts("debian").items() if one.data is not None}

    def image(self) -> Image:
        """The same as an image: which programs a process finds whose root is the disk."""
        from kuartui.embedded.images.applets import interfaces, processes, timing
        from kuartui.embedded.images.library.accounts import accounts
        from kuartui.embedded.images.library.bases import curl_programs, userland
        from kuartui.embedded.node.host.crictl import crictl
        from kuartui.embedded.node.host.iptables import iptables_save
        from kuartui.embedded.node.host.sudo import sudo
        from kuartui.embedded.node.host.systemd import journalctl, systemctl

        programs, direct, commands, shells = userland("debian")
        procps = {name: getattr(processes, name) for name in ("ps", "top", "free", "pgrep", "pkill", "pidof")}
        tools: Mapping[str, Program] = {
            **{f"/usr/bin/{name}": program for name, program in procps.items()},
            **curl_programs(),
            "/usr/bin/sudo": sudo,
            "/usr/bin/uptime": timing.uptime,
            "/usr/bin/kubelet": _kubelet,
            "/usr/sbin/ip": interfaces.ip,
            "/usr/bin/crictl": crictl(self.kubelet),
            "/usr/sbin/iptables-save": iptables_save(self.kubelet),
            "/usr/bin/systemctl": systemctl(self.kubelet),
            "/usr/bin/journalctl": journalctl(self.kubelet),
        }
        return Image(
            "node", "trixie", ImageConfig(), accounts("debian"), {**programs, **tools}, direct, commands, shells,
            distribution="debian",
        )  # fmt: skip


def _network(spec: dict[str, Any]) -> str:
    """The configuration of the network's plugins, as kindnet writes it: addresses come from the node's range."""
    ipam = {
        "type": "host-local",
        "dataDir": "/run/cni-ipam-state",
        "routes": [{"dst": "0.0.0.0/0"}],
        "ranges": [[{"subnet": subnet}] for subnet in spec.get("podCIDRs") or ()],
    }
    plugins = [
        {"type": "ptp", "ipMasq": False, "ipam": ipam, "mtu": 1500},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    return json.dumps({"cniVersion": "0.3.1", "name": "kindnet", "plugins": plugins}, indent=2) + "\n"


async def _kubelet(process: Process) -> int:
    """kubelet --version; a second one beside the service finds its port taken."""
    if "--version" in process.argv[1:]:
        await process.out(f"Kubernetes {KUBELET_VERSION}\n")
        return 0
    head = f"E{process.clock.now():%m%d %H:%M:%S.%f} {process.pid:7d} run.go:72]"
    why = "failed to run Kubelet: failed to listen: listen tcp 0.0.0.0:10250: bind: address already in use"
    await process.err(f'{head} "command failed" err="{why}"\n')
    return 1
