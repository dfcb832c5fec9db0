"""Builds the tree of a container: its image's files, `/proc`, `/dev`, the files that the kubelet supplies, its volumes."""

from __future__ import annotations

import os
import posixpath
import zlib
from collections.abc import Iterable
from functools import lru_cache

from kuartui.embedded.images.model import Image
from kuartui.embedded.node.runtime.capabilities import mask
from kuartui.embedded.node.runtime.files import Files, MountPoint, User
from kuartui.embedded.node.runtime.spec import (
    IN_INIT,
    NOT_CREATED,
    ContainerSpec,
    Mount,
    Resources,
    Sandbox,
    StartError,
)
from kuartui.embedded.node.runtime.volumes import Volume

KERNEL_VERSION = "6.12.57+deb13-amd64"
KERNEL_BUILD = "#1 SMP PREEMPT_DYNAMIC Debian 6.12.57-1 (2025-11-05)"
STUB = b"\x7fELF\x02\x01\x01\x00"
SYSTEM = ("/bin", "/sbin", "/usr/bin", "/usr/sbin")
CGROUP = "/sys/fs/cgroup"
PAGE, PERIOD = 4096, 100_000  # bytes; microseconds
IDS, IDS_OF_PODS = 65536, 30_000  # ids that a user namespace has; pods that can have one
HOST_NAMESPACES = {
    "uts": 4026531838,
    "user": 4026531837,
    "pid": 4026531836,
    "net": 4026531840,
}  # include/linux/proc_ns.h
FIRST_NAMESPACE, NAMESPACES = 4026532000, 400_000


@lru_cache(maxsize=128)
def _system(paths: frozenset[str], directory: str) -> Volume:
    """A directory of programs, shared by every container that has just these."""
    volume = Volume(mode=0o755, kind="image")
    volume.shared = True
    for path in sorted(paths):
        volume.fs.write_file("/" + posixpath.basename(path), STUB)
        volume.fs.chmod("/" + posixpath.basename(path), 0o755)
    return volume


def build(spec: ContainerSpec, sandbox: Sandbox, user: User, container: str) -> Files:
    """The file system of a container. Raises StartError if a volume can't be mounted where it should."""
    image = spec.image
    root = Volume(mode=0o755, kind="overlay")
    mounts = [MountPoint("/", root)]
    _image_files(root, image)
    for directory in SYSTEM:
        paths = image.by_directory.get(directory, frozenset())
        if len(paths) > 8 and directory not in image.file_directories:
            root.fs.mkdir(directory, recursive=True)
            mounts.append(MountPoint(directory, _system(paths, directory), visible=False))
        else:
            _stubs(root, paths)
    for directory, paths in image.by_directory.items():
        if directory not in SYSTEM:
            _stubs(root, paths)
    for path in ("/proc", "/dev", CGROUP, "/etc", "/tmp"):
        if not root.fs.exists(path):
            root.fs.mkdir(path, recursive=True)
    if "/tmp" not in image.files:
        root.fs.chmod("/tmp", 0o1777)
    proc = _proc(spec, user, sandbox)
    mounts.append(MountPoint("/proc", proc, visible=False))
    mounts.append(MountPoint("/dev", _dev(), visible=False))
    mounts.append(MountPoint(CGROUP, cgroup(spec.resources), read_only=True, visible=False))
    for path, text in (
        ("/etc/hosts", sandbox.hosts),
        ("/etc/hostname", sandbox.hostname + "\n"),
        ("/etc/resolv.conf", sandbox.resolv_conf),
    ):
        root.fs.write_file(path, text.encode())
    last = {posixpath.normpath(mount.path): mount for mount in spec.mounts}  # of two at one place it covers the other
    for path in sorted(last, key=lambda path: path.count("/")):
        mounts += _mounted(root, last[path], container)
    if spec.read_only_root:
        mounts[0] = MountPoint("/", root, read_only=True)
    files = Files(mounts)
    if spec.working_dir:
        _make_working_dir(files, posixpath.normpath(spec.working_dir))
    shown = [point.line(sandbox.node_memory) for point in files.mounts if point.visible]
    shown.insert(1, "proc /proc proc rw,nosuid,nodev,noexec,relatime 0 0\n")
    proc.fs.write_file("/1/mounts", "".join(shown).encode())
    message = spec.termination_message_path
    if message and not files.exists(message):
        files.mkdir(posixpath.dirname(message), parents=True)
        mount, inner = files.mount_of(files.real(message))
        mount.volume.fs.write_file(inner, b"")
        mount.volume.fs.chmod(inner, 0o666)
    return files


