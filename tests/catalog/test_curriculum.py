"""The table of what the levels cover is made from the levels, and up to date."""

from __future__ import annotations

from pathlib import Path

import pytest

from kuartui.catalog import curriculum
from kuartui.catalog.catalog import Catalog
from kuartui.catalog.lint import lint
from kuartui.catalog.reader import LevelFolder
from kuartui.game.level import Level
from tests.catalog.pack import LEVEL, write

PUBLISHED = Path(__file__).parents[2] / "docs" / "curriculum.md"


def test_the_published_table_is_up_to_date() -> None:
    assert PUBLISHED.read_text() == curriculum.text(), "python -m kuartui.catalog.curriculum > docs/curriculum.md"


def test_weights_are_whole() -> None:
    for exam in curriculum.curriculum().exams:
        assert sum(domain.weight for domain in exam.domains) == 100, exam.name


def test_every_level_is_in_a_chapter_and_serves_an_exam() -> None:
    chapters = {str(chapter.number) for chapter in curriculum.curriculum().chapters if chapter.playable}
    catalog = Catalog.default()
    for name in catalog.names():
        level = catalog.level(name)
        assert level.chapter in chapters, name
        assert level.exams, name


def tagged(tmp_path: Path, index: int, domain: str) -> Level:
    text = LEVEL.replace("  difficulty: 1", f"  difficulty: 1\n  exams: [{{exam: CKA, domain: {domain}}}]")
    return LevelFolder.open(write(tmp_path / str(index), level=text)).level()


def test_shares(tmp_path: Path) -> None:
    domains = ["troubleshooting"] * 5 + ["cluster-architecture"] * 4 + ["services-networking"] * 1
    levels = [tagged(tmp_path, index, domain) for index, domain in enumerate(domains)]
    exam = curriculum.curriculum().exams[0]
    found = {share.domain.name: share for share in curriculum.shares(exam, levels)}
    assert (found["troubleshooting"].percent, found["troubleshooting"].short) == (50, False)
    assert (found["services-networking"].percent, found["services-networking"].short) == (10, True)
    assert (found["storage"].percent, found["storage"].short) == (0, True)


@pytest.mark.parametrize("domain", ["troubleshootin", "observability"])
def test_lint_knows_the_domains(tmp_path: Path, domain: str) -> None:
    level = tagged(tmp_path, 0, domain)
    (found,) = lint(Path(level.folder))
    assert found.text.startswith(f"CKA has no domain '{domain}'; ")


def test_no_domain_is_far_under_its_weight() -> None:
    catalog = Catalog.default()
    levels = [catalog.level(name) for name in catalog.names()]
    for exam in curriculum.curriculum().exams:
        short = [share.domain.title for share in curriculum.shares(exam, levels) if share.short]
        assert exam.aside or short == [], exam.name
