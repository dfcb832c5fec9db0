"""What the commands tell of the level in play, and kubectl once it is over."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from kuartui.catalog.catalog import Catalog
from kuartui.cli.app import app
from kuartui.cluster import kubectl
from kuartui.errors import ClusterError
from kuartui.game.attempt import AttemptState
from kuartui.game.events import Finished, Mode, Started
from kuartui.game.score import score
from kuartui.play.afterwards import kubeconfigs
from kuartui.progress.store import AttemptRecord, Store

RUN = CliRunner()
LEVEL = "broken-selector"


def story(*words: str) -> str:
    done = RUN.invoke(app, ["level", "show", *words])
    assert done.exit_code == 0, done.stderr
    return done.stdout


def deal(seed: int, mode: Mode = "ranked", level: str = LEVEL, folder: str = "") -> None:
    """An attempt at a level, as `level start` notes it down."""
    store = Store()
    store.begin(
        AttemptRecord(
            id="a1",
            level=level,
            seed=seed,
            mode=mode,
            cluster="embedded",
            sandbox="attempt-a1",
            kubeconfig="",
            begun=datetime(2026, 1, 1, tzinfo=UTC),
            folder=folder,
        )
    )
    store.close()


def test_the_level_in_play_is_shown_as_it_was_dealt() -> None:
    as_documented, as_dealt = story(LEVEL), story(LEVEL, "--seed", "1")
    assert as_documented != as_dealt
    deal(1)
    assert story() == story(LEVEL) == as_dealt
    assert story(LEVEL, "--seed", "0") == as_documented
    assert as_dealt.splitlines()[0] not in story("lost-badge")  # another level than the one in play


def test_a_level_whose_files_are_gone_can_be_given_up() -> None:
    deal(1, level="of-old")
    store = Store()
    store.append("a1", Started(at=0, level="of-old", seed=1))
    store.set_place("a1", "", "")  # or a cluster would be brought up to look for it
    done = RUN.invoke(app, ["level", "check"])
    assert done.exit_code == 7
    assert done.stderr.startswith("error: the files of of-old cannot be read: no level 'of-old'")
    assert "kuartui level finish --abandon" in done.stderr
    done = RUN.invoke(app, ["level", "finish", "--abandon"])
    assert (done.exit_code, done.stderr) == (0, "")
    assert (store.running(), store.leftovers()) == (None, [])
    store.close()


def test_the_score_is_told_though_the_place_cannot_be_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def no(*_: object) -> None:
        raise ClusterError("could not remove Namespace arcade")

    monkeypatch.setattr("kuartui.play.live.take_down", no)
    deal(1)
    store = Store()
    store.append("a1", Started(at=0, level=LEVEL, seed=1), Finished(at=9, outcome="finished"))
    store.close_unscored("a1", "finished", 9)
    done = RUN.invoke(app, ["level", "finish"])
    assert done.exit_code == 4
    assert done.stderr.startswith("error: could not remove Namespace arcade")
    assert done.stdout.startswith(f"{LEVEL}: ")
    store.close()


def test_nothing_is_in_play() -> None:
    done = RUN.invoke(app, ["level", "show"])
    assert done.exit_code == 7
    assert done.stderr.startswith("error: no level is in play")


def test_kubectl_says_that_the_attempt_is_over(tmp_path: Path) -> None:
    program = kubectl.find().path
    own = tmp_path / "player.kubeconfig"
    own.write_text(
        "{apiVersion: v1, kind: Config, current-context: here, contexts: [{name: here, context: {cluster: c}}]}"
    )
    environment = {**os.environ, "KUBECONFIG": kubeconfigs(own)}

    def ask(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, *words], env=environment, text=True, capture_output=True, check=False)

    assert ask("config", "current-context").stdout == "here\n"
    own.unlink()
    done = ask("get", "pods")
    assert done.returncode
    assert "this attempt is over; kuartui level finish shows how it went" in done.stderr
    assert "localhost" not in done.stderr


def progress(*words: str) -> str:
    done = RUN.invoke(app, ["progress", "show", *words])
    assert done.exit_code == 0, done.stderr
    return done.stdout


def test_progress_tells_practice_from_points() -> None:
    assert "nothing played yet" in progress()
    deal(1, "practice")
    assert "in play, practice" in progress()
    assert "BEST" not in progress()  # nothing is over
    level = Catalog.default().level(LEVEL, 1)
    store = Store()
    state = AttemptState(mode="practice", passed=frozenset(check.name for check in level.checks), outcome="solved")
    store.set_outcome("a1", "solved", score(level, state, 94))
    store.close()
    best, ended = [line.split() for line in progress().splitlines() if line.startswith(LEVEL) or "solved" in line]
    assert best == [LEVEL, "0", "-", "-", "1"]
    assert ended[-4:] == ["solved,", "practice", "0", "1m34s"]
    assert "lost-badge was not played yet" in progress("--level", "lost-badge")


def test_progress_by_the_domains_of_an_exam() -> None:
    before = json.loads(progress("--exam", "cka", "-o", "json"))
    assert sum(part["weight"] for part in before) == 100
    assert {part["solved"] for part in before} == {0}
    assert LEVEL in before[0]["open"]
    deal(1)
    level = Catalog.default().level(LEVEL, 1)
    store = Store()
    state = AttemptState(passed=frozenset(check.name for check in level.checks), outcome="solved")
    store.set_outcome("a1", "solved", score(level, state, 94))
    store.close()
    after = json.loads(progress("--exam", "cka", "-o", "json"))
    assert (after[0]["domain"], after[0]["solved"], after[0]["due"]) == ("troubleshooting", 1, 1)
    assert LEVEL not in after[0]["open"]
    row = progress("--exam", "CKA").splitlines()[1].split()
    assert row[:6] == ["30", "%", f"1/{after[0]['levels']}", "1", "Troubleshooting", after[0]["open"][0]]
    assert RUN.invoke(app, ["progress", "show", "--exam", "LPIC"]).exit_code == 2


def test_a_pack_stays_while_a_task_of_an_exam_waits_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deal(1, mode="exam", folder=str(tmp_path / "acme" / "levels" / "words"))
    store = Store()
    store.set_aside("a1", True)
    store.close()
    monkeypatch.setattr(
        "kuartui.catalog.packs.installed", lambda: [SimpleNamespace(name="acme", path=tmp_path / "acme")]
    )
    done = RUN.invoke(app, ["pack", "remove", "acme"])
    assert done.exit_code == 2
    assert done.stderr.startswith(f"error: {LEVEL} of pack acme is in play")


@pytest.mark.parametrize(
    "words", [("progress", "show", "--limit"), ("level", "start", LEVEL, "--seed"), ("play", LEVEL, "--seed")]
)
def test_a_number_that_nothing_can_hold_is_refused(words: tuple[str, ...]) -> None:
    done = RUN.invoke(app, [*words, str(2**64)])
    assert done.exit_code == 2
    assert "is not in the range" in done.stderr
