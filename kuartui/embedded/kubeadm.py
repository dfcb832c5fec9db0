"""A control plane as kubeadm makes one: static pods on the first node, and kube-proxy on all.

Only clusters to play with have it (`Spec.kubeadm`): seven pods more cost more than a proof of a level takes. What runs in
these pods is not the program that the name promises, as the real ones run in this very process. But they are tied
together: without a running kube-scheduler nothing is scheduled, without kube-controller-manager no controller works.
kube-apiserver and etcd serve on, as nobody could mend a cluster through an API that has gone.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Callable
from typing import Any

from kuartui.embedded.api.discovery import VERSION
from kuartui.embedded.auth.pki import KeyPair, client_certificate
from kuartui.embedded.client import Client
from kuartui.embedded.control_plane import LEADERS, MANAGER, SCHEDULER
from kuartui.embedded.images.model import Image, ImageConfig, Program
from kuartui.embedded.images.reference import Reference
from kuartui.embedded.images.registry import Finder
from kuartui.embedded.kube_scheduler import Setup, SetupError, health
from kuartui.embedded.kube_scheduler import setup as scheduler_setup
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.network import Stream
from kuartui.embedded.network.http import App, Request, Response, reply, server
from kuartui.embedded.node.kubelet import Kubelet
from kuartui.embedded.node.probes import grpc
from kuartui.embedded.node.runtime.process import Process
from kuartui.embedded.node.static_pods import DIRECTORY

Obj = dict[str, Any]

RELEASE = str(VERSION["gitVersion"])
ETCD_TAG = "3.6.6-0"
REGISTRY = "registry.k8s.io"
ETCD_HEALTH = 2381
PROXY_METRICS, PROXY_HEALTH = 10249, 10256
DONE = "/var/lib/etcd"  # on a node's disk: the control plane was set up here
SIZES = {"kube-apiserver": 29, MANAGER: 23, SCHEDULER: 17, "kube-proxy": 26, "etcd": 23}  # MB
MEMORY = {"kube-apiserver": 180, MANAGER: 50, SCHEDULER: 22, "kube-proxy": 18, "etcd": 40}  # MB, at rest
ACCOUNTS = {
    "admin.conf": ("kubernetes-admin", ("kubeadm:cluster-admins",)),
    "controller-manager.conf": ("system:kube-controller-manager", ()),
    "scheduler.conf": ("system:kube-scheduler", ()),
}
SAID = {
    "kube-apiserver": ('options.go:263] "external host was not specified, using {ip}"', 'secure_serving.go:211] "Serving securely on [::]:6443"'),
    MANAGER: ('controllermanager.go:189] "Starting" version="{release}"',),
    SCHEDULER: ('server.go:175] "Starting Kubernetes Scheduler" version="{release}"',),
    "kube-proxy": ('server_linux.go:66] "Using iptables proxy"', 'shared_informer.go:356] "Caches are synced" controller="service config"'),
    "etcd": ('etcdmain/etcd.go:64] "Running" version="{release}"', 'embed/serve.go:210] "serving client traffic securely" address="{ip}:2379"'),
}  # fmt: skip

WAITS = 'leaderelection.go:257] "Attempting to acquire leader lease..." lease="{lease}"'
LEADS = 'leaderelection.go:271] "Successfully acquired lease" lease="{lease}"'

Switch = Callable[[str, str, bool], None]
"""Told that a component's process began (True) or ended its work, for a scheduler's profile ("" in other components)."""
Leases = dict[str, asyncio.Lock]
"""By namespace/name: held by the process that leads."""


def finder(repository: str, switch: Switch, leases: Leases) -> Finder | None:
    """Finds the images of one component; `switch` is told of the processes in them, of which one leads each lease."""
    host, _, name = repository.partition("/")
    if host != REGISTRY or name not in SIZES:
        return None
    tags = r"3\.\d+\.\d+-\d+" if name == "etcd" else r"v1\.\d+\.\d+"

    def find(reference: Reference) -> Image | None:
        if not re.fullmatch(tags, reference.tag):
            return None
        path = f"/usr/local/bin/{name}"
        programs = {path: _component(name, switch, leases)}
        size, memory = SIZES[name] << 20, MEMORY[name] << 20
        return Image(repository, reference.tag, ImageConfig(entrypoint=(path,)), {}, programs, size=size, memory=memory)

    return find


def _component(name: str, switch: Switch, leases: Leases) -> Program:
    async def run(process: Process) -> int:
        release = process.container.spec.image.tag.partition("-")[0]
        if any(word in ("--version", "-version", "--version=true") for word in process.argv[1:]):
            await process.out(_version(name, release))
            return 0
        for word in process.argv[1:]:
            flag, _, path = word.partition("=")
            complaint = _unusable(process, path) if flag.endswith("kubeconfig") else ""
            if complaint:
                await process.err(_line(process, f'run.go:72] "command failed" err="{complaint}"', "E"))
                return 1
        setup = Setup(profiles=("",), elects=name in LEADERS, lease=f"kube-system/{name}")
        if name == SCHEDULER:
            try:
                setup = scheduler_setup(process.argv[1:], process.read)
                process.listen(setup.port, health())
            except (SetupError, OSError) as error:
                await process.err(_line(process, f'run.go:72] "command failed" err="{error}"', "E"))
                return 1
        if name == "etcd":
            try:
                process.listen(ETCD_HEALTH, server(_healthy))
                for port in re.findall(r"http://[^:,\s]+:(\d+)", _flag(process, "listen-client-urls")):
                    process.listen(int(port), _serves)
            except OSError as error:
                await process.err(f"listen tcp: {error.strerror}\n")
                return 1
        if name == "kube-proxy":
            try:
                process.listen(PROXY_METRICS, server(_proxy_page(process)), bind="127.0.0.1")
                process.listen(PROXY_HEALTH, server(_proxy_page(process)))
            except OSError as error:
                await process.err(_line(process, f'server.go:663] "Error binding to port" err="{error.strerror}"', "E"))
                return 1
        for text in SAID[name]:
            await process.err(_line(process, text.format(ip=process.ip, release=release)))
        stop = asyncio.ensure_future(process.signals("TERM", "INT").get())
        lease = leases.setdefault(setup.lease, asyncio.Lock()) if setup.elects else None
        try:
            if lease is None:
                await _work(name, setup, switch, stop)
                return 0
            await process.err(_line(process, WAITS.format(lease=setup.lease)))
            if await _acquired(lease, stop):
                try:
                    await process.err(_line(process, LEADS.format(lease=setup.lease)))
                    await _work(name, setup, switch, stop)
                finally:
                    lease.release()
            return 0
        finally:
            stop.cancel()

    return run


async def _work(name: str, setup: Setup, switch: Switch, stop: asyncio.Future[str]) -> None:
    """Have the component do what it is for until it is told to stop."""
    for profile in setup.profiles:
        switch(name, profile, True)
    try:
        await stop
    finally:
        for profile in setup.profiles:
            switch(name, profile, False)


async def _acquired(lease: asyncio.Lock, stop: asyncio.Future[str]) -> bool:
    """Wait to be the leader; False if told to stop before."""
    acquiring = asyncio.ensure_future(lease.acquire())
    try:
        await asyncio.wait((acquiring, stop), return_when=asyncio.FIRST_COMPLETED)
        return acquiring.done()
    finally:
        acquiring.cancel()


def _version(name: str, release: str) -> str:
    """What a component says of itself with `--version`."""
    if name != "etcd":
        return f"Kubernetes {release}\n"
    return f"etcd Version: {release}\nGit SHA: d2809cf\nGo Version: {VERSION['goVersion']}\nGo OS/Arch: linux/amd64\n"


def _unusable(process: Process, path: str) -> str:
    """What is wrong with a kubeconfig, "" if nothing is."""
    try:
        text = process.read(path)
    except FileNotFoundError:
        return f"stat {path}: no such file or directory"
    except OSError as error:
        return f"open {path}: {(error.strerror or '').lower()}"
    hint = "try setting KUBERNETES_MASTER environment variable"
    return "" if text.strip() else f"invalid configuration: no configuration has been provided, {hint}"


def _line(process: Process, text: str, level: str = "I") -> str:
    return f"{level}{process.clock.now():%m%d %H:%M:%S.%f}       1 {text}\n"


def _flag(process: Process, name: str) -> str:
    """The value of a flag, given as `--name=value` or `--name value`; "" without."""
    found = re.search(rf"(?:^|\s)--{name}(?:=|\s)(\S+)", " ".join(process.argv))
    return found[1] if found else ""


async def _serves(stream: Stream) -> None:
    """etcd's port for clients, as far as probes look: the health of gRPC."""
    try:
        await grpc.serve(stream, lambda service: "SERVING" if not service else None)
    except ConnectionResetError:
        stream.abort()


