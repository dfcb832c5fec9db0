"""sysctl and uname: the kernel's parameters, as /proc/sys has them, and what it is."""

from __future__ import annotations

from kuartui.embedded.images.applets.options import parse
from kuartui.embedded.node.runtime.process import Process
from kuartui.embedded.node.runtime.rootfs import KERNEL_BUILD, KERNEL_VERSION

TOP = "/proc/sys"


async def sysctl(process: Process) -> int:
    """sysctl [-n] [-a] [-w] NAME[=VALUE]…; a container changes none."""
    options, names = await parse(process, "enaqw")
    if "a" in options:
        below = [path for path in process.files.walk(TOP) if process.files.is_file(path)]
        names = sorted(path.removeprefix(TOP + "/").replace("/", ".") for path in below)
    code = 0
    for given in names:
        name, change, _ = given.partition("=")
        path = f"{TOP}/{name.replace('.', '/')}"
        if not process.files.is_file(path):
            if "e" not in options:
                await process.err(f"sysctl: error: '{name}' is an unknown key\n")
                code = 1
        elif change:
            await process.err(f"sysctl: error setting key '{name}': Read-only file system\n")
            code = 1
        else:
            value = process.files.read(path).decode().rstrip("\n")
            await process.out(f"{value}\n" if "n" in options else f"{name} = {value}\n")
    return code


async def uname(process: Process) -> int:
    """uname [-asnrvmpio]: the node's kernel, the same that `kubectl get nodes -o wide` shows."""
    options, _ = await parse(process, "asnrvmpio")
    words = {
        "s": "Linux",
        "n": process.container.sandbox.hostname,
        "r": KERNEL_VERSION,
        "v": KERNEL_BUILD,
        "m": "x86_64",
        "p": "unknown",
        "i": "unknown",
        "o": "GNU/Linux",
    }
    wanted = "snrvmo" if "a" in options else "".join(options) or "s"
    await process.out(" ".join(words[letter] for letter in words if letter in wanted) + "\n")
    return 0
