"""kind and minikube through their command lines: what we ask, what we read, and how each failure ends.

The programs here are scripts that speak as the tools' sources and documents say they do (kind 0.30, minikube 1.37, docker
28);
each keeps its clusters in a file, so that what is left after a failure can be seen.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web

from kuartui.cluster import local, shared
from kuartui.cluster.addons import known, manifest
from kuartui.cluster.base import ClusterStatus, Progress
from kuartui.cluster.engine import manifest_platforms, manifest_size
from kuartui.cluster.kind import KindCluster, step_of
from kuartui.cluster.minikube import MinikubeCluster
from kuartui.cluster.pins import accept, full_name, pins
from kuartui.errors import ClusterError, GoneError, KuartuiError, MissingError
from tests.cluster.server import serving

(BUSYBOX,) = (item.digest for item in pins(["busybox:1.36"]))
MOVED = "sha256:" + "5" * 64

CONFIG = """\
apiVersion: v1
kind: Config
current-context: NAME
contexts: [{name: NAME, context: {cluster: c, user: u}}, {name: kind-NAME, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: u, user: {token: t}}]
"""

KIND = r"""#!/bin/sh
echo "$* [$KIND_EXPERIMENTAL_PROVIDER]" >> "$FAKE/asked"
case "$1 $2" in
"version --quiet") cat "$FAKE/version" 2>/dev/null || echo 0.30.0;;
"get clusters") [ -f "$FAKE/down" ] && { cat "$FAKE/down" >&2; exit 1; }
   if [ -s "$FAKE/clusters" ]; then cat "$FAKE/clusters"; else echo "No kind clusters found." >&2; fi;;
"create cluster")
  echo kuartui > "$FAKE/clusters"
  {
    echo 'Creating cluster "kuartui" ...'
    printf ' • Ensuring node image (kindest/node:v1.34.0) 🖼️  ...\n'
    printf ' \033[32m✓\033[0m Ensuring node image (kindest/node:v1.34.0) 🖼\n'
    if [ -f "$FAKE/fails" ]; then
      printf ' \033[31m✗\033[0m Preparing nodes 📦 📦 📦 \n'
      cat "$FAKE/fails"; [ -f "$FAKE/takes-docker-along" ] && cp "$FAKE/fails" "$FAKE/down"; exit 1
    fi
    if [ -f "$FAKE/dies" ]; then kill -9 $$; fi
    printf ' ✓ Preparing nodes 📦 📦 📦 \n ✓ Writing configuration 📜\n ✓ Starting control-plane 🕹️\n'
    printf ' ✓ Installing CNI 🔌\n ✓ Installing StorageClass 💾\n ✓ Joining worker nodes 🚜\n'
    printf ' • Waiting ≤ 3m0s for control-plane = Ready ⏳  ...\r'
    printf ' ✓ Waiting ≤ 3m0s for control-plane = Ready ⏳ \n • Ready after 21s 💚\n'
  } >&2
  while [ $# -gt 1 ]; do [ "$1" = --kubeconfig ] && cp "$FAKE/config" "$2"; shift; done;;
"export kubeconfig") [ -f "$FAKE/kubeconfig-fails" ] && { cat "$FAKE/kubeconfig-fails" >&2; exit 1; }; cp "$FAKE/config" "$6";;
"delete cluster") [ -f "$FAKE/down" ] && { cat "$FAKE/down" >&2; exit 1; }; : > "$FAKE/clusters"; echo 'Deleting cluster "kuartui" ...' >&2;;
"load docker-image"|"load image-archive") [ -f "$FAKE/fails" ] && { cat "$FAKE/fails" >&2; exit 1; }; exit 0;;
esac
"""

DOCKER = r"""#!/bin/sh
echo "docker $*" >> "$FAKE/asked"
case "$1 $2" in
"ps --all")
  for n in kuartui-control-plane kuartui-worker kuartui-worker2; do echo "$n $(cat "$FAKE/nodes" 2>/dev/null || echo running)"; done;;
"start kuartui-control-plane"|"unpause kuartui-control-plane") echo running > "$FAKE/nodes"; shift; printf '%s\n' "$@";;
"image inspect")
  for image in "$@"; do :; done
  grep -qx "$image" "$FAKE/images" 2>/dev/null || { echo "Error response from daemon: No such image: $image" >&2; exit 1; }
  case "$4" in *Size*) echo 4496132;; *Arch*) case $image in *amd64*) echo linux/amd64;; *) echo linux/arm64;; esac;; *) cat "$FAKE/digests" 2>/dev/null || echo '[]';; esac;;
