"""Machines that are switched off and on: what is asked of the tools, what is written down first, what comes back."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kuartui.cluster.kind import KindCluster
from kuartui.cluster.machines import LocalMachines
from kuartui.cluster.minikube import MinikubeCluster
from kuartui.errors import ClusterError

DOCKER = r"""#!/bin/sh
echo "$*" >> "$FAKE/asked"
[ -f "$FAKE/record" ] && cat "$(cat "$FAKE/record")" >> "$FAKE/noted" 2>/dev/null
[ "$1" = stop ] && [ -f "$FAKE/fails" ] && { cat "$FAKE/fails" >&2; exit 1; }
case "$1" in
ps) for n in kuartui-control-plane kuartui-worker kuartui-worker2; do
      echo "$n $(cat "$FAKE/state-$n" 2>/dev/null || echo running)"; done;;
stop) echo exited > "$FAKE/state-$4"; if [ -f "$FAKE/kills" ]; then kill -9 $PPID; fi;;
start) shift; for n in "$@"; do echo running > "$FAKE/state-$n"; done;;
exec) ;;
esac
"""
KIND = """#!/bin/sh
echo kuartui
"""
MINIKUBE = r"""#!/bin/sh
echo "$*" >> "$FAKE/asked"
case "$1 $2" in
"profile list") echo '{"valid":[{"Name":"kuartui","Status":"'"$(cat "$FAKE/status")"'"}]}';;
esac
"""
Make = Callable[[], KindCluster | MinikubeCluster]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in (("docker", DOCKER), ("kind", KIND), ("minikube", MINIKUBE)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "status").write_text("OK")
    (tmp_path / "asked").touch()
    monkeypatch.setenv("FAKE", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def asked(fake: Path, *besides: str) -> list[str]:
    lines = (fake / "asked").read_text().splitlines()
    return [line for line in lines if not line.startswith(("ps ", "profile ", *besides))]


async def test_a_kind_node_loses_its_power_and_gets_it_back(fake: Path) -> None:
    cluster = KindCluster("kuartui")
    (fake / "record").write_text(str(cluster._machines_record))
    await cluster.machines.switch("kuartui-worker", "fail")
    assert '{"kuartui-worker": ["fail"]}' in (fake / "noted").read_text()  # before it was done
    assert KindCluster("kuartui").machines.off() == {"kuartui-worker": ["fail"]}
    await cluster.machines.switch("kuartui-worker", "recover")
    assert asked(fake) == ["stop -t 0 kuartui-worker", "start kuartui-worker"]
    assert cluster.machines.off() == {}
    assert not cluster._machines_record.exists()


async def test_a_kubelet_alone(fake: Path) -> None:
    machines = KindCluster("kuartui").machines
    await machines.switch("kuartui-worker", "pause")
    await machines.switch("kuartui-worker", "resume")
    assert asked(fake) == ["exec kuartui-worker systemctl stop kubelet", "exec kuartui-worker systemctl start kubelet"]


async def test_minikube_has_commands_of_its_own(fake: Path) -> None:
    machines = MinikubeCluster("kuartui").machines
    for action in ("fail", "recover", "pause", "resume"):
        await machines.switch("kuartui-m02", action)  # type: ignore[arg-type]
    assert asked(fake) == [
        "node stop kuartui-m02 --profile kuartui",
        "node start kuartui-m02 --profile kuartui",
        "ssh --node kuartui-m02 sudo systemctl stop kubelet --profile kuartui",
        "ssh --node kuartui-m02 sudo systemctl start kubelet --profile kuartui",
    ]


async def test_a_container_that_is_no_node_of_ours_is_left_alone(fake: Path) -> None:
    with pytest.raises(ClusterError, match="kind cluster kuartui has no node container postgres"):
        await KindCluster("kuartui").machines.switch("postgres", "fail")
    await KindCluster("kuartui").machines.repair()  # nor is it written down
    await KindCluster("kuartui").machines.switch("postgres", "recover")
    assert asked(fake) == []


async def test_what_is_off_on_purpose_does_not_make_the_cluster_a_stopped_one(fake: Path) -> None:
    cluster = KindCluster("kuartui")
    await cluster.machines.switch("kuartui-worker", "fail")
    assert await KindCluster("kuartui").life() == ("running", "")
    (fake / "state-kuartui-worker2").write_text("exited")  # somebody else, or a machine that was restarted
    assert await cluster.life() == ("stopped", "nodes are exited")
    await cluster._wake("exited", lambda _: None)
    assert asked(fake)[-1] == "start kuartui-worker2"
    assert await cluster.life() == ("running", "")


async def test_a_profile_with_a_node_that_is_off_on_purpose_runs(fake: Path) -> None:
    cluster = MinikubeCluster("kuartui")
    (fake / "status").write_text("Degraded")
    assert await cluster.life() == ("stopped", "Degraded")
    await cluster.machines.switch("kuartui-m02", "fail")
    assert await cluster.life() == ("running", "Degraded")
    (fake / "status").write_text("Stopped")
    assert await cluster.life() == ("stopped", "Stopped")


@pytest.mark.parametrize("make", [lambda: KindCluster("kuartui"), lambda: MinikubeCluster("kuartui")])
async def test_what_a_killed_process_switched_off_another_one_switches_on(fake: Path, make: Make) -> None:
    await make().machines.switch("kuartui-worker", "fail")
    await make().machines.switch("kuartui-worker2", "pause")
    await make().machines.switch("kuartui-worker2", "fail")
    done = len(asked(fake))
    await make().machines.repair()
    assert make().machines.off() == {}
    repaired = asked(fake)[done:]
    assert len(repaired) == 3
    assert [("start kuartui-worker2" in line, "kubelet" in line) for line in repaired[1:]] == [
        (True, False),
        (False, True),
    ]
    await make().machines.repair()
    assert len(asked(fake)) == done + 3


async def test_kill_9_while_a_node_is_switched_off(fake: Path) -> None:
    (fake / "kills").touch()
    code = "import asyncio; from kuartui.cluster.kind import KindCluster as K\n"
    code += "asyncio.run(K('kuartui').machines.switch('kuartui-worker', 'fail'))"
    done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    machines = KindCluster("kuartui").machines
    assert machines.off() == {"kuartui-worker": ["fail"]}
    await machines.repair()
    assert asked(fake) == ["stop -t 0 kuartui-worker", "start kuartui-worker"]
    assert machines.off() == {}


async def test_a_switch_that_failed_is_undone_all_the_same(fake: Path) -> None:
    """The engine may have done it and died before it said so."""
    (fake / "fails").write_text("Cannot connect to the Docker daemon at unix:///var/run/docker.sock.")
    machines = KindCluster("kuartui").machines
    with pytest.raises(ClusterError) as caught:
        await machines.switch("kuartui-worker", "fail")
    assert caught.value.message == "switching node kuartui-worker off failed: Docker is not running"
    await machines.repair()
    assert asked(fake)[-1] == "start kuartui-worker"


async def test_a_new_cluster_begins_with_all_machines_on(fake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody deleted the one before by hand."""
    cluster = KindCluster("kuartui")
    await cluster.machines.switch("kuartui-worker", "fail")

    async def nothing(*_: object) -> None:
        return None

    monkeypatch.setattr(cluster, "check_tool", nothing)
    await cluster._make_whole(lambda _: None)
    assert cluster.machines.off() == {}


async def test_a_cluster_that_is_gone_has_nothing_to_switch_on(fake: Path) -> None:
    cluster = KindCluster("kuartui")
    await cluster.machines.switch("kuartui-worker", "fail")
    cluster._forget()
    assert KindCluster("kuartui").machines.off() == {}


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"n": "fail"}', '{"n": ["burn"]}', '{"n": []}'])
def test_a_record_that_is_damaged_switches_nothing(fake: Path, text: str) -> None:
    cluster = KindCluster("kuartui")
    cluster.folder.mkdir(parents=True)
    cluster._machines_record.write_text(text)
    found = cluster.machines.off()
    assert found in ({}, {"n": ["fail"]})
    assert isinstance(cluster.machines, LocalMachines)
    json.dumps(found)
