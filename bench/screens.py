"""The budgets of the screens, measured: `python bench/screens.py [NAME…]`.

As in budgets.py: measured / budget = ratio, and nothing fails. The app runs in this process without a terminal, on a
real embedded cluster; times are what a player would wait, and beside them what the processor had to do, since a busy
machine makes the former longer and not the latter.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from budgets import KUARTUI, client, line
from textual.css.query import NoMatches

from kuartui.play.view import Result
from kuartui.tui.app import KuartuiApp
from kuartui.tui.feed import Game
from kuartui.tui.screens.dialogs import Confirm
from kuartui.tui.screens.play import PlayScreen
from kuartui.tui.screens.result import ResultScreen
from kuartui.tui.widgets.scrollback import runs

LEVEL, SEED, SERVICE, NAMESPACE = "broken-selector", 1, "kiosk", "market"
EVENTS = 50  # per second
KEYS, TICKS, ROUNDS = 150, 20, 60
MINUTES, THINKING, PATIENCE = 60.0, 5.0, 30.0  # of play; seconds after each line that is typed, and for the last check
GLANCE = 0.3  # seconds that a person looks at what a key has brought
RIGHT, WRONG = {"app": "kiosk"}, {"app": "kosik"}


def p95(values: list[float]) -> float:
    import statistics  # here: it is no part of the memory of our screens

    return statistics.quantiles(values, n=20)[-1]


def memory(what: str) -> float:
    """MB, a million bytes, of this process: Rss, or Pss, where what several processes share counts by share."""
    found = re.search(rf"^{what}:\s+(\d+)", Path("/proc/self/smaps_rollup").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 / 1e6 if found else float("nan")


async def until(holds: Callable[[], Any], seconds: float = 300.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.001)


async def playing(app: KuartuiApp, level: str = LEVEL) -> PlayScreen:
    app.play_level(level, SEED)
    await until(lambda: isinstance(app.screen, PlayScreen) and app.screen._observer and app.screen._observer.ready)
    screen = app.screen
    assert isinstance(screen, PlayScreen)
    await until(lambda: screen.session.snapshot().checks[0].state != "unknown")  # others may wait for this one
    return screen


def storm(kubeconfig: Path, seconds: float) -> subprocess.Popen[bytes]:
    """A process that writes events into the level's namespace."""
    return subprocess.Popen([sys.executable, __file__, "--storm", str(kubeconfig), str(seconds)])


def rain(kubeconfig: Path, seconds: float) -> None:
    about = {"kind": "Pod", "name": "kiosk", "namespace": NAMESPACE}
    with client(kubeconfig) as api:
        begin, number = time.monotonic(), 0
        while (now := time.monotonic()) < begin + seconds:
            body = {
                "apiVersion": "v1", "kind": "Event", "type": "Normal", "reason": "Rain", "involvedObject": about,
                "metadata": {"name": f"rain.{number}"}, "message": f"drop {number}", "count": 1,
            }  # fmt: skip
            api.post(f"/api/v1/namespaces/{NAMESPACE}/events", json=body)
            number += 1
            time.sleep(max(0.0, begin + number / EVENTS - now))


async def keys(app: KuartuiApp, _: Any) -> None:
    """From a key to what it changes on the screen, while events stream into the pane it moves in."""
    screen = await playing(app)
    screen._focus("cluster")
    assert screen.session.kubeconfig is not None
    raining = storm(screen.session.kubeconfig, 60)
    try:
        await until(lambda: any(section.kind == "Event" and section.more for section in screen._observer.sections()))  # type: ignore[union-attr]
        waits, works = [], []
        for number in range(KEYS):
            painted = asyncio.Event()
            begin, work = time.perf_counter(), time.thread_time()
            app.simulate_key("down" if number % 2 else "up")
            await asyncio.sleep(0)
            screen.call_after_refresh(painted.set)
            await painted.wait()
            waits.append(1000 * (time.perf_counter() - begin))
            works.append(1000 * (time.thread_time() - work))
            await asyncio.sleep(0.05)
    finally:
        raining.kill()
        raining.wait()
    line(f"key to paint, p95, at {EVENTS} events a second", p95(waits), 50, "ms")
    line("  processor time of the screens' thread, p95", p95(works), 50, "ms")