"manifest inspect") cat "$FAKE/manifest";;
"version --format") cat "$FAKE/api" 2>/dev/null || echo 1.47;;
"build --quiet") [ -f "$FAKE/build-fails" ] && { cat "$FAKE/build-fails" >&2; exit 1; }; echo "$4" >> "$FAKE/images";;
save*) [ -f "$FAKE/save-fails" ] && { cat "$FAKE/save-fails" >&2; exit 1; };
  while [ "$1" != --output ]; do shift; done; : > "$2";;
"pull --quiet") [ -f "$FAKE/pull-fails" ] && { cat "$FAKE/pull-fails" >&2; exit 1; }
  echo "docker.io/library/$3";;
tag*) echo "$3" >> "$FAKE/images";;
esac
"""

MINIKUBE = r"""#!/bin/sh
echo "$*" >> "$FAKE/asked"
state() { cat "$FAKE/state" 2>/dev/null; }
case "$1" in
version) cat "$FAKE/version" 2>/dev/null || echo v1.37.0;;
addons) [ -f "$FAKE/fails" ] && { cat "$FAKE/fails" >&2; exit 10; }; echo "* The '$3' addon is enabled";;
image) [ -f "$FAKE/fails" ] && { cat "$FAKE/fails" >&2; exit 80; }; exit 0;;
profile)
  if [ -n "$(state)" ]; then echo '{"invalid":[],"valid":[{"Name":"kuartui","Status":"'"$(state)"'"}]}'
  else echo '{"invalid":[],"valid":[]}'; fi;;
unpause) [ -f "$FAKE/fails" ] && { cat "$FAKE/fails" >&2; exit 80; }; echo Running > "$FAKE/state";;
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
  [ -f "$FAKE/dies" ] && kill -9 $$
  step 19 "Done"; echo Running > "$FAKE/state"; cp "$FAKE/config" "$KUBECONFIG";;
