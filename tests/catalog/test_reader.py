"""A level file says what it means, or its reader says where and what is wrong."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path

import pytest

from kuartui.catalog.manifests import files, load
from kuartui.catalog.reader import LevelFolder, shipped_levels
from kuartui.catalog.yamlfile import parse
from kuartui.errors import LevelError
from kuartui.game import cel
from tests.catalog.pack import LEVEL, write


def test_a_level_is_filled_in_for_its_seed(tmp_path: Path) -> None:
    folder = LevelFolder.open(write(tmp_path))
    first = folder.level(0)
    assert (first.namespace, first.points, first.track, first.chapter) == ("here", 50, "first", "1")
    assert first.checks[0].spec.cel == "pods.size() == 2"  # type: ignore[union-attr]
    assert "It was tea.\n" in first.debrief
    found = {(level.namespace, level.task) for level in map(folder.level, range(30))}
    assert len(found) == 4, "every combination of place and port comes up"
    assert folder.level(7) == folder.level(7)


def test_a_number_stays_a_number_unless_asked_otherwise(tmp_path: Path) -> None:
    level = LevelFolder.open(write(tmp_path)).level()
    container = load(Path(level.folder), ["setup/"], level)[0]["spec"]["containers"][0]
    assert container["ports"] == [{"containerPort": 8080}]
    assert container["env"] == [{"name": "PORT", "value": "8080"}]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("weight: 60", "wieght: 60", "level.yaml:22: spec.checks[0].wieght: unknown field; did you mean weight?"),
        (
            "reach: {",
            "reach: {selector: a=b, ",
            "spec.checks[1].reach.selector: unknown field; it belongs into via / from, as in via: {selector: …}",
        ),
        (
            "reach: {",
            "logs: {selector: a=b, contains: x, ",
            "spec.checks[1].logs.selector: unknown field; it belongs into from, as in from: {selector: …}",
        ),
        ("weight: 60", "zzz: 60", "spec.checks[0].zzz: unknown field; there are: name, title"),
        ("status: 200", "status: 200, expect: alow", "'alow' is none of these: allow, deny"),
        ("needs: [network]", "needs: [networks]", "'networks' is none of these: network, metrics"),
        ('observe: "string(pods.size())"', "observe: some pods", """write a text as '"like this"'"""),
        ("weight: 60", "weight: heavy", "level.yaml:22: spec.checks[0].weight: expected a number, as in 3"),
        ("- name: up", "- name: Is Up", "level.yaml:20: spec.checks[0].name: expected lower case letters, digits"),
        ("    - name: up", "\t- name: up", "the line begins with a tab: YAML is indented with blanks"),
        (
            "reach: {",
            "state: {resources: {p: {kind: Pod}}, cel: p.filter(q, ready(q)).size() == 1}\n      reach: {",
            "spec.checks[1].state: 'ready(q)).size() == 1' is no field; put a text with a comma in it in quotes",
        ),
        ("weight: 60", "weight: 0", "level.yaml:22: spec.checks[0].weight: expected a number, 1 or more"),
        ("      weight: 60\n", "", "level.yaml:20: spec.checks[0]: missing field 'weight'"),
        ("  story: N", "  stroy: N", "level.yaml:8: spec.stroy: unknown field; did you mean story?"),
        ("parTime: 2m", "parTime: soon", "spec.parTime: expected a duration such as 30s or 1m30s, got 'soon'"),
        ("parTime: 2m", "parTime: 9m", "level.yaml:11: spec.parTime: par (9m) must be below timeLimit (5m)"),
        (
            "needs: [network]",
            "needs: [network, node-power]",
            "spec.needs: needs: [node-power] and what is done to nodes belong together",
        ),
        ("difficulty: 1", "difficulty: 6", "level.yaml:10: spec.difficulty: expected a number, 5 or less"),
        ("title: A quiet shop", f"title: {'A ' * 40}", "spec.title: expected a text of 60 or fewer characters"),
        ("caughtBy: [up, reached]", "caughtBy: []", "spec.cheats[0].caughtBy: expected a list of 1 or more"),
        ("kind: Level", "kind: Lvel", "level.yaml:2: kind: expected Level, got 'Lvel'"),
        ("v1alpha1", "v9", "level.yaml:1: apiVersion: expected kuartui.dev/v1alpha1"),
        ("{{place}}.", "{{plaec}}.", "level.yaml:8: spec.story: no variable 'plaec'; did you mean place?"),
        ("pods.size() ==", "pds.size() ==", "spec.checks[0].state.cel: column 1: undeclared reference to 'pds'"),
        (
            "caughtBy: [up, reached]",
            "caughtBy: [upp]",
            "spec.cheats[0].caughtBy: no check, guard or drill 'upp'; did you mean up?",
        ),
        ("    - name: reached", "    - name: up", "the name 'up' is taken twice"),
        (
            "  hints:",
            "  after:\n    - {name: d, title: D, until: {resources: {p: {kind: Pod}}, cel: 'true'},"
            " data: {from: {selector: a=b}, reads: {x: [id]}, cel: 'true'}}\n  hints:",
            "spec.after[0].data: a drill has until or data, not both",
        ),
        ("      weight: 40", "      weight: 40\n      after: [reachd]", "no check 'reachd'"),
        ("status: 200", "status: 200, body: '('", "spec.checks[1].reach.body: invalid regular expression"),
        ("      reach: {", "      dns: {name: x}\n      reach: {", "reached needs exactly one of state"),
        ("  title: A", "  title: A\n  title: A", "level.yaml:8: 'title' is there twice"),
        ("  title: A", "   title: A", "not YAML"),
        (
            '{name: two, run: ["kubectl get pods -A"]}',
            "name: two\n      run:\n        - kubectl get pods | sed 's/a:.*/a: {{place}}/; s/c/d/'",
            "below '- >-'",
        ),
        (
            'run: ["true"], caughtBy: [same]',
            "run: [kubectl get {{place}}], caughtBy: [same]",
            "put a value with {{…}} in quotes",
        ),
        ("name: NAME", "name: another", "metadata.name: is 'another', but its folder is 'sample'"),
        ("place: [here, there]", "place: [../kube-system]", "spec.namespace: a name is lower case letters"),
        ("place: [here, there]", "place: []", "spec.variables.place: needs at least one value"),
        ('chapter: "1"', "chapter: 1", "labels must be text"),
    ],
)
def test_mistakes_name_file_line_and_field(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    assert old in LEVEL
    folder = write(tmp_path, level=LEVEL.replace(old, new, 1))
    with pytest.raises(LevelError) as caught:
        LevelFolder.open(folder).level()
    assert complaint in caught.value.message
    assert "level.yaml" in caught.value.message
    assert caught.value.exit_code == 3


def test_one_mistake_does_not_hide_the_next(tmp_path: Path) -> None:
    text = (
        LEVEL.replace("weight: 60", "weight: x").replace("{cost: 5,", "{cots: 5,").replace("difficulty: 1", "diff: 1")
    )
    level, problems = LevelFolder.open(write(tmp_path, level=text)).read()
    assert level is None
    fields = [problem.field for problem in problems]
    assert set(fields) == {"spec.diff", "spec", "spec.checks[0].weight", "spec.hints[0].cots"}


def test_aliases_cannot_explode(tmp_path: Path) -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n"
    for name, before in zip("bcdefgh", "abcdefg", strict=True):
        bomb += f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n"
    folder = write(tmp_path, level=bomb)
    with pytest.raises(LevelError, match="too large or too deep"):
        LevelFolder.open(folder)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("!!bool perhaps", "cannot read 'perhaps' as bool"),
        ('!!int ""', "cannot read '' as int"),
        ('!!float ""', "cannot read '' as float"),
        ("!!binary aGk=", "cannot read 'aGk=' as binary"),
        ("!!set {a, b}", "no data of type set"),
        ("!!python/object/apply:os.system [id]", "no data of type os.system"),
        ("!!python/name:os.system x", "cannot read 'x' as os.system"),
        ("9" * 30, "as int"),
        ("9" * 100_000, "…' as int"),
        ("0x" + "f" * 100_000, "…' as int"),
        ("1" + ":1" * 100_000, "…' as int"),
        (".inf", "cannot read '.inf' as float"),
        ('"a\\0b"', "as str"),
        ('"\\uD800"', "yaml:2: "),
        ("[" * 250_000, "yaml:2: not YAML"),
    ],
)
def test_what_is_no_plain_data_is_refused_at_once(text: str, complaint: str) -> None:
    begun = time.process_time()
    with pytest.raises(LevelError) as caught:
        parse(f"a: 1\nb: {text}\n", "level.yaml")
    assert time.process_time() - begun < 2
    assert complaint in caught.value.message
    assert "level.yaml:2: " in caught.value.message
    assert len(caught.value.message) < 200


def test_merges_cannot_explode() -> None:
    bomb = "a: &a {k: 1}\n"
    for name, before in zip("bcdefghij", "abcdefghi", strict=True):
        bomb += f"{name}: &{name} {{<<: [{', '.join(['*' + before] * 9)}]}}\n"
    begun = time.process_time()
    with suppress(LevelError):
        parse(bomb, "level.yaml")
    assert time.process_time() - begun < 2


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, level="# " + "x" * 600_000)
    with pytest.raises(LevelError, match="larger than"):
        LevelFolder.open(folder)


def test_manifests_stay_inside_the_level(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (tmp_path / "outside.yaml").write_text("apiVersion: v1")
    with pytest.raises(LevelError, match="out of the level's folder"):
        files(folder, ["../../outside.yaml"])
    with pytest.raises(LevelError, match="no such manifest"):
        files(folder, ["nothing.yaml"])
    with pytest.raises(LevelError, match=r"no such manifest; did you mean pod.yaml\?"):
        files(folder, ["setup/pod.yml"])


def test_a_manifest_is_named_as_the_level_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert files(Path("first/sample"), ["setup/"]) == [Path("first/sample/setup/pod.yaml")]


def test_a_manifest_that_is_no_object_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path, manifest="apiVersion: v1\nkind: Pod\n")
    level = LevelFolder.open(folder).level()
    with pytest.raises(LevelError, match=r"pod\.yaml:1: not a Kubernetes object"):
        load(folder, ["setup/"], level)


def test_the_digest_names_the_content(tmp_path: Path) -> None:
    folder = write(tmp_path)
    before = LevelFolder.open(folder).digest()
    assert LevelFolder.open(folder).digest() == before
    (folder / "setup" / "pod.yaml").write_text("# changed")
    assert LevelFolder.open(folder).digest() != before


def test_only_levels_that_are_not_ours_have_expressions_evaluated_elsewhere(tmp_path: Path) -> None:
    ours = shipped_levels() / "services" / "broken-selector"
    LevelFolder.open(ours).level()
    assert cel._juror is None
    theirs = tmp_path / ours.name
    shutil.copytree(ours, theirs)
    LevelFolder.open(theirs).level()
    assert cel._juror
