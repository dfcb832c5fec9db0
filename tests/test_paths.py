"""Where files of a moment go."""

from __future__ import annotations

from pathlib import Path

import pytest

from kuartui import paths


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setattr(paths, "MEMORY", tmp_path)
    monkeypatch.setattr(paths, "MEMORY_ROOM", 1)
    return tmp_path


def test_they_go_into_memory(memory: Path) -> None:
    assert paths.scratch_dir() == memory


def test_whoever_names_a_place_for_them_means_it(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/var/tmp")
    assert paths.scratch_dir() is None


def test_a_small_or_missing_place_in_memory_is_left_alone(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "MEMORY_ROOM", 2**62)
    assert paths.scratch_dir() is None
    monkeypatch.setattr(paths, "MEMORY", memory / "nowhere")
    assert paths.scratch_dir() is None
