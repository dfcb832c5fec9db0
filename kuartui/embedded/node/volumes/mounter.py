"""The volumes of one pod: set up before its containers start, refreshed while they run, gone with the pod.

After pkg/kubelet/volumemanager and the volume plug-ins; the words of failures are theirs.
"""

from __future__ import annotations

import posixpath
from typing import Any

from msgspec import Struct, field

from kuartui.embedded.client import Client
from kuartui.embedded.images.model import Image
from kuartui.embedded.meta import quantity
from kuartui.embedded.network import Network
from kuartui.embedded.node import spec
from kuartui.embedded.node.env import ConfigError, EnvFile, text
from kuartui.embedded.node.expansion import expand, variables_in
from kuartui.embedded.node.runtime import Mount, Volume
from kuartui.embedded.node.runtime.rootfs import image_tree
from kuartui.embedded.node.volumes.content import MountError, Sources, files, references
from kuartui.embedded.node.volumes.disks import Disks, absolute, nfs_key, persistent_key
from kuartui.embedded.node.wording import quoted

Obj = dict[str, Any]

FIRST_RETRY = 0.5  # seconds; exponentialbackoff of the operation executor
LAST_RETRY = 122.0
NFS_PORT = 2049
KUBELET_PODS = "/var/lib/kubelet/pods"
NO_GIT = (
    "git-repo volume plugin has been disabled; if necessary, it may be re-enabled by enabling the feature-gate "
    "`GitRepoVolumeDriver`"
)
MOST_LINKS = 20  # on the way to a subPath
PLUGINS = {  # of volumes, as the kubelet calls their folders
    "configMap": "configmap",
    "secret": "secret",
    "projected": "projected",
    "downwardAPI": "downward-api",
    "emptyDir": "empty-dir",
    "nfs": "nfs",
}
HOST_PATH_KINDS = {
    "Directory": ("directory", "is not a directory"),
    "File": ("file", "is not a file"),
    "Socket": ("socket", "is not a socket file"),
    "CharDevice": ("char", "is not a character device"),
    "BlockDevice": ("block", "is not a block device"),
}


class UnprocessedError(MountError):
    """A claim that the kubelet cannot even look behind; reported for the pod, not for one mount operation."""


class Pending(Struct):
    """A volume that is not mounted yet."""

    failures: int = 0
    retry_at: float = 0.0


class Failure(Struct):
    """One failed attempt, for an event."""

    message: str


class Mounted(Struct):
    """A volume in place. `sub_path` is below the storage's top: a hostPath is a part of its node's disk."""

    volume: Volume
    sub_path: str = ""
    read_only: bool = False
    api: bool = False


