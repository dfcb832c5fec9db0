"""nc, telnet, ping: raw connections from a container."""

from __future__ import annotations

import asyncio

from kuartui.embedded.images.applets.options import parse
from kuartui.embedded.network import NameNotResolved, Stream
from kuartui.embedded.node.runtime.process import Process


async def nc(process: Process) -> int:
    """nc [-lkzvun] [-p port] [-w seconds] [-e command…] [host] [port]."""
    argv = process.argv
    command: list[str] = []
    for flag in ("-e", "-c"):
        if flag in argv[1:]:
            at = argv.index(flag, 1)
            command = argv[at + 1 :] if flag == "-e" else ["sh", "-c", *argv[at + 1 :]]
            process.argv = argv[:at]
    options, rest = await parse(process, "lkzvunp:w:i:s:q:")
    protocol = "UDP" if "u" in options else "TCP"
    if "l" in options:
        wanted = options.get("p") or (rest[-1] if rest else "0")
        return await _listen(process, int(wanted), protocol, command, keep="k" in options)
    if len(rest) < 2 or not rest[1].partition("-")[0].isdigit():
        await process.err("BusyBox v1.36.1 multi-call binary.\n\nUsage: nc [OPTIONS] HOST PORT\n")
        return 1
    limit = float(options["w"]) if "w" in options else 127.0
    host, port = rest[0], int(rest[1].partition("-")[0])
    try:
        address = (await process.resolve(host))[0]
    except NameNotResolved:
        await process.err(f"nc: bad address '{host}'\n")
        return 1
    where = f"{host} ({address}:{port})"
    try:
        async with process.clock.timeout(limit):
            stream = await process.connect(address, port, protocol, seconds=limit + 1)
    except TimeoutError:
        if "z" not in options or "v" in options:
            await process.err(f"nc: {where}: Connection timed out\n" if limit > 120 else "nc: timed out\n")
        return 1
    except OSError as error:
        if "z" not in options or "v" in options:
            await process.err(f"nc: {where}: {error.strerror}\n")
        return 1
    if "v" in options:
        await process.err(f"{where} open\n")
    if "z" in options:
        stream.close()
        return 0
    await _join(process, stream)
    return 0


async def _listen(process: Process, port: int, protocol: str, command: list[str], *, keep: bool) -> int:
    done = asyncio.Event()

    async def accept(stream: Stream) -> None:
        if command:
            await process.run(command, stdin=stream, stdout=stream.write, stderr=stream.write)
            stream.close()
        else:
            await _join(process, stream)
        if not keep:
            done.set()

    try:
        listener = process.listen(port, accept, protocol)
    except OSError as error:
        await process.err(f"nc: bind: {error.strerror}\n")
        return 1
    await done.wait()
    listener.close(connections=False)
    return 0


async def _join(process: Process, stream: Stream) -> None:
    """Copy both ways until the other side ends."""

    async def up() -> None:
        while data := await process.stdin.read():
            await stream.write(data)
        stream.close()

    sending = process.background(up())
    try:
        while data := await stream.read():
            await process.stdout(data)
    except ConnectionResetError:
        pass
    finally:
        sending.cancel()
        stream.close()


async def telnet(process: Process) -> int:
    """telnet host [port]."""
    words = [word for word in process.argv[1:] if not word.startswith("-")]
    if not words:
        return 1
    host, port = words[0], int(words[1]) if len(words) > 1 else 23
    try:
        stream = await process.connect(host, port)
    except NameNotResolved:
        await process.err(f"telnet: bad address '{host}'\n")
        return 1
    except OSError as error:
        await process.err(f"telnet: can't connect to remote host ({host}): {error.strerror}\n")
        return 1
    await process.out(f"Connected to {host}\n\n")
    await _join(process, stream)
    await process.out("Connection closed by foreign host\n")
    return 1


async def ping(process: Process) -> int:
    """ping [-c count] [-W seconds] [-i seconds] host."""
    options, rest = await parse(process, "c:W:w:i:s:q46nt:I:")
    if not rest:
        return 1
    host = rest[0]
    try:
        address = (await process.resolve(host))[0]
    except NameNotResolved:
        await process.err(f"ping: bad address '{host}'\n")
        return 1
    count = int(options.get("c", "0")) or 10**9
    await process.out(f"PING {host} ({address}): 56 data bytes\n")
    sent = received = 0
    deadline = float(options["w"]) if "w" in options else None
    wait, every = float(options.get("W", 10)), float(options.get("i", 1))
    start = process.clock.monotonic()
    interrupted = process.signals("INT") if process.terminal else None
    while sent < count and (interrupted is None or interrupted.empty()):
        if deadline is not None and process.clock.monotonic() - start >= deadline:
            break
        if process.network.reachable(process.ip, address):
            received += 1
            await process.out(f"64 bytes from {address}: seq={sent} ttl=63 time=0.085 ms\n")
        elif sent + 1 == count:
            await process.clock.sleep(wait)
        sent += 1
        if sent < count:
            await process.clock.sleep(every)
    lost = 100 * (sent - received) // max(sent, 1)
    await process.out(
        f"\n--- {host} ping statistics ---\n{sent} packets transmitted, {received} packets received, {lost}% packet loss\n"
    )
    if received:
        await process.out("round-trip min/avg/max = 0.085/0.085/0.085 ms\n")
    return 0 if received else 1
