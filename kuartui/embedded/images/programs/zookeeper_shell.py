"""zkCli.sh: one command of its arguments, or those that it reads."""

from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime
from typing import Any

from kuartui.embedded.network import NameNotResolved
from kuartui.embedded.node.runtime.process import Process

COMMANDS = ("create", "get", "set", "ls", "ls2", "stat", "delete", "rmr")
CONNECTED = "\nWATCHER::\n\nWatchedEvent state:SyncConnected type:None path:null\n"
LOST = (
    'Exception in thread "main" org.apache.zookeeper.KeeperException$ConnectionLossException: '
    "KeeperErrorCode = ConnectionLoss for {path}\n"
)
TRY_SECONDS, TRIES = 1.5, 20


async def zk_cli(process: Process) -> int:
    """zkCli.sh [-server HOST:PORT] [COMMAND]."""
    words, server = process.argv[1:], "localhost:2181"
    if words[:1] == ["-server"] and len(words) > 1:
        server, words = words[1], words[2:]
    if words:
        return await _run(process, server, words, CONNECTED)
    await process.out("Welcome to ZooKeeper!\n" + CONNECTED)
    rest = b""
    while chunk := await process.stdin.read():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            typed = shlex.split(line.decode(errors="replace"))
            if typed[:1] in (["quit"], ["close"]):
                return 0
            if typed:
                await _run(process, server, typed, "")
    return 0


async def _run(process: Process, server: str, words: list[str], before: str) -> int:
    if words[0] not in COMMANDS or len(words) < 2:
        await process.err(f"ZooKeeper -server host:port cmd args\n\t{' '.join(COMMANDS)} path\n")
        return 1
    answer: dict[str, Any] | None = None
    for number in range(TRIES):
        if number:
            await process.clock.sleep(TRY_SECONDS)
        answer = await _ask(process, server, words)
        if answer is not None:
            break
    if answer is None:
        await process.err(LOST.format(path=words[1]))
        return 1
    await process.out(before)
    if "error" in answer:
        await process.err(answer["error"] + "\n")
    elif "text" in answer:
        await process.out(answer["text"] + "\n")
    if "node" in answer:
        await process.out(_shown(answer["node"]))
    return 0


async def _ask(process: Process, server: str, words: list[str]) -> dict[str, Any] | None:
    """The answer; None from a server that is not there or does not serve."""
    host, _, port = server.partition(":")
    try:
        stream = await process.connect(host, int(port or 2181), seconds=TRY_SECONDS)
        try:
            await stream.write(json.dumps(words).encode() + b"\n")
            answer = dict(json.loads(await stream.read_until(b"\n", 1 << 24)))
        finally:
            stream.close()
    except (OSError, NameNotResolved, ValueError):
        return None
    return None if answer.get("lost") else answer


def _shown(node: dict[str, Any]) -> str:
    def time(moment: float) -> str:
        return f"{datetime.fromtimestamp(moment, UTC):%a %b %d %H:%M:%S UTC %Y}"

    return (
        f"cZxid = {node['czxid']:#x}\nctime = {time(node['ctime'])}\nmZxid = {node['mzxid']:#x}\n"
        f"mtime = {time(node['mtime'])}\npZxid = {node['czxid']:#x}\ncversion = 0\ndataVersion = {node['version']}\n"
        f"aclVersion = 0\nephemeralOwner = 0x0\ndataLength = {len(node['data'])}\nnumChildren = {node['children']}\n"
    )
