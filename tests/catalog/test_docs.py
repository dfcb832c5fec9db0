"""The guide for authors names everything that there is."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import msgspec
import pytest
import yaml

from kuartui.catalog.curriculum import curriculum
from kuartui.catalog.reader import LevelFolder
from kuartui.catalog.scaffold import new_level
from kuartui.embedded.images.described import load_config_map
from kuartui.embedded.images.registry import ImageCatalogue
from kuartui.game.guards import GLOBAL
from kuartui.game.level import QUESTIONS, LevelSpec
from kuartui.game.translation import TranslationSpec

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = (DOCS / "levels.md").read_text()


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


def test_every_field_of_a_translation_is_shown() -> None:
    shown = GUIDE[GUIDE.index("## Other languages") :]
    for field in msgspec.structs.fields(TranslationSpec):
        assert f"      {field.encode_name}:" in shown, field.encode_name


def recipes() -> list[str]:
    """The checks that the guide for a first level offers to copy."""
    text = (DOCS / "authoring.md").read_text()
    section = text[text.index("## 5.") : text.index("## 6.")]
    blocks = re.findall(r"(?:^    .*\n?)+", section, re.MULTILINE)
    return [textwrap.dedent(block) for block in blocks] + re.findall(r"`((?:dns|answer): \{.*\})`", section)


@pytest.mark.parametrize("recipe", recipes())
def test_each_recipe_is_a_check(tmp_path: Path, recipe: str) -> None:
    folder = new_level(tmp_path, "basics", "shop-window")
    document = yaml.safe_load((folder / "level.yaml").read_text())
    document["spec"]["checks"][0] = {"name": "answers", "title": "So", "weight": 60, **yaml.safe_load(recipe)}
    (folder / "level.yaml").write_text(yaml.safe_dump(document))
    level, problems = LevelFolder.open(folder).read()
    assert [str(item) for item in problems] == []
    assert level is not None


def test_there_are_recipes() -> None:
    assert len(recipes()) == 9


def test_the_described_image_is_one() -> None:
    section = GUIDE[GUIDE.index("## Images") :]
    block = textwrap.dedent(re.findall(r"(?:^    .*\n)+", section, re.MULTILINE)[0])
    catalogue = ImageCatalogue(lambda _: None)
    assert load_config_map(catalogue, yaml.safe_load(block)) == []
    image = catalogue.pull("ghcr.io/acme/shop:2")
    assert image.config.user == "1000"
    assert "/app/serve" in image.programs
    assert "/app/motto" in image.files


def test_every_domain_and_chapter_is_named() -> None:
    section = GUIDE[GUIDE.index("## Exams and chapters") : GUIDE.index("## Packs")]
    for exam in curriculum().exams:
        row = next(line for line in section.splitlines() if line.startswith(f"| `{exam.name}`"))
        assert re.findall(r"`([a-z-]+)`", row) == [domain.name for domain in exam.domains]
    numbers = {int(number) for number in re.findall(r"(?:Chapters:|,)\s+(\d+) ", section)}
    assert numbers == {chapter.number for chapter in curriculum().chapters if chapter.playable}


def examples() -> list[str]:
    """What the guide shows of `setup` and of traffic."""
    section = GUIDE[GUIDE.index("## Setting up in stages") : GUIDE.index("## Traffic")]
    return [textwrap.dedent(block) for block in re.findall(r"(?:^    .*\n?)+", section, re.MULTILINE)]


@pytest.mark.parametrize("example", examples())
def test_stages_are_as_shown(tmp_path: Path, example: str) -> None:
    folder = new_level(tmp_path, "basics", "shop-window")
    document = yaml.safe_load((folder / "level.yaml").read_text())
    document["spec"] |= yaml.safe_load(example)
    (folder / "level.yaml").write_text(yaml.safe_dump(document))
    level, problems = LevelFolder.open(folder).read()
    assert [str(item) for item in problems] == []
    assert level is not None
    assert [len(stage.apply) for stage in level.setup.all_stages()] == [1, 1]
