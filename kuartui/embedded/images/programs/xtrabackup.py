"""What the MySQL tutorial's sidecar runs: xtrabackup, xbstream and ncat, as far as its scripts go.

A backup is a stream of JSON lines, one for each file.
"""

from __future__ import annotations

import base64
import json
import posixpath

from kuartui.embedded.images.programs.mysql_client import LoginError, Options, login
from kuartui.embedded.network import NameNotResolved, Stream
from kuartui.embedded.node.runtime.process import Process

DATA = "/var/lib/mysql"
POSITION = "mysql-bin.000003", 154
OF_THE_SERVER = ("master.info", "xtrabackup_binlog_info", "xtrabackup_slave_info")


async def xtrabackup(process: Process) -> int:
    """xtrabackup --backup --stream=xbstream | --prepare --target-dir=DIR."""
    now = f"{process.clock.now():%y%m%d %H:%M:%S}"
    if "--prepare" in process.argv:
        await process.err(f"InnoDB: Shutdown completed; log sequence number 8206632\n{now} completed OK!\n")
        return 0
    try:
        stream, version = await login(process, Options(process))
    except LoginError as error:
        why = str(error).partition(": ")[2]
        await process.err(f"{now} Failed to connect to MySQL server: {why}.\n")
        return 1
    await stream.write(json.dumps({"do": "master"}).encode() + b"\n")
    master = json.loads(await stream.read_until(b"\n"))["host"]
    stream.close()
    await process.err(f"{now}  version_check Connected to MySQL server {version}\n")
    for path in process.files.walk(DATA):
        name = path.removeprefix(DATA).lstrip("/")
        if process.files.is_dir(path):
            await _put(process, name, None)
        elif name not in OF_THE_SERVER and not name.startswith("change_master_to"):
            await _put(process, name, process.files.read(path))
    file, at = POSITION
    await _put(process, "xtrabackup_binlog_info", f"{file}\t{at}\n".encode())
    follow = f"CHANGE MASTER TO MASTER_LOG_FILE='{file}', MASTER_LOG_POS={at};\n" if master else ""
    await _put(process, "xtrabackup_slave_info", follow.encode())
    await process.err(f"{now} completed OK!\n")
    return 0


async def _put(process: Process, name: str, data: bytes | None) -> None:
    text = None if data is None else base64.b64encode(data).decode()
    await process.out(json.dumps({"name": name, "data": text}) + "\n")


async def xbstream(process: Process) -> int:
    """xbstream -x -C DIR: unpack what comes in."""
    words = process.argv[1:]
    target = process.path(words[words.index("-C") + 1]) if "-C" in words[:-1] else process.cwd
    data = b""
    while chunk := await process.stdin.read():
        data += chunk
    for line in data.splitlines():
        try:
            entry = json.loads(line)
            path = posixpath.join(target, str(entry["name"]))
            if entry["data"] is None:
                process.files.mkdir(path, process.user, parents=True)
            else:
                process.files.write(path, base64.b64decode(entry["data"]), process.user)
        except (ValueError, KeyError, TypeError):
            await process.err("xbstream: expected chunk magic, got something else\n")
            return 1
        except OSError as error:
            await process.err(f"xbstream: failed to create file: {error.strerror}\n")
            return 1
    return 0


async def ncat(process: Process) -> int:
    """ncat [--recv-only] HOST PORT, or ncat --listen [--keep-open] PORT -c COMMAND."""
    words, command, rest = process.argv[1:], "", []
    while words:
        word = words.pop(0)
        if word in ("-c", "--sh-exec"):
            command = words.pop(0) if words else ""
        elif not word.startswith("-"):
            rest.append(word)
    if "--listen" in process.argv or "-l" in process.argv:
        return await _offer(process, int(rest[-1]) if rest else 31337, command)
    try:
        stream = await process.connect(rest[0], int(rest[1]), seconds=10)
    except NameNotResolved:
        await process.err(f'Ncat: Could not resolve hostname "{rest[0]}": Name or service not known. QUITTING.\n')
        return 2
    except (OSError, IndexError, ValueError) as error:
        await process.err(f"Ncat: {getattr(error, 'strerror', None) or 'You must specify a host to connect to'}.\n")
        return 1
    while data := await stream.read():
        await process.stdout(data)
    return 0


async def _offer(process: Process, port: int, command: str) -> int:
    async def serve(stream: Stream) -> None:
        await process.run(["/bin/sh", "-c", command], stdout=stream.write)
        stream.close()

    process.listen(port, serve)
    await process.signals("TERM", "INT").get()
    return 0
