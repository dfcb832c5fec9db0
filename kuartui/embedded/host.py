"""One process, several clusters, and the API to manage them.

The process writes `host.json` (0600) into its state directory once it listens: {"pid", "url", "token", "release"},
the last as it was given on the command line. Requests go
to that URL (plain HTTP on loopback, bearer token):

    GET    /clusters                 -> {"clusters": [{name, phase, port, nodes, bare, fast, head, durable}]}
    POST   /clusters                 {name, nodes?, bare?, fast?, head?, durable?} -> the same object, once it is ready
    GET    /clusters/NAME            -> one of them; 404
    DELETE /clusters/NAME            -> stops it and removes its state
    POST   /clusters/NAME/copy       {state} -> {}, once a fork of this process has that cluster, too; `host.json` in the
                                     directory `state` says where it listens
    POST   /clusters/NAME/kubeconfig {user?, groups?, namespace?} -> a kubeconfig; with a user, for that identity
    POST   /shutdown

Errors are {"error": "one sentence"}. Each cluster has a directory `clusters/NAME` with its database, keys and port;
durable ones come back with the process, after a kill -9, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
import re
import secrets
import shutil
import signal
import socket
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any

from msgspec.structs import asdict, replace

from kuartui.embedded import identity
from kuartui.embedded.api.request import User
from kuartui.embedded.cluster import LOCAL_SOCKET, Cluster, Spec

Obj = dict[str, Any]

log = logging.getLogger(__name__)

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,40}[a-z0-9])?")
ADMIN_GROUP = "system:masters"
BACKLOG = 2048  # connections that wait to be taken
COPY_SECONDS = 20.0  # of real time, for a fork to serve


class HostError(Exception):
    """What the management API refuses, in one sentence."""

    def __init__(self, message: str, code: int = 400) -> None:
        super().__init__(message)
        self.code = code


class Host:
    """The clusters of one process."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.clusters: dict[str, Cluster] = {}
        self.stopping = asyncio.Event()
        self.announce: Callable[[Path], None] = lambda _: None  # says in a directory where this process listens
        self._lock = asyncio.Lock()
        self._copied: asyncio.Task[None] | None = None  # in a copy: what ends it

    async def restore(self) -> None:
        """Bring back the durable clusters of a former life; what is left of the others goes."""
        for folder in sorted((self.state / "clusters").glob("*/cluster.json")):
            try:
                spec = Spec(**json.loads(folder.read_text()))
            except (ValueError, TypeError, OSError):
                log.warning("ignoring %s: not readable", folder)
                continue
            if not spec.durable:
                shutil.rmtree(folder.parent, ignore_errors=True)
                continue
            try:
                await self._start(spec)
            except (OSError, sqlite3.Error) as error:
                log.warning("cluster %s does not come back: %s", spec.name, error)

    async def create(self, spec: Spec) -> Cluster:
        """Start a cluster, or give the one that runs. Raises HostError."""
        if not NAME.fullmatch(spec.name):
            raise HostError(f"{spec.name!r} is no name for a cluster: use lower case letters, digits and dashes")
        if not 1 <= spec.nodes <= 20:
            raise HostError(f"a cluster has 1 to 20 nodes, not {spec.nodes}")
        async with self._lock:
            running = self.clusters.get(spec.name)
            if running is not None:
                return running
            try:
                return await self._start(spec)
            except (OSError, sqlite3.Error) as error:
                if _is_full(error):
                    raise HostError("the disk is full", 507) from error
                why = getattr(error, "strerror", "") or error
                raise HostError(f"cluster {spec.name} cannot start: {why}", 500) from error

    async def _start(self, spec: Spec) -> Cluster:
        """All of it or, where that fails, nothing: what was there before stays."""
        folder = self.state / "clusters" / spec.name
        known = (folder / "cluster.json").exists()
        async with contextlib.AsyncExitStack() as failed:
            if not known:
                failed.callback(shutil.rmtree, folder, ignore_errors=True)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            keys = identity.kept(folder) if spec.durable else identity.passing()
            listener = listen(spec.port)
            failed.callback(listener.close)
            spec = replace(spec, port=listener.getsockname()[1])
            identity.write_private(folder / "cluster.json", json.dumps(asdict(replace(spec, head=0.0))).encode())
            cluster = Cluster(spec, folder, keys, listener)
            failed.push_async_callback(_give_up, cluster)
            await cluster.start()
            identity.write_private(folder / "kubeconfig", cluster.kubeconfig().encode())
            failed.pop_all()
        self.clusters[spec.name] = cluster
        return cluster

    async def delete(self, name: str) -> None:
        """Stop a cluster and remove its state; nothing to do if there is none."""
        async with self._lock:
            cluster = self.clusters.pop(name, None)
            if cluster is not None:
                await cluster.stop()
            if NAME.fullmatch(name):
                shutil.rmtree(self.state / "clusters" / name, ignore_errors=True)

    async def copy(self, name: str, state: Path) -> None:
        """Fork this process with all that runs in it. The fork has the cluster, and says in the directory `state` where it
        listens, as this one did in its own. Raises HostError."""
        from kuartui.embedded import live_fork

        cluster = self.get(name)
        if len(self.clusters) > 1 or not cluster.clock.stepped or cluster.spec.durable:
            raise HostError("only a process with one passing cluster on stepped time can be copied")
        folder = state / "clusters" / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

        def move(old: socket.socket) -> socket.socket:
            return listen(0) if old.family == socket.AF_INET else listen_at(folder / LOCAL_SOCKET)

        async with self._lock:  # whoever waits for it does so in the fork, too
            if self._copied:
                raise HostError("a copy is not copied again")
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them to end
            ready, told = os.pipe()
            with FileIO(ready, "r") as answer, FileIO(told, "w") as word:
                try:
                    child = await live_fork.fork(move)
                except live_fork.ForkError as error:
                    raise HostError(str(error), 500) from error
                if child:
                    word.close()
                    await _heard(answer, child)
                else:
                    self._begin_as_copy(cluster, state)
                    word.write(b"\n")

    def _begin_as_copy(self, cluster: Cluster, state: Path) -> None:
        async def end() -> None:
            await self.stopping.wait()
            os._exit(0)

        self.state, self._copied = state, asyncio.create_task(end())
        cluster.move(state / "clusters" / cluster.spec.name)
        identity.write_private(cluster.state / "kubeconfig", cluster.kubeconfig().encode())
        self.announce(state)

    def kubeconfig(self, name: str, body: Obj) -> str:
        """A kubeconfig for the administrator, or for a new token of another user."""
        cluster = self.get(name)
        user, groups = str(body.get("user", "")), [str(group) for group in body.get("groups", [])]
        namespace = str(body.get("namespace", ""))
        if not user:
            return cluster.kubeconfig(namespace=namespace)
        token = secrets.token_urlsafe(32)
        cluster.authenticator.add_token(token, User(user, (*groups, "system:authenticated")))
        cluster.remember_token(token, user, groups)
        return cluster.kubeconfig(token, user, namespace)

    def get(self, name: str) -> Cluster:
        if name not in self.clusters:
            raise HostError(f"there is no cluster {name}", 404)
        return self.clusters[name]

    def describe(self, cluster: Cluster) -> Obj:
        return {**asdict(cluster.spec), "phase": "ready", "port": cluster.port, "url": cluster.url}

    async def stop(self) -> None:
        for cluster in list(self.clusters.values()):
            await cluster.stop()
        self.clusters.clear()