class PodVolumes(Struct):
    """Mounted volumes by name."""

    disks: Disks
    network: Network
    node: str
    node_ip: str
    mounted: dict[str, Mounted] = field(default_factory=dict)
    pending: dict[str, Pending] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    """What of the node's disk is the pod's own, and goes with it."""

    def set_up(self, sources: Sources) -> list[Failure]:
        """Try what is not mounted and due; what failed is tried again later. Empty and nothing pending: all done."""
        now = sources.client.clock.monotonic()
        failures = []
        for volume in used_volumes(sources.pod):
            name = volume["name"]
            if name in self.mounted:
                continue
            state = self.pending.setdefault(name, Pending())
            if state.retry_at > now:
                continue
            try:
                self.mounted[name] = self._mount(volume, sources)
                del self.pending[name]
            except UnprocessedError as error:
                failures.append(Failure(self._unprocessed(name, str(error))))
                self._postpone(state, now)
            except MountError as error:
                failures.append(Failure(str(error)))
                self._postpone(state, now)
        return failures

    def hold_image(self, name: str, image: Image) -> None:
        """Have an image's files as a volume, once it was pulled."""
        if name not in self.mounted:
            self.mounted[name] = Mounted(image_tree(image), read_only=True)

    def discard(self) -> None:
        """The pod has come to its end."""
        for key in self.kept:
            self.disks.remove(key)
        self.kept.clear()

    def next_retry(self) -> float:
        """Monotonic time at which `set_up` has something to try."""
        return min((state.retry_at for state in self.pending.values()), default=0.0)

    def refresh(self, sources: Sources) -> None:
        """Bring volumes made of API objects up to date; one that is gone meanwhile keeps its last content."""
        for volume in used_volumes(sources.pod):
            mounted = self.mounted.get(volume["name"])
            if mounted and mounted.api:
                try:
                    content = files(volume, sources)
                except MountError:
                    continue
                if content is not None:
                    mounted.volume.project(content, sources.client.clock.now())

    def mounts(self, pod: Obj, container: Obj, env: dict[str, str]) -> tuple[Mount, ...]:
        """How one container sees them. Raises ConfigError."""
        made = []
        for number, mount in enumerate(container.get("volumeMounts") or ()):
            mounted = self.mounted.get(mount["name"])
            if mounted is None:
                raise ConfigError(f'cannot find volume "{mount["name"]}" to mount into container "{container["name"]}"')
            expression = mount.get("subPathExpr") or ""
            if missing := sorted(name for name in variables_in(expression) if not env.get(name)):
                raise ConfigError(f"missing value for {', '.join(missing)}")
            sub_path = mount.get("subPath") or expand(expression, env)
            if sub_path.startswith("/"):
                raise ConfigError(f"error SubPath `{sub_path}` must not be an absolute path")
            if ".." in sub_path.split("/"):
                raise ConfigError(f"unable to provision SubPath `{sub_path}`: must not contain '..'")
            if sub_path and not mounted.api:  # what is projected has links of its own, which the runtime knows
                inside = _resolved(mounted, sub_path)
                if inside is None or not _there(mounted, inside):
                    where = f'volumeMount "{mount["name"]}" of container "{container["name"]}"'
                    raise ConfigError(f"failed to prepare subPath for {where}")
                sub_path = inside
            inner = posixpath.join(mounted.sub_path, sub_path) if sub_path else mounted.sub_path
            read_only = bool(mount.get("readOnly")) or mounted.read_only
            source = _on_node(pod, mount["name"], f"{container['name']}/{number}" if sub_path else "")
            made.append(Mount(mount["mountPath"], mounted.volume, inner, read_only, source))
        return tuple(made)

    def env_file(self, pod: Obj) -> EnvFile:
        """Reads what a `fileKeyRef` of the pod names."""

        def read(name: str, path: str) -> tuple[str, str | None]:
            mounted = self.mounted.get(name)
            if mounted is None:
                raise ConfigError(f'cannot find the volume "{name}" referenced by FileKeyRef')
            where = f"{KUBELET_PODS}/{pod['metadata']['uid']}/volumes/kubernetes.io~empty-dir/{name}/{path}"
            inside = _resolved(mounted, path)
            if inside is None:
                return where, None
            fs, at = mounted.volume.at(posixpath.join("/" + mounted.sub_path.strip("/"), inside))
            if not fs.exists(at) or fs.stat(at)["file_type"] != "file":
                return where, None
            return where, text(fs.read_file(at))

        return read

    def _postpone(self, state: Pending, now: float) -> None:
        state.failures += 1
        state.retry_at = now + min(LAST_RETRY, FIRST_RETRY * 2 ** (state.failures - 1))

    def _unprocessed(self, name: str, reason: str) -> str:
        unmounted = f"[{name}]"
        return (
            f"Unable to attach or mount volumes: unmounted volumes={unmounted}, unattached volumes={unmounted}, "
            f"failed to process volumes={unmounted}: {reason}"
        )

    def _mount(self, volume: Obj, sources: Sources) -> Mounted:
        name = volume["name"]
        try:
            content = files(volume, sources)
        except MountError as error:
            raise _set_up_failed(name, str(error)) from None
        if content is not None:
            return self._project(content, volume, sources)
        if "emptyDir" in volume:
            return self._empty_dir(name, volume["emptyDir"], sources.pod)
        if "hostPath" in volume:
            return self._host_path(name, volume["hostPath"])
        if "nfs" in volume:
            return self._nfs(name, volume["nfs"], sources.pod)
        if "persistentVolumeClaim" in volume:
            claim = volume["persistentVolumeClaim"]
            return self._claim(claim["claimName"], bool(claim.get("readOnly")), sources)
        if "ephemeral" in volume:
            return self._claim(f"{sources.pod['metadata']['name']}-{name}", False, sources)
        if "gitRepo" in volume:
            raise _set_up_failed(name, NO_GIT)
        if "csi" in volume:
            raise _no_driver(name, volume["csi"]["driver"], sources.client)
        raise _set_up_failed(name, "no volume plugin matched")

    def _empty_dir(self, name: str, source: Obj, pod: Obj) -> Mounted:
        """On the node's disk, where a reboot leaves it, unless it is in memory."""
        group = _fs_group(pod)
        mode = 0o777 if group is None else 0o2777
        if source.get("medium") == "Memory":
            made = Volume(mode=mode, gid=group or 0, kind="tmpfs")
            made.limit = _memory_room(source, pod)
            return Mounted(made)
        key = f"pod/{pod['metadata']['uid']}/{name}"
        self.kept.append(key)
        made = self.disks.volume(key, mode=mode, kind="emptyDir")
        made.gid = group or 0
        return Mounted(made)

    def _project(self, content: dict[str, Any], volume: Obj, sources: Sources) -> Mounted:
        group = _fs_group(sources.pod)
        kind = next(key for key in volume if key != "name")
        made = Volume.projection(content, sources.client.clock.now(), gid=group or 0, kind=kind)
        return Mounted(made, read_only=True, api=True)

    def _host_path(self, name: str, source: Obj, mode: int = 0o755) -> Mounted:
        root, files = self.disks.node(self.node), self.disks.tree(self.node)
        path, kind = absolute(source["path"]), source.get("type", "")
        found = files.stat(path).kind if files.exists(path) else None
        if kind in HOST_PATH_KINDS or (found and kind):
            wanted, complaint = HOST_PATH_KINDS[kind.removesuffix("OrCreate")]
            if found != wanted:
                raise _set_up_failed(name, f"hostPath type check failed: {source['path']} {complaint}")
        elif found is None and kind == "FileOrCreate":
            if not files.is_dir(posixpath.dirname(path)):
                raise _set_up_failed(name, f"open {source['path']}: no such file or directory")
            files.write(path, b"")
        elif found is None:
            files.mkdir(path, parents=True, mode=mode)
        return Mounted(root, sub_path=path.lstrip("/"))

    def _nfs(self, name: str, source: Obj, pod: Obj) -> Mounted:
        server, path = source["server"], source["path"]
        try:
            self.network.locate(self.node_ip, server, NFS_PORT)
        except (OSError, ValueError) as error:
            where = f"{KUBELET_PODS}/{pod['metadata']['uid']}/volumes/kubernetes.io~nfs/{name}"
            refused = isinstance(error, ConnectionRefusedError)
            reason = "Connection refused" if refused else "Connection timed out"
            raise _set_up_failed(
                name,
                "mount failed: exit status 32\nMounting command: mount\n"
                f"Mounting arguments: -t nfs {server}:{path} {where}\nOutput: mount.nfs: {reason}\n",
            ) from None
        key = nfs_key(source)
        return Mounted(self.disks.volume(key, mode=0o777, kind="nfs"), read_only=bool(source.get("readOnly")))

    def _claim(self, claim_name: str, read_only: bool, sources: Sources) -> Mounted:
        pod = sources.pod
        namespace = pod["metadata"]["namespace"]
        where = f"error processing PVC {namespace}/{claim_name}: "
        claim = sources.client.get("persistentvolumeclaims", namespace, claim_name)
        if claim is None:
            raise UnprocessedError(
                f'{where}failed to fetch PVC from API server: persistentvolumeclaims "{claim_name}" not found'
            )
        if claim["metadata"].get("deletionTimestamp"):
            raise UnprocessedError(f"{where}PVC is being deleted")
        if claim.get("status", {}).get("phase") != "Bound":
            raise UnprocessedError(f"{where}PVC is not bound")
        pv = sources.client.get("persistentvolumes", "", claim["spec"].get("volumeName", ""))
        if pv is None:
            raise UnprocessedError(f"{where}failed to fetch PV {claim['spec'].get('volumeName', '')}")
        mounted = self._persistent(pv, pod)
        mounted.read_only = mounted.read_only or read_only
        return mounted

    def _persistent(self, pv: Obj, pod: Obj) -> Mounted:
        name, source = pv["metadata"]["name"], pv["spec"]
        if "hostPath" in source:
            return self._host_path(name, source["hostPath"], 0o777 if _provisioned(pv) else 0o755)
        if "local" in source:
            path = absolute(source["local"]["path"])
            if _provisioned(pv):
                return self._host_path(name, {"path": path}, 0o777)
            if not self.disks.node(self.node).fs.exists(path):
                raise MountError(
                    f'MountVolume.NewMounter initialization failed for volume "{name}" : path "{path}" does not exist'
                )
            return self._host_path(name, {"path": path})
        if "nfs" in source:
            return self._nfs(name, source["nfs"], pod)
        key = persistent_key(pv, self.node)
        volume = self.disks.volume(key)
        group = _fs_group(pod)
        if group is not None:
            volume.gid, volume.mode = group, volume.mode | 0o2070
        return Mounted(volume)


