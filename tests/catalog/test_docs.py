"""The guide for authors names everything that there is."""

from __future__ import annotations

from pathlib import Path

import msgspec

from kuartui.game.guards import GLOBAL
from kuartui.game.level import QUESTIONS, LevelSpec

GUIDE = (Path(__file__).parents[2] / "docs" / "levels.md").read_text()


def test_every_field_is_explained() -> None:
    for field in msgspec.structs.fields(LevelSpec):
        if field.name != "exams":
            assert f"`{field.encode_name}`" in GUIDE, field.encode_name


def test_every_question_is_explained() -> None:
    for word in QUESTIONS.values():
        assert f"| `{word}` |" in GUIDE, word


def test_every_global_guard_is_explained() -> None:
    for guard in GLOBAL:
        assert f"| `{guard.name}` |" in GUIDE, guard.name
