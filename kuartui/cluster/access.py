"""Reads a kubeconfig: where the API server is and how to prove who we are. The format is client-go's.

Only what a client needs: certificates and tokens, inline or in files, and credential plugins (`exec`), which managed
clusters use. Legacy `auth-provider` entries left client-go in 1.26.
"""

from __future__ import annotations

import base64
import binascii
import json
import ssl
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from kuartui.errors import ClusterError, system_words
from kuartui.message import later

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times faster, where PyYAML has it
SOCKET_EXTENSION = "kuartui.dev/socket"


@dataclass(frozen=True, slots=True)
class Access:
    """One context of a kubeconfig, files read in."""

    server: str
    context: str = ""
    namespace: str = "default"
    ca: bytes = b""
    certificate: bytes = field(default=b"", repr=False)
    key: bytes = field(default=b"", repr=False)
    token: str = field(default="", repr=False)
    insecure: bool = False
    server_name: str = ""
    socket: str = ""  # of an embedded cluster: the same server, without TLS
    plugin: dict[str, Any] | None = None  # a client.authentication.k8s.io exec section

    @property
    def base(self) -> str:
        """What the paths of requests come after."""
        return "http://localhost" if self.socket else self.server

    @property
    def is_loopback(self) -> bool:
        host = urlsplit(self.server).hostname or ""
        return host == "localhost" or host.startswith("127.") or host == "::1"

    def tls(self) -> ssl.SSLContext | None:
        """None for plain http, which `kubectl proxy` speaks."""
        if self.server.startswith("http://"):
            return None
        try:
            context = ssl.create_default_context(cadata=self.ca.decode() if self.ca else None)
            # A private CA without the extensions that Python 3.13's strict mode asks for is common in clusters.
            context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
            if self.insecure:
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            if self.certificate:
                with tempfile.NamedTemporaryFile(suffix=".pem") as file:  # the ssl module reads files only
                    file.write(self.certificate + b"\n" + self.key)
                    file.flush()
                    context.load_cert_chain(file.name)
        except (ssl.SSLError, ValueError, OSError) as error:
            raise ClusterError(
                later("unusable certificates for context {context}: {error}", context=self.context, error=error)
            ) from error
        return context


def read_access(path: Path, context: str = "") -> Access:
    """The named context of a kubeconfig file, or its current one. ClusterError when that does not lead anywhere."""
    try:
        config = _read(path.read_text())
    except FileNotFoundError as error:
        raise ClusterError(later("no kubeconfig at {path}", path=path), hint="kuartui cluster up") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ClusterError(later("cannot read kubeconfig {path}: {error}", path=path, error=error)) from error
    if not isinstance(config, dict):
        raise ClusterError(later("{path} is not a kubeconfig", path=path))
    name = context or str(config.get("current-context") or "")
    chosen = _entry(config, "contexts", "context", name, path)
    cluster = _entry(config, "clusters", "cluster", str(chosen.get("cluster", "")), path)
    user = _entry(config, "users", "user", str(chosen.get("user", "")), path) if chosen.get("user") else {}
    server = str(cluster.get("server", "")).rstrip("/")
    if urlsplit(server).scheme not in ("http", "https"):
        raise ClusterError(
            later(
                "{path}: cluster of context {name!r} has no usable server address ({server!r})",
                path=path,
                name=name,
                server=server,
            )
        )
    token = str(user.get("token") or "")
    if not token and user.get("tokenFile"):
        token = _file(path, str(user["tokenFile"])).decode().strip()
    return Access(
        server=server,
        context=name,
        namespace=str(chosen.get("namespace") or "default"),
        ca=_pem(cluster, "certificate-authority", path),
        certificate=_pem(user, "client-certificate", path),
        key=_pem(user, "client-key", path),
        token=token,
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
        server_name=str(cluster.get("tls-server-name") or ""),
        socket=_socket(cluster, path),
        plugin=user.get("exec"),
    )


def _read(text: str) -> Any:
    """A kubeconfig is YAML. That of an embedded cluster is JSON as well, which is read forty times as fast."""
    if text.startswith("{"):
        with suppress(ValueError):
            return json.loads(text)
    return yaml.load(text, Loader=_Loader)  # noqa: S506  a safe one


def plugin_command(access: Access) -> tuple[list[str], dict[str, str]]:
    """The command and extra environment of the credential plugin."""
    section = access.plugin or {}
    version = section.get("apiVersion", "client.authentication.k8s.io/v1")
    info = {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}
    environment = {str(item["name"]): str(item["value"]) for item in section.get("env") or []}
    return (
        [str(section.get("command", "")), *map(str, section.get("args") or [])],
        {**environment, "KUBERNETES_EXEC_INFO": json.dumps(info)},
    )


def _entry(config: dict[str, Any], section: str, key: str, name: str, path: Path) -> dict[str, Any]:
    for item in config.get(section) or []:
        if isinstance(item, dict) and item.get("name") == name and isinstance(item.get(key), dict):
            found: dict[str, Any] = item[key]
            return found
    known = ", ".join(str(item.get("name")) for item in config.get(section) or [] if isinstance(item, dict))
    raise ClusterError(
        later("{path} has no {key} {name!r}", path=path, key=key, name=name),
        hint=later("it has: {known}", known=known) if known else "",
    )


def _pem(section: dict[str, Any], key: str, path: Path) -> bytes:
    data = section.get(f"{key}-data")
    if data:
        try:
            return base64.b64decode(data, validate=False)
        except (binascii.Error, TypeError, ValueError) as error:
            raise ClusterError(later("{path}: {key}-data is not base64", path=path, key=key)) from error
    return _file(path, str(section[key])) if section.get(key) else b""


def _socket(cluster: dict[str, Any], kubeconfig: Path) -> str:
    """The local socket that a kubeconfig of ours names in an extension; "" unless it lies beside the kubeconfig."""
    for item in cluster.get("extensions") or []:
        if isinstance(item, dict) and item.get("name") == SOCKET_EXTENSION and isinstance(item.get("extension"), dict):
            path = Path(str(item["extension"].get("path", "")))
            if path.parent == kubeconfig.absolute().parent and path.is_socket():
                return str(path)
    return ""


def _file(kubeconfig: Path, name: str) -> bytes:
    try:
        return (kubeconfig.parent / name).read_bytes()  # relative to the kubeconfig, as kubectl does it
    except OSError as error:
        raise ClusterError(
            later(
                "{kubeconfig} names {name}, which cannot be read: {why}",
                kubeconfig=kubeconfig,
                name=name,
                why=system_words(error),
            )
        ) from error