def _resolved(mounted: Mounted, path: str) -> str | None:
    """A subPath without links; None if one leads out of the volume: to the kubelet absolute ones are the node's paths."""
    base = "/" + mounted.sub_path.strip("/")
    todo, done, links = path.split("/"), "", 0
    while todo:
        part = todo.pop(0)
        if part in ("", "."):
            continue
        if part == "..":
            if not done:
                return None
            done = posixpath.dirname(done)
            continue
        here = posixpath.join(done, part)
        fs, where = mounted.volume.at(posixpath.join(base, here))
        if not fs.exists(where) or fs.stat(where)["file_type"] != "symlink":
            done = here
            continue
        links += 1
        target = fs.read_link(where)
        if (
            target.startswith("/")
            and mounted.volume.kind == "hostPath"
            and f"{target}/".startswith(f"{base.rstrip('/')}/")
        ):
            target, done = target[len(base) :].lstrip("/"), ""
        if links > MOST_LINKS or target.startswith("/"):
            return None
        todo = [*target.split("/"), *todo]
    return done


def _there(mounted: Mounted, path: str) -> bool:
    """Have a subPath, as a directory of the mode of the volume's own if there is nothing; whether that can be."""
    if mounted.read_only:
        return True
    try:
        mounted.volume.make_directory(mounted.sub_path, path)
    except NotADirectoryError:
        return False
    return True


