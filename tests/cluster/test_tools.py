"""kind and minikube through their command lines: what we ask, what we read, and how each failure ends.

The programs here are scripts that speak as the tools' sources and documents say they do (kind 0.30, minikube 1.37);
each keeps its clusters in a file, so that what is left after a failure can be seen.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kuartui.cluster import shared
from kuartui.cluster.base import Progress
from kuartui.cluster.kind import KindCluster, configuration, step_of
from kuartui.cluster.minikube import MinikubeCluster
from kuartui.errors import ClusterError, KuartuiError, MissingError

CONFIG = """\
apiVersion: v1
kind: Config
current-context: NAME
contexts: [{name: NAME, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: u, user: {token: t}}]
"""

KIND = r"""#!/bin/sh
echo "$* [$KIND_EXPERIMENTAL_PROVIDER]" >> "$FAKE/asked"
case "$1 $2" in
"get clusters") if [ -s "$FAKE/clusters" ]; then cat "$FAKE/clusters"; else echo "No kind clusters found." >&2; fi;;
"create cluster")
  echo kuartui > "$FAKE/clusters"
  {
    echo 'Creating cluster "kuartui" ...'
    printf ' \033[32m✓\033[0m Ensuring node image (kindest/node:v1.34.0) 🖼\n'
    if [ -f "$FAKE/fails" ]; then
      printf ' \033[31m✗\033[0m Preparing nodes 📦 📦 📦 \n'
      cat "$FAKE/fails"; exit 1
    fi
    if [ -f "$FAKE/dies" ]; then kill -9 $$; fi
    printf ' ✓ Preparing nodes 📦 📦 📦 \n ✓ Writing configuration 📜\n ✓ Starting control-plane 🕹️\n'
    printf ' ✓ Installing CNI 🔌\n ✓ Installing StorageClass 💾\n ✓ Joining worker nodes 🚜\n'
    printf ' • Waiting ≤ 3m0s for control-plane = Ready ⏳  ...\r'
    printf ' ✓ Waiting ≤ 3m0s for control-plane = Ready ⏳ \n • Ready after 21s 💚\n'
  } >&2
  while [ $# -gt 1 ]; do [ "$1" = --kubeconfig ] && cp "$FAKE/config" "$2"; shift; done;;
"export kubeconfig") cp "$FAKE/config" "$6";;
"delete cluster") : > "$FAKE/clusters"; echo 'Deleting cluster "kuartui" ...' >&2;;
"load image-archive") [ -f "$FAKE/fails" ] && { cat "$FAKE/fails" >&2; exit 1; }; exit 0;;
esac
"""

MINIKUBE = r"""#!/bin/sh
echo "$*" >> "$FAKE/asked"
state() { cat "$FAKE/state" 2>/dev/null; }
case "$1" in
profile)
  if [ -n "$(state)" ]; then echo '{"invalid":[],"valid":[{"Name":"kuartui","Status":"'"$(state)"'"}]}'
  else echo '{"invalid":[],"valid":[]}'; fi;;
unpause) echo Running > "$FAKE/state";;
delete) rm -f "$FAKE/state"; echo '* Removed all traces of the "kuartui" cluster.';;
start)
  echo Starting > "$FAKE/state"
  step() {
    echo '{"specversion":"1.0","id":"x","source":"https://minikube.sigs.k8s.io/","type":"io.k8s.sigs.minikube.step","datacontenttype":"application/json","data":{"currentstep":"'$1'","message":"'"$2"'","name":"'"$2"'","totalsteps":"19"}}'
  }
  step 0 "Initial Minikube Setup"; step 1 "Selecting Driver"
  if [ -f "$FAKE/fails" ]; then
    echo '{"specversion":"1.0","id":"x","source":"https://minikube.sigs.k8s.io/","type":"io.k8s.sigs.minikube.error","datacontenttype":"application/json","data":{"advice":"","exitcode":"69","issues":"","message":"'"$(cat "$FAKE/fails")"'","name":"PROVIDER_DOCKER_NOT_RUNNING","url":""}}'
    exit 69
  fi
  step 19 "Done"; echo Running > "$FAKE/state"; cp "$FAKE/config" "$KUBECONFIG";;
