"""The player's kubeconfig is read for the context that was named; it is never written, and a remote one is not used."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kuartui.cluster import kubeconfigs
from kuartui.cluster.context import ContextCluster
from kuartui.cluster.select import choose
from kuartui.errors import ClusterError, UnknownName, UsageError


def write(path: Path, current: str, **servers: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    config = {
        "current-context": current,
        "contexts": [{"name": name, "context": {"cluster": name, "user": "me"}} for name in servers],
        "clusters": [{"name": name, "cluster": {"server": server}} for name, server in servers.items()],
        "users": [{"name": "me", "user": {"token": "t"}}],
    }
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture
def mine(home: Path) -> Path:
    return write(
        home / ".kube" / "config",
        "production",
        **{
            "production": "https://k8s.example.com",
            "kind-play": "https://127.0.0.1:4000",
            "minikube": "https://192.168.49.2:8443",
            "kind-liar": "https://34.1.2.3",
            "office": "https://10.0.0.5:6443",
            "docker-desktop": "https://kubernetes.docker.internal:6443",
        },
    )


@pytest.mark.parametrize(
    ("name", "local"),
    [
        ("production", False),
        ("kind-play", True),
        ("minikube", True),
        ("kind-liar", False),
        ("office", False),
        ("docker-desktop", True),
    ],
)
def test_where_a_context_leads(mine: Path, name: str, local: bool) -> None:
    assert kubeconfigs.find(name).is_local is local


def test_the_current_context_is_never_taken_by_itself(mine: Path) -> None:
    for ref in ("context", "context:"):
        with pytest.raises(UsageError, match="which context"):
            choose(ref, "kuartui")


def test_a_context_that_is_not_there(mine: Path) -> None:
    with pytest.raises(UnknownName, match="no context 'minikub'; did you mean minikube"):
        ContextCluster("minikub").access()


def test_a_remote_context_is_used_after_its_name_was_typed(mine: Path) -> None:
    cluster = ContextCluster("office")
    with pytest.raises(UsageError, match=r"leads to https://10.0.0.5:6443, which is not on this machine"):
        cluster.access()
    kubeconfigs.remember(cluster.named(), confirmed=True)
    assert ContextCluster("office").access().server == "https://10.0.0.5:6443"


def test_what_was_confirmed_is_an_address(mine: Path) -> None:
    kubeconfigs.remember(kubeconfigs.find("office"), confirmed=True)
    write(mine, "office", office="https://10.0.0.6:6443")
    with pytest.raises(UsageError, match=r"10.0.0.6"):
        ContextCluster("office").access()


def test_nothing_is_written_to_it(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, stamp = mine.read_bytes(), mine.stat().st_mtime_ns
    mine.chmod(0o400)
    ContextCluster("kind-play").access()
    kubeconfigs.remember(kubeconfigs.find("office"), confirmed=True)
    kubeconfigs.forget("office")
    assert (mine.read_bytes(), mine.stat().st_mtime_ns) == (before, stamp)


def test_it_is_found_again_in_a_shell_of_ours(mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`kuartui shell` sets KUBECONFIG to the player's of the attempt."""
    elsewhere = write(tmp_path / "work.yaml", "local", local="https://127.0.0.1:6443")
    monkeypatch.setenv("KUBECONFIG", f"{elsewhere}:{mine}")
    ContextCluster("local").access()
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "home" / "kuartui" / "state" / "player.kubeconfig"))
    assert ContextCluster("local").access().server == "https://127.0.0.1:6443"


def test_a_file_that_is_named_now_comes_before_the_one_of_last_time(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two clusters that call their context the same, as k3s' do."""
    for port in (6443, 7443):
        file = write(tmp_path / f"k3s-{port}.yaml", "default", default=f"https://127.0.0.1:{port}")
        monkeypatch.setenv("KUBECONFIG", str(file))
        assert ContextCluster("default").access().server == f"https://127.0.0.1:{port}"


def test_files_are_read_together_as_kubectl_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A context in one file, its cluster and its user in others; paths count from where they are written."""
    first, second = tmp_path / "a" / "config", tmp_path / "b" / "config"
    for file, config in (
        (first, {"contexts": [{"name": "spread", "context": {"cluster": "c", "user": "u"}}]}),
        (
            second,
            {
                "contexts": [{"name": "spread", "context": {"cluster": "wrong", "user": "u"}}],
                "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:6443"}}],
                "users": [{"name": "u", "user": {"tokenFile": "token"}}],
            },
        ),
    ):
        file.parent.mkdir()
        file.write_text(yaml.safe_dump(config))
    (tmp_path / "b" / "token").write_text("t\n")
    monkeypatch.setenv("KUBECONFIG", f"{first}:{tmp_path / 'none'}:{second}")
    for _ in range(2):  # from what is named, then from what is remembered
        access = ContextCluster("spread").access()
        assert (access.server, access.token) == ("https://127.0.0.1:6443", "t")
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "home" / "kuartui" / "state" / "player.kubeconfig"))


def test_of_two_clusters_of_one_name_the_first_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where kubectl would lead, for a context of the second file, too."""
    first = write(tmp_path / "a.yaml", "x", x="https://127.0.0.1:1")
    second = write(tmp_path / "b.yaml", "x", x="https://127.0.0.1:2")
    config = yaml.safe_load(second.read_text())
    config["contexts"].append({"name": "y", "context": {"cluster": "x"}})
    second.write_text(yaml.safe_dump(config))
    (tmp_path / "empty").touch()
    monkeypatch.setenv("KUBECONFIG", f"{first}:{tmp_path / 'empty'}:{second}")
    for name in ("x", "y"):
        assert kubeconfigs.find(name).access.server == "https://127.0.0.1:1"


@pytest.mark.parametrize(
    ("server", "local"),
    [
        ("https://127.0.0.1:6443", True),
        ("https://127.8.9.1", True),
        ("https://[::1]:6443", True),
        ("https://localhost:6443", True),
        ("http://localhost:8001", True),
        ("https://127.0.0.1.example.com:6443", False),
        ("https://localhost.example.com", False),
        ("https://127.example.com", False),
    ],
)
def test_what_only_looks_like_this_machine_is_another(home: Path, server: str, local: bool) -> None:
    write(home / ".kube" / "config", "x", x=server)
    assert kubeconfigs.find("x").is_local is local


@pytest.mark.parametrize(("section", "key"), [("cluster", "proxy-url"), ("user", "as")])
def test_what_would_lead_elsewhere_is_not_overlooked(home: Path, section: str, key: str) -> None:
    """Behind a proxy 127.0.0.1 is not this machine."""
    file = write(home / ".kube" / "config", "x", x="https://127.0.0.1:6443")
    config = yaml.safe_load(file.read_text())
    config[f"{section}s"][0][section][key] = "http://bastion"
    file.write_text(yaml.safe_dump(config))
    with pytest.raises(ClusterError, match=f"context x has {key} http://bastion, which kuartui does not know"):
        kubeconfigs.find("x")


def test_behind_a_proxy_nobody_is_told_from_another(home: Path) -> None:
    """kubectl proxy: the player would be the administrator."""
    write(home / ".kube" / "config", "x", x="http://127.0.0.1:8001")
    with pytest.raises(UsageError, match="context x leads through a proxy, behind which all are the same"):
        ContextCluster("x").access()
