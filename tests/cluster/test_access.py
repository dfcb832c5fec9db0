"""A kubeconfig says where the cluster is, or its reader says what is wrong with it."""

from __future__ import annotations

import base64
import socket
from pathlib import Path

import pytest
import yaml

from kuartui.cluster.access import Access, plugin_command, read_access
from kuartui.errors import ClusterError

PEM = b"-----BEGIN CERTIFICATE-----\n"
CONFIG = {
    "current-context": "one",
    "contexts": [
        {"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "market"}},
        {"name": "two", "context": {"cluster": "c", "user": "files"}},
        {"name": "plugin", "context": {"cluster": "c", "user": "plugin"}},
        {"name": "lost", "context": {"cluster": "nowhere"}},
    ],
    "clusters": [
        {
            "name": "c",
            "cluster": {
                "server": "https://127.0.0.1:6443/",
                "certificate-authority-data": base64.b64encode(PEM).decode(),
            },
        }
    ],
    "users": [
        {"name": "u", "user": {"token": "t"}},
        {"name": "files", "user": {"tokenFile": "token", "client-certificate": "cert.pem"}},
        {
            "name": "plugin",
            "user": {"exec": {"command": "get-token", "args": ["-x"], "env": [{"name": "A", "value": "b"}]}},
        },
    ],
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump(CONFIG))
    (tmp_path / "token").write_text("from a file\n")
    (tmp_path / "cert.pem").write_bytes(PEM)
    return file


def test_the_current_context(path: Path) -> None:
    access = read_access(path)
    assert (access.server, access.context, access.namespace) == ("https://127.0.0.1:6443", "one", "market")
    assert (access.token, access.ca, access.is_loopback) == ("t", PEM, True)


def test_another_context_with_files(path: Path) -> None:
    access = read_access(path, "two")
    assert (access.token, access.certificate, access.namespace) == ("from a file", PEM, "default")
    assert "from a file" not in repr(access), "no secrets in logs"


def test_a_credential_plugin(path: Path) -> None:
    command, environment = plugin_command(read_access(path, "plugin"))
    assert command == ["get-token", "-x"]
    assert environment["A"] == "b"
    assert "ExecCredential" in environment["KUBERNETES_EXEC_INFO"]


@pytest.mark.parametrize(
    ("context", "text"),
    [("three", "has no context 'three'"), ("lost", "has no cluster 'nowhere'")],
)
def test_a_context_that_leads_nowhere(path: Path, context: str, text: str) -> None:
    with pytest.raises(ClusterError, match=text):
        read_access(path, context)


@pytest.mark.parametrize("content", ["", "[]", "a: [", "current-context: x"])
def test_what_is_no_kubeconfig(tmp_path: Path, content: str) -> None:
    (tmp_path / "config").write_text(content)
    with pytest.raises(ClusterError):
        read_access(tmp_path / "config")


def test_no_kubeconfig(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="no kubeconfig at"):
        read_access(tmp_path / "config")


def test_unusable_certificates() -> None:
    with pytest.raises(ClusterError, match="unusable certificates"):
        Access(server="https://x", ca=b"nonsense", context="one").tls()


def test_a_local_socket_counts_only_beside_the_kubeconfig_that_names_it(path: Path) -> None:
    beside, elsewhere = path.parent / "api.sock", path.parent / "other" / "api.sock"
    elsewhere.parent.mkdir()

    def read(named: Path) -> Access:
        config = yaml.safe_load(path.read_text())
        config["clusters"][0]["cluster"]["extensions"] = [
            {"name": "kuartui.dev/socket", "extension": {"path": str(named)}}
        ]
        path.write_text(yaml.safe_dump(config))
        return read_access(path)

    assert read(beside).socket == ""  # it is not there (any more)
    with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as two:
        one.bind(str(beside))
        two.bind(str(elsewhere))
        assert (read(beside).socket, read(beside).base) == (str(beside), "http://localhost")
        assert (read(elsewhere).socket, read(elsewhere).base) == ("", "https://127.0.0.1:6443")


@pytest.mark.parametrize("server", ["https://[", "https://a:b", "https://", "ftp://a", "7"])
def test_an_address_that_is_none(path: Path, server: str) -> None:
    config = yaml.safe_load(path.read_text())
    for cluster in config["clusters"]:
        cluster["cluster"]["server"] = server
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(ClusterError, match="no usable server address"):
        read_access(path)


@pytest.mark.parametrize("contexts", [7, "text", {"a": 1}, [7, None]])
def test_sections_that_are_none(path: Path, contexts: object) -> None:
    path.write_text(yaml.safe_dump({"current-context": "a", "contexts": contexts}))
    with pytest.raises(ClusterError, match="has no context 'a'"):
        read_access(path)


def test_a_token_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "config"
    config = {
        "current-context": "a",
        "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": "a\r\nX-Remote-User: admin"}}],
    }
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(ClusterError, match="the token of context a is none"):
        read_access(path)


def test_a_plugin_that_is_none() -> None:
    with pytest.raises(ClusterError, match="the credential plugin of context a is none"):
        plugin_command(Access(server="https://a", context="a", plugin={"command": "x", "env": [{"name": "A"}]}))