def _proxy_page(process: Process) -> App:
    """What kube-proxy says of itself: how it works, and that it does."""

    async def page(request: Request) -> Response:
        if request.path == "/proxyMode":
            try:
                text = process.read(_flag(process, "config")).decode(errors="replace")
            except OSError:
                text = ""
            found = re.search(r"^mode: *\"?(\w+)", text, re.MULTILINE)
            return reply(200, found[1] if found else "iptables")
        if request.path == "/healthz":
            now = f"{process.clock.now():%Y-%m-%d %H:%M:%S.%f} +0000 UTC"
            told = f'{{"lastUpdated": "{now}","currentTime": "{now}", "nodeEligible": true}}'
            return reply(200, told, "application/json")
        return reply(404, "404 page not found\n")

    return page


async def _healthy(request: Request) -> Response:
    return reply(200, '{"health":"true","reason":""}' if request.path == "/health" else "ok")


def set_up(kubelet: Kubelet, authority: KeyPair, endpoint: str) -> None:
    """Write what `kubeadm init` writes on a control plane's disk, unless that was done before."""
    disk = kubelet.services.disks.node(kubelet.name)
    if disk.fs.exists(DONE):
        return
    disk.fs.mkdir(DONE, recursive=True)
    for file, (user, groups) in ACCOUNTS.items():
        made = client_certificate(authority, user, groups)
        text = _kubeconfig(user, endpoint, authority.certificate, made)
        disk.fs.write_file(f"/etc/kubernetes/{file}", text.encode())
        disk.fs.chmod(f"/etc/kubernetes/{file}", 0o600)
    for name, manifest in _manifests(kubelet.services.machine.ip, endpoint.partition(":")[0]).items():
        disk.fs.write_file(f"{DIRECTORY}/{name}.yaml", manifest.encode())
        disk.fs.chmod(f"{DIRECTORY}/{name}.yaml", 0o600)