def system_tree(files: Files, top: str, spec: ContainerSpec, user: User, sandbox: Sandbox) -> Files:
    """The part of a container's tree below `top`, as a root: the system there with its programs, `/proc` and `/dev`."""
    inside = [
        MountPoint(mount.path.removeprefix(top) or "/", mount.volume, mount.read_only)
        for mount in files.mounts
        if f"{mount.path}/".startswith(f"{top}/")
    ]
    inside += [
        MountPoint(directory, _system(paths, directory), visible=False)
        for directory, paths in spec.image.by_directory.items()
    ]
    inside += [
        MountPoint("/proc", _proc(spec, user, sandbox), visible=False),
        MountPoint("/dev", _dev(), visible=False),
    ]
    return Files(inside)


def image_tree(image: Image) -> Volume:
    """All of an image's files, for a volume that shows them; nobody writes there."""
    volume = Volume(mode=0o755, kind="image")
    _image_files(volume, image)
    _stubs(volume, sorted(image.executables))
    return volume


def _image_files(root: Volume, image: Image) -> None:
    for path, entry in image.files.items():
        parent = posixpath.dirname(path)
        if not root.fs.exists(parent):
            root.fs.mkdir(parent, recursive=True)
        if entry.target:
            root.fs.symlink(entry.target, path)
            continue
        if entry.data is None:
            if not root.fs.exists(path):
                root.fs.mkdir(path, recursive=True)
        else:
            root.fs.write_file(path, entry.data)
        root.fs.chmod(path, entry.mode)
        if entry.uid or entry.gid:
            root.owners[path] = entry.uid, entry.gid


def _stubs(root: Volume, paths: Iterable[str]) -> None:
    for path in paths:
        if not root.fs.exists(path):
            root.fs.mkdir(posixpath.dirname(path), recursive=True)
            root.fs.write_file(path, STUB)
            root.fs.chmod(path, 0o755)


def _make_working_dir(files: Files, path: str) -> None:
    """Runc makes a working directory that is missing. Raises StartError."""
    above = path
    while not files.exists(above):
        above = posixpath.dirname(above)
    if not files.is_dir(above):
        raise StartError(f"{NOT_CREATED}{IN_INIT}mkdir {above}: not a directory")
    if above == path:
        return
    try:
        files.mkdir(path, parents=True)
    except OSError as error:
        first = posixpath.join(above, path.removeprefix(above).lstrip("/").partition("/")[0])
        raise StartError(f"{NOT_CREATED}{IN_INIT}mkdir {first}: {_go_words(error)}") from None


def _go_words(error: OSError) -> str:
    return os.strerror(error.errno or 0).lower()


def _mounted(root: Volume, mount: Mount, container: str) -> list[MountPoint]:
    path = posixpath.normpath(mount.path)
    _make_mount_point(root, mount, path, container)
    volume = mount.volume
    inner = "/" + mount.sub_path.strip("/")
    if mount.sub_path:
        source = Files([MountPoint("/", volume), *(MountPoint(f"/{at}", child) for at, child in volume.apart())])
        try:
            is_file = not source.stat(inner).is_dir
        except FileNotFoundError:
            is_file = False
        if is_file or (volume.read_only and not source.exists(inner)):
            return _file_mount(root, mount, path, source, inner)
        if volume.read_only:
            copy = Volume(mode=0o755, uid=volume.uid, gid=volume.gid, read_only=True, kind=volume.kind)
            for below in source.walk(source.real(inner)):
                name = below[len(source.real(inner)) :]
                if not source.is_file(below):
                    copy.fs.mkdir(name, recursive=True)
                    continue
                copy.fs.write_file(name, source.read(below))
                copy.fs.chmod(name, source.stat(below).mode)
            volume = copy
        else:
            volume = volume.sub(inner)
    if root.fs.exists(path) and root.fs.stat(path)["file_type"] == "file":
        raise StartError(_of_another_type(mount))
    if not root.fs.exists(path):
        root.fs.mkdir(path, recursive=True)
    points = [MountPoint(path, volume, mount.read_only or volume.read_only)]
    for name, child in volume.apart():
        points.append(MountPoint(posixpath.join(path, name), child, mount.read_only, visible=False))
    return points


