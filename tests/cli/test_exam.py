"""Mock exams on the command line, as far as no cluster is needed."""

from __future__ import annotations

import json

from click.testing import CliRunner, Result

from kuartui.cli.app import app
from kuartui.progress.store import Store

RUN = CliRunner()


def exam(*words: str) -> Result:
    return RUN.invoke(app, ["exam", *words])


def test_there_is_none_at_first() -> None:
    done = exam("show")
    assert (done.exit_code, done.stderr.splitlines()[0]) == (7, "error: no exam was taken yet")
    assert "kuartui exam start CKA" in done.stderr
    assert exam("finish").exit_code == exam("task", "1").exit_code == 7
    assert "no exam was taken yet" in exam("list").stdout
    done = exam("start", "LPIC")
    assert done.exit_code == 2
    assert "CKA, CKAD" in done.stderr


def test_from_start_to_result() -> None:
    done = exam("start", "cka", "--minutes", "60", "--seed", "1")
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "CKA mock exam, 60 minutes"
    assert lines[2].split() == ["TASK", "WEIGHT", "STATE", "TIME", "TITLE", "DOMAIN"]
    assert "left; 66 % pass the real one" in done.stdout
    tasks = json.loads(exam("show", "-o", "json").stdout)["tasks"]
    assert len(tasks) == 8
    assert sum(task["weight"] for task in tasks) == 100
    assert exam("flag", "2").stdout == "task 2 is flagged\n"
    assert "new (flagged)" in exam("show").stdout
    assert exam("start", "CKAD").exit_code == 7
    assert "the exam is not over" in exam("review", "2").stderr
    done = exam("finish", "--yes")
    assert done.stdout.splitlines()[-1] == "  0.0 of 100 %  not passed; 66 % pass the real one"
    assert exam("show").stdout == done.stdout
    assert "task 2 was never begun" in exam("review", "2").stderr
    assert exam("list").stdout.splitlines()[1].split()[2:] == ["CKA", "60", "8", "0", "%"]
    told = json.loads(exam("show", "-o", "json").stdout)
    assert (told["reached"], told["passed"], told["pass"]) == (0, False, 66)
    assert {task["credit"] for task in told["tasks"]} == {0.0}


def test_a_strict_one_says_so() -> None:
    done = exam("start", "cka", "--minutes", "60", "--seed", "1", "--strict")
    assert done.stdout.splitlines()[0] == "CKA mock exam, 60 minutes, strict"
    assert json.loads(exam("show", "-o", "json").stdout)["strict"] is True
    assert exam("list").stdout.splitlines()[1].split()[2:4] == ["CKA,", "strict"]
    assert exam("finish", "--yes").exit_code == 0


def test_an_exam_whose_time_is_over_is_in_nobodys_way() -> None:
    assert exam("start", "cka", "--minutes", "10").exit_code == 0
    store = Store()
    store._execute("UPDATE exams SET begun = '2026-01-01T00:00:00+00:00'", ())
    done = RUN.invoke(app, ["level", "start", "lost-badge", "--cluster", "context:nowhere"])
    assert done.exit_code
    assert "nowhere" in done.stderr
    assert store.exam_under_way() is None
    store.close()
