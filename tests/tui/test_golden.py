"""Goldens catch what changed on a screen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tui import golden as module
from tests.tui.golden import Golden


def test_a_golden_that_differs_fails_with_the_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PLACE", tmp_path)
    with pytest.raises(pytest.fail.Exception, match="no golden x.txt"):
        Golden(update=False)("one\ntwo\n", "x")
    Golden(update=True)("one\ntwo", "x")
    Golden(update=False)("one\ntwo\n", "x")
    with pytest.raises(pytest.fail.Exception, match=r"-two\n\+three"):
        Golden(update=False)("one\nthree", "x")
