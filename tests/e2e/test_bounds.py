"""What kuartui writes while it plays on somebody else's cluster: its own directory, and nothing else on this machine;
its own namespaces and labelled objects, and nothing else there. Every file that is opened, and every program that is
started, is seen by an audit hook in the process itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kuartui.cluster.host import EmbeddedHost
from kuartui.cluster.rest import Api
from kuartui.play.cleanup import NOISE
from tests.e2e.conftest import Kuartui

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for a directory's name")]
CLUSTER = "context:theirs"

HOOK = """\
import json, os, sys
_log = os.open(os.environ["KUARTUI_TEST_AUDIT"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
_CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.symlink", "os.link", "os.truncate", "os.chmod", "os.utime")

def _hear(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        if isinstance(path, int) or not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND):
            return
        said = ["write", os.fsdecode(path)]
    elif event in _CHANGES:
        base = arguments[-1] if event in ("os.remove", "os.rmdir", "os.mkdir") and arguments[-1] > 2 else -1
        within = os.readlink(f"/proc/self/fd/{base}") if base > 2 else ""
        said = ["write", *(os.path.join(within, os.fsdecode(item)) for item in arguments if isinstance(item, (str, bytes, os.PathLike)))]
    elif event == "subprocess.Popen":
        program, command, _, environment = arguments
        said = ["run", [os.fsdecode(item) for item in command], (environment or {}).get("KUBECONFIG", "")]
    else:
        return
    os.write(_log, (json.dumps([*said, os.getcwd()]) + "\\n").encode())

sys.addaudithook(_hear)
"""


@pytest.fixture
def theirs(tmp_path: Path) -> Iterator[Path]:
    """The administrator's kubeconfig of a cluster that somebody else uses."""
    host = EmbeddedHost(tmp_path / "host", tied=True)
    try:
        host.call("POST", "/clusters", {"name": "theirs", "nodes": 2, "durable": False})
        yield host.folder("theirs") / "kubeconfig"
    finally:
        host.stop()


def asleep(kubeconfig: Path, *, make: bool = False) -> dict[str, str]:
    """Every object that nobody but its owner has a reason to write, with its version."""

    async def run() -> dict[str, str]:
        found = {}
        async with Api.open(kubeconfig) as api:
            if make:
                place = {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "shop"}}
                await api.create(await api.resource("Namespace"), place)
                note: dict[str, Any] = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "precious"}}
                await api.create(await api.resource("ConfigMap"), note, namespace="shop")
            for resource in await api.listable():
                if resource.kind in {*NOISE, "Node", "Pod", "CSINode"}:
                    continue  # kubelets and controllers write into them all the time
                for obj in (await api.list(resource)).items:
                    metadata = obj["metadata"]
                    key = f"{resource.group_resource} {metadata.get('namespace', '')}/{metadata['name']}"
                    found[key] = str(metadata.get("resourceVersion"))
        return found

    return asyncio.run(run())


def test_nothing_but_its_own_is_written(stranger: Kuartui, theirs: Path, tmp_path: Path) -> None:
    audit, hooks = tmp_path / "audit", tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(HOOK)
    config = yaml.safe_load(theirs.read_text())
    config["contexts"][0]["name"] = "theirs"
    config["current-context"] = ""
    mine = stranger.home / ".kube" / "config"
    mine.parent.mkdir()
    mine.write_text(yaml.safe_dump(config))
    was, status = mine.read_bytes(), mine.stat()
    asleep(theirs, make=True)
    stranger("cluster", "up", "--cluster", CLUSTER)  # so that controllers have seen all that is there
    before = asleep(theirs)

    stranger.environment |= {"KUARTUI_TEST_AUDIT": str(audit), "PYTHONPATH": str(hooks)}
    for command in (
        ("doctor",),
        ("cluster", "up", "--cluster", CLUSTER),
        ("cluster", "status", "--cluster", CLUSTER),
        ("level", "start", "static-pv-bind", "--cluster", CLUSTER),
        ("kubectl", "--", "get", "pods"),
        ("level", "check"),
        ("level", "hint"),
        ("level", "finish", "--abandon"),
        ("cluster", "reset", "--cluster", CLUSTER),
        ("cluster", "down", "--cluster", CLUSTER),
    ):
        stranger(*command, check=command[0] not in ("doctor",) and command[:2] != ("level", "check"))

    heard = [json.loads(line) for line in audit.read_text().splitlines()]
    own = stranger.home / "kuartui"
    allowed = (str(own), "/dev/", "/proc/self/")
    for what, *rest, directory in heard:
        if what != "write":
            continue
        for path in (os.path.realpath(os.path.join(directory, item)) for item in rest):
            compiled = path.endswith(".pyc") or "__pycache__" in path  # Python's own cache of our code
            assert path.startswith(allowed) or compiled, f"{path} was written"
    assert any(str(own) in str(rest) for what, *rest in heard if what == "write")
    kubectls = [
        (command, place) for what, command, place, _ in (x for x in heard if x[0] == "run") if "kubectl" in command[0]
    ]
    assert kubectls
    for command, place in kubectls:
        assert "version" in command or place.startswith(str(own)), f"{command} ran with kubeconfig {place!r}"

    assert mine.read_bytes() == was
    assert (mine.stat().st_ino, mine.stat().st_mtime_ns) == (status.st_ino, status.st_mtime_ns)
    assert {path.name for path in stranger.home.iterdir()} == {".kube", "kuartui", "home", "hooks", "host", "audit"}
    assert {path.name for path in mine.parent.iterdir()} <= {"config", "cache"}  # kubectl's cache of discovery
    assert asleep(theirs) == before
