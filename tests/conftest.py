"""What every test gets: a home of its own, so that nothing touches the player's files."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-goldens", action="store_true", help="write tests/tui/golden/*.txt anew")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Everything kuartui or kubectl writes goes below a fresh directory."""
    place = tmp_path / "home"
    place.mkdir()
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.setenv("KUARTUI_HOME", str(place / "kuartui"))
    monkeypatch.setenv("KUARTUI_LANG", "en")
    for variable in ("KUBECONFIG", "KUARTUI_KUBECTL", "XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    return place
