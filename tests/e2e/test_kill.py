"""kill -9 of the playing process, wherever it is: the next start leaves a cluster of somebody else's as it was.

The cluster is an embedded one in a process of its own, reached by an exported kubeconfig through a relay that counts
what is sent. The process dies when so many bytes have passed: somewhere between two requests, or within one.
"""

from __future__ import annotations

import asyncio
import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from kuartui.cluster.host import EmbeddedHost
from kuartui.cluster.rest import Api
from tests.e2e.conftest import COMMAND, Kuartui
from tests.play.dumps import differences, dump

pytestmark = pytest.mark.e2e
LEVEL = "static-pv-bind"  # it makes cluster-scoped objects, and lets the player make some
GOING = 30.0  # seconds
CLUSTER = "context:theirs"
VOLUME = {
    "apiVersion": "v1",
    "kind": "PersistentVolume",
    "metadata": {"name": "by-the-player"},
    "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/tmp/x"}},
}


class Relay:
    """A loopback port that leads to another one. After `limit` bytes from clients, `spring` is called once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.sent, self.limit = 0, 0
        self.spring: Callable[[], None] = lambda: None
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self, limit: int, spring: Callable[[], None]) -> None:
        self.sent, self.limit, self.spring = 0, limit, spring

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
                threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
                threading.Thread(target=self._pass, args=(server, client, False), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        with suppress(OSError), closing(target):
            while data := source.recv(65536):
                if counted:
                    self.sent += len(data)
                    if self.limit and self.sent >= self.limit:
                        self.limit = 0
                        self.spring()
                target.sendall(data)


@dataclass
class Theirs:
    kubeconfig: Path  # the administrator's, past the relay
    exported: Path  # what the player has
    relay: Relay


@pytest.fixture
def theirs(tmp_path: Path) -> Iterator[Theirs]:
    host = EmbeddedHost(tmp_path / "host", tied=True)
    relay = None
    try:
        made = host.call("POST", "/clusters", {"name": "theirs", "nodes": 3, "durable": False})
        kubeconfig = host.folder("theirs") / "kubeconfig"
        asyncio.run(complete(kubeconfig))
        relay = Relay(urlsplit(made["url"]).port or 0)
        config = yaml.safe_load(kubeconfig.read_text())
        config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{relay.port}"
        config["contexts"][0]["name"] = config["current-context"] = "theirs"
        exported = tmp_path / "exported" / "config"
        exported.parent.mkdir()
        exported.write_text(yaml.safe_dump(config))
        yield Theirs(kubeconfig, exported, relay)
    finally:
        if relay:
            relay.close()
        host.stop()


async def complete(kubeconfig: Path) -> None:
    """Until kube-proxy runs on every node: it is the last of what a new cluster sets up by itself."""
    async with asyncio.timeout(60), Api.open(kubeconfig) as api:
        path = "/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy"
        while (await api.glimpse(path) or {}).get("status", {}).get("numberReady") != 3:
            await asyncio.sleep(0.1)


def look(kubeconfig: Path) -> dict[str, str]:
    async def run() -> dict[str, str]:
        async with Api.open(kubeconfig) as api:
            return await dump(api)

    return asyncio.run(run())


def killed(run: Kuartui, theirs: Theirs, limit: int, *arguments: str) -> int:
    """The exit code of a command that is killed when it has sent `limit` bytes, if ever it does."""
    process = subprocess.Popen(
        [*COMMAND, *arguments], env=run.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    theirs.relay.arm(limit, process.kill)
    return process.wait(120)


def test_the_next_start_cleans_up_after_a_kill(stranger: Kuartui, theirs: Theirs) -> None:
    seed = random.SystemRandom().randrange(1_000_000)  # another point each time; a failure tells which it was
    chance = random.Random(seed)
    run, exported = stranger, theirs.exported.read_bytes()
    run.environment["KUBECONFIG"] = str(theirs.exported)
    before = look(theirs.kubeconfig)

    theirs.relay.arm(0, lambda: None)
    run("level", "start", LEVEL, "--cluster", CLUSTER)
    setting_up = theirs.relay.sent
    run.type("kubectl create configmap note")
    run.kubectl("create", "-f", "-", stdin=yaml.safe_dump(VOLUME))
    assert differences(before, look(theirs.kubeconfig))

    killed(run, theirs, chance.randrange(1, setting_up), "level", "finish", "--abandon")  # in its clean-up, or after it
    run("level", "finish", "--abandon", check=False)  # it may have died before it wrote down that all is over
    code = killed(run, theirs, chance.randrange(1, setting_up), "level", "start", LEVEL, "--cluster", CLUSTER)
    assert code == -signal.SIGKILL, f"seed {seed}"

    run("level", "finish", "--abandon", check=False)  # late in a start the attempt has begun, and is in play
    run("level", "start", "broken-selector", "--cluster", CLUSTER)
    run("level", "finish", "--abandon")
    until = time.monotonic() + GOING
    while (left := differences(before, look(theirs.kubeconfig))) and time.monotonic() < until:
        time.sleep(0.2)  # what is on its way out when nobody waits for it, such as the namespace of a killed probe
    assert left == {}, f"seed {seed}"
    assert theirs.exported.read_bytes() == exported