async def ticks(app: KuartuiApp, _: Any) -> None:
    """From a change of the cluster (as its API answered) to the check on the screen."""
    screen = await playing(app)
    name = screen.session.level.checks[0].name
    assert screen.session.kubeconfig is not None
    state = lambda: next(check.state for check in screen.session.snapshot().checks if check.name == name)  # noqa: E731
    waits = []
    with client(screen.session.kubeconfig) as api:
        path = f"/api/v1/namespaces/{NAMESPACE}/services/{SERVICE}"
        target = api.get(path).json()["spec"]["ports"][0]["targetPort"]
        ports = [{"port": 81, "targetPort": target}]  # another check stays red, the level goes on
        for number in range(TICKS):
            before, painted = state(), asyncio.Event()
            body = {"spec": {"selector": WRONG if number % 2 else RIGHT, "ports": ports}}
            header = {"Content-Type": "application/merge-patch+json"}
            await asyncio.to_thread(lambda: api.patch(path, json=body, headers=header).raise_for_status())  # noqa: B023
            begin = time.perf_counter()
            try:
                await until(lambda: state() != before, 5)  # noqa: B023
            except TimeoutError:
                continue  # nothing turned: the level is over, or this was the state before
            screen.call_after_refresh(painted.set)
            await painted.wait()
            waits.append(1000 * (time.perf_counter() - begin))
            await asyncio.sleep(0.3)
    if len(waits) > 1:
        line(f"change to tick, p95 of {len(waits)}", p95(waits), 250, "ms")


