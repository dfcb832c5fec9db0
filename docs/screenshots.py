"""Makes the pictures in docs/images from the real app: `python docs/screenshots.py`.

It plays in a home of its own, on an embedded cluster, and types a few commands into the terminal pane.
"""

from __future__ import annotations

import asyncio
import os
import sysconfig
import tempfile
from pathlib import Path

IMAGES = Path(__file__).parent / "images"
SIZE = (120, 36)


async def main() -> None:
    from kuartui.cluster.embedded import stop_all
    from kuartui.tui.app import KuartuiApp
    from kuartui.tui.feed import Game

    IMAGES.mkdir(exist_ok=True)
    app = KuartuiApp(Game("embedded"))
    try:
        async with app.run_test(size=SIZE) as pilot:
            await pilot.pause(3)
            app.save_screenshot(str(IMAGES / "home.svg"))
            await pilot.press("enter")
            for _ in range(60):
                await pilot.pause(0.5)
                if app.screen.query("#shell"):
                    break
            await pilot.pause(3)
            for line in ("kubectl get pods,services", "kubectl get endpointslices"):
                await pilot.press(*("space" if c == " " else "comma" if c == "," else c for c in line), "enter")
                await pilot.pause(2)
            app.save_screenshot(str(IMAGES / "play.svg"))
            await pilot.press("f12", "tab", "enter")
            await pilot.pause(4)
            app.save_screenshot(str(IMAGES / "result.svg"))
    finally:
        stop_all()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
        os.environ |= {"HOME": home, "KUARTUI_HOME": f"{home}/kuartui", "PATH": path}
        asyncio.run(main())