async def install_proxy(client: Client, endpoint: str) -> None:
    """kube-proxy's account, configuration and DaemonSet; kubeadm's, so they stay away once deleted."""
    if client.get("configmaps", "kube-system", "kube-proxy") is not None:
        return
    for resource, obj in _proxy(endpoint):
        try:
            await client.create(resource, obj)
        except StatusError as error:
            if error.code != 409:
                raise


def _kubeconfig(user: str, endpoint: str, authority: bytes, pair: KeyPair) -> str:
    def encoded(data: bytes) -> str:
        return base64.b64encode(data).decode()

    return f"""apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: {encoded(authority)}
    server: https://{endpoint}
  name: kubernetes
contexts:
- context:
    cluster: kubernetes
    user: {user}
  name: {user}@kubernetes
current-context: {user}@kubernetes
kind: Config
users:
- name: {user}
  user:
    client-certificate-data: {encoded(pair.certificate)}
    client-key-data: {encoded(pair.key)}
"""


def _manifests(ip: str, api: str) -> dict[str, str]:
    """The static pods' files, by name."""
    conf = "/etc/kubernetes"
    return {
        "etcd": _manifest("etcd", f"{REGISTRY}/etcd:{ETCD_TAG}", "100m", [
            f"--advertise-client-urls=https://{ip}:2379", "--data-dir=/var/lib/etcd",
            f"--listen-client-urls=https://127.0.0.1:2379,https://{ip}:2379", f"--listen-metrics-urls=http://0.0.0.0:{ETCD_HEALTH}",
            "--trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt",
        ], {"etcd-data": ("/var/lib/etcd", "DirectoryOrCreate")}, f"host: {ip}\n        path: /health\n        port: {ETCD_HEALTH}\n        scheme: HTTP"),
        "kube-apiserver": _manifest("kube-apiserver", f"{REGISTRY}/kube-apiserver:{RELEASE}", "250m", [
            f"--advertise-address={api}", "--allow-privileged=true", "--authorization-mode=Node,RBAC",
            "--client-ca-file=/etc/kubernetes/pki/ca.crt", "--enable-admission-plugins=NodeRestriction",
            "--etcd-servers=https://127.0.0.1:2379", "--secure-port=6443", "--service-cluster-ip-range=10.96.0.0/16",
        ], {"k8s-certs": (f"{conf}/pki", "DirectoryOrCreate")}, f"host: {api}\n        path: /livez\n        port: 6443\n        scheme: HTTPS"),
        MANAGER: _manifest(MANAGER, f"{REGISTRY}/{MANAGER}:{RELEASE}", "200m", [
            "--allocate-node-cidrs=true", f"--authentication-kubeconfig={conf}/controller-manager.conf",
            f"--authorization-kubeconfig={conf}/controller-manager.conf", "--bind-address=127.0.0.1", "--cluster-cidr=10.244.0.0/16",
            f"--kubeconfig={conf}/controller-manager.conf", "--leader-elect=true", "--use-service-account-credentials=true",
        ], {"kubeconfig": (f"{conf}/controller-manager.conf", "FileOrCreate")}),
        SCHEDULER: _manifest(SCHEDULER, f"{REGISTRY}/{SCHEDULER}:{RELEASE}", "100m", [
            f"--authentication-kubeconfig={conf}/scheduler.conf", f"--authorization-kubeconfig={conf}/scheduler.conf",
            "--bind-address=127.0.0.1", f"--kubeconfig={conf}/scheduler.conf", "--leader-elect=true",
        ], {"kubeconfig": (f"{conf}/scheduler.conf", "FileOrCreate")}),
    }  # fmt: skip


