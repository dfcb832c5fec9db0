"""How far something is: a bar where a terminal shows it, nothing where a file or a script reads along."""

from __future__ import annotations

import io

import pytest

from kuartui.cli.bar import bar, steps
from kuartui.cluster.base import Progress
from kuartui.message import later


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, *, wanted: bool = True) -> str:
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    with bar(wanted) as report:
        report(Progress(later("{done} of {all} levels", done=3, all=61), 17, 540))
    return stream.getvalue()


def test_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, Terminal())
    assert "3 of 61 levels" in text
    assert "17/540" in text
    monkeypatch.setenv("KUARTUI_LANG", "zh-CN")
    assert "已完成 3 个关卡，共 61 个" in shown(monkeypatch, Terminal())


def test_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, io.StringIO()) == ""
    assert shown(monkeypatch, Terminal(), wanted=False) == ""


def test_a_file_gets_what_is_printed_and_no_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr", Terminal())
    with bar(True) as report:
        report(Progress("half", 1, 2))
        print("a line")
    assert capsys.readouterr().out == "a line\n"


def started(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, terminal: str = "xterm-256color") -> str:
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", terminal)
    monkeypatch.setenv("COLUMNS", "100")
    with steps() as report:
        report(Progress("starting the host", 1, 2))
        report(Progress("something on the way"))
        report(Progress("starting the cluster", 2, 2))
    return stream.getvalue()


def test_steps_are_a_bar_on_a_terminal_and_the_last_one_is_not_done_when_it_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = started(monkeypatch, Terminal())
    assert "starting the cluster" in text
    assert "1/2" in text
    assert "2/2" not in text


def test_steps_are_lines_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "[1/2] starting the host\nsomething on the way\n[2/2] starting the cluster\n"
    assert started(monkeypatch, io.StringIO()) == lines
    assert started(monkeypatch, Terminal(), "dumb") == lines
