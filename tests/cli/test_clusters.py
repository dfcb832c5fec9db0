"""Naming a cluster on the command line: what is refused, what has to be typed again, what doctor says of the tools."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

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
    again = RUN.invoke(app, ["level", "start", "broken-selector", "--cluster", "context:work"])
    assert "not on this machine" in again.stderr


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


def test_doctor_tells_of_engines_and_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = {
        "docker": "echo 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock.' >&2; exit 1",
        "kind": "echo kind v0.30.0 go1.24.6 linux/amd64",
        "minikube": "exit 3",
    }
    for name, script in tools.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    done = RUN.invoke(app, ["doctor", "--output", "json"])
    found = {item["what"]: item for item in json.loads(done.stdout)}
    assert found["docker"]["ok"] is None
    assert found["docker"]["found"] == "asking docker failed: Docker is not running"
    assert "systemctl start docker" in found["docker"]["fix"]
    assert found["kind"]["found"] == "kind v0.30.0 go1.24.6 linux/amd64"
    assert found["minikube"]["ok"] is False
    assert done.exit_code == 1
