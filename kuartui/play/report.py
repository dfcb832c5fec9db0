"""A proof's report: lines for people, and for machines JSON, and JUnit XML as CI systems read it."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape, quoteattr

from kuartui.play.proof import Report
from kuartui.play.proof_run import Line
from kuartui.translate import tr


def text(line: Line) -> str:
    """One line for people: ok  broken-selector  solution patch: all green after 0:01 (par 4:00)

    What stands before the colon is the same in every language; the sentence behind it is in the player's."""
    mark = "ok  " if line.ok else "FAIL"
    seed = f" (seed {line.seed})" if line.seed else ""
    return f"{mark}  {line.level}{seed}  {line.what} {line.name}: {tr(line.detail)}"


def as_json(report: Report) -> dict[str, Any]:
    return {
        "passed": list(report.passed),
        "failed": list(report.failed),
        "seconds": round(report.seconds, 3),
        "lines": [
            {
                "level": line.level,
                "seed": line.seed,
                "what": line.what,
                "name": line.name,
                "ok": line.ok,
                "detail": line.detail,
                "seconds": round(line.seconds, 3),
                "played": round(line.played, 3),
                "red": list(line.red),
            }
            for line in report.lines
        ],
    }


def as_junit(report: Report) -> str:
    """A <testsuites> document: one suite per level."""
    suites = []
    for level in dict.fromkeys(line.level for line in report.lines):
        lines = [line for line in report.lines if line.level == level]
        failures = sum(not line.ok for line in lines)
        cases = "".join(_case(line) for line in lines)
        seconds = sum(line.seconds for line in lines)
        suites.append(
            f'<testsuite name={quoteattr(level)} tests="{len(lines)}" failures="{failures}" time="{seconds:.3f}">'
            f"{cases}</testsuite>"
        )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>{"".join(suites)}</testsuites>\n'


def _case(line: Line) -> str:
    name = f"{line.what} {line.name} seed {line.seed}"
    head = f'<testcase classname={quoteattr(line.level)} name={quoteattr(name)} time="{line.seconds:.3f}"'
    if line.ok:
        return f"{head}/>"
    return f"{head}><failure message={quoteattr(line.detail)}>{escape(line.detail)}</failure></testcase>"