async def play(app: KuartuiApp, pilot: Any) -> None:
    """Memory after much use: every pane, every layout, objects in full, sizes, themes, help, home and back."""
    screen = await playing(app)
    line("memory at the beginning of play (Rss)", memory("Rss"), 120, "MB")
    used, warm, done = time.process_time(), 0.0, 0
    for number in range(ROUNDS):
        if screen.session.snapshot().phase == "over":  # a busy machine takes longer than the level lasts
            break
        done += 1
        if number == ROUNDS // 3:  # caches are filled by now
            warm = memory("Rss")
        await around(screen, pilot, number)
    line(f"memory after {done} rounds of play (Rss)", memory("Rss"), 120, "MB")
    line(f"memory after {done} rounds of play (Pss)", memory("Pss"), 120, "MB")
    grown = 1000 * (memory("Rss") - warm) / max(1, done - ROUNDS // 3)
    print(f"  memory a round, of the last two thirds: {grown:.0f} kB", flush=True)
    print(f"  processor time of a round: {(time.process_time() - used) / done:.2f} s", flush=True)


async def around(screen: PlayScreen, pilot: Any, number: int, glance: float = 0.0) -> None:
    """A round through what the screen can show, ending in another size than the round before."""
    screen._focus("cluster")
    for key in ("down", "d", "escape", "y", "escape", "f6", "f6", "f4", "f1", "escape", "plus", "f7", "f5"):
        if key == "escape" and screen.app.screen is screen and not screen.detail.display:
            continue  # a level that has no objects yet: nothing is open, and it would lead home
        await pilot.press(key)
        await asyncio.sleep(glance)
    await pilot.resize_terminal(*((80, 24), (120, 40), (200, 60))[number % 3])


async def one_level(app: KuartuiApp, pilot: Any, level: str) -> Result:
    """Play a level as a person would: look at it in every pane, type its solution into the terminal, read the result,
    go home."""
    screen = await playing(app, level)
    over = lambda: screen.session.snapshot().phase == "over"  # noqa: E731
    prompted = lambda: (shell := screen.terminal.shell) and any(map(runs, shell.page.grid))  # noqa: E731
    with contextlib.suppress(TimeoutError):
        await until(prompted, PATIENCE)
    await around(screen, pilot, 2, GLANCE)
    for text in screen.session.level.solutions[0].run:
        if over():
            break
        if not screen.terminal.has_shell_focus:
            await pilot.press("f9")
        await pilot.press("ctrl+u")  # what the round left on the line
        for typed in f"{text}\n":
            if over():  # what comes after that is for the result, where letters mean something else
                break
            await pilot.press("enter" if typed == "\n" else typed)
        await asyncio.sleep(THINKING)
    with contextlib.suppress(TimeoutError):
        await until(over, PATIENCE)
    if not over():  # nothing else here: an Escape that comes after the level's end would leave its result
        await finish(app, pilot)
    await until(lambda: isinstance(app.screen, ResultScreen))
    assert isinstance(app.screen, ResultScreen)
    result = app.screen.result
    await asyncio.sleep(THINKING)
    await pilot.press("s", "pagedown", "pagedown", "s", "escape")
    return result


async def finish(app: KuartuiApp, pilot: Any) -> None:
    """End the level with what is green, unless it ends by itself while it is asked."""
    await pilot.press("f12")
    await until(lambda: isinstance(app.screen, ResultScreen) or (isinstance(app.screen, Confirm) and app.focused))
    if isinstance(app.screen, Confirm):  # its Cancel has the focus by now
        await pilot.press("tab", "enter")


async def hour(app: KuartuiApp, pilot: Any) -> None:
    """Memory after an hour of scripted play, level after level. Only when asked for by name."""
    levels = itertools.cycle(card.name for card in app.game.catalog.cards("en") if "docker" not in card.needs)
    begin, played, solved, minutes = time.monotonic(), 0, 0, 0.0
    while minutes < MINUTES:
        level = next(levels)
        try:
            outcome = (await one_level(app, pilot, level)).outcome
        except (TimeoutError, NoMatches):  # another screen than it should be: told, and the hour goes on
            outcome = f"stuck at {app.screen}"
            app.go_home()
            await asyncio.to_thread(subprocess.run, [*KUARTUI, "level", "finish", "--abandon"], capture_output=True)
        played, solved = played + 1, solved + (outcome == "solved")
        minutes = (time.monotonic() - begin) / 60
        print(f"  {minutes:5.1f} min  {memory('Rss'):6.1f} MB  {level}: {outcome}", flush=True)
    line(f"memory after {minutes:.0f} min of play, {played} levels, {solved} solved (Rss)", memory("Rss"), 120, "MB")


def first() -> None:
    """Processor time until the first screen, ours against that of an app that shows nothing; the second start counts,
    since the first one reads all levels."""
    bare = "from textual.app import App\nclass A(App):\n  def on_mount(self): self.exit()\nA().run(headless=True)"
    ours = "from kuartui.tui.app import first_paint\nfirst_paint()"

    def work(code: str) -> float:
        begin = os.times()
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        end = os.times()
        return end.children_user + end.children_system - begin.children_user - begin.children_system

    work(ours)
    line(
        "first screen / 3 x a bare Textual app (processor)",
        min(map(work, [ours] * 3)),
        3 * min(map(work, [bare] * 3)),
        "s",
    )


BENCHES: dict[str, Any] = {"first": first, "keys": keys, "ticks": ticks, "play": play, "hour": hour}


async def on_screen(bench: Any) -> None:
    game = Game("embedded")
    app = KuartuiApp(game)
    async with app.run_test(size=(120, 40)) as pilot:
        await bench(app, pilot)
    game.close()


def main() -> None:
    if sys.argv[1:2] == ["--storm"]:
        rain(Path(sys.argv[2]), float(sys.argv[3]))
        return
    if len(sys.argv) > 2 or not sys.argv[1:]:  # each in a process of its own: memory tells of one thing only
        for name in sys.argv[1:] or [name for name in BENCHES if name != "hour"]:
            subprocess.run([sys.executable, __file__, name], check=False)
        return
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"HOME": home, "KUARTUI_HOME": f"{home}/kuartui", "KUARTUI_LANG": "en"}
        os.environ |= {} if sys.argv[1] == "hour" else {"KUARTUI_SHELL": "0"}
        try:
            bench = BENCHES[sys.argv[1]]
            asyncio.run(on_screen(bench)) if asyncio.iscoroutinefunction(bench) else bench()
        finally:
            for command in (["level", "finish", "--abandon"], ["cluster", "down", "--all"]):
                subprocess.run([*KUARTUI, *command], capture_output=True, check=False)


if __name__ == "__main__":
    main()
