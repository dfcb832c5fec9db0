"""`kuartui level`: play without the screens, and prove that levels are sound."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click

from kuartui import language
from kuartui.cli import output, report, tongue
from kuartui.cli.bar import steps
from kuartui.cli.cluster import AllowRights, Kind, choose
from kuartui.cli.output import Format, Output
from kuartui.cli.parameters import LARGEST, Argument, Option
from kuartui.cli.run import Noun, command, wait
from kuartui.errors import AttemptError
from kuartui.message import later
from kuartui.prose import plain
from kuartui.translate import tr

if TYPE_CHECKING:
    from kuartui.game.events import Mode
    from kuartui.game.level import Level, LevelCard
    from kuartui.play.view import AttemptView, HintView, Result

app = Noun(help="Play levels without the screens, prove and lint them.")

LevelName = Annotated[str, Argument(metavar="LEVEL|PATH", help="A level's name (kuartui level list), or its folder.")]
Lang = Annotated[str, Option("--lang", help="The language of the level: en, zh-CN; default: your locale's.")]
Seed = Annotated[
    int | None, Option(min=0, max=LARGEST, help="Vary names and numbers; the same seed gives the same level.")
]


@command(app, "list")
def list_levels(
    track: Annotated[str, Option(help="Only the levels of this track.")] = "",
    lang: Lang = "",
    out: Output = Format.text,
) -> None:
    """List the levels, with your best scores."""
    from kuartui.catalog.catalog import Catalog
    from kuartui.errors import UnknownName
    from kuartui.progress.store import Store

    catalog = Catalog.default()
    cards = catalog.cards(speak(lang))
    for pack, reason in catalog.broken.items():
        output.note(tr("{name} is left out: {problem}", name=pack, problem=plain(tr(reason))))
    tracks = {card.track for card in cards}
    if track and track not in tracks:
        raise UnknownName(later("track"), track, tracks)
    store = Store()
    best = store.best()
    store.close()
    cards = [card for card in cards if not track or card.track == track]
    if out is Format.json:
        output.data(
            [{**report.card(card), "best": best[card.name].score if card.name in best else None} for card in cards]
        )
        return

    def row(card: LevelCard) -> list[object]:
        score = best.get(card.name)
        stars = "*" * card.difficulty
        return [
            card.name,
            card.track,
            stars,
            report.span(card.par_time),
            card.points,
            score.score if score else "-",
            card.title,
        ]

    output.table(
        [
            later("NAME"),
            later("TRACK"),
            later("DIFFICULTY"),
            later("PAR"),
            later("POINTS"),
            later("BEST"),
            later("TITLE"),
        ],
        map(row, cards),
    )


@command(app, "show")
def show(
    name: Annotated[str, Argument(metavar="[LEVEL|PATH]", help="Default: the level in play.")] = "",
    seed: Seed = None,
    lang: Lang = "",
    out: Output = Format.text,
) -> None:
    """Show a level: story, task, checks; the one in play as it was dealt."""
    tag = speak(lang, name)
    level = dealt(name, tag) if seed is None else None
    if level is None:
        if not name:
            raise AttemptError(later("no level is in play"), hint=later("kuartui level show LEVEL"))
        level = open_level(name, seed or 0, tag)
    if out is Format.json:
        output.data(report.level(level))
        return
    for text in (*report.briefing(level), *report.rights(level)):
        output.line(text)


@command(app, "start")
def start(
    name: LevelName,
    seed: Seed = None,
    cluster: Kind = "embedded",
    practice: Annotated[bool, Option("--practice", help="No points; the clock may be paused.")] = False,
    allow_rights: AllowRights = False,
    lang: Lang = "",
    out: Output = Format.text,
) -> None:
    """Set a level up and start the clock."""
    level = open_level(name, fresh_seed() if seed is None else seed, speak(lang, name))
    if allow_rights:
        allow(level)
    if choose(cluster).kind == "embedded":
        from kuartui.cluster.host import EmbeddedHost

        EmbeddedHost().begin()  # it starts while we load the rest

    from kuartui.play.session import start as begin
    from kuartui.progress.store import Store

    async def run() -> AttemptView:
        store = Store()
        try:
            if store.exam_under_way() is not None:  # its time may be over
                from kuartui.play.exams import current

                await current(cluster=choose("embedded"), store=store)
            mode: Mode = "practice" if practice else "ranked"
            with steps() as told:
                session = await begin(level, cluster=choose(cluster), store=store, mode=mode, report=told)
            try:
                return session.snapshot()
            finally:
                await session.close()
        finally:
            store.close()

    view = wait(run)
    if out is Format.json:
        output.data(report.view(view))
        return
    for text in (*report.briefing(level), *(report.rights(level) if choose(cluster).kind != "embedded" else ())):
        output.line(text)
    output.line()
    if view.mode == "practice" and not practice:
        output.line(tr("There is another level called {name}, so this one is practice: no points.", name=level.name))
    for what, commands in report.ways(view):
        output.line(f"{what}  {commands}")


@command(app, "check")
def check(
    out: Output = Format.text,
    watch: Annotated[bool, Option("--watch", "-w", help="Go on until the attempt is over.")] = False,
    lang: Lang = "",
) -> None:
    """Look at every check now; exit code 1 while one is red."""
    from kuartui.cli.attempt import current_session

    async def run() -> AttemptView:
        async with current_session(speak(lang), ended=True) as session:
            if session.withheld:
                raise AttemptError(later("what is right is told after this exam"), hint="kuartui exam show")
            view = session.snapshot() if session.snapshot().outcome else await session.refresh()
            if watch:
                print_view(view, out)
                async for _ in session.events():
                    latest = session.snapshot()
                    if report.signature(latest) != report.signature(view):
                        print_view(latest, out)
                    view = latest
            return view

    view = wait(run)
    if not watch:
        print_view(view, out)
    if not view.solved:
        raise click.exceptions.Exit(1)


def print_view(view: AttemptView, out: Format) -> None:
    if out is Format.json:
        output.data(report.view(view))
        return
    for text in report.checks(view):
        output.line(text)


@command(app, "hint")
def hint(
    yes: Annotated[bool, Option("--yes", "-y", help="Do not ask before points are spent.")] = False,
    lang: Lang = "",
    out: Output = Format.text,
) -> None:
    """Take the next hint; it costs points."""
    from kuartui.cli.attempt import current_session

    async def run() -> HintView:
        async with current_session(speak(lang)) as session:
            view = session.snapshot()
            if view.next_hint_cost and not yes and out is Format.text and report.asks():
                click.confirm(
                    tr("The next hint costs {cost} points. Take it?", cost=view.next_hint_cost), abort=True, err=True
                )
            return await session.hint(len(view.hints))

    taken = wait(run)
    if out is Format.json:
        output.data({"index": taken.index, "cost": taken.cost, "text": taken.text})
    else:
        head = tr("Hint {number} (−{cost} points):", number=taken.index + 1, cost=taken.cost)
        output.line(f"{head} {taken.text.strip()}")


@command(app, "pause")
def pause() -> None:
    """Stop the clock; in practice only."""
    from kuartui.cli.attempt import current_session

    async def run() -> AttemptView:
        async with current_session() as session:
            await session.pause()
            return session.snapshot()

    view = wait(run)
    output.line(tr("the clock stands at {time}; kuartui level resume lets it go on", time=report.span(view.elapsed)))


@command(app, "resume")
def resume() -> None:
    """Let the clock go on."""
    from kuartui.cli.attempt import current_session

    async def run() -> AttemptView:
        async with current_session() as session:
            await session.unpause()
            return session.snapshot()

    view = wait(run)
    output.line(tr("the clock goes on from {time}", time=report.span(view.elapsed)))


@command(app, "reset")
def reset() -> None:
    """Set the level up anew; the clock runs on."""
    from kuartui.cli.attempt import current_session

    async def run() -> None:
        async with current_session() as session:
            with steps() as told:
                await session.reset(told)

    wait(run)
    output.line(tr("the level is as it was at the start; the clock ran on"))


@command(app, "finish")
def finish(
    abandon: Annotated[bool, Option("--abandon", help="Give up: no score, clean up.")] = False,
    lang: Lang = "",
    out: Output = Format.text,
) -> None:
    """End the attempt with what is green, and show the score."""
    from kuartui.cli.attempt import current_session, give_up_unreadable

    left_on = ""

    async def run() -> Result | None:
        nonlocal left_on
        if abandon and await give_up_unreadable():
            return None
        async with current_session(speak(lang), ended=not abandon) as session:
            if abandon:
                await session.abandon()
                left_on = session.left_on
                return None
            if session.snapshot().outcome is None:
                await session.refresh()
            result = session.result() if session.snapshot().outcome else await session.finish()
            if secret := session.in_exam:
                result = replace(result, debrief="", solutions=())
            if out is Format.text:  # before its place is removed: that may fail
                _tell_end(result, secret, withheld=session.withheld)
            return result

    result = wait(run)
    if out is Format.json:
        output.data({"outcome": "abandoned"} if result is None else report.result(result))
    elif result is None:
        if left_on:
            output.line(
                tr("abandoned; what is left of it is removed before the next level on {cluster}", cluster=left_on)
            )
        else:
            output.line(tr("abandoned; everything is cleaned up"))


def _tell_end(result: Result, in_exam: bool, *, withheld: bool) -> None:
    if in_exam:
        for check in () if withheld else result.checks:
            output.line(report.check_line(check))
        output.line(tr("the task is handed in: {command}", command="kuartui exam show"))
        return
    for text in report.summary(result):
        output.line(text)


@command(app, "prove")
def prove(
    targets: Annotated[list[str] | None, Argument(metavar="[LEVEL|PATH]...", help="Default: all levels.")] = None,
    cluster: Kind = "embedded",
    seeds: Annotated[int, Option(min=1, max=100, help="How many seeds of each level.")] = 1,
    jobs: Annotated[int, Option(min=0, help="How many proofs side by side; 0: as many as there are cores.")] = 0,
    thorough: Annotated[
        bool, Option("--thorough", help="Every solution and cheat with every seed, not in turns.")
    ] = False,
    mutate: Annotated[
        bool, Option("--mutate", help="Instead, force one check green at a time: a proof must fail.")
    ] = False,
    out: Annotated[str, Option("--output", "-o", help="text, json or junit.")] = "text",
) -> None:
    """Prove levels: red at the start, solved by each solution, not by a cheat, nothing left behind."""
    from kuartui.cli.proving import run_proofs

    if not run_proofs(targets or [], cluster, seeds, jobs, out, thorough=thorough, mutate=mutate):
        raise click.exceptions.Exit(1)


@command(app, "lint")
def lint(
    targets: Annotated[list[str] | None, Argument(metavar="[LEVEL|PATH]...", help="Default: all levels.")] = None,
    out: Output = Format.text,
) -> None:
    """Look for spoilers, unpinned images, unused variables, checks that cannot fail."""
    from kuartui.cli.proving import run_lint

    if not run_lint(targets or [], out):
        raise click.exceptions.Exit(1)


@command(app, "new")
def new(
    name: Annotated[str, Argument(metavar="NAME", help="Of the level: lower case letters, digits and dashes.")],
    track: Annotated[str, Option(help="The folder, and the track, that it goes to.")] = "drafts",
    pack: Annotated[Path, Option(help="The folder of your tracks.")] = Path(),
) -> None:
    """Write a small level that is sound already, for you to change."""
    from kuartui.catalog.catalog import Catalog
    from kuartui.catalog.scaffold import new_level
    from kuartui.errors import UsageError

    catalog = Catalog.default()
    if name in catalog.names() and catalog.owner(name) == "kuartui":
        raise UsageError(
            later("kuartui has a level {name} itself", name=name), hint=later("choose another name for yours")
        )
    folder = new_level(pack, track, name)
    output.line(tr("{folder} is a level. Change it step by step, and after each step:", folder=folder))
    for words in ("level lint", "level prove", "play"):
        output.line(f"  kuartui {words} {shlex.quote(str(folder))}")


@command(app, "schema")
def show_schema(
    translation: Annotated[bool, Option("--translation", help="That of level.LANGUAGE.yaml.")] = False,
) -> None:
    """Print the JSON Schema of level.yaml, for editors."""
    from kuartui.catalog import schema

    output.line(schema.text(schema.translation() if translation else schema.schema()).rstrip())


def speak(option: str, name: str = "") -> str:
    """The tag that `--lang` asks for; it is said when there is no such language, unless a folder of the player's own
    (`name`) may have it."""
    return language.speak(option) if name and is_path(name) else tongue.speak(option)


def dealt(name: str, language: str) -> Level | None:
    """The level in play as it was dealt, if it is the one of that name, or if no name is given."""
    from kuartui.cli.attempt import current_record

    record = current_record()
    if record is None:
        return None
    from kuartui.play.dealt import level_of

    same = Path(name).resolve() == Path(record.folder).resolve() if name and is_path(name) else record.level == name
    return level_of(record, language) if same or not name else None


def open_level(name: str, seed: int, language: str = "") -> Level:
    """A level by name, or by path to its folder; in a language as far as it is translated."""
    from kuartui.catalog.catalog import Catalog
    from kuartui.catalog.reader import LevelFolder

    if is_path(name):
        return LevelFolder.open(Path(name)).level(seed, language)
    return Catalog.default().level(name, seed, language)


def allow(level: Level) -> None:
    """Let a stranger's level do what its rights say, on a cluster that is not ours."""
    from kuartui.play.consent import give

    give(level)


def is_path(name: str) -> bool:
    """Whether it means a folder on disk rather than a level of the catalogue."""
    return "/" in name or os.path.exists(name)


def fresh_seed() -> int:
    """A seed for a player who named none: not 0, which the documents show."""
    import random

    return random.SystemRandom().randrange(1, 10_000)
