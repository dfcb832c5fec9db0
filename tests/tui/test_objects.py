"""The tables of the cluster pane."""

from kuartui.play.observe import Row, Section
from kuartui.tui.widgets.objects import table

POD = Row("Pod", "pods", "shop", "web-1", ("web-1", "1/1", "5m11s"), "good")
PODS = Section("Pod", ("NAME", "READY", "AGE"), (POD,))
WIDE, CLOSE = ["  Pod    READY  AGE", "✓ web-1  1/1    5m11s"], ["  Pod   READY AGE", "✓ web-1 1/1   5m11s"]


EVENTS = Section(
    "Event",
    ("Last Seen", "Type", "Reason", "Object", "Message"),
    (
        Row("Event", "events", "shop", "web-1.a", ("9s", "Warning", "Failed", "pod/web-1", "no such image"), "bad"),
        Row("Event", "events", "shop", "web-1.b", ("12s", "Normal", "Pulling", "pod/web-1", "pulling " + "web " * 40)),
    ),
)


def shown(room: int, section: Section = PODS) -> list[str]:
    return [line.plain for line, _ in table([section], problem="", search="", room=room)]


def test_columns_stand_closer_where_room_is_short() -> None:
    assert shown(len(WIDE[1])) == WIDE
    assert shown(len(WIDE[1]) - 1) == CLOSE
    assert shown(len(CLOSE[1]) - 1) == CLOSE


def test_messages_of_events_have_lines_of_their_own_where_they_do_not_fit() -> None:
    assert shown(300, EVENTS)[1] == "✗ 9s     Warning  Failed   pod/web-1  no such image"
    narrow = shown(40, EVENTS)
    assert narrow[:3] == ["  Event  REASON   OBJECT", "✗ 9s     Failed   pod/web-1", "    no such image"]
    assert narrow[3:5] == ["  12s    Pulling  pod/web-1", "    pulling web web web web web web web"]
    assert len(narrow) == 7, "a long one has three lines"
    assert narrow[-1] == "    web web web web web web web web web…"
    assert max(map(len, narrow)) == 40
    lines = table([EVENTS], problem="", search="", room=40)
    assert [row and row.name for _, row in lines] == [None, *["web-1.a"] * 2, *["web-1.b"] * 4]


def test_an_object_is_the_same_whatever_is_told_of_it() -> None:
    older = Row("Pod", "pods", "shop", "web-1", ("web-1", "0/1", "9m"), "bad")
    assert older == POD
    assert older != Row("Pod", "pods", "shop", "web-2", older.cells, "bad")
