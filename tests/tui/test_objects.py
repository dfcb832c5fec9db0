"""The tables of the cluster pane."""

from kuartui.play.observe import Row, Section
from kuartui.tui.widgets.objects import table

POD = Row("Pod", "pods", "shop", "web-1", ("web-1", "1/1", "5m11s"), "good")
PODS = Section("Pod", ("NAME", "READY", "AGE"), (POD,))
WIDE, CLOSE = ["  Pod    READY  AGE", "✓ web-1  1/1    5m11s"], ["  Pod   READY AGE", "✓ web-1 1/1   5m11s"]


def shown(room: int) -> list[str]:
    return [line.plain for line, _ in table([PODS], problem="", search="", room=room)]


def test_columns_stand_closer_only_where_they_then_fit():
    assert shown(len(WIDE[1])) == WIDE
    assert shown(len(WIDE[1]) - 1) == CLOSE
    assert shown(len(CLOSE[1])) == CLOSE
    assert shown(len(CLOSE[1]) - 1) == WIDE  # one scrolls then anyway
