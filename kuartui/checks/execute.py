"""`exec` and `data`: what a command in a container says.

`exec` looks at one command's exit code and output. `data` reads from an application (redis-cli GET, a marker file) with
several commands and judges over what they printed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kuartui.checks.evidence import Evidence, NotThereError, Verdict
from kuartui.checks.kind import QuestionKind, every, pods
from kuartui.checks.state import judge_expression
from kuartui.game.cel import matches
from kuartui.game.spec import DataSpec, ExecSpec
from kuartui.translate import tr

if TYPE_CHECKING:
    from kuartui.checks.world import World


async def observe(spec: ExecSpec, world: World, _name: str) -> Evidence:
    result = await world.run(spec.from_, spec.command, spec.timeout)
    return {"exit": result.exit_code, "stdout": result.stdout[:4000], "stderr": result.stderr[:1000]}


def judge(spec: ExecSpec, evidence: Evidence) -> Verdict:
    right = evidence["exit"] == spec.exit_code
    if right and spec.stdout is not None:
        right = matches(spec.stdout, evidence["stdout"])
    return Verdict(right, tr("exit code {code}", code=evidence["exit"]))


async def observe_data(spec: DataSpec, world: World, _name: str) -> Evidence:
    evidence: Evidence = {}
    for name, command in spec.reads.items():
        result = await world.run(spec.from_, command, spec.timeout)
        if result.exit_code:
            said = (result.stderr or result.stdout).strip().splitlines() or [f"exit code {result.exit_code}"]
            raise NotThereError(said[-1][:200])
        evidence[name] = result.stdout.strip()[:4000]
    return evidence


def judge_data(spec: DataSpec, evidence: Evidence) -> Verdict:
    return judge_expression(spec.cel, spec.observe, tuple(spec.reads), evidence)


EXEC = QuestionKind("exec", pods, observe, judge, period=every)
DATA = QuestionKind("data", pods, observe_data, judge_data, period=every)
