"""Playing without the screens: the commands share one attempt, and what goes wrong is said in one sentence."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.conftest import Kuartui

pytestmark = pytest.mark.e2e


def checks(kuartui: Kuartui) -> dict[str, bool]:
    view = json.loads(kuartui("level", "check", "--output", "json", check=False).stdout)
    return {check["name"]: check["passed"] for check in view["checks"]}


def solve(kuartui: Kuartui, level: str, seed: int) -> None:
    """Type the level's first solution."""
    from kuartui.catalog.catalog import Catalog

    for line in Catalog.default().level(level, seed).solutions[0].run:
        kuartui.type(line)


def test_a_level_from_start_to_score(kuartui: Kuartui) -> None:
    kuartui("level", "start", "broken-selector", "--seed", "3")
    assert not all(checks(kuartui).values())
    solve(kuartui, "broken-selector", 3)
    for _ in range(30):
        if all(checks(kuartui).values()):
            break
    assert all(checks(kuartui).values())
    result = json.loads(kuartui("level", "finish", "--output", "json").stdout)
    assert result["outcome"] in ("solved", "finished")
    assert result["score"]["total"] > 0
    shown = json.loads(kuartui("progress", "show", "--output", "json").stdout)
    assert shown["best"][0]["level"] == "broken-selector"
    assert shown["best"][0]["score"] == result["score"]["total"]


def test_hints_cost_and_reset_keeps_the_clock(kuartui: Kuartui) -> None:
    kuartui("level", "start", "least-privilege-rbac", "--seed", "1")
    hint = json.loads(kuartui("level", "hint", "--output", "json").stdout)
    assert hint["text"]
    assert hint["cost"] > 0
    kuartui.kubectl("delete", "deployment", "--all")
    kuartui("level", "reset")
    assert kuartui.kubectl("get", "deployments", "-o", "name").stdout.strip()
    result = json.loads(kuartui("level", "finish", "--output", "json").stdout)
    assert result["score"]["hintCost"] == hint["cost"]


def test_an_attempt_survives_a_killed_cluster_process(kuartui: Kuartui) -> None:
    begun = json.loads(kuartui("level", "start", "broken-selector", "--output", "json").stdout)
    pid = int(json.loads(kuartui("cluster", "status", "--output", "json", check=False).stdout)["facts"]["pid"])
    subprocess.run(["kill", f"-{signal.SIGKILL.value}", str(pid)], check=True)
    view = json.loads(kuartui("level", "check", "--output", "json", check=False).stdout)
    assert view["attempt"] == begun["attempt"]
    assert view["elapsed"] > begun["elapsed"]
    ended = kuartui("level", "finish", "--abandon", "--output", "json").stdout
    assert json.loads(ended) == {"outcome": "abandoned"}


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["level", "show", "broken-selecter"], 2, "did you mean broken-selector?"),
        (["level", "start", "nonsense"], 2, "no level 'nonsense'"),
        (["play", "nonsense"], 2, "no level 'nonsense'"),
        (["level", "check"], 7, "no level is in play"),
        (["kubectl", "--", "get", "pods"], 4, "is not up"),
        (["level", "list", "--track", "nonsense"], 2, "no track 'nonsense'"),
        (["cluster", "up", "--cluster", "nonsense"], 2, "no cluster kind 'nonsense'"),
    ],
)
def test_bad_input_gets_one_sentence(stranger: Kuartui, arguments: list[str], code: int, sentence: str) -> None:
    done = stranger(*arguments, check=False)
    assert done.returncode == code
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_no_kubectl(stranger: Kuartui) -> None:
    done = stranger("env", check=False, KUARTUI_KUBECTL="/nowhere/kubectl")
    assert done.returncode == 5
    assert done.stderr.startswith("error: no kubectl at /nowhere/kubectl\nhint: ")


def test_no_place_to_write(stranger: Kuartui, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    done = stranger("level", "start", "broken-selector", check=False, KUARTUI_HOME=str(blocked / "below"))
    assert done.returncode == 6
    assert "cannot write" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_level_names_line_and_field(stranger: Kuartui, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "level.yaml").write_text(
        "apiVersion: kuartui.dev/v1alpha1\nkind: Level\nmetadata: {name: mine}\nspec:\n  title: 7\n"
    )
    done = stranger("level", "lint", str(folder), check=False)
    assert done.returncode in (1, 3)
    assert "level.yaml:5: error: spec.title" in done.stdout + done.stderr
