"""What every test gets: a home of its own, so that nothing touches the player's files, and compiled messages."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How fast a machine is at the moment is no property of what is tested; and examples that share a fixture (a folder, a
# server) are meant to.
settings.register_profile(
    "ours", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.load_profile("ours")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-goldens", action="store_true", help="write tests/tui/golden/*.txt anew")


def pytest_configure() -> None:
    """Compile the messages of a checkout that was edited since it was installed."""
    os.environ["KUARTUI_LANG"] = "en"  # some modules say something while they are loaded
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a terminal, also where a job in the background
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # or nohup has them ignored, and so by all that tests start
    import kuartui

    for source in Path(kuartui.__file__).parent.glob("locale/*/LC_MESSAGES/*.po"):
        compiled = source.with_suffix(".mo")
        if not compiled.exists() or compiled.stat().st_mtime < source.stat().st_mtime:
            try:
                from babel.messages.mofile import write_mo
                from babel.messages.pofile import read_po
            except ImportError:  # the tests of the messages tell
                return
            with source.open("rb") as text, compiled.open("wb") as target:
                write_mo(target, read_po(text))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Everything kuartui or kubectl writes goes below a fresh directory."""
    place = tmp_path / "home"
    place.mkdir()
    monkeypatch.setenv("HOME", str(place))
    for variable in os.environ:
        if variable.startswith(("KUARTUI_", "KUBE", "XDG_")) or variable.lower().endswith("_proxy"):
            monkeypatch.delenv(variable)  # many a client asks a proxy for what is on this machine
    monkeypatch.setenv("KUARTUI_HOME", str(place / "kuartui"))
    monkeypatch.setenv("KUARTUI_LANG", "en")
    return place


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What most people have; screens and helps look as in it, wherever tests are run."""
    monkeypatch.setenv("TERM", "xterm-256color")
    for variable in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "COLUMNS", "LINES", "TEXTUAL_COLOR_SYSTEM"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(autouse=True)
def trust(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A stranger's level that one test reads is none that the others have to beware of."""
    from kuartui.game import cel

    monkeypatch.setattr(cel, "_juror", None)
    yield
    if cel._juror:
        cel._juror.dismiss()


@pytest.fixture
def undisturbed() -> Iterator[None]:
    """For tests that parse code. No garbage is collected meanwhile: a report of what was found in it would parse code
    while code is parsed, which Python 3.11 takes badly (https://github.com/python/cpython/issues/106905)."""
    gc.disable()
    yield
    gc.enable()
