"""What a stranger's level may do to a player's own cluster, he has to be asked for."""

import shutil
from pathlib import Path

import pytest

from kuartui.catalog.catalog import Catalog
from kuartui.catalog.reader import LevelFolder
from kuartui.cluster.context import ContextCluster
from kuartui.cluster.embedded import EmbeddedCluster
from kuartui.cluster.kind import KindCluster
from kuartui.errors import AttemptError
from kuartui.game.level import Level
from kuartui.play import consent, session
from kuartui.progress.store import Store


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    place = tmp_path / "drain-with-pdb"
    shutil.copytree(Catalog.default().folder(place.name), place)
    return place


def read(place: Path) -> Level:
    return LevelFolder.open(place).level()


async def test_a_stranger_gets_no_rights_on_a_cluster_of_the_players(theirs: Path, tmp_path: Path) -> None:
    with pytest.raises(AttemptError) as told:
        await session.start(read(theirs), cluster=ContextCluster("work"), store=Store(tmp_path / "progress"))
    assert "patch nodes; get,list pods,daemonsets.apps; create pods/eviction" in told.value.message
    assert told.value.hint == f"if you trust it: kuartui level start {theirs} --cluster context:work --allow-rights"


def test_once_given_it_is_for_that_version_alone(theirs: Path) -> None:
    work = ContextCluster("work")
    consent.give(read(theirs))
    consent.require(read(theirs), work)
    file = theirs / "level.yaml"
    file.write_text(file.read_text().replace("verbs: [patch]", "verbs: [patch, delete]"))
    with pytest.raises(AttemptError):
        consent.require(read(theirs), work)


def test_nobody_else_is_asked_for(theirs: Path) -> None:
    level = read(theirs)
    for harmless in (EmbeddedCluster("kuartui"), KindCluster("kuartui")):
        consent.require(level, harmless)
    consent.require(Catalog.default().level("drain-with-pdb"), ContextCluster("work"))
    file = theirs / "level.yaml"
    text = file.read_text()
    begin, end = text.index("  rights:"), text.index("  variables:")
    file.write_text(text[:begin] + text[end:])
    consent.require(read(theirs), ContextCluster("work"))
