"""`kuartui image` as somebody types it, with an engine that is a script."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kuartui.cli.app import app
from kuartui.cli.image import listed
from kuartui.cluster.pins import PLATFORMS, accepted, lock_text, pins, read_lock

DOCKER = r"""#!/bin/sh
echo "$*" >> "$FAKE/asked"
case "$1 $2" in
"image inspect")
  for image in "$@"; do :; done
  [ "$image" = "$(cat "$FAKE/has")" ] || { echo "Error: No such image: $image" >&2; exit 1; }
  case "$4" in *Size*) echo 4496132;; *) cat "$FAKE/digests";; esac;;
"manifest inspect") cat "$FAKE/manifest";;
esac
"""
OTHER = "sha256:" + "7" * 64


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """It has busybox:1.36, of another digest than the list's."""
    for name in ("docker", "podman"):
        (tmp_path / name).write_text(DOCKER)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "has").write_text("busybox:1.36")
    (tmp_path / "digests").write_text(json.dumps([f"busybox@{OTHER}"]))
    monkeypatch.setenv("FAKE", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def image(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["image", *arguments])
    assert result.exit_code == code, result.output
    return result


def test_what_is_accepted_is_remembered_until_the_pinned_one_is_pulled(fake: Path) -> None:
    (pinned,) = pins(["busybox:1.36"])
    assert image("accept", "busybox:1.36").stdout == f"busybox:1.36: {OTHER} is taken for it\n"
    (now,) = pins(["busybox:1.36"])
    assert now.held([f"docker.io/library/busybox@{OTHER}"]) == "pinned"
    listed = json.loads(image("list", "--output", "json").stdout)
    assert [item["accepted"] for item in listed if item["image"] == "busybox:1.36"] == [OTHER]

    image("pull", "busybox:1.36")
    assert accepted() == {}
    asked = (fake / "asked").read_text().splitlines()
    assert f"pull --quiet {pinned.source}" in asked
    assert f"tag {pinned.source} busybox:1.36" in asked


def test_nothing_is_accepted_that_needs_not_be(fake: Path) -> None:
    (pinned,) = pins(["busybox:1.36"])
    (fake / "digests").write_text(json.dumps([f"busybox@{pinned.digest}", f"busybox@{OTHER}"]))
    assert "is the pinned one" in image("accept", "busybox:1.36").stdout
    (fake / "digests").write_text("[]")
    assert "taken as it is" in image("accept", "busybox:1.36").stdout
    assert accepted() == {}


def test_what_is_not_there_and_what_is_not_listed(fake: Path) -> None:
    assert "your docker has no image redis:7-alpine" in image("accept", "redis:7-alpine", code=5).stderr
    assert "did you mean busybox:1.36" in image("pull", "bosybox:1.36", code=2).stderr
    assert "kuartui/loadgen:1" in image("pull", "kuartui/loadgen:1", code=2).stderr
    assert "--engine is docker or podman" in image("pull", "busybox:1.36", "--engine", "nerdctl", code=2).stderr


def test_a_tag_that_was_moved_fails_the_check(fake: Path) -> None:
    said = image("lock", "--check", code=4)
    assert "the tag was moved: busybox:1.36" in said.stderr


def test_a_digest_is_filled_in_with_its_platforms(fake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = fake / "images.yaml"
    place.write_text(lock_text(listed()[1].values()))
    monkeypatch.setattr("kuartui.cluster.addons.manifest", lambda _: place)
    index = [
        {"Descriptor": {"platform": {"os": "linux", "architecture": name}}} for name in ("s390x", "arm64", "amd64")
    ]
    (fake / "manifest").write_text(json.dumps(index))
    assert "1 digest was filled in" in image("lock").stdout
    assert f"manifest inspect --verbose busybox@{OTHER}" in (fake / "asked").read_text().splitlines()
    found = read_lock(place)["busybox:1.36"]
    assert (found.digest, found.platforms) == (OTHER, PLATFORMS)

    (fake / "digests").write_text(json.dumps([f"busybox@{OTHER.replace('7', '8')}"]))
    (fake / "manifest").write_text(json.dumps(index[0]))
    image("lock")
    said = image("lock", "--check", code=4).stderr
    assert "not for linux/amd64, linux/arm64, as far as images.yaml knows: busybox:1.36" in said


def test_podman_knows_an_image_by_more_than_one_digest(fake: Path) -> None:
    (pinned,) = pins(["busybox:1.36"])
    (fake / "has").write_text("docker.io/library/busybox:1.36")
    both = [f"docker.io/library/busybox@{OTHER}", f"docker.io/library/busybox@{pinned.digest}"]
    (fake / "digests").write_text(json.dumps(both))
    assert "images are listed" in image("lock", "--check", "--engine", "podman").stdout


def test_the_embedded_cluster_has_no_images() -> None:
    assert "runs no images" in image("nodes", "--cluster", "embedded", code=2).stderr
