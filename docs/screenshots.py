"""Makes the pictures and the recording in docs/images from the real app: `python docs/screenshots.py`.

It plays the first level in a home of its own, on an embedded cluster, with commands typed into the terminal pane. The
recording is of the real `kuartui` in a pseudo-terminal, in asciinema's format: `asciinema play docs/images/play.cast`.
Where there is a rsvg-convert, each SVG gets a PNG beside it.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import sysconfig
import tempfile
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

IMAGES = Path(__file__).parent / "images"
SIZE = (120, 36)
COMMANDS = (
    "kubectl get deployments,pods",
    "kubectl scale deployment bell --replicas=2",
    "kubectl label deployment bell tour=done",
)
NAMES = {" ": "space", ",": "comma", "-": "minus", "=": "equals_sign", ".": "full_stop"}


async def pictures() -> None:
    from kuartui.tui.app import KuartuiApp
    from kuartui.tui.feed import Game

    app = KuartuiApp(Game("embedded"))
    async with app.run_test(size=SIZE) as pilot:
        await shown(app, pilot, "Kubernetes v")
        app.save_screenshot(str(IMAGES / "home.svg"))
        app.play_level("first-steps", 0)
        await shown(app, pilot, "Coach 1")
        await pilot.pause(5)  # the shell starts
        for line in COMMANDS[:2]:
            await pilot.press(*(NAMES.get(letter, letter) for letter in line), "enter")
            await pilot.pause(4)
        await shown(app, pilot, "1/2")
        app.save_screenshot(str(IMAGES / "play.svg"))
        await pilot.press("f12", "tab", "enter")
        await shown(app, pilot, "Read on", "Timeline")
        app.save_screenshot(str(IMAGES / "result.svg"))


async def shown(app: Any, pilot: Any, *texts: str, seconds: float = 60) -> None:
    """Wait for one of the texts to be on the screen."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        strips = app.screen._compositor.render_strips()
        text = "\n".join("".join(segment.text for segment in strip) for strip in strips)
        if any(wanted in text for wanted in texts):
            return
        await pilot.pause(0.2)
    raise SystemExit(f"waited in vain for {texts}")


def recording() -> None:
    """(text to wait for, keys) into the real thing; everything it writes goes into the cast."""
    steps = [("Coach 1", f"{COMMANDS[0]}\r"), ("Running", f"{COMMANDS[1]}\r"), ("scaled", f"{COMMANDS[2]}\r")]
    steps += [("Timeline", "")]
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-m", "kuartui", "play", "first-steps", "--seed", "0"])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
    os.kill(child, signal.SIGWINCH)
    begun = time.monotonic()
    header = {"version": 2, "width": SIZE[0], "height": SIZE[1], "title": "kuartui", "env": {"TERM": "xterm-256color"}}
    with (IMAGES / "play.cast").open("w") as cast:
        cast.write(json.dumps(header) + "\n")

        def watch(seconds: float, text: str = "") -> bool:
            seen = ""
            for piece in until(terminal, time.monotonic() + seconds):
                cast.write(json.dumps([round(time.monotonic() - begun, 3), "o", piece]) + "\n")
                seen += piece
                if text and text in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen):
                    return True
            return False

        for text, keys in steps:
            if not watch(40, text):
                print(f"the recording waited in vain for {text!r}", file=sys.stderr)
                break
            watch(5 if text == "Coach 1" else 1.5)
            for key in keys:
                os.write(terminal, key.encode())
                watch(0.05)
        watch(3)
    os.kill(child, signal.SIGTERM)
    os.waitpid(child, 0)


def until(terminal: int, end: float) -> Iterator[str]:
    """What is written until then."""
    rest = b""
    while (left := end - time.monotonic()) > 0:
        if select.select([terminal], [], [], left)[0]:
            try:
                data = rest + os.read(terminal, 65536)
            except OSError:
                return
            text = data.decode(errors="ignore")
            rest = data[len(text.encode()) :] if len(text.encode()) < len(data) else b""
            yield text


def main() -> None:
    from kuartui.cluster.host import stop_all

    IMAGES.mkdir(exist_ok=True)
    try:
        asyncio.run(pictures())
        recording()
    finally:
        stop_all()
    if tool := shutil.which("rsvg-convert"):
        for image in IMAGES.glob("*.svg"):
            subprocess.run([tool, str(image), "-o", str(image.with_suffix(".png"))], check=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
        os.environ |= {"HOME": home, "KUARTUI_HOME": f"{home}/kuartui", "PATH": path, "COLORTERM": "truecolor"}
        os.environ["KUARTUI_LANG"] = "en"
        os.environ |= {"TERM": "xterm-256color", "PS1": "$ "}
        main()
