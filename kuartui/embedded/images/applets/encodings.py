"""base64, which tells of bad input only after it gave what it could decode: how people look into tokens."""

from __future__ import annotations

import base64 as codec
import re

from kuartui.embedded.images.applets.options import parse
from kuartui.embedded.node.runtime.process import Process

WRAP = 76


async def base64(process: Process) -> int:
    """base64 [-d] [-i] [-w COLUMNS] [FILE]."""
    options, rest = await parse(process, "dDiw:")
    try:
        data = process.read(rest[0]) if rest and rest[0] != "-" else await _input(process)
    except OSError as error:
        await process.err(f"base64: {rest[0]}: {error.strerror}\n")
        return 1
    if "d" not in options and "D" not in options:
        columns = int(options.get("w", WRAP))
        text = codec.b64encode(data)
        lines = [text[at : at + columns] for at in range(0, len(text), columns)] if columns else [text]
        await process.stdout(b"\n".join(lines) + (b"\n" if columns and text else b""))
        return 0
    text = re.sub(rb"\s", b"", data)
    if "i" in options:
        text = re.sub(rb"[^A-Za-z0-9+/=]", b"", text)
    good = re.match(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", text)
    whole = good[0] if good else b""
    left = text[len(whole) :]
    also = re.match(rb"[A-Za-z0-9+/]{2,3}$", left)  # the end without its padding is decoded, and complained about
    await process.stdout(codec.b64decode(whole) + (codec.b64decode(also[0].ljust(4, b"=")) if also else b""))
    if not left:
        return 0
    busybox = "ash" in process.container.spec.image.shells.values()
    await process.err(f"base64: {'truncated' if busybox and also else 'invalid'} input\n")
    return 1


async def _input(process: Process) -> bytes:
    chunks = []
    while data := await process.stdin.read():
        chunks.append(data)
    return b"".join(chunks)