async def _give_up(cluster: Cluster) -> None:
    """Stop one that did not come up: any part of it may be missing."""
    with suppress(Exception):
        await cluster.stop()
    with suppress(Exception):
        cluster.store.close()


async def _heard(answer: FileIO, child: int) -> None:
    """Wait until a fork says that it serves. HostError, and no fork, if it does not."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(answer, readable.set)
    try:
        await asyncio.wait_for(readable.wait(), COPY_SECONDS)
        said = answer.read(1)
    except TimeoutError:
        said = b""
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    finally:
        loop.remove_reader(answer)
    if not said:
        raise HostError("the copy does not come up", 500)


def _is_full(error: Exception) -> bool:
    return getattr(error, "errno", 0) == errno.ENOSPC or "disk is full" in str(error)


def listen_at(path: Path) -> socket.socket:
    """A listener for ours alone on this machine. Raises OSError."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen(BACKLOG)
    return listener


def listen(port: int) -> socket.socket:
    """A loopback listener: on `port` if it is free, else on any. Raises OSError."""
    # The protocol is named because asyncio sets TCP_NODELAY only on sockets that name it; without, answers take 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        if not port:
            raise
        listener.bind(("127.0.0.1", 0))  # somebody took it meanwhile; the kubeconfig is written anew
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener
