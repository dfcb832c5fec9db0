"""Naming a cluster on the command line: what is refused, what has to be typed again, what doctor says of the tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from kuartui.cli.app import app

RUN = CliRunner()


@pytest.fixture
def remote(home: Path) -> Path:
    """A kubeconfig with one context, which leads to a machine elsewhere where nobody listens."""
    config = {
        "current-context": "work",
        "contexts": [{"name": "work", "context": {"cluster": "c"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://192.0.2.1:1"}}],
    }
    path = home / ".kube" / "config"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(config))
    return path


def test_a_remote_context_is_refused(remote: Path) -> None:
    done = RUN.invoke(app, ["level", "start", "broken-selector", "--cluster", "context:work"])
    assert done.exit_code == 2
    assert "leads to https://192.0.2.1:1, which is not on this machine" in done.stderr
    assert "kuartui cluster up --cluster context:work --allow-remote" in done.stderr


def test_the_name_has_to_be_typed_again(remote: Path) -> None:
    done = RUN.invoke(app, ["cluster", "up", "--cluster", "context:work", "--allow-remote"], input="yes\n")
    assert done.exit_code == 2
    assert "nothing was done" in done.stderr
    nobody = RUN.invoke(app, ["cluster", "up", "--cluster", "context:work", "--allow-remote"], input="")
    assert nobody.exit_code == 130
    assert nobody.stderr.endswith("nothing was done\n")
    again = RUN.invoke(app, ["level", "start", "broken-selector", "--cluster", "context:work"])
    assert "not on this machine" in again.stderr


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        ([], "cluster kuartui is not up", "kuartui cluster up, or"),
        (["--name", "two"], "cluster two is not up", "kuartui cluster up --name two, or"),
        (["--cluster", "kind"], "cluster kuartui is not up", "kuartui cluster up --cluster kind, or"),
        (["--cluster", "context:work"], "context work is in your own kubeconfig", "kubectl --context work"),
    ],
)
@pytest.mark.parametrize("asked", [["kubectl"], ["env"], ["cluster", "kubeconfig"]])
@pytest.mark.usefixtures("remote")
def test_asking_for_the_kubeconfig_of_what_is_not_there(
    asked: list[str], words: list[str], said: str, hint: str
) -> None:
    done = RUN.invoke(app, [*asked, *words])
    assert done.exit_code
    assert f"error: {said}" in done.stderr
    assert f"hint: {hint}" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("context", "which context?"),
        ("context:", "which context?"),
        ("kinda", "no cluster kind 'kinda'; did you mean kind?"),
    ],
)
def test_a_cluster_has_to_be_named(words: str, said: str) -> None:
    done = RUN.invoke(app, ["level", "start", "broken-selector", "--cluster", words])
    assert done.exit_code == 2
    assert said in done.stderr


@pytest.mark.parametrize(
    ("words", "one", "other"),
    [
        ("cluster up --image kindest/node:v1.36.2", "--image", "--cluster embedded"),
        ("cluster up --kubernetes-version 1.36.2", "--kubernetes-version", "--cluster embedded"),
        ("cluster up --provider podman", "--provider", "--cluster embedded"),
        ("cluster up --cluster minikube --image x", "--image", "--cluster minikube"),
        ("cluster up --cluster kind --nodes 5", "--nodes", "--cluster kind"),
        ("cluster up --cluster context:work --bare", "--bare", "--cluster context:work"),
        ("cluster up --cluster kind --image x --kubernetes-version 1.36.2", "--image", "--kubernetes-version"),
        ("cluster up --bare --nodes 2", "--bare", "--nodes 2"),
        ("cluster down --all --cluster kind", "--all", "--cluster kind"),
        ("cluster down --all --name two", "--all", "--name"),
        ("cluster up --cluster context:work --name two", "--name", "--cluster context:work"),
        ("cluster status --cluster context:work --name two", "--name", "--cluster context:work"),
        ("env --cluster context:work --name two", "--name", "--cluster context:work"),
        ("progress show --exam CKA --level broken-selector", "--exam", "--level"),
        ("progress show --exam CKA --limit 3", "--exam", "--limit"),
    ],
)
@pytest.mark.usefixtures("remote")
def test_options_that_do_not_go_together(words: str, one: str, other: str) -> None:
    done = RUN.invoke(app, words.split())
    assert done.exit_code == 2
    assert done.stderr.startswith(f"error: {one} and {other} do not go together\nhint: ")


def test_a_kind_that_is_set_for_all_commands_is_no_option(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("KUARTUI_CLUSTER", "kind")
    assert RUN.invoke(app, ["cluster", "down", "--all"]).exit_code == 0


def look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tools: dict[str, str]
) -> tuple[int, dict[str, dict[str, Any]]]:
    """What doctor says where these scripts are the tools."""
    for name, script in tools.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    done = RUN.invoke(app, ["doctor", "--output", "json"])
    return done.exit_code, {item["what"]: item for item in json.loads(done.stdout)}


def test_doctor_tells_of_engines_and_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, found = look(
        tmp_path,
        monkeypatch,
        {
            "docker": """
if [ "$1" = info ]; then echo 'template: :1:2: executing "" at <.ServerVersion>: reflect: indirection' >&2; exit 1; fi
echo 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock.' >&2; exit 1""",
            "kind": '[ "$1" = version ] && { echo 0.30.0; exit; }; '
            "echo 'ERROR: failed to list clusters: Cannot connect to the Docker daemon' >&2; exit 1",
            "minikube": "exit 3",
        },
    )
    assert found["docker"]["ok"] is None
    assert found["docker"]["found"] == "asking docker failed: Docker is not running"
    assert "systemctl start docker" in found["docker"]["fix"]
    assert (found["kind"]["ok"], found["kind"]["found"]) == (True, "0.30.0")
    assert found["kind cluster"]["ok"] is False
    assert found["kind cluster"]["found"] == "listing the kind clusters failed: Docker is not running"
    assert found["minikube"]["ok"] is False
    assert code == 1


def test_doctor_tells_of_versions_and_of_a_profile_that_sleeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, found = look(
        tmp_path,
        monkeypatch,
        {
            "docker": "echo 28.3.3",
            "kind": "echo 0.20.0",
            "minikube": '[ "$1" = version ] && { echo v1.99.0; exit; }; '
            """echo '{"invalid":[],"valid":[{"Name":"kuartui","Status":"Paused"}]}'""",
        },
    )
    assert found["docker"] == {"what": "docker", "ok": True, "found": "28.3.3", "fix": ""}
    assert found["kind"]["ok"] is False
    assert found["kind"]["found"].startswith("kind 0.20.0 is too old: 0.24 or newer is needed")
    assert found["kind"]["fix"].startswith("install a newer kind")
    assert found["minikube"]["ok"] is None
    assert found["minikube"]["found"].startswith("1.99.0; newer than")
    assert found["minikube cluster"]["fix"] == "kuartui cluster up --cluster minikube"


def test_doctor_holds_kubectl_against_the_cluster(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kuartui.cluster.base import ClusterStatus
    from kuartui.cluster.shared import SharedCluster

    async def status(self: SharedCluster) -> ClusterStatus:
        return ClusterStatus("ready", version="v1.29.4", nodes=3)

    monkeypatch.setattr(SharedCluster, "status", status)
    _, found = look(
        tmp_path,
        monkeypatch,
        {
            "docker": '[ "$1" = ps ] && echo kuartui-control-plane running',
            "kind": '[ "$1" = version ] && echo 0.30.0 || echo kuartui',
            "kubectl": """echo '{"clientVersion": {"gitVersion": "v1.36.1"}}'""",
        },
    )
    assert found["kind cluster"]["ok"] is None
    assert "ready: Kubernetes v1.29.4, nodes: 3; kubectl v1.36.1 is more than 1 minor" in found["kind cluster"]["found"]
    assert "KUARTUI_KUBECTL" in found["kind cluster"]["fix"]


def test_doctor_knows_a_process_of_another_version(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kuartui.cluster.host import EmbeddedHost, Process

    monkeypatch.setattr(EmbeddedHost, "running", lambda self: Process(1, "http://127.0.0.1:1", "t", "0.0.9+0"))
    monkeypatch.setattr(EmbeddedHost, "find", lambda self, name: None)
    _, found = look(tmp_path, monkeypatch, {})
    assert found["embedded cluster"]["ok"] is None
    assert found["embedded cluster"]["found"].endswith("is of another version of kuartui")
    assert found["embedded cluster"]["fix"] == "kuartui cluster down --all"


@pytest.mark.parametrize("name", ["", ".", "..", "../../..", "A b", "a" * 43, "FOLDER"])
@pytest.mark.parametrize("words", [["cluster", "down"], ["cluster", "reset"], ["cluster", "status"]])
@pytest.mark.parametrize("kind", ["embedded", "kind"])
def test_what_is_no_name_leads_to_no_folder(kind: str, words: list[str], name: str, tmp_path: Path) -> None:
    """`cluster down` removes the folder that is called so."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "file").touch()
    named = name.replace("FOLDER", str(folder))
    done = RUN.invoke(app, [*words, "--cluster", kind, "--name", named])
    assert done.exit_code == 2
    assert done.stderr.startswith(f"error: {named!r} is no name for a cluster\nhint: lower case letters")
    assert (folder / "file").exists()


def test_where_to_play_is_said_behind_the_command() -> None:
    """In front of it nobody would hear it: this removed the embedded cluster."""
    done = RUN.invoke(app, ["--cluster", "kind", "cluster", "down"])
    assert done.exit_code == 2
    assert done.stderr.endswith("hint: kuartui cluster … --cluster kind\n")
    assert RUN.invoke(app, ["level", "show", "first-steps"], env={"KUARTUI_CLUSTER": "kind"}).exit_code == 0
