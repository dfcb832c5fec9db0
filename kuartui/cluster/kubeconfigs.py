"""Finds a context that the player named in the player's own kubeconfig files, which are read and never written.

Files are looked for, and read together, as kubectl does it ($KUBECONFIG, then ~/.kube/config). Which they were is
remembered, because in a `kuartui shell` $KUBECONFIG is the attempt's; but files that are named now come first: many a
cluster calls its context `default`. Whether a context is local is decided by its address: a name says nothing about
where a cluster is.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from kuartui import paths
from kuartui.cluster.access import Access, read_access
from kuartui.errors import ClusterError, UnknownName
from kuartui.message import later

#: names that kind, minikube, k3d, Docker Desktop, Rancher Desktop, colima and OrbStack give to their contexts
LOCAL_NAMES = re.compile(r"kind-.+|minikube|k3d-.+|docker-desktop|docker-for-desktop|rancher-desktop|colima.*|orbstack")
LOCAL_HOSTS = ("kubernetes.docker.internal", "host.docker.internal", "0.0.0.0")


@dataclass(frozen=True, slots=True)
class Named:
    """A context: the files that were read together, and what it leads to."""

    name: str
    files: tuple[Path, ...]
    access: Access

    @property
    def is_local(self) -> bool:
        """Loopback; or the name of a local cluster, with an address that is not a public one."""
        return self.access.is_loopback or (bool(LOCAL_NAMES.fullmatch(self.name)) and _private(self.access.server))


def find(name: str) -> Named:
    """The context of that name. UnknownName when no file has it."""
    known: set[str] = set()
    for files in _groups(name):
        names = {name for file in files for name in _contexts(file)}
        known |= names
        if name in names:
            return Named(name, files, read_access(files[0], name, beside=files[1:]))
    raise UnknownName(later("context"), name, known, hint="" if known else "kubectl config get-contexts shows yours")


def allowed(named: Named) -> bool:
    """Whether we may use it: it is local, or the player confirmed this very address."""
    return named.is_local or _memory(named.name).get("confirmed") == named.access.server


def remember(named: Named, *, confirmed: bool = False) -> None:
    """Where the context was found and, with `confirmed`, that the player wants it used although it is remote."""
    known = _memory(named.name)
    kept = named.access.server if confirmed else known.get("confirmed", "")
    entry = {"file": os.pathsep.join(map(str, named.files)), "confirmed": kept}
    if entry != known:
        paths.write_private(_place(named.name), json.dumps(entry))


def forget(name: str) -> None:
    """The next use of a remote context has to be confirmed again."""
    _place(name).unlink(missing_ok=True)


def slug(name: str) -> str:
    """A name for a directory: context names may hold slashes, colons and more."""
    import hashlib

    plain = re.sub(r"[^A-Za-z0-9._-]", "-", name)[:40]
    return f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _groups(name: str) -> list[tuple[Path, ...]]:
    """Lists of files to look in, one after the other; the files of one make up one kubeconfig."""
    lists = (os.environ.get("KUBECONFIG", ""), _memory(name).get("file", ""), str(Path.home() / ".kube" / "config"))
    found = [
        tuple(dict.fromkeys(file for item in text.split(os.pathsep) if (file := _ours_not(item)))) for text in lists
    ]
    return [files for files in dict.fromkeys(found) if files]


def _ours_not(item: str) -> Path | None:
    """The file, if there is one, and it is the player's."""
    file = Path(item).expanduser()
    return file if item and file.is_file() and paths.state_dir() not in file.parents else None


def _contexts(file: Path) -> set[str]:
    try:
        config = yaml.safe_load(file.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ClusterError(later("cannot read kubeconfig {file}: {error}", file=file, error=error)) from error
    entries = config.get("contexts") if isinstance(config, dict) else None
    return {str(item.get("name")) for item in entries or [] if isinstance(item, dict)}


def _place(name: str) -> Path:
    return paths.state_dir() / "contexts" / f"{slug(name)}.json"


def _memory(name: str) -> dict[str, str]:
    try:
        known = json.loads(_place(name).read_bytes())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _private(server: str) -> bool:
    host = urlsplit(server).hostname or ""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host in LOCAL_HOSTS
