"""`logs` and `file`: text that a container wrote, or the player did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kuartui.checks.evidence import Evidence, NotThereError, Verdict
from kuartui.checks.kind import QuestionKind, every, pods
from kuartui.errors import ApiError, StorageError, system_words
from kuartui.game.cel import matches
from kuartui.game.spec import FileSpec, LogsSpec
from kuartui.message import later
from kuartui.translate import tr, trn

if TYPE_CHECKING:
    from kuartui.checks.world import World

MAX_BYTES = 256 * 1024


async def observe(spec: LogsSpec, world: World, _name: str) -> Evidence:
    places = await world.places(spec.from_, ended=True)
    logs = [await _lines(spec, world, place) for place in (places if spec.times > 1 else places[:1])]
    return {
        "lines": sum(len(lines) for lines in logs),
        "contains": sum(_count(spec.contains, lines) for lines in logs),
        "absent": sum(_count(spec.absent, lines) for lines in logs),
    }


async def _lines(spec: LogsSpec, world: World, place: tuple[str, str, str]) -> list[str]:
    namespace, pod, container = place
    try:
        text = await world.api.logs(
            namespace,
            pod,
            container=container,
            since=round(spec.since) if spec.since else 0,
            previous=spec.previous,
            limit=MAX_BYTES,
        )
    except ApiError as error:
        raise NotThereError(later("no log of pod {pod}", pod=pod)) from error
    return text.splitlines()


def judge(spec: LogsSpec, evidence: Evidence) -> Verdict:
    right = (spec.contains is None or evidence["contains"] >= spec.times) and (
        spec.absent is None or evidence["absent"] == 0
    )
    seen = trn("{n} line", "{n} lines", evidence["lines"])
    if spec.contains is not None:
        seen += ", " + tr("{n} of them as hoped for", n=evidence["contains"])
    if spec.absent is not None:
        seen += ", " + tr("{n} that should not be there", n=evidence["absent"])
    return Verdict(right, seen)


def _count(pattern: str | None, lines: list[str]) -> int:
    return 0 if pattern is None else sum(matches(pattern, line) for line in lines)


async def observe_file(spec: FileSpec, world: World, _name: str) -> Evidence:
    if spec.from_ is not None:
        result = await world.run(spec.from_, ("cat", spec.path), 5)
        return {"exists": result.exit_code == 0, "text": result.stdout[:MAX_BYTES]}
    if world.workspace is None:
        return {"exists": False, "text": ""}
    path = (world.workspace / spec.path).resolve()
    if not path.is_relative_to(world.workspace.resolve()) or not path.is_file():
        return {"exists": False, "text": ""}
    try:
        with path.open("rb") as file:
            return {"exists": True, "text": file.read(MAX_BYTES).decode(errors="replace")}
    except OSError as error:
        raise StorageError(later("cannot read {path}: {why}", path=path, why=system_words(error))) from error


def judge_file(spec: FileSpec, evidence: Evidence) -> Verdict:
    if not evidence["exists"]:
        return Verdict(False, tr("no file {path}", path=spec.path))
    right = (spec.contains is None or matches(spec.contains, evidence["text"])) and (
        spec.absent is None or not matches(spec.absent, evidence["text"])
    )
    return Verdict(right, tr("{n} characters in {where}", n=len(evidence["text"]), where=spec.path))


LOGS = QuestionKind("logs", pods, observe, judge, period=every)
FILE = QuestionKind("file", lambda spec: pods(spec) if spec.from_ else (), observe_file, judge_file, period=every)
