"""Lint finds what spoils a level."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kuartui.catalog.catalog import Catalog
from kuartui.catalog.lint import lint
from kuartui.cluster import addons
from kuartui.cluster.pins import read_lock
from tests.catalog.pack import LEVEL, MANIFEST, write


def complaints(folder: Path) -> list[str]:
    return [str(item) for item in lint(folder)]


def test_a_good_level_is_left_alone(tmp_path: Path) -> None:
    assert complaints(write(tmp_path)) == []


@pytest.mark.parametrize(
    "text", ["kubectl -n {{place}} get pods", "kubectl -n shed get pods", "kubectl logs a | tail -n five"]
)
def test_where_the_player_may_look_a_hint_may_lead(tmp_path: Path, text: str) -> None:
    rights = "  rights:\n    - {verbs: [get, list], resources: [pods], namespaces: [shed]}\n"
    level = LEVEL.replace("text: Look.", f'text: "{text}"').replace("  hints:", f"{rights}  hints:")
    assert not any("leads to namespace" in item for item in complaints(write(tmp_path, level=level)))


def test_the_shipped_levels_are_clean() -> None:
    catalog = Catalog.default()
    assert [text for name in catalog.names() for text in complaints(catalog.folder(name))] == []


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("A quiet shop", "A wrong selector", "'wrong' gives the cause away"),
        ("Make it answer", "Run kubectl patch service and make it answer", "a command gives the solution away"),
        ("weight: 40", "weight: 30", "weights add up to 90, not 100"),
        ("    port: [8080, 9090]", "    port: [8080, 9090]\n    extra: [1, 2]", "this variable is used nowhere"),
        ("place: [here, there]", "place: [here]", "with one value nothing varies"),
        ("cel: pods.size() == {{shop.size}}", "cel: 1 + 1 == 2", "does not depend on what is read"),
        ('        observe: "string(pods.size())"\n', "", "no observe"),
        ("cel: pods.size() == {{shop.size}}", "cel: pods.size() == 1", "true of the manifests as they are"),
        ("cel: pods.size() == {{shop.size}}", "cel: pods.all(p, ready(p))", "true when nothing is there"),
        ("{kind: Service, name: tea}", "{kind: Pod, name: tee}", "the manifests make no Pod 'tee'"),
        ("  hints:", "  protected: [{kind: Pod, name: figs}]\n  hints:", "the manifests make no Pod 'figs'"),
        ("status: 200}", 'status: 200, body: ".*"}', "matches any text"),
        ("track: first", "track: second", "says track 'second', but lies in 'first'"),
        ("caughtBy: [same]", "caughtBy: [up]", "no cheat shows that this guard can break"),
        ("caughtBy: [up, reached]", "caughtBy: [up]", "no cheat is caught by this check"),
        ("parTime: 2m", "parTime: 4m", "is 4m, but reading"),
        ("parTime: 2m", "parTime: 4m", "come to 1m30s"),
        ("{cost: 20,", "{cost: 1,", "should cost more"),
        ('    - {name: two, run: ["kubectl get pods -A"]}\n', "", "is there really no other way"),
        ("  needs: [network]\n", "", "reached asks over the network, so it needs: [network]"),
        ("text: Look.", "text: kubectl -n kube-system get pods", "leads to namespace kube-system"),
        ("kubectl get pods -A", "kubectl get pods --namespace=there", "leads to namespace there"),
    ],
)
def test_what_spoils_a_level(tmp_path: Path, old: str, new: str, text: str) -> None:
    assert old in LEVEL
    found = complaints(write(tmp_path, level=LEVEL.replace(old, new, 1)))
    assert any(text in item for item in found), found


CLAIMS = {
    "claim": "kind: PersistentVolumeClaim\napiVersion: v1\nmetadata: {name: oil}\n",
    "template": (
        'kind: StatefulSet\napiVersion: apps/v1\nmetadata: {name: "fire"}\nspec:\n'
        "  volumeClaimTemplates: [{metadata: {name: oil}}]\n"
    ),
}


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_who_claims_volumes_needs_storage(tmp_path: Path, claim: str) -> None:
    manifest = f"{MANIFEST}---\n{claim}"
    found = complaints(write(tmp_path / "without", manifest=manifest))
    assert any("spec.needs: the manifests claim volumes, so it needs: [storage]" in item for item in found), found
    for need in ("storage", "local-path"):
        level = LEVEL.replace("needs: [network]", f"needs: [network, {need}]")
        assert complaints(write(tmp_path / need, level=level, manifest=manifest)) == []


def test_a_manifest_that_no_stage_applies(tmp_path: Path) -> None:
    folder = write(tmp_path, level=LEVEL.replace("manifests: [setup/]", "stages: [{apply: [setup/pod.yaml]}]"))
    assert complaints(folder) == []
    (folder / "setup" / "more.yaml").write_text(MANIFEST)
    assert complaints(folder) == [f"{folder}/setup/more.yaml: warning: nothing in level.yaml uses this"]


def test_a_level_without_a_debrief(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "debrief.md").unlink()
    assert complaints(folder) == [f"{folder}/debrief.md: error: there is no debrief"]


def test_images_that_a_level_describes_are_its_own(tmp_path: Path) -> None:
    own = MANIFEST.replace("image: busybox:1.36", "image: ghcr.io/acme/shop:1")
    assert own != MANIFEST
    assert any("ghcr.io/acme/shop:1 is not in" in item for item in complaints(write(tmp_path / "bare", manifest=own)))
    labels = '{name: images, labels: {kuartui.dev/images: "true"}}'
    shop = "data:\n  shop: |\n    kind: Image\n    spec:\n      repository: ghcr.io/acme/shop\n"
    described = f"{own}---\napiVersion: v1\nkind: ConfigMap\nmetadata: {labels}\n{shop}"
    assert complaints(write(tmp_path / "described", manifest=described)) == []


@pytest.mark.parametrize(
    ("line", "fine"),
    [
        ("kubectl exec pod/figs -- sh -c 'curl -s localhost; ls'", True),
        ("kubectl exec pod/figs -- curl -s localhost | grep figs", True),
        ("kubectl set image deployment/figs figs=docker.io/library/nginx:1.29", True),
        ("""kubectl patch pod figs -p '{"spec":{"command":["curl","-s"]}}'""", True),
        ("""kubectl patch pod figs -p '{}'; curl -s localhost""", False),
        ("docker ps", False),
        ("curl -s localhost", False),
        ("kubectl exec pod/figs -- date; wget -qO- localhost", False),
    ],
)
def test_only_what_runs_on_the_players_machine_must_be_portable(tmp_path: Path, line: str, fine: bool) -> None:
    two = 'run: ["kubectl get pods -A"]'
    assert two in LEVEL
    found = complaints(write(tmp_path, level=LEVEL.replace(two, f"run: [{json.dumps(line)}]")))
    assert any("portable" in item for item in found) != fine, found


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("image: busybox:1.36", "image: busybox", "setup/pod.yaml:7: error"),
        ("image: busybox:1.36", "image: busybox:latest", "is not pinned: give it a tag, as in busybox:1.36"),
        ("image: busybox:1.36", "image: busybox:1.30", "busybox:1.30 is not in manifests/images.yaml"),
        ('"{{port|string}}"', '"{{port}}"', "spec.containers[0].env[0].value: must be a text, not 8080"),
        ('app: "{{shop.name}}"', 'size: "{{shop.size}}"', "metadata.labels.size: must be a text, not 2"),
        ("    - name: main", "    # the port is off by one\n    - name: main", "a comment in a manifest"),
    ],
)
def test_what_spoils_a_manifest(tmp_path: Path, old: str, new: str, text: str) -> None:
    found = complaints(write(tmp_path, manifest=MANIFEST.replace(old, new, 1)))
    assert any(text in item for item in found), found


def test_an_image_that_some_machines_cannot_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, listed = write(tmp_path), read_lock(addons.manifest("images.yaml"))
    assert not any("linux/arm64" in item for item in complaints(folder))
    few = {**listed, "busybox:1.36": replace(listed["busybox:1.36"], platforms=("linux/amd64",))}
    monkeypatch.setattr("kuartui.catalog.lint._lock", lambda: few)
    assert any("busybox:1.36 is not there for linux/amd64, linux/arm64" in item for item in complaints(folder))


def test_numbers_where_texts_belong(tmp_path: Path) -> None:
    config = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: note}\ndata:\n  port: VALUE\n"
    assert complaints(write(tmp_path / "text", manifest=MANIFEST + config.replace("VALUE", '"{{port|string}}"'))) == []
    [found] = complaints(write(tmp_path / "number", manifest=MANIFEST + config.replace("VALUE", '"{{port}}"')))
    assert "setup/pod.yaml:15: error: data.port: must be a text, not 8080" in found


def test_an_object_that_is_made_elsewhere(tmp_path: Path) -> None:
    level = LEVEL.replace("  hints:", '  protected: [{kind: Pod, name: "{{shop.name}}"}]\n  hints:', 1)
    manifest = MANIFEST.replace("metadata: {", "metadata: {namespace: attic, ", 1)
    found = complaints(write(tmp_path, level=level, manifest=manifest))
    assert any("make it in attic: take its `namespace:` out" in item for item in found), found
    assert not any("protected" in item for item in complaints(write(tmp_path / "again", level=level)))


def test_a_debrief_that_says_nothing(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "debrief.md").write_text("# What happened\n\nIt was {{shop.name}}.\n")
    assert any("says next to nothing" in item for item in complaints(folder))


def test_a_file_that_nothing_uses(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "notes.txt").write_text("x")
    assert any("notes.txt" in item and "uses this" in item for item in complaints(folder))


def test_a_broken_level_is_one_complaint(tmp_path: Path) -> None:
    folder = write(tmp_path, level="nonsense")
    assert len(complaints(folder)) == 1
