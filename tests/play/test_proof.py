"""A proof accepts a sound level and says what is unsound about another."""

from __future__ import annotations

import asyncio
import shlex
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest

from kuartui.catalog.reader import LevelFolder
from kuartui.checks.engine import Finding
from kuartui.cluster.base import Progress
from kuartui.cluster.clock import SteppedClock
from kuartui.errors import KuartuiError
from kuartui.game.guards import guards_of
from kuartui.game.level import Level, Ref, TimelineEvent
from kuartui.play import proof, proof_run, report
from kuartui.play.pace import Pace
from kuartui.play.proof import cut_short, in_turns, prove
from kuartui.play.proof_run import Line, Run
from kuartui.play.shell import Memory
from tests.cli.test_chinese import is_chinese
from tests.play.kube import mini
from tests.play.test_session import LEVEL

WRITE = """\
import json, os, re, sys, urllib.request
config = open(os.environ["KUBECONFIG"]).read()
server = re.search(r"server: (\\S+)", config).group(1)
kind, name, data = sys.argv[1:4]
path = "/api/v1/namespaces/desk/configmaps/" + name
if kind == "role":
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/" + name
body = json.dumps({"metadata": {"name": name}, "data": json.loads(data)}).encode()
urllib.request.urlopen(urllib.request.Request(server + path, body, method="PUT"))
"""
SOLVE = """write note '{"word": "sesame", "other": "open"}'"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kuartui.play.pace.STEP", 0.05)
    monkeypatch.setattr(proof, "CHEAT_SECONDS", 0.5)
    monkeypatch.setattr(proof_run, "CHEAT_QUIET", 0.2)
    fake = Path(sys.executable)
    monkeypatch.setattr(proof, "find", lambda: type("Kubectl", (), {"path": fake}))


def sound(tmp_path: Path, *, solution: str = SOLVE, cheat: str = "", caught: str = "word, twice", **more: str) -> Level:
    """A level whose commands write ConfigMaps through the API."""
    folder = tmp_path / "words"
    (folder / "setup").mkdir(parents=True)
    script = tmp_path / "write.py"
    script.write_text(WRITE)
    cheat = cheat or """write note '{"word": "open"}'"""

    def command(line: str) -> str:
        python = shlex.quote(sys.executable)
        line = line.replace("write ", f"{python} {script} map ", 1)
        return line.replace("grant ", f"{python} {script} role ", 1).replace("'", "''")

    text = LEVEL.replace("""run: ["true"]""", f"""run: ['{command(solution)}']""").replace("60s", "1s")
    text += f"  cheats: [{{name: lazy, run: ['{command(cheat)}'], caughtBy: [{caught}]}}]\n"
    for old, new in more.items():
        text = text.replace(old, new)
    (folder / "level.yaml").write_text(text)
    manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: lock}\ndata: {kind: rusty}\n"
    (folder / "setup" / "lock.yaml").write_text(manifest)
    return LevelFolder.open(folder).level()


async def proven(level: Level, tmp_path: Path) -> dict[str, Line]:
    async with mini(tmp_path) as cluster:
        found = {}
        # one place for all runs here: they must not run side by side
        for line in (await prove([level], cluster, jobs=1)).lines:
            found[f"{line.what} {line.name}"] = line
            cluster.kube.objects.clear()
    return found


async def test_a_sound_level(tmp_path: Path) -> None:
    lines = await proven(sound(tmp_path), tmp_path)
    par = lines.pop("par par")
    assert not par.ok, "here par is as short as the test"
    assert par.detail.startswith("0:01 for what comes to ")
    assert {name: line.ok for name, line in lines.items()} == {
        "level start": True,
        "undo undo": True,
        "solution it": True,
        "cheat lazy": True,
        "mutation checks": True,
    }
    assert lines["solution it"].detail.startswith("all green after 0:0")
    assert lines["cheat lazy"].detail == "caught by word, twice"
    assert lines["cheat lazy"].red == ("word", "twice")
    assert lines["solution it"].red == ()


async def test_what_happens_by_itself_happens_in_a_proof(tmp_path: Path) -> None:
    level = sound(tmp_path)
    late = TimelineEvent(at=0, delete=(Ref(kind="ConfigMap", name="lock"),))
    guarded = msgspec.structs.replace(
        level,
        setup=msgspec.structs.replace(level.setup, events=(late,)),
        protected=(*level.protected, Ref(kind="ConfigMap", name="lock")),
    )
    lines = await proven(guarded, tmp_path)
    assert not lines["solution it"].ok
    assert "same-objects" in lines["solution it"].detail


async def test_a_check_that_is_green_at_the_start(tmp_path: Path) -> None:
    level = sound(
        tmp_path, **{"configMap: note, key: other, equals: open": "configMap: lock, key: kind, equals: rusty"}
    )
    line = (await proven(level, tmp_path))["level start"]
    assert not line.ok
    assert "check twice is passing at the start" in line.detail


@pytest.mark.parametrize("disposable", [True, False])
async def test_a_real_cluster_may_take_a_moment_to_be_as_the_level_says(tmp_path: Path, disposable: bool) -> None:
    """Guards that ask a Service, and checks that are red while it answers, are right once all nodes lead there."""
    level = sound(tmp_path)
    run = Run(level, level.solutions[0], Path("kubectl"), Memory(tmp_path), fast=False, first=True)

    class LooksThrice:
        looks = 0

        def __init__(self) -> None:
            self.world: Any = None

        async def looked(self) -> None:
            self.looks += 1

        refresh = looked

        @property
        def findings(self) -> dict[str, Finding]:
            good, bad = ("passing", "failing") if self.looks > 2 else ("failing", "passing")
            checks = {item.name: Finding(item.name, bad) for item in level.checks}
            return checks | {item.name: Finding(item.name, good) for item in guards_of(level)}

    engine: Any = LooksThrice()
    looking = run._check_start(engine, Pace(SteppedClock()), disposable=disposable)
    if disposable:
        with pytest.raises(KuartuiError, match="is passing at the start"):
            await looking
    else:
        await looking
        assert [(line.name, line.ok) for line in run.found] == [("start", True)]


async def test_a_solution_that_does_not_solve(tmp_path: Path) -> None:
    line = (await proven(sound(tmp_path, solution="""write note '{"word": "sesame"}'"""), tmp_path))["solution it"]
    assert not line.ok
    assert line.detail.startswith("not all green within 0:01: twice is failing (no key other")


async def test_a_solution_whose_command_fails(tmp_path: Path) -> None:
    line = (await proven(sound(tmp_path, solution="echo oh dear; exit 3"), tmp_path))["solution it"]
    assert not line.ok
    assert "ended with exit code 3: oh dear" in line.detail


async def test_the_error_of_a_command_is_told_not_what_follows(tmp_path: Path) -> None:
    mistyped = 'printf \'error: unknown command "delet" for "kubectl"\\n\\nDid you mean this?\\n\\tdelete\\n\'; exit 1'
    line = (await proven(sound(tmp_path, solution=mistyped), tmp_path))["solution it"]
    assert line.detail.endswith('ended with exit code 1: error: unknown command "delet" for "kubectl"')


async def test_a_check_that_says_nothing_at_the_start_is_named(tmp_path: Path) -> None:
    asked = "answer: {configMap: note, key: other, equals: open}"
    seen = (
        """state: {resources: {note: {kind: ConfigMap, name: note}}, cel: 'note.data.other == "open"', observe: SEEN}"""
    )
    mute = sound(tmp_path / "mute", **{asked: seen.replace("SEEN", "note.data.other")})
    line = (await proven(mute, tmp_path))["level start"]
    assert line.ok
    assert "check twice does not say what it sees" in line.detail
    told = sound(tmp_path / "told", **{asked: seen.replace("SEEN", """'note == null ? "nothing" : note.data.other'""")})
    assert (await proven(told, tmp_path))["level start"].detail == "2 checks red, every guard whole"


async def test_what_does_not_start_is_said_once(tmp_path: Path) -> None:
    level = sound(tmp_path)
    (Path(level.folder) / "setup" / "lock.yaml").write_text("kind: ConfigMap\n")
    lines = await proven(level, tmp_path)
    assert list(lines) == ["level start"]
    assert "not a Kubernetes object" in lines["level start"].detail


async def test_the_commands_of_a_cheat_that_fail_are_named(tmp_path: Path) -> None:
    line = (await proven(sound(tmp_path, cheat="echo oh dear; exit 3"), tmp_path))["cheat lazy"]
    assert line.ok
    assert line.detail == "caught by word, twice (`echo oh dear; exit 3` ended with exit code 3: oh dear)"


async def test_a_cheat_that_works(tmp_path: Path) -> None:
    line = (await proven(sound(tmp_path, cheat=SOLVE), tmp_path))["cheat lazy"]
    assert (line.ok, line.detail) == (False, "it counts as a solution: all green, every guard whole")


async def test_a_cheat_that_something_else_catches(tmp_path: Path) -> None:
    lines = await proven(sound(tmp_path, cheat="""write note '{"word": "sesame"}'"""), tmp_path)
    assert not lines["cheat lazy"].ok
    assert lines["cheat lazy"].detail.startswith("not caught by word; it is: twice is failing")


async def test_a_cheat_that_a_guard_catches(tmp_path: Path) -> None:
    cheat = """write lock '{"kind": "picked"}'"""
    line = (await proven(sound(tmp_path, cheat=cheat, caught="same-lock"), tmp_path))["cheat lazy"]
    assert (line.ok, line.detail) == (True, "caught by same-lock")


DRILL = """\
  after:
    - name: ask-again
      title: Somebody asks again
      until: {resources: {note: {kind: ConfigMap, name: note}}, cel: note.data.again == "yes", observe: '"nobody answers"'}
      within: 0.1s
  hints:"""


async def test_a_cheat_that_a_drill_catches(tmp_path: Path) -> None:
    solution = """write note '{"word": "sesame", "other": "open", "again": "yes"}'"""
    level = sound(tmp_path, solution=solution, cheat=SOLVE, caught="ask-again", **{"  hints:": DRILL})
    lines = await proven(level, tmp_path)
    assert lines["solution it"].ok
    assert (lines["cheat lazy"].ok, lines["cheat lazy"].detail) == (True, "caught by ask-again")

    hasty = msgspec.structs.replace(level.solutions[0], run=level.cheats[0].run)
    lines = await proven(msgspec.structs.replace(level, solutions=(hasty,)), tmp_path)
    assert lines["solution it"].detail == "drill ask-again: not within 0:00 (nobody answers)"


async def test_what_a_level_leaves_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kuartui.play.cleanup.PATIENCE", 0.1)
    monkeypatch.setattr("kuartui.play.cleanup.POLL", 0.05)
    level = sound(tmp_path, solution=f"{SOLVE} && grant keeps-growing-back '{{}}'".replace("&& grant", "&&  grant"))
    level_line = level.solutions[0].run[0]
    assert "grant" not in level_line, "the command is written out"
    async with mini(tmp_path) as cluster:
        remove = cluster.kube.remove

        def stubborn(kind: str, namespace: str, name: str) -> None:
            if name != "keeps-growing-back":
                remove(kind, namespace, name)

        monkeypatch.setattr(cluster.kube, "remove", stubborn)
        found = await prove([level], cluster, jobs=1)
    line = next(line for line in found.lines if line.what == "undo")
    assert (line.ok, line.detail) == (False, "left behind: ClusterRole /keeps-growing-back")


def test_solutions_and_cheats_take_turns_with_the_seeds(tmp_path: Path) -> None:
    level = sound(tmp_path)
    level = msgspec.structs.replace(
        level,
        solutions=tuple(msgspec.structs.replace(level.solutions[0], name=name) for name in "wxyz"),
        cheats=tuple(msgspec.structs.replace(level.cheats[0], name=name) for name in "abcd"),
    )
    seeds = [msgspec.structs.replace(level, seed=seed) for seed in range(3)]
    levels = [seeds[0], msgspec.structs.replace(level, name="other"), *seeds[1:]]
    shares = [" ".join(item.name for item in (*share.solutions, *share.cheats)) for share in in_turns(levels)]
    assert shares == ["w x a d", "w x y z a b c d", "w y b", "w z c"]


async def test_reports(tmp_path: Path) -> None:
    async with mini(tmp_path) as cluster:
        heard: list[Line] = []
        found = await prove([sound(tmp_path, cheat=SOLVE)], cluster, jobs=1, on_line=heard.append)
    assert list(found.lines) == heard
    assert found.closing() == "0 passed, 1 failed"
    data = report.as_json(found)
    assert (data["passed"], data["failed"]) == ([], ["words"])
    tree = ElementTree.fromstring(report.as_junit(found))
    suite = tree[0]
    assert (suite.get("name"), suite.get("failures")) == ("words", str(sum(not line.ok for line in heard)))
    assert report.text(heard[0]).startswith("ok    words  level start:")


@pytest.mark.parametrize(
    ("level", "name", "words"),
    [
        ({"cheat": "echo oh dear; exit 3"}, "cheat lazy", "抓住（`echo oh dear; exit 3` 结束时的退出码是 3：oh dear）"),
        ({"cheat": SOLVE}, "cheat lazy", "它被算作解法：全部通过"),
        ({"caught": "same-lock"}, "cheat lazy", "没有被 same-lock 抓住；当前：word 未通过（"),
        ({"solution": "exit 3"}, "solution it", "`exit 3` 结束时的退出码是 3："),
        (
            {"solution": "true"},
            "solution it",
            "0:01 内没有全部通过：word 未通过（ConfigMap note 里没有键 word）；twice ",
        ),
        ({"answer: {configMap: note": "answer: {configMap: lock"}, "level start", "2 个检查项都未通过，没有守则被违反"),
        ({}, "mutation checks", "每个检查项都抓住了某个作弊"),
    ],
)
async def test_a_proof_speaks_the_players_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: dict[str, str], name: str, words: str
) -> None:
    monkeypatch.setenv("KUARTUI_LANG", "zh-CN")
    lines = await proven(sound(tmp_path, **level), tmp_path)
    assert words in report.text(lines[name])
    for line in lines.values():
        is_chinese(report.text(line))
        assert report.text(line).startswith(f"{'ok  ' if line.ok else 'FAIL'}  words  {line.what} {line.name}: ")


async def test_how_far_it_is(tmp_path: Path) -> None:
    heard: list[Progress] = []
    async with mini(tmp_path) as cluster:
        await prove([sound(tmp_path)], cluster, jobs=1, report=heard.append)
    steps = [(step.text, step.step, step.steps) for step in heard]
    assert steps == [
        ("0 of 1 levels", 0, 2),
        ("0 of 1 levels", 1, 2),
        ("0 of 1 levels", 2, 2),
        ("1 of 1 levels", 2, 2),
    ]


async def test_one_that_is_cancelled_cleans_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every place that was opened is closed, and by then nothing plays there any more."""
    level = sound(tmp_path)
    levels = [msgspec.structs.replace(level, name=name) for name in ("words", "others", "last")]
    opened, closed = asyncio.Event(), []
    async with mini(tmp_path) as cluster:
        make = cluster.sandbox

        async def sandbox(*arguments: object, **options: object) -> object:
            made = await make(*arguments, **options)
            close = made.close

            async def closing() -> None:
                closed.append(made.id)
                await close()

            monkeypatch.setattr(made, "close", closing)
            opened.set()
            return made

        monkeypatch.setattr(cluster, "sandbox", sandbox)
        before = asyncio.all_tasks()
        task = asyncio.ensure_future(prove(levels, cluster, jobs=1))
        await opened.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(closed) == 1
        left = [item for item in asyncio.all_tasks() - before if "play" in str(item.get_coro())]
        assert not left


def test_what_an_interrupted_proof_says(tmp_path: Path) -> None:
    level = sound(tmp_path)
    levels = [msgspec.structs.replace(level, name=name) for name in "abcd"]
    good = [Line("a", 0, "solution", "it", True, ""), Line("a", 0, "par", "par", True, "")]
    half = [*good, Line("b", 0, "level", "start", True, "")]
    assert cut_short([], levels, 1).closing() == "0 passed, 0 failed, 4 not proven"
    assert cut_short(good, levels, 1).closing() == "1 passed, 0 failed, 3 not proven"
    assert cut_short(half, levels, 1).closing() == "1 passed, 0 failed, 3 not proven"
    bad = [*half, Line("b", 0, "solution", "it", False, "")]
    assert cut_short(bad, levels, 1).closing() == "1 passed, 1 failed, 2 not proven"