def _file_mount(root: Volume, mount: Mount, path: str, source: Files, inner: str) -> list[MountPoint]:
    if root.fs.exists(path) and root.fs.stat(path)["file_type"] == "directory":
        raise StartError(_of_another_type(mount))
    if not source.exists(inner):
        # The kubelet makes a missing subPath as a directory, even inside a ConfigMap volume's staging.
        root.fs.mkdir(path, recursive=True)
        return []
    root.fs.mkdir(posixpath.dirname(path), recursive=True)
    root.fs.write_file(path, source.read(inner))
    found = source.stat(inner)
    root.fs.chmod(path, found.mode)
    if found.uid or found.gid:
        root.owners[path] = found.uid, found.gid
    return []


def _make_mount_point(root: Volume, mount: Mount, path: str, container: str) -> None:
    """Raises StartError if a mount point cannot be made, as something above it is a file."""
    above = posixpath.dirname(path)
    while not root.fs.exists(above):
        above = posixpath.dirname(above)
    if root.fs.stat(above)["file_type"] == "file":
        inside = f'cannot create subdirectories in "/run/containerd/io.containerd.runtime.v2.task/k8s.io/{container}/rootfs{above}"'
        why = f"create mountpoint for {mount.path} mount: {inside}: not a directory"
        raise StartError(f"{NOT_CREATED}{IN_INIT}{_not_mounted(mount)}: {why}")


def _of_another_type(mount: Mount) -> str:
    """A folder onto a file, or a file onto a folder."""
    where = f"mount src={mount.source}, dst={mount.path}, dstFd=/proc/thread-self/fd/11, flags=MS_BIND|MS_REC"
    return f"{NOT_CREATED}{IN_INIT}{_not_mounted(mount)}: {where}: not a directory"


def _not_mounted(mount: Mount) -> str:
    return f'error mounting "{mount.source}" to rootfs at "{mount.path}"'


def _proc(spec: ContainerSpec, user: User, sandbox: Sandbox) -> Volume:
    volume = Volume(mode=0o555, read_only=True, kind="proc")
    fs = volume.fs
    fs.mkdir("/1/fd", recursive=True)
    for number in range(3):
        fs.write_file(f"/1/fd/{number}", b"")
    fs.mkdir("/sys/kernel", recursive=True)
    memory = sandbox.node_memory >> 10  # the whole node's, whatever the limit: see the cgroup for that
    command = b"\0".join(part.encode() for part in spec.argv) + b"\0"
    for path, text in (
        ("/1/cgroup", "0::/\n"),
        ("/1/comm", posixpath.basename(spec.argv[0] if spec.argv else "")[:15] + "\n"),
        (
            "/1/status",
            _status(spec, user),
        ),
        ("/uptime", "1.00 4.00\n"),
        ("/loadavg", "0.00 0.01 0.05 1/200 1\n"),
        ("/version", f"Linux version {KERNEL_VERSION} (debian-kernel@lists.debian.org) {KERNEL_BUILD}\n"),
        ("/sys/kernel/osrelease", KERNEL_VERSION + "\n"),
        (
            "/meminfo",
            f"MemTotal:       {memory} kB\nMemFree:        {memory // 2} kB\nMemAvailable:   {memory // 2} kB\n",
        ),
        ("/cpuinfo", "".join(f"processor\t: {n}\nmodel name\t: kuartui virtual CPU\n\n" for n in range(4))),
        ("/sys/kernel/hostname", "\n"),
    ):
        fs.write_file(path, text.encode())
    for name, value in sandbox.sysctls.items():
        path = "/sys/" + name.replace(".", "/")
        fs.mkdir(posixpath.dirname(path), recursive=True)
        fs.write_file(path, f"{value}\n".encode())
    fs.write_file("/1/cmdline", command)
    fs.write_file(
        "/1/environ", b"".join(f"{k}={v}\0".encode() for k, v in spec.environment(sandbox.hostname, user.home).items())
    )
    fs.chmod("/1/environ", 0o400)
    volume.owners["/1/environ"] = user.uid, user.gid
    fs.write_file("/1/uid_map", _id_map(sandbox).encode())
    fs.write_file("/1/gid_map", _id_map(sandbox).encode())
    fs.mkdir("/1/ns")
    for name, number in _namespaces(spec, sandbox).items():
        fs.symlink(f"{name}:[{number}]", f"/1/ns/{name}")
    fs.symlink("1", "/self")
    fs.symlink("self/mounts", "/mounts")
    return volume


