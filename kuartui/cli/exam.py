"""`kuartui exam`: mock exams without the screens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import click

from kuartui.cli import output, report
from kuartui.cli.bar import steps
from kuartui.cli.output import Format, Output
from kuartui.cli.parameters import Argument, Option
from kuartui.cli.run import Noun, command, wait
from kuartui.errors import AttemptError
from kuartui.language import speak
from kuartui.message import later
from kuartui.prose import plain
from kuartui.translate import tr

if TYPE_CHECKING:
    from kuartui.cluster.base import Cluster
    from kuartui.play.exams import Row, Sheet
    from kuartui.play.view import AttemptView, Result
    from kuartui.progress.store import ExamRecord, Store

app = Noun(help="Mock exams: tasks by the exam's weights, under one clock.")

Number = Annotated[int, Argument(metavar="TASK", help="Its number: kuartui exam show.")]
Lang = Annotated[str, Option("--lang", help="The language of the tasks: en, zh-CN; default: your locale's.")]


@asynccontextmanager
async def _opened() -> AsyncIterator[tuple[Store, Cluster]]:
    """The records and the cluster of exams: embedded, since each task has a cluster of its own."""
    from kuartui.cluster.select import choose
    from kuartui.progress.store import Store

    store = Store()
    try:
        yield store, choose("embedded", "kuartui")
    finally:
        store.close()


async def _current(store: Store, cluster: Cluster) -> ExamRecord:
    from kuartui.play import exams

    await exams.current(cluster=cluster, store=store)
    return exams.under_way(store)


async def _latest(store: Store, cluster: Cluster) -> ExamRecord:
    """The exam that is under way, else the last one."""
    from kuartui.play import exams

    await exams.current(cluster=cluster, store=store)
    exam = store.exam()
    if exam is None:
        raise AttemptError(later("no exam was taken yet"), hint=exams.START)
    return exam


def _sheet(exam: ExamRecord, store: Store, language: str) -> Sheet:
    from kuartui.catalog.catalog import Catalog
    from kuartui.play import exams

    return exams.sheet(exam, store=store, catalog=Catalog.default(), language=language)


@command(app, "start")
def start(
    name: Annotated[str, Argument(metavar="CKA|CKAD", help="Which exam.")],
    minutes: Annotated[int | None, Option(min=10, max=240, help="Default: as long as the real one.")] = None,
    seed: Annotated[int | None, Option(help="The same seed deals the same tasks to the same records.")] = None,
    strict: Annotated[
        bool, Option("--strict", help="As in the real one: what is right is told after its end.")
    ] = False,
    lang: Lang = "",
    out: Output = Format.text,
) -> None:
    """Deal the tasks and start the clock."""
    language = speak(lang)

    async def run() -> Sheet:
        from kuartui.catalog.catalog import Catalog
        from kuartui.play import exams

        async with _opened() as (store, cluster):
            await exams.current(cluster=cluster, store=store)
            catalog = Catalog.default()
            exam = exams.begin(name, minutes, cluster=cluster, store=store, catalog=catalog, seed=seed, strict=strict)
            return _sheet(exam, store, language)

    _tell(wait(run), out)


@command(app, "show")
def show(lang: Lang = "", out: Output = Format.text) -> None:
    """Show the tasks and the time that is left; of an exam that is over, the result."""
    language = speak(lang)

    async def run() -> Sheet:
        async with _opened() as (store, cluster):
            return _sheet(await _latest(store, cluster), store, language)

    _tell(wait(run), out)


@command(app, "task")
def task(number: Number, lang: Lang = "", out: Output = Format.text) -> None:
    """Work at a task; the one in play waits as it is."""
    language = speak(lang)

    async def run() -> tuple[AttemptView, int]:
        from kuartui.catalog.catalog import Catalog
        from kuartui.play import exams

        async with _opened() as (store, cluster):
            exam = await _current(store, cluster)
            with steps() as told:
                session = await exams.take_up(
                    exam,
                    number,
                    cluster=cluster,
                    store=store,
                    catalog=Catalog.default(),
                    language=language,
                    report=told,
                )
            try:
                weight = next(item.task.weight for item in store.tasks(exam.id) if item.task.number == number)
                return session.snapshot(), weight
            finally:
                await session.close()

    view, weight = wait(run)
    if out is Format.json:
        output.data(report.view(view))
        return
    for text in report.briefing(view.level, tr("task {number}, {weight} %", number=number, weight=weight)):
        output.line(text)
    output.line()
    for what, commands in report.ways(view):
        output.line(f"{what}  {commands}")


@command(app, "flag")
def flag(number: Number) -> None:
    """Mark a task to come back to, or take the mark away."""

    async def run() -> bool:
        from kuartui.play import exams

        async with _opened() as (store, cluster):
            return exams.flag(await _current(store, cluster), number, store)

    flagged = wait(run)
    off = tr("task {number} is not flagged any more", number=number)
    output.line(tr("task {number} is flagged", number=number) if flagged else off)


@command(app, "finish")
def finish(
    yes: Annotated[bool, Option("--yes", "-y", help="Do not ask.")] = False, lang: Lang = "", out: Output = Format.text
) -> None:
    """End the exam: every task brings what is green in it."""
    language = speak(lang)

    async def run() -> Sheet:
        from kuartui.play import exams

        async with _opened() as (store, cluster):
            exam = await _current(store, cluster)
            if not yes and out is Format.text and report.asks():
                rest = report.span(_sheet(exam, store, language).left)
                click.confirm(tr("End the exam with {time} left?", time=rest), abort=True, err=True)
            await exams.finish(exam, cluster=cluster, store=store)
            ended = store.exam()
            assert ended is not None
            return _sheet(ended, store, language)

    _tell(wait(run), out)


@command(app, "review")
def review(number: Number, lang: Lang = "", out: Output = Format.text) -> None:
    """After the end: show how a task went, and what it was about."""
    language = speak(lang)

    async def run() -> Result | None:
        from kuartui.play import exams

        async with _opened() as (store, cluster):
            exam = await _latest(store, cluster)
            return await exams.review(exam, number, cluster=cluster, store=store, language=language)

    result = wait(run)
    if result is None:
        raise AttemptError(later("task {number} was never begun", number=number), hint="kuartui exam show")
    if out is Format.json:
        output.data(report.result(result))
        return
    for text in report.summary(result):
        output.line(text)


@command(app, "list")
def list_exams(out: Output = Format.text) -> None:
    """List the exams that you took, with their results."""

    async def run() -> list[Sheet]:
        from kuartui.play import exams

        async with _opened() as (store, cluster):
            await exams.current(cluster=cluster, store=store)
            return [_sheet(exam, store, "") for exam in store.exams()]

    from kuartui.game.exam import shown

    sheets = wait(run)
    if out is Format.json:
        output.data([_data(sheet) for sheet in sheets])
        return
    if not sheets:
        output.line(tr("no exam was taken yet: {command}", command="kuartui exam start CKA"))
        return
    output.table(
        [later("BEGUN"), later("EXAM"), later("MINUTES"), later("TASKS"), later("RESULT")],
        [
            [
                sheet.exam.begun.astimezone().strftime("%Y-%m-%d %H:%M"),
                tr("{exam}, strict", exam=sheet.exam.name) if sheet.exam.strict else sheet.exam.name,
                sheet.exam.minutes,
                len(sheet.rows),
                tr("under way") if sheet.reached is None else f"{shown(sheet.reached)} %",
            ]
            for sheet in sheets
        ],
    )


def _tell(sheet: Sheet, out: Format) -> None:
    from kuartui.play import exams

    if out is Format.json:
        output.data(_data(sheet))
        return
    output.line(exams.heading(sheet.exam))
    output.line()
    over = sheet.reached is not None
    heads = [later("TASK"), later("WEIGHT"), later("STATE"), later("TIME"), later("TITLE"), later("DOMAIN")]
    output.table([*heads[:3], later("CREDIT"), *heads[3:]] if over else heads, [_row(row, over) for row in sheet.rows])
    output.line()
    for text in _end(sheet) if over else _ahead(sheet):
        output.line(text)


def _row(row: Row, over: bool) -> list[object]:
    from kuartui.play.exams import STATES

    state = tr(STATES[row.state]) + (f" ({tr('flagged')})" if row.flagged and not over else "")
    spent = report.span(row.spent) if row.spent else "-"
    credit = [f"{row.credit or 0:.0%}"] if over else []
    return [row.task.number, f"{row.task.weight} %", state, *credit, spent, plain(row.title), plain(row.domain)]


def _ahead(sheet: Sheet) -> Iterator[str]:
    """While it runs: the time, and how to go on."""
    yield tr("{time} left; {percent} % pass the real one", time=report.span(sheet.left), percent=sheet.to_pass)
    yield "kuartui exam task TASK | flag TASK | show | finish"


def _end(sheet: Sheet) -> Iterator[str]:
    """The result, by domain."""
    from kuartui.game.exam import shown

    for part in sheet.parts:
        reached, domain = f"{part.reached:5.1f}", plain(part.domain)
        yield tr("{reached} of {weight} %  {domain}", reached=reached, weight=f"{part.weight:3}", domain=domain)
    reached, word = f"{shown(sheet.reached or 0.0, 1):>5}", tr("passed") if sheet.passed else tr("not passed")
    end = tr("{reached} of 100 %  {word}", reached=reached, word=word)
    yield tr("{end}; {percent} % pass the real one", end=end, percent=sheet.to_pass)


def _data(sheet: Sheet) -> dict[str, Any]:
    return {
        "exam": sheet.exam.name,
        "minutes": sheet.exam.minutes,
        "strict": sheet.exam.strict,
        "begun": sheet.exam.begun.isoformat(),
        "ended": sheet.exam.ended.isoformat() if sheet.exam.ended else None,
        "left": round(sheet.left, 3),
        "pass": sheet.to_pass,
        "reached": sheet.reached,
        "passed": sheet.passed if sheet.reached is not None else None,
        "domains": [{"domain": p.domain, "reached": p.reached, "weight": p.weight} for p in sheet.parts],
        "tasks": [
            {
                "task": row.task.number,
                "level": row.task.level,
                "seed": row.task.seed,
                "title": row.title,
                "domain": row.task.domain,
                "weight": row.task.weight,
                "state": row.state,
                "flagged": row.flagged,
                "spent": round(row.spent, 3),
                "credit": row.credit,
            }
            for row in sheet.rows
        ],
    }
