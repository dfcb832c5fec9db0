"""A level in another language: its texts, and nothing that plays."""

from __future__ import annotations

from pathlib import Path

import pytest

from kuartui.catalog.catalog import Catalog
from kuartui.catalog.lint import lint
from kuartui.catalog.reader import LevelFolder
from kuartui.errors import LevelError
from tests.catalog.pack import write

CHINESE = """\
apiVersion: kuartui.dev/v1alpha1
kind: LevelTranslation
metadata: {name: sample}
spec:
  title: 安静的小店
  story: "{{place}} 没有人回应。"
  checks:
    up:
      title: 有回应
      observe: '"%d 个 Pod".format([pods.size()])'
  guards:
    same: {title: 还是原来的样子}
  hints: [看一看, null, 动手]
  references: [Pod 是什么]
"""


def chinese(tmp_path: Path, text: str = CHINESE) -> LevelFolder:
    folder = write(tmp_path)
    (folder / "level.zh-CN.yaml").write_text(text)
    return LevelFolder.open(folder)


def test_texts_are_translated_one_by_one(tmp_path: Path) -> None:
    folder = chinese(tmp_path)
    (folder.path / "debrief.zh-CN.md").write_text("是 {{shop.name}}。")
    english, level = folder.level(), folder.level(language="zh-CN")
    assert (level.title, level.story) == ("安静的小店", "here 没有人回应。")
    assert level.task == english.task, "what is not translated stays English"
    assert [check.title for check in level.checks] == ["有回应", "It is reached"]
    assert level.checks[0].state is not None
    assert level.checks[0].state.observe == '"%d 个 Pod".format([pods.size()])'
    assert [hint.text for hint in level.hints] == ["看一看", "Look closer.", "动手"]
    assert level.references[0].title == "Pod 是什么"
    assert level.debrief == "是 tea。"
    assert level.checks[0].state.cel == english.checks[0].state.cel  # type: ignore[union-attr]


def test_the_nearest_language_is_taken(tmp_path: Path) -> None:
    folder = chinese(tmp_path)
    assert folder.level(language="zh-SG").title == "安静的小店"
    assert folder.level(language="zh-TW").title == folder.level(language="de").title == "A quiet shop"


def test_a_translation_does_not_make_another_level(tmp_path: Path) -> None:
    folder = write(tmp_path)
    before = LevelFolder.open(folder).digest()
    (folder / "level.zh-CN.yaml").write_text(CHINESE)
    (folder / "debrief.zh-CN.md").write_text("好")
    assert LevelFolder.open(folder).digest() == before
    assert LevelFolder.open(folder).level(language="zh").digest == before


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("    up:", "    upp:", "level.zh-CN.yaml:8: spec.checks.upp: no check 'upp'; did you mean up?"),
        ("    same:", "    sane:", "level.zh-CN.yaml:12: spec.guards.sane: no guard 'sane'; did you mean same?"),
        ("[看一看, null, 动手]", "[看一看]", "level.zh-CN.yaml:13: spec.hints: the level has 3, here are 1"),
        ("{{place}}", "{{plaec}}", "level.zh-CN.yaml:6: spec.story: no variable 'plaec'; did you mean place?"),
        ("pods.size()", "pds.size()", "level.zh-CN.yaml:10: spec.checks.up.observe: "),
        (
            "title: 有回应",
            "titel: 有回应",
            "level.zh-CN.yaml:9: spec.checks.up.titel: unknown field; did you mean title?",
        ),
        ("  title: 安", "  titel: 安", "level.zh-CN.yaml:5: spec.titel: unknown field; did you mean title?"),
        (
            "    same: {title: ",
            "    same: {observe: ",
            "spec.guards.same.observe: unchanged says by itself what it saw",
        ),
        ("name: sample", "name: simple", "metadata.name: is of 'simple', not of 'sample'"),
        ("LevelTranslation", "Level", "kind: expected LevelTranslation, got 'Level'"),
    ],
)
def test_mistakes_name_file_line_and_field(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    assert old in CHINESE
    folder = chinese(tmp_path, CHINESE.replace(old, new, 1))
    with pytest.raises(LevelError) as caught:
        folder.level(language="zh-CN")
    assert complaint in caught.value.message
    assert any(item.text in caught.value.message and item.line == caught.value.line for item in lint(folder.path))
    assert folder.level().title == "A quiet shop", "a broken translation does not break the level"


def test_lint_names_what_is_not_translated(tmp_path: Path) -> None:
    folder = chinese(tmp_path)
    write(tmp_path, "other")
    (found,) = lint(folder.path)
    assert str(found).endswith(
        "level.zh-CN.yaml: warning: not translated: task, checks.reached.title, hints[1], debrief.md"
    )
    (found,) = lint(tmp_path / "first" / "other")
    assert found.text == "not translated: everything", "a language of the pack is asked of each level"
    (tmp_path / "tracks.yaml").write_text("tracks: []\nlanguages: [zh-CN]\n")
    assert [item.severity for item in lint(folder.path)] == ["error"], "what the pack promises must be there"


def test_observations_with_words_are_translated_too(tmp_path: Path) -> None:
    folder = chinese(tmp_path)
    text = (folder.path / "level.yaml").read_text()
    said = """observe: '"%d pods have come".format([pods.size()])'"""
    (folder.path / "level.yaml").write_text(text.replace('observe: "string(pods.size())"', said))
    (folder.path / "level.zh-CN.yaml").write_text(CHINESE.replace("observe:", "# observe:"))
    assert "checks.up.observe" in str(lint(folder.path)[0])


def test_the_catalogue_speaks_both(tmp_path: Path) -> None:
    chinese(tmp_path)
    (tmp_path / "tracks.yaml").write_text("tracks: [{name: first, title: First, titles: {zh-CN: 第一}}]")
    catalog = Catalog([tmp_path])
    assert [card.title for card in catalog.cards("zh-CN")] == ["安静的小店"]
    assert [card.title for card in catalog.cards()] == ["A quiet shop"]
    assert catalog.level("sample", 3, "zh-CN").story.endswith("没有人回应。")
    assert [track.title_in(tag) for track in catalog.tracks() for tag in ("zh-CN", "")] == ["第一", "First"]
