"""Reads a kubeconfig: where the API server is and how to prove who we are. The format is client-go's.

Only what a client needs: certificates and tokens, inline or in files, and credential plugins (`exec`), which managed
clusters use. Legacy `auth-provider` entries left client-go in 1.26.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import ssl
import tempfile
from collections.abc import Mapping, Sequence
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
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"  # 127.0.0.1.example.com is anywhere

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


def read_access(path: Path, context: str = "", *, beside: Sequence[Path] = ()) -> Access:
    """The named context of a kubeconfig file, or its current one. ClusterError when that does not lead anywhere. Files
    `beside` it are read with it as kubectl merges them: of entries of one name the first counts."""
    configs = {file: _config(file) for file in (path, *beside)}
    name = context or str(configs[path].get("current-context") or "")
    chosen, _ = _entry(configs, "contexts", "context", name)
    cluster, place = _entry(configs, "clusters", "cluster", str(chosen.get("cluster", "")))
    user, home = _entry(configs, "users", "user", str(chosen["user"])) if chosen.get("user") else ({}, path)
    server = str(cluster.get("server", "")).rstrip("/")
    if not _is_address(server):
        raise ClusterError(
            later(
                "{path}: cluster of context {name!r} has no usable server address ({server!r})",
                path=place,
                name=name,
                server=server,
            )
        )
    for section, key in ((cluster, "proxy-url"), (user, "as")):
        if section.get(key):  # without it we would be elsewhere, or somebody else, than the player means
            raise ClusterError(
                later(
                    "context {name} has {key} {value}, which kuartui does not know",
                    name=name,
                    key=key,
                    value=section[key],
                ),
                hint=later("name a context without it"),
            )
    token = str(user.get("token") or "")
    if not token and user.get("tokenFile"):
        token = _file(home, str(user["tokenFile"])).decode(errors="replace").strip()
    try:
        single_line(token)
    except ValueError as error:
        raise ClusterError(later("{path}: the token of context {name} is none", path=home, name=name)) from error
    return Access(
        server=server,
        context=name,
        namespace=str(chosen.get("namespace") or "default"),
        ca=_pem(cluster, "certificate-authority", place),
        certificate=_pem(user, "client-certificate", home),
        key=_pem(user, "client-key", home),
        token=token,
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
        server_name=str(cluster.get("tls-server-name") or ""),
        socket=_socket(cluster, place),
        plugin=_plugin(user.get("exec"), home),
    )


def _config(path: Path) -> dict[str, Any]:
    try:
        config = _read(path.read_text()) or {}
    except FileNotFoundError as error:
        raise ClusterError(later("no kubeconfig at {path}", path=path), hint="kuartui cluster up") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ClusterError(later("cannot read kubeconfig {path}: {error}", path=path, error=error)) from error
    if not isinstance(config, dict):
        raise ClusterError(later("{path} is not a kubeconfig", path=path))
    return config


def _read(text: str) -> Any:
    """A kubeconfig is YAML. That of an embedded cluster is JSON as well, which is read forty times as fast."""
    if text.startswith("{"):
        with suppress(ValueError):
            return json.loads(text)
    return yaml.load(text, Loader=_Loader)  # noqa: S506  a safe one


def single_line(token: str) -> str:
    """A token as a header can carry it. ValueError for one that would be several headers, or none."""
    if not (token.isascii() and token.isprintable()):
        raise ValueError("no token has line breaks or letters beyond ASCII")
    return token


def plugin_command(access: Access) -> tuple[list[str], dict[str, str]]:
    """The command and extra environment of the credential plugin."""
    section = access.plugin or {}
    version = section.get("apiVersion", "client.authentication.k8s.io/v1")
    info = {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}
    try:
        environment = {str(item["name"]): str(item["value"]) for item in section.get("env") or []}
        arguments = [str(argument) for argument in section.get("args") or []]
    except (LookupError, TypeError) as error:
        raise ClusterError(later("the credential plugin of context {name} is none", name=access.context)) from error
    return (
        [str(section.get("command", "")), *arguments],
        {**environment, "KUBERNETES_EXEC_INFO": json.dumps(info)},
    )


def _entry(configs: Mapping[Path, dict[str, Any]], section: str, key: str, name: str) -> tuple[dict[str, Any], Path]:
    """What the first file says that has such an entry, and which file it is."""
    for path, config in configs.items():
        for item in _items(config, section):
            if item.get("name") == name and isinstance(item.get(key), dict):
                return item[key], path
    known = ", ".join(str(item.get("name")) for config in configs.values() for item in _items(config, section))
    raise ClusterError(
        later("{path} has no {key} {name!r}", path=", ".join(map(str, configs)), key=key, name=name),
        hint=later("it has: {known}", known=known) if known else "",
    )


def _items(config: dict[str, Any], section: str) -> list[dict[str, Any]]:
    items = config.get(section)
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _is_address(server: str) -> bool:
    try:
        parts = urlsplit(server)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that do not close, a port that is no number
        return False


def _plugin(section: Any, kubeconfig: Path) -> dict[str, Any] | None:
    """A command with a slash is relative to the kubeconfig."""
    if not isinstance(section, dict):
        return None
    command = str(section.get("command") or "")
    return {**section, "command": str(kubeconfig.parent / command)} if "/" in command else section


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