def used_volumes(pod: Obj) -> list[Obj]:
    """The volumes that some container mounts; the kubelet leaves the others alone, and images to the runtime."""
    names = {
        mount["name"]
        for _, container in spec.all_containers(pod)
        for mount in [*(container.get("volumeMounts") or ()), *(container.get("volumeDevices") or ())]
    }
    return [volume for volume in pod["spec"].get("volumes") or () if volume["name"] in names and "image" not in volume]


def image_volumes(pod: Obj, container: Obj) -> list[Obj]:
    """The volumes of a container that are images."""
    names = {mount["name"] for mount in container.get("volumeMounts") or ()}
    return [volume for volume in pod["spec"].get("volumes") or () if "image" in volume and volume["name"] in names]


def shown_objects(pod: Obj) -> set[tuple[str, str]]:
    """The (resource, name) of each API object whose content a pod mounts."""
    return {reference for volume in used_volumes(pod) for reference in references(volume)}


def _on_node(pod: Obj, name: str, sub_path: str) -> str:
    """Where the kubelet has a volume, or (container and number of the mount) what a subPath names in it."""
    top = f"{KUBELET_PODS}/{pod['metadata']['uid']}"
    if sub_path:
        return f"{top}/volume-subpaths/{name}/{sub_path}"
    volume = next(volume for volume in pod["spec"]["volumes"] if volume["name"] == name)
    if "hostPath" in volume:
        return str(volume["hostPath"]["path"])
    plugin = next((plugin for key, plugin in PLUGINS.items() if key in volume), "csi")
    return f"{top}/volumes/kubernetes.io~{plugin}/{name}"


def _provisioned(pv: Obj) -> bool:
    """Whether a provisioner made the volume; the one for local paths makes directories that everybody may write."""
    return "pv.kubernetes.io/provisioned-by" in (pv["metadata"].get("annotations") or {})


def _fs_group(pod: Obj) -> int | None:
    group: int | None = (pod["spec"].get("securityContext") or {}).get("fsGroup")
    return group


def _memory_room(source: Obj, pod: Obj) -> int | None:
    """Bytes that a volume in memory holds: its limit, or all that the pod's containers may use. None for no limit."""
    found = [str(source["sizeLimit"])] if source.get("sizeLimit") else []
    limits = [(one.get("resources") or {}).get("limits") or {} for one in spec.containers(pod)]
    if all("memory" in limit for limit in limits):
        found.append(str(sum(int(quantity.parse(limit["memory"]).value) for limit in limits)))
    return min((int(quantity.parse(text).value) for text in found), default=None)


def _no_driver(name: str, driver: str, client: Client) -> MountError:
    """Why a volume that a CSI driver should make for one pod is not there: nodes have no drivers."""
    known = client.get("csidrivers.storage.k8s.io", "", driver)
    modes = known["spec"].get("volumeLifecycleModes") or () if known else ()
    if "Ephemeral" not in modes:
        why = f"only supports [{' '.join(quoted(mode) for mode in modes)}]" if known else "no CSIDriver object"
        text = f'volume mode "Ephemeral" not supported by driver {driver} ({why})'
        return MountError(f'MountVolume.NewMounter initialization failed for volume "{name}" : {text}')
    text = f"driver name {driver} not found in the list of registered CSI drivers"
    return _set_up_failed(name, f"kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: {text}")


def _set_up_failed(name: str, reason: str) -> MountError:
    return MountError(f'MountVolume.SetUp failed for volume "{name}" : {reason}')