esac
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with both programs; the API server behind them is not asked."""
    place = tmp_path / "fake"
    place.mkdir()
    for name, text in (("kind", KIND), ("minikube", MINIKUBE), ("docker", DOCKER)):
        (place / name).write_text(text)
        (place / name).chmod(0o755)
    monkeypatch.setenv("FAKE", str(place))
    monkeypatch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")

    async def wake(self: shared.SharedCluster, report: Callable[[Progress], None]) -> None:
        self.access()  # the kubeconfig is there and of use

    async def prepare_probe(self: local.LocalCluster, report: Callable[[Progress], None]) -> None: ...

    async def detect(*_: object) -> frozenset[str]:
        return frozenset()

    async def status(self: shared.SharedCluster) -> ClusterStatus:
        return ClusterStatus("ready")

    monkeypatch.setattr(local, "LINGER_SECONDS", 0.0)
    monkeypatch.setattr(shared.SharedCluster, "wake", wake)
    monkeypatch.setattr(local.LocalCluster, "prepare_probe", prepare_probe)
    monkeypatch.setattr(shared, "detect", detect)
    monkeypatch.setattr(shared.SharedCluster, "status", status)
    (place / "config").write_text(CONFIG.replace("NAME", "kuartui"))
    return place


def asked(fake: Path, verb: str) -> list[str]:
    return [line for line in (fake / "asked").read_text().splitlines() if line.startswith(verb)]


async def test_a_kind_cluster_is_made_used_again_and_deleted(fake: Path) -> None:
    heard: list[Progress] = []
    podman = fake / "podman"
    podman.write_text((fake / "docker").read_text())
    podman.chmod(0o755)
    cluster = KindCluster("kuartui", version="1.36.2", provider="podman")
    assert (await cluster.status()).phase == "absent"
    await cluster.up(heard.append)
    await KindCluster("kuartui").up()
    (line,) = asked(fake, "create")
    assert "--name kuartui" in line
    assert f"--config {manifest('kind/cluster.yaml')}" in line
    assert f"--kubeconfig {cluster.kubeconfig}" in line
    assert "--image kindest/node:v1.36.2 [podman]" in line
    steps = [(item.step, item.text) for item in heard]
    assert steps[:2] == [(1, "Ensuring node image (kindest/node:v1.34.0)"), (2, "Preparing nodes")]
    assert steps[-2:] == [(8, "Waiting ≤ 3m0s for control-plane = Ready"), (0, "looking at what kuartui can do")]
    assert all(line.endswith("[podman]") for line in asked(fake, "get clusters"))  # later ones remember the engine
    await KindCluster("kuartui").reset()
    assert asked(fake, "create")[1] == line  # with what it was made with
    await cluster.down()
    assert (await cluster.status()).phase == "absent"
    assert not cluster.kubeconfig.exists()
    assert KindCluster("kuartui").made_with() == {}


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
    (
        'ERROR: failed to create cluster: command "docker run --name kuartui-worker" failed with error: exit status 125\n\n'
        "Command Output: 3c75dddb6bfc\ndocker: Error response from daemon: unable to apply caps: operation not permitted\n\n"
        "Run 'docker run --help' for more information",
        "docker: Error response from daemon: unable to apply caps: operation not permitted",
    ),
]


@pytest.mark.parametrize(("said", "cause"), FAILURES, ids=[cause for _, cause in FAILURES])
async def test_a_failure_is_one_sentence_and_nothing_is_left(fake: Path, said: str, cause: str) -> None:
    (fake / "fails").write_text(said)
    cluster = KindCluster("kuartui")
    with pytest.raises(KuartuiError) as caught:
        await cluster.up()
    assert caught.value.message == f"creating the kind cluster failed: {cause}"
    assert "\n" not in caught.value.message
    assert KindCluster("kuartui").made_with() == {}  # a wrong --image is not tried again by itself
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
    (fake / "images").write_text("busybox:1.36")
    (fake / "fails").write_text(
        'ERROR: failed to load image: command "docker exec --privileged -i kuartui-worker ctr --namespace=k8s.io images '
        'import --all-platforms --digests --snapshotter=overlayfs -" failed with error: exit status 1\n'
        "Command Output: ctr: content digest sha256:" + "ab" * 32 + ": not found"
    )
    cluster = KindCluster("kuartui")
    with pytest.raises(
        ClusterError, match="loading images into kind failed: Docker has the image for another"
    ) as caught:
        await cluster._bring(pins(["busybox:1.36"]), lambda _: None)
    assert caught.value.hint.startswith("update Docker")
    assert [path.name for path in cluster.folder.iterdir()] == []  # the archive is gone


MANIFEST = json.dumps(
    [
        {
            "Ref": "docker.io/library/busybox:1.36@sha256:aa",
            "Descriptor": {"platform": {"architecture": architecture, "os": "linux"}},
            "OCIManifest": {"config": {"size": 1000}, "layers": [{"size": size}, {"size": 1}]},
        }
        for architecture, size in (("amd64", 2_000_000), ("arm64", 3_000_000))
    ]
)


async def test_images_are_told_of_pulled_and_loaded(fake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (fake / "manifest").write_text(MANIFEST)
    (fake / "images").write_text("redis:7-alpine\n")
    heard: list[Progress] = []
    cluster = KindCluster("kuartui")
    await cluster.up()
    await cluster._bring(pins(["busybox:1.36", "redis:7-alpine"]), heard.append)
    said = [item.text for item in heard]
    (told,) = [text for text in said if text.startswith("to be pulled")]
    assert told.startswith("to be pulled: busybox:1.36 (")
    assert told.endswith(" MB in all")
    assert said.index(told) < said.index("pulling busybox:1.36")
    assert asked(fake, "docker pull") == [f"docker pull --quiet busybox@{BUSYBOX}"]
    assert asked(fake, "docker tag") == [f"docker tag busybox@{BUSYBOX} busybox:1.36"]
    (asked_for,) = asked(fake, "docker manifest")
    assert asked_for == f"docker manifest inspect --verbose busybox@{BUSYBOX}"
    archive = cluster.folder / "images.tar"
    assert asked(fake, "docker save") == [f"docker save --output {archive} busybox:1.36 redis:7-alpine"]
    assert asked(fake, "load") == [f"load image-archive {archive} --name kuartui []"]
    assert not archive.exists()


def _has(fake: Path, image: str, digest: str) -> None:
    """The engine has it by this digest."""
    (fake / "images").write_text(f"{image}\n")
    (fake / "digests").write_text(json.dumps([f"{image.rpartition(':')[0]}@{digest}"]))


async def test_what_the_engine_has_by_a_tag_that_was_moved_is_not_used(fake: Path) -> None:
    cluster = KindCluster("kuartui")
    await cluster.up()
    _has(fake, "busybox:1.36", MOVED)
    with pytest.raises(ClusterError) as caught:
        await cluster._bring(pins(["busybox:1.36"]), lambda _: None)
    assert caught.value.message == (
        "busybox:1.36 of your docker is sha256:555555555555…, not sha256:73aaf090f3d8… as pinned: the tag was moved"
    )
    assert "kuartui image accept busybox:1.36" in caught.value.hint
    assert asked(fake, "docker save") == asked(fake, "docker pull") == []

    accept("busybox:1.36", MOVED)
    await cluster._bring(pins(["busybox:1.36"]), lambda _: None)
    assert len(asked(fake, "docker save")) == 1

    accept("busybox:1.36", "")
    _has(fake, "busybox:1.36", BUSYBOX)
    await cluster._bring(pins(["busybox:1.36"]), lambda _: None)
    assert len(asked(fake, "docker save")) == 2


@pytest.mark.parametrize(
    "said",
    [
        "Error response from daemon: manifest for busybox@DIGEST not found: manifest unknown: manifest unknown",
        'Error response from daemon: failed to resolve reference "docker.io/library/busybox@DIGEST": '
        "docker.io/library/busybox@DIGEST: not found",
        "Error: initializing source docker://busybox@DIGEST: reading manifest DIGEST in docker.io/library/busybox: "
        "manifest unknown",
    ],
    ids=["docker", "containerd", "podman"],
)
async def test_a_digest_that_the_registry_does_not_have_is_not_replaced_by_the_tag(fake: Path, said: str) -> None:
    (fake / "pull-fails").write_text(said.replace("DIGEST", BUSYBOX))
    (fake / "manifest").write_text("")
    cluster = KindCluster("kuartui")
    await cluster.up()
    with pytest.raises(ClusterError) as caught:
        await cluster._bring(pins(["busybox:1.36"]), lambda _: None)
    assert caught.value.message == (f"pulling busybox:1.36 failed: the registry does not have busybox@{BUSYBOX}")
    assert caught.value.hint.startswith("docker pull busybox:1.36, then kuartui image accept busybox:1.36")
    assert len(asked(fake, "docker pull")) == 1
    assert asked(fake, "docker save") == []


def node(*images: list[str]) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "n"},
        "status": {"images": [{"names": names} for names in images]},
    }


@pytest.mark.parametrize(
    ("names", "there"),
    [
        (["docker.io/library/busybox:1.36"], True),  # loaded
        (["docker.io/library/busybox:1.36", f"docker.io/library/busybox@{BUSYBOX}"], True),  # pulled, as pinned
        (["docker.io/library/busybox:1.36", f"docker.io/library/busybox@{MOVED}"], False),  # pulled, of today
        (["docker.io/library/busybox:1.36", f"docker.io/library/import-2026@{MOVED}"], True),  # as kind loads
        ([f"docker.io/library/busybox@{BUSYBOX}"], False),  # without its tag
        (["docker.io/library/busybox:1.37"], False),
    ],
)
def test_what_a_node_has(names: list[str], there: bool) -> None:
    (wanted,) = pins(["busybox:1.36"])
    assert local.has(node(["docker.io/kindest/kindnetd:v1"], names), wanted) is there


async def test_what_one_node_lacks_is_loaded(fake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    redis = "docker.io/library/redis:7-alpine"
    nodes = [node([redis], ["docker.io/library/busybox:1.36"]), node([redis])]

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/api/v1":
            kinds = [{"name": "nodes", "singularName": "node", "namespaced": False, "kind": "Node", "verbs": ["list"]}]
            return web.json_response({"kind": "APIResourceList", "groupVersion": "v1", "resources": kinds})
        if request.path == "/api/v1/nodes":
            return web.json_response({"kind": "NodeList", "apiVersion": "v1", "metadata": {}, "items": nodes})
        return web.json_response({}, status=404)

    cluster = KindCluster("kuartui")
    await cluster.up()
    (fake / "images").write_text("busybox:1.36\nredis:7-alpine\n")
    async with serving(answer) as access:
        monkeypatch.setattr(cluster, "access", lambda: access)
        await cluster.preload(["busybox:1.36", "redis:7-alpine"])
        assert [line.split()[-1] for line in asked(fake, "docker save")] == ["busybox:1.36"]
        nodes.append(node())
        await cluster.preload(["redis:7-alpine"])
        assert [line.split()[-1] for line in asked(fake, "docker save")] == ["busybox:1.36", "redis:7-alpine"]
        found = await cluster.images(pins(["busybox:1.36", "redis:7-alpine"]))
    assert found == [
        ("n", "redis:7-alpine", "unknown"),
        ("n", "busybox:1.36", "unknown"),
        ("n", "redis:7-alpine", "unknown"),
    ]


async def test_docker_dies_while_kind_works(fake: Path) -> None:
    """Nothing can be removed then; that is remembered, and made good once Docker is back."""
    (fake / "fails").write_text(
        'ERROR: failed to create cluster: command "docker run --name kuartui-worker" failed with error: exit status 1\n'
        "Command Output: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
    )
    (fake / "takes-docker-along").touch()
    cluster = KindCluster("kuartui")
    with pytest.raises(ClusterError) as caught:
        await cluster.up()
    assert caught.value.message == "creating the kind cluster failed: Docker is not running"
    assert caught.value.hint.startswith("sudo systemctl start docker")
    assert not cluster.kubeconfig.exists()
    assert (await cluster.status()).phase == "broken"

    for name in ("fails", "down"):
        (fake / name).unlink()
    status = await cluster.status()
    assert (status.phase, status.detail.partition(";")[0]) == ("broken", "its start was interrupted")
    await KindCluster("kuartui").up()
    assert len(asked(fake, "delete cluster")) == 2  # one that failed, one that had half a cluster to remove
    assert (await cluster.status()).phase == "ready"


async def test_a_docker_of_many_platforms_hands_out_one_at_a_time(fake: Path) -> None:
    """With the containerd image store, what `docker save` writes by itself is of no use to a node."""
    (fake / "api").write_text("1.52\n")
    images = ["busybox:1.36", "gcr.io/kuar-demo/kuard-amd64:blue", "redis:7-alpine"]
    (fake / "images").write_text("\n".join(images))
    cluster = KindCluster("kuartui")
    await cluster.up()
    await cluster._bring(pins(images), lambda _: None)
    assert [line.replace(f"--output {cluster.folder}/", "") for line in asked(fake, "docker save")] == [
        "docker save --platform linux/arm64 images.tar busybox:1.36 redis:7-alpine",
        "docker save --platform linux/amd64 images.tar gcr.io/kuar-demo/kuard-amd64:blue",
    ]
    assert len(asked(fake, "load image-archive")) == 2


async def test_podman_is_told_whole_names(fake: Path) -> None:
    (fake / "podman").write_text((fake / "docker").read_text().replace('"docker $*"', '"podman $*"'))
    (fake / "podman").chmod(0o755)
    (fake / "manifest").write_text("")
    cluster = KindCluster("kuartui", provider="podman")
    await cluster.up()
    await cluster._bring(pins(["curlimages/curl:8.14.1", "kuartui/loadgen:1"]), lambda _: None)
    curl, python = pins(["curlimages/curl:8.14.1", "python:3.12-alpine"])
    assert asked(fake, "podman pull") == [
        f"podman pull --quiet docker.io/curlimages/curl@{curl.digest}",
        f"podman pull --quiet docker.io/library/python@{python.digest}",
    ]
    assert asked(fake, "podman tag")[0] == (
        f"podman tag docker.io/curlimages/curl@{curl.digest} docker.io/curlimages/curl:8.14.1"
    )
    assert [line.split()[:5] for line in asked(fake, "podman build")] == [
        ["podman", "build", "--quiet", "--tag", "docker.io/kuartui/loadgen:1"]
    ]
    (saved,) = asked(fake, "podman save")
    assert saved.endswith("images.tar docker.io/curlimages/curl:8.14.1 docker.io/kuartui/loadgen:1")


async def test_no_room_for_an_archive(fake: Path) -> None:
    (fake / "save-fails").write_text("write images.tar: no space left on device")
    (fake / "images").write_text("busybox:1.36\n")
    cluster = KindCluster("kuartui")
    await cluster.up()
    with pytest.raises(ClusterError, match=r"writing images.tar failed: the disk is full"):
        await cluster._bring(pins(["busybox:1.36"]), lambda _: None)
    assert not (cluster.folder / "images.tar").exists()


async def test_an_image_that_cannot_be_pulled(fake: Path) -> None:
    (fake / "pull-fails").write_text(
        "Error response from daemon: toomanyrequests: You have reached your pull rate limit."
    )
    (fake / "manifest").write_text("unauthorized")
    heard: list[Progress] = []
    with pytest.raises(ClusterError, match=r"pulling nginx:1.27-alpine failed: the registry limits") as caught:
        await KindCluster("kuartui")._bring(pins(["nginx:1.27-alpine"]), heard.append)
    assert caught.value.hint
    assert heard[0].text == "to be pulled: nginx:1.27-alpine (size unknown)"
    assert asked(fake, "load") == []


async def test_a_demo_image_is_built_not_pulled(fake: Path) -> None:
    heard: list[Progress] = []
    cluster = KindCluster("kuartui")
    await cluster.up()
    await cluster._bring(pins(["kuartui/loadgen:1"]), heard.append)
    assert [item.text for item in heard][:2] == ["pulling python:3.12-alpine", "building kuartui/loadgen:1"]
    assert asked(fake, "docker manifest") == []
    (python,) = pins(["python:3.12-alpine"])
    assert asked(fake, "docker pull") == [f"docker pull --quiet python@{python.digest}"]  # what it is built on
    (built,) = asked(fake, "docker build")
    assert "--build-arg BASE=python:3.12-alpine" in built
    assert (Path("/" + built.partition(" /")[2]) / "Dockerfile").is_file()


async def test_a_demo_image_that_cannot_be_built(fake: Path) -> None:
    (fake / "build-fails").write_text("ERROR: failed to solve: lookup registry.example.com: no such host")
    with pytest.raises(
        ClusterError, match=r"building kuartui/loadgen:1 failed: the registry or download site"
    ) as caught:
        await KindCluster("kuartui")._bring(pins(["kuartui/loadgen:1"]), lambda _: None)
    assert caught.value.hint
    with pytest.raises(MissingError, match="kuartui/seal:1 is not there, and no registry has it"):
        await KindCluster("kuartui")._bring(pins(["kuartui/seal:1"]), lambda _: None)


def test_sizes_and_names() -> None:
    assert manifest_size(MANIFEST, "arm64") == 3_001_001
    assert manifest_size(MANIFEST, "riscv64") is None
    assert manifest_size(json.dumps(json.loads(MANIFEST)[0]), "arm64") == 2_001_001  # one platform, whatever it is
    assert manifest_size("no such manifest", "amd64") is None
    assert manifest_platforms(MANIFEST) == ("linux/amd64", "linux/arm64")
    assert manifest_platforms("no such manifest") == ()
    assert (
        manifest_platforms(json.dumps({"Descriptor": {"platform": {"os": "unknown", "architecture": "unknown"}}})) == ()
    )
    assert full_name("busybox:1.36") == "docker.io/library/busybox:1.36"
    assert full_name("curlimages/curl") == "docker.io/curlimages/curl:latest"
    assert full_name("localhost:5000/a:1") == "localhost:5000/a:1"
    assert full_name("registry.k8s.io/a/b@sha256:00") == "registry.k8s.io/a/b@sha256:00"


@pytest.mark.parametrize(("state", "verb"), [("exited", "start"), ("paused", "unpause")])
async def test_a_kind_cluster_whose_nodes_are_stopped_is_woken(fake: Path, state: str, verb: str) -> None:
    cluster = KindCluster("kuartui")
    await cluster.up()
    (fake / "nodes").write_text(state)
    status = await cluster.status()
    assert (status.phase, status.detail) == (
        "stopped",
        f"kind says nodes are {state}; kuartui cluster up --cluster kind wakes it",
    )
    await KindCluster("kuartui").up()
    assert asked(fake, f"docker {verb}") == [f"docker {verb} kuartui-control-plane kuartui-worker kuartui-worker2"]
    assert len(asked(fake, "create")) == 1


async def test_the_tool_is_asked_once_how_the_cluster_is(fake: Path) -> None:
    for kind, asks, state in ((KindCluster, "get clusters", "nodes"), (MinikubeCluster, "profile", "state")):
        asleep = {"nodes": "exited", "state": "Paused"}[state]
        for before in ("absent", "running", asleep):
            if before == asleep:
                (fake / state).write_text(asleep)
            earlier = len(asked(fake, asks)) if (fake / "asked").exists() else 0
            await kind("kuartui").up()
            assert len(asked(fake, asks)) - earlier == 1, (kind, before)


async def test_an_up_that_was_killed_starts_over(fake: Path) -> None:
    """kill -9 of kuartui while kind works: the half-made cluster is not taken for one that is ready."""
    first = KindCluster("kuartui")
    await first.up()
    first._mark.touch()  # as it is left when nobody lives to take it away
    status = await KindCluster("kuartui").status()
    assert (status.phase, status.detail.partition(";")[0]) == ("broken", "its start was interrupted")
    await KindCluster("kuartui").up()
    assert len(asked(fake, "delete cluster")) == 1
    assert len(asked(fake, "create")) == 2
    assert (await KindCluster("kuartui").status()).phase == "ready"


async def test_a_kubeconfig_that_kind_cannot_give(fake: Path) -> None:
    cluster = KindCluster("kuartui")
    await cluster.up()
    cluster.kubeconfig.unlink()
    (fake / "kubeconfig-fails").write_text("ERROR: failed to get cluster internal kubeconfig: command failed\n")
    with pytest.raises(ClusterError, match=r"^asking kind for a kubeconfig failed: failed to get cluster internal"):
        await KindCluster("kuartui").up()


async def test_docker_that_is_not_running_when_asked_how_it_is(fake: Path) -> None:
    (fake / "down").write_text(
        'ERROR: failed to list clusters: command "docker ps -a --filter label=io.x-k8s.kind.cluster" failed with error: '
        "exit status 1\nCommand Output: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker "
        "daemon running?"
    )
    status = await KindCluster("kuartui").status()
    assert (status.phase, status.detail) == ("broken", "listing the kind clusters failed: Docker is not running")


@pytest.mark.parametrize(
    ("make", "version", "said"),
    [
        (lambda: KindCluster("kuartui"), "0.20.0", "kind 0.20.0 is too old: 0.24 or newer is needed"),
        (lambda: MinikubeCluster("kuartui"), "v1.25.2", "minikube 1.25.2 is too old: 1.32 or newer is needed"),
    ],
)
async def test_a_tool_that_is_too_old(
    fake: Path, make: Callable[[], KindCluster | MinikubeCluster], version: str, said: str
) -> None:
    (fake / "version").write_text(version)
    with pytest.raises(MissingError) as caught:
        await make().up()
    assert caught.value.message.startswith(said)
    assert "install a newer" in caught.value.hint
    assert asked(fake, "create") == asked(fake, "start") == []


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
    assert line == "start --output=json --nodes=3 --cni=calico --driver=docker --profile kuartui"
    steps = [(item.step, item.steps) for item in heard]
    assert steps == [(0, 19), (1, 19), (19, 19), (0, 0), (0, 0)]  # the last: its storage, looking at what it can do
    assert asked(fake, "addons") == [
        "addons disable default-storageclass --profile kuartui",
        "addons enable storage-provisioner-rancher --profile kuartui",
    ]
    await cluster.down()
    assert (await cluster.status()).phase == "absent"


async def test_minikube_gets_what_the_engine_has_not_what_the_registry_has(fake: Path) -> None:
    cluster = MinikubeCluster("kuartui")
    await cluster.up()
    await cluster._bring(pins(["busybox:1.36"]), lambda _: None)
    archive = cluster.folder / "images.tar"
    assert asked(fake, "docker save") == [f"docker save --output {archive} busybox:1.36"]
    assert asked(fake, "image") == [f"image load {archive} --profile kuartui"]
    assert not archive.exists()


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


async def test_a_paused_profile_that_does_not_wake(fake: Path) -> None:
    cluster = MinikubeCluster("kuartui")
    await cluster.up()
    (fake / "state").write_text("Paused")
    (fake / "fails").write_text("X Exiting due to GUEST_UNPAUSE: Pause: kubelet start: sudo systemctl: exit status 1")
    with pytest.raises(ClusterError) as caught:
        await MinikubeCluster("kuartui").up()
    assert caught.value.message.startswith("waking the paused minikube profile failed: X Exiting due to GUEST_UNPAUSE")
    assert "\n" not in caught.value.message
    assert asked(fake, "delete") == []  # it is as it was
    assert (await cluster.status()).phase == "stopped"


async def test_minikube_dies_half_way(fake: Path) -> None:
    (fake / "dies").touch()
    cluster = MinikubeCluster("kuartui")
    with pytest.raises(ClusterError, match="starting the minikube profile was interrupted by signal 9"):
        await cluster.up()
    assert (await cluster.status()).phase == "absent"
    assert not cluster.kubeconfig.exists()


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("X Exiting due to GUEST_IMAGE_LOAD: write /var/lib/minikube: no space left on device", "the disk is full"),
        ("permission denied while trying to connect to the Docker daemon socket", "you may not talk to Docker"),
    ],
)
async def test_an_image_that_does_not_load_into_minikube(fake: Path, said: str, cause: str) -> None:
    cluster = MinikubeCluster("kuartui")
    await cluster.up()
    (fake / "images").write_text("busybox:1.36")
    (fake / "fails").write_text(said)
    before = {path.name for path in cluster.folder.iterdir()}
    with pytest.raises(ClusterError) as caught:
        await cluster._bring(pins(["busybox:1.36"]), lambda _: None)
    assert caught.value.message == f"loading images into minikube failed: {cause}"
    assert caught.value.hint
    assert {path.name for path in cluster.folder.iterdir()} == before


async def test_minikube_has_add_ons_of_its_own(fake: Path) -> None:
    cluster = MinikubeCluster("kuartui")
    await cluster.up()
    metrics, traefik = known()
    await cluster.enable(metrics, lambda _: None)
    assert asked(fake, "addons")[2:] == ["addons enable metrics-server --profile kuartui"]  # after those for storage
    (fake / "fails").write_text("X Exiting due to MK_ADDON_ENABLE_PAUSED: enabled failed: get state: cluster is paused")
    with pytest.raises(ClusterError, match="enabling minikube's metrics-server failed: .*cluster is paused"):
        await cluster.enable(metrics, lambda _: None)
    assert traefik.minikube == ""


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


@pytest.mark.parametrize("make", [KindCluster, MinikubeCluster])
async def test_one_that_somebody_else_made_is_never_deleted(
    fake: Path, make: Callable[[str], KindCluster | MinikubeCluster]
) -> None:
    """`--name` may name any."""
    (fake / "clusters").write_text("kuartui\n")
    (fake / "state").write_text("Running")
    cluster = make("kuartui")
    for remove in (cluster.down, cluster.reset):
        with pytest.raises(ClusterError, match="kuartui was not made by kuartui") as caught:
            await remove()
        assert caught.value.hint == cluster.delete_command
    assert (await cluster.life())[0] == "running"
    assert asked(fake, "delete") == []


async def test_who_comes_while_a_cluster_is_made_waits_for_it(fake: Path) -> None:
    """Its mark is there, as after a start that was killed; but whoever left it is still at work."""
    first, second = KindCluster("kuartui"), KindCluster("kuartui")
    make = first._make
    other: list[asyncio.Task[None]] = []

    async def slowly(report: Callable[[Progress], None]) -> None:
        await make(report)
        other.append(asyncio.ensure_future(second.up()))
        await asyncio.sleep(0.3)

    first._make = slowly  # type: ignore[method-assign]
    await first.up()
    await asyncio.gather(*other)
    assert len(asked(fake, "create")) == 1
    assert asked(fake, "delete") == []


@pytest.mark.parametrize("make", [KindCluster, MinikubeCluster])
async def test_a_cluster_that_was_deleted_does_not_come_back_by_itself(
    fake: Path, make: Callable[[str], KindCluster | MinikubeCluster]
) -> None:
    """Whoever watches an attempt that was in play there would have it made anew, in the background."""
    cluster = make("kuartui")
    await cluster.up()
    (fake / "clusters").write_text("")  # kind delete cluster, minikube delete: by hand
    (fake / "state").write_text("")
    made = len(asked(fake, "create")) + len(asked(fake, "start"))
    with pytest.raises(GoneError, match=f"{cluster.noun} kuartui is gone"):
        await make("kuartui").wake()
    assert await make("kuartui").find("attempt-0123456789ab", uid="1") is None
    assert len(asked(fake, "create")) + len(asked(fake, "start")) == made