esac
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with both programs; the API server behind them is not asked."""
    place = tmp_path / "fake"
    place.mkdir()
    for name, text in (("kind", KIND), ("minikube", MINIKUBE)):
        (place / name).write_text(text)
        (place / name).chmod(0o755)
    monkeypatch.setenv("FAKE", str(place))
    monkeypatch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")

    async def up(self: shared.SharedCluster, report: Callable[[Progress], None]) -> None:
        self.access()  # the kubeconfig is there and of use

    monkeypatch.setattr(shared.SharedCluster, "up", up)
    (place / "config").write_text(CONFIG.replace("NAME", "kuartui"))
    return place


def asked(fake: Path, verb: str) -> list[str]:
    return [line for line in (fake / "asked").read_text().splitlines() if line.startswith(verb)]


async def test_a_kind_cluster_is_made_used_again_and_deleted(fake: Path) -> None:
    heard: list[Progress] = []
    cluster = KindCluster("kuartui", version="1.36.2", provider="podman")
    assert (await cluster.status()).phase == "absent"
    await cluster.up(heard.append)
    await KindCluster("kuartui").up()
    (line,) = asked(fake, "create")
    assert "--name kuartui" in line
    assert f"--config {configuration()}" in line
    assert f"--kubeconfig {cluster.kubeconfig}" in line
    assert "--image kindest/node:v1.36.2 [podman]" in line
    steps = [(item.step, item.text) for item in heard]
    assert steps[:2] == [(1, "Ensuring node image (kindest/node:v1.34.0)"), (2, "Preparing nodes")]
    assert steps[-1][0] == 8
    await cluster.down()
    assert (await cluster.status()).phase == "absent"
    assert not cluster.kubeconfig.exists()


async def test_a_cluster_whose_kubeconfig_is_lost(fake: Path) -> None:
    cluster = KindCluster("kuartui")
    await cluster.up()
    cluster.kubeconfig.unlink()
    await KindCluster("kuartui").up()
    assert len(asked(fake, "export kubeconfig")) == 1


FAILURES = [
    (
        'ERROR: failed to create cluster: command "docker run --name kuartui-control-plane" failed with error: exit '
        "status 125\nCommand Output: docker: Error response from daemon: write /var/lib/docker/tmp: no space left on device.",
        "the disk is full",
    ),
    (
        "ERROR: failed to create cluster: failed to get docker info: command failed\nCommand Output: Cannot connect to the "
        "Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
        "Docker is not running",
    ),
    (
        "ERROR: failed to create cluster: failed to list nodes: permission denied while trying to connect to the Docker "
        "daemon socket at unix:///var/run/docker.sock: dial unix /var/run/docker.sock: connect: permission denied",
        "you may not talk to Docker",
    ),
    (
        'ERROR: failed to create cluster: failed to pull image "kindest/node:v9.9.9": Error response from daemon: manifest '
        "for kindest/node:v9.9.9 not found: manifest unknown: manifest unknown",
        "there is no such image",
    ),
    ("ERROR: failed to create cluster: something new", "failed to create cluster: something new"),
]


@pytest.mark.parametrize(("said", "cause"), FAILURES, ids=[cause for _, cause in FAILURES])
async def test_a_failure_is_one_sentence_and_nothing_is_left(fake: Path, said: str, cause: str) -> None:
    (fake / "fails").write_text(said)
    cluster = KindCluster("kuartui")
    with pytest.raises(KuartuiError) as caught:
        await cluster.up()
    assert caught.value.message == f"creating the kind cluster failed: {cause}"
    assert "\n" not in caught.value.message
    assert (await cluster.status()).phase == "absent"
    assert not cluster.kubeconfig.exists()


async def test_kind_dies_half_way(fake: Path) -> None:
    (fake / "dies").touch()
    cluster = KindCluster("kuartui")
    with pytest.raises(ClusterError, match="creating the kind cluster was interrupted by signal 9"):
        await cluster.up()
    assert (await cluster.status()).phase == "absent"


async def test_an_image_that_does_not_load(fake: Path) -> None:
    (fake / "fails").write_text("ERROR: failed to load image: command failed: no space left on device")
    with pytest.raises(ClusterError, match="loading images into kind failed: the disk is full"):
        await KindCluster("kuartui").load(Path("images.tar"))


async def test_a_tool_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingError, match="kind is not installed") as caught:
        await KindCluster("kuartui").up()
    assert "kind.sigs.k8s.io" in caught.value.hint
    assert (await MinikubeCluster("kuartui").status()).detail == "minikube is not installed"


def test_lines_that_tell_nothing() -> None:
    for line in ('Creating cluster "kuartui" ...', " • Ready after 21s 💚", "Set kubectl context to x", ""):
        assert step_of(line) is None


async def test_a_minikube_profile_is_made_and_deleted(fake: Path) -> None:
    heard: list[Progress] = []
    cluster = MinikubeCluster("kuartui", driver="docker")
    assert (await cluster.status()).phase == "absent"
    await cluster.up(heard.append)
    await MinikubeCluster("kuartui").up()
    (line,) = asked(fake, "start")
    assert line == "start --output=json --nodes=2 --cni=calico --driver=docker --profile kuartui"
    assert [(item.step, item.steps) for item in heard] == [(0, 19), (1, 19), (19, 19)]
    await cluster.down()
    assert (await cluster.status()).phase == "absent"


async def test_a_paused_profile_is_woken(fake: Path) -> None:
    cluster = MinikubeCluster("kuartui")
    await cluster.up()
    (fake / "state").write_text("Paused")
    status = await cluster.status()
    assert (status.phase, status.detail) == (
        "stopped",
        "minikube says Paused; kuartui cluster up --cluster minikube wakes it",
    )
    await cluster.up()
    assert len(asked(fake, "unpause")) == 1
    assert len(asked(fake, "start")) == 1


async def test_minikube_says_what_is_the_matter_in_an_event(fake: Path) -> None:
    (fake / "fails").write_text("deadline exceeded running docker version: Cannot connect to the Docker daemon")
    cluster = MinikubeCluster("kuartui")
    with pytest.raises(ClusterError) as caught:
        await cluster.up()
    assert caught.value.message == "starting the minikube profile failed: Docker is not running"
    assert (await cluster.status()).phase == "absent"


async def test_a_profile_that_was_there_survives_a_failed_start(fake: Path) -> None:
    (fake / "state").write_text("Stopped")
    (fake / "fails").write_text("no space left on device")
    with pytest.raises(ClusterError, match="the disk is full"):
        await MinikubeCluster("kuartui").up()
    assert asked(fake, "delete") == []


def test_fakes_speak_json() -> None:
    """A fake that is not JSON would test nothing."""
    for line in MINIKUBE.splitlines():
        if line.strip().startswith("echo '{") and "$" not in line:
            json.loads(line.strip().removeprefix("echo '").split("'")[0])
