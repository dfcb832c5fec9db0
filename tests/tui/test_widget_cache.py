"""What Textual keeps of widgets that are gone."""

from __future__ import annotations

import gc

from textual._styles_cache import StylesCache
from textual.app import App
from textual.widgets import Label

from kuartui.tui import widget_cache


async def test_widgets_that_are_gone_leave_no_lines_behind() -> None:
    widget_cache.mend()
    app: App[None] = App()
    async with app.run_test() as pilot:
        before = _caches()
        for number in range(10):
            label = Label(f"gone soon: {number}")
            await app.mount(label)
            await pilot.pause()
            await label.remove()
        del label
        await pilot.pause()
        assert _caches() - before < 3  # the last one may still be on its way


def _caches() -> int:
    gc.collect()
    return sum(isinstance(thing, StylesCache) for thing in gc.get_objects())