def _manifest(
    name: str, image: str, cpu: str, flags: list[str], paths: dict[str, tuple[str, str]], live: str = ""
) -> str:
    command = "\n".join(f"    - {word}" for word in [name, *flags])
    mounts = "\n".join(f"    - mountPath: {path}\n      name: {volume}" for volume, (path, _) in paths.items())
    volumes = "\n".join(
        f"  - hostPath:\n      path: {path}\n      type: {kind}\n    name: {volume}"
        for volume, (path, kind) in paths.items()
    )
    probe = f"""    livenessProbe:
      failureThreshold: 8
      httpGet:
        {live}
      initialDelaySeconds: 10
      periodSeconds: 10
      timeoutSeconds: 15
""" if live else ""  # fmt: skip
    return f"""apiVersion: v1
kind: Pod
metadata:
  labels:
    component: {name}
    tier: control-plane
  name: {name}
  namespace: kube-system
spec:
  containers:
  - command:
{command}
    image: {image}
    imagePullPolicy: IfNotPresent
{probe}    name: {name}
    resources:
      requests:
        cpu: {cpu}
    volumeMounts:
{mounts}
  hostNetwork: true
  priority: 2000001000
  priorityClassName: system-node-critical
  securityContext:
    seccompProfile:
      type: RuntimeDefault
  volumes:
{volumes}
status: {{}}
"""


def _proxy(endpoint: str) -> list[tuple[str, Obj]]:
    labels = {"k8s-app": "kube-proxy"}
    config = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nclusterCIDR: 10.244.0.0/16\nkind: KubeProxyConfiguration\nmode: iptables\n"
    kubeconfig = (
        "apiVersion: v1\nkind: Config\nclusters:\n- cluster:\n"
        "    certificate-authority: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt\n"
        f"    server: https://{endpoint}\n  name: default\ncontexts:\n- context:\n    cluster: default\n"
        "    namespace: default\n    user: default\n  name: default\ncurrent-context: default\nusers:\n- name: default\n"
        "  user:\n    tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token\n"
    )
    container = {
        "name": "kube-proxy",
        "image": f"{REGISTRY}/kube-proxy:{RELEASE}",
        "command": [
            "/usr/local/bin/kube-proxy",
            "--config=/var/lib/kube-proxy/config.conf",
            "--hostname-override=$(NODE_NAME)",
        ],
        "env": [{"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
        "securityContext": {"privileged": True},
        "volumeMounts": [
            {"mountPath": "/var/lib/kube-proxy", "name": "kube-proxy"},
            {"mountPath": "/run/xtables.lock", "name": "xtables-lock"},
            {"mountPath": "/lib/modules", "name": "lib-modules", "readOnly": True},
        ],
    }
    pod = {
        "priorityClassName": "system-node-critical",
        "serviceAccountName": "kube-proxy",
        "hostNetwork": True,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"operator": "Exists"}],
        "containers": [container],
        "volumes": [
            {"name": "kube-proxy", "configMap": {"name": "kube-proxy"}},
            {"name": "xtables-lock", "hostPath": {"path": "/run/xtables.lock", "type": "FileOrCreate"}},
            {"name": "lib-modules", "hostPath": {"path": "/lib/modules"}},
        ],
    }
    spec = {
        "selector": {"matchLabels": labels},
        "updateStrategy": {"type": "RollingUpdate"},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    meta = {"name": "kube-proxy", "namespace": "kube-system", "labels": labels}
    return [
        ("serviceaccounts", {"metadata": {"name": "kube-proxy", "namespace": "kube-system"}}),
        ("daemonsets.apps", {"metadata": meta, "spec": spec}),
        ("configmaps", {"metadata": meta, "data": {"config.conf": config, "kubeconfig.conf": kubeconfig}}),
    ]
