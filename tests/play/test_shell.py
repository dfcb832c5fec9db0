"""A home that knows what the cluster serves, as a player's does after a first command."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kuartui.play.shell import Shell, remembering


def learn(home: Path, server: str, text: str) -> Path:
    path = home / ".kube" / "cache" / "discovery" / server / "servergroups.json"
    group = path.parent / "apps" / "v1"
    group.mkdir(parents=True)
    (group / "serverresources.json").write_text(text)
    path.write_text(text)
    return path


def test_a_later_home_has_what_the_first_command_learnt(tmp_path: Path) -> None:
    learn(tmp_path / "one", "127.0.0.1_41000", "{}")
    with remembering() as memory:
        memory.keep("level-0", tmp_path / "one", "https://127.0.0.1:41000")
        learn(tmp_path / "later", "127.0.0.1_41000", "of another first command")
        memory.keep("level-0", tmp_path / "later", "https://127.0.0.1:41000")
        memory.recall("level-0", tmp_path / "two", "https://127.0.0.1:42000")
        memory.recall("another-0", tmp_path / "three", "https://127.0.0.1:42000")
        two = tmp_path / "two/.kube/cache/discovery/127.0.0.1_42000"
        assert (two / "servergroups.json").read_text() == "{}"
        assert (two / "apps/v1/serverresources.json").read_text() == "{}"
    assert not (tmp_path / "three").exists()
    assert not memory.place.exists()


def test_a_command_that_asked_nothing_teaches_nothing(tmp_path: Path) -> None:
    with remembering() as memory:
        memory.keep("level-0", tmp_path / "one", "https://127.0.0.1:41000")
        learn(tmp_path / "two", "127.0.0.1_41000", "{}")
        memory.keep("level-0", tmp_path / "two", "https://127.0.0.1:41000")
        memory.recall("level-0", tmp_path / "three", "https://127.0.0.1:42000")
    assert (tmp_path / "three/.kube/cache/discovery/127.0.0.1_42000/servergroups.json").is_file()


def test_what_a_later_home_learns_anew_changes_no_other(tmp_path: Path) -> None:
    learn(tmp_path / "one", "127.0.0.1_41000", "{}")
    with remembering() as memory:
        memory.keep("level-0", tmp_path / "one", "https://127.0.0.1:41000")
        memory.recall("level-0", tmp_path / "two", "https://127.0.0.1:42000")
        known = tmp_path / "two/.kube/cache/discovery/127.0.0.1_42000/servergroups.json"
        new = known.with_name("servergroups.json.1234")  # as client-go writes its cache
        new.write_text("a kind has come")
        new.replace(known)
        other = known.parent / "example.com" / "v1" / "serverresources.json"
        other.parent.mkdir(parents=True)
        other.write_text("its kind")
        memory.recall("level-0", tmp_path / "three", "https://127.0.0.1:43000")
    assert known.read_text() == "a kind has come"
    three = tmp_path / "three/.kube/cache/discovery/127.0.0.1_43000"
    assert (three / "servergroups.json").read_text() == "{}"
    assert not (three / "example.com").exists()


def test_directories_are_searched_once_whatever_they_are_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kubectl reads every one of them at each of its starts."""
    home, usr = tmp_path / "player", tmp_path / "usr"
    for folder in (home, usr):
        folder.mkdir()
    (tmp_path / "bin").symlink_to(usr)
    parts = [usr, tmp_path / "bin", usr, tmp_path / "nowhere", "/usr/bin", "/bin"]
    monkeypatch.setenv("PATH", os.pathsep.join(map(str, parts)))
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text("""{clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}], users: [],
        contexts: [{name: c, context: {cluster: c}}], current-context: c}""")
    with remembering() as memory:
        path = Shell(home, kubeconfig, Path("/bin/true"), memory, "", tmp_path).environment["PATH"].split(os.pathsep)
    assert path[:3] == [str(home / ".bin"), str(usr), "/usr/bin"]
    assert path[3:] == ([] if os.path.samefile("/bin", "/usr/bin") else ["/bin"])