def _number(*parts: str) -> int:
    """A number that always is the same for the same thing."""
    return zlib.crc32("/".join(parts).encode())


def _id_map(sandbox: Sandbox) -> str:
    """/proc/PID/uid_map: which ids of the node those of the container are."""
    if sandbox.host_users:
        return f"{0:10d} {0:10d} {2**32 - 1:10d}\n"
    return f"{0:10d} {IDS * (1 + _number(sandbox.uid) % IDS_OF_PODS):10d} {IDS:10d}\n"


def _namespaces(spec: ContainerSpec, sandbox: Sandbox) -> dict[str, int]:
    """Inodes of the namespaces that processes of a container are in: the node's, the pod's or the container's own."""
    pod = {"ipc": False, "net": sandbox.host_network, "uts": sandbox.host_network, "user": sandbox.host_users}
    found = {
        name: HOST_NAMESPACES[name] if hosts else FIRST_NAMESPACE + _number(sandbox.uid, name) % NAMESPACES
        for name, hosts in pod.items()
    }
    own = FIRST_NAMESPACE + _number(sandbox.uid, spec.name) % NAMESPACES
    shared = FIRST_NAMESPACE + _number(sandbox.uid, "pid") % NAMESPACES
    found["pid"] = HOST_NAMESPACES["pid"] if sandbox.host_processes else shared if sandbox.share_processes else own + 1
    return {"cgroup": own + 2, "mnt": own, **found}


def _status(spec: ContainerSpec, user: User) -> str:
    """/proc/1/status, as far as anyone looks."""
    bounding = mask(user.capabilities)
    effective = bounding if user.uid == 0 else mask(())
    lines = {
        "Name": posixpath.basename(spec.argv[0] if spec.argv else "")[:15],
        "State": "S (sleeping)",
        "Pid": "1",
        "PPid": "0",
        "Uid": "\t".join([str(user.uid)] * 4),
        "Gid": "\t".join([str(user.gid)] * 4),
        "Groups": " ".join(map(str, sorted(user.groups))),
        "CapInh": mask(()),
        "CapPrm": effective,
        "CapEff": effective,
        "CapBnd": bounding,
        "CapAmb": mask(()),
        "NoNewPrivs": str(int(spec.user.no_new_privileges)),
    }
    return "".join(f"{name}:\t{value}\n" for name, value in lines.items())


def set_uptime(files: Files, seconds: float) -> None:
    """Bring /proc/uptime up to date; files do not know the time by themselves."""
    mount, inner = files.mount_of("/proc/uptime")
    mount.volume.fs.write_file(inner, f"{seconds:.2f} {seconds * 4:.2f}\n".encode())


@lru_cache(maxsize=128)
def cgroup(resources: Resources) -> Volume:
    """The container's cgroup (version 2) with its limits, shared by all that have the same."""
    volume = Volume(mode=0o755, read_only=True, kind="tmpfs")
    cores, memory = resources.cpu_limit, resources.memory_limit
    for name, value in (
        ("cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma misc"),
        ("cpu.max", f"{'max' if cores is None else round(cores * PERIOD)} {PERIOD}"),
        ("memory.high", "max"),
        ("memory.max", "max" if memory is None else str(memory // PAGE * PAGE)),
        ("memory.swap.max", "0" if memory is not None else "max"),
        ("pids.max", "max"),
    ):
        volume.fs.write_file(f"/{name}", f"{value}\n".encode())
    return volume


def _dev() -> Volume:
    volume = Volume(mode=0o755, kind="tmpfs")
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        volume.fs.write_file("/" + name, b"")
        volume.fs.chmod("/" + name, 0o666)
    for name in ("shm", "pts", "mqueue"):
        volume.fs.mkdir("/" + name)
        volume.fs.chmod("/" + name, 0o1777)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        volume.fs.symlink(f"/proc/self/fd/{number}", "/" + name)
    volume.fs.symlink("/proc/self/fd", "/fd")
    return volume
