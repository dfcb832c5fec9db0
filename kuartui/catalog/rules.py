"""What a decodable level may still have wrong: the rules that types cannot say."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from kuartui.catalog.yamlfile import Document, FieldPath, path_text
from kuartui.errors import LevelError, did_you_mean
from kuartui.game import guards
from kuartui.game.cel import CelError, compile_cel, matches
from kuartui.game.level import Level, Question
from kuartui.game.questions import expressions, patterns
from kuartui.game.spec import AnySpec, ContainerSpec, ImageSpec
from kuartui.message import later

NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")  # it is in paths, in prompts and in commands


def problems(level: Level, document: Document) -> Iterator[LevelError]:
    """Everything that is wrong, in the order of the file's fields."""

    def problem(text: str, *path: str | int) -> LevelError:
        full: FieldPath = ("spec", *path)
        return LevelError(text, file=document.file, line=document.line(full), field=path_text(full))

    if not NAMESPACE.fullmatch(level.namespace):
        yield problem(later("a name is lower case letters, digits and dashes"), "namespace")
    if level.par_time >= level.time_limit:
        yield problem(
            later(
                "par ({par_time}) must be below timeLimit ({time_limit})",
                par_time=level.par_time,
                time_limit=level.time_limit,
            ),
            "parTime",
        )
    if not level.setup.all_stages() and not level.setup.files:
        yield problem(later("nothing is set up: give manifests, stages or files"), "setup")
    if level.switches_nodes != ("node-power" in level.needs):
        yield problem(later("needs: [node-power] and what is done to nodes belong together"), "needs")
    yield from _docker(level, problem)
    check_names = [check.name for check in level.checks]
    guard_names = [guard.name for guard in level.guards]
    for name, count in Counter(check_names + guard_names).items():
        if count > 1:
            yield problem(later("the name {name!r} is taken twice among checks and guards", name=name), "checks")
    for index, check in enumerate(level.checks):
        for name in _unknown(check.after, set(check_names) - {check.name}):
            yield problem(
                later("no check {name!r}{guess}", name=name, guess=did_you_mean(name, check_names)),
                "checks",
                index,
                "after",
            )
        yield from _question(check, problem, "checks", index)
    if _has_cycle({check.name: check.after for check in level.checks}):
        yield problem(later("checks wait for each other (after)"), "checks")
    for index, guard in enumerate(level.guards):
        for name in _unknown(guard.voids, check_names):
            yield problem(
                later("no check {name!r}{guess}", name=name, guess=did_you_mean(name, check_names)),
                "guards",
                index,
                "voids",
            )
        if (guard.effect == "void") != bool(guard.voids):
            yield problem(later("effect void and a list voids belong together"), "guards", index, "effect")
        if guard.name in guards.NAMES:
            yield problem(
                later("{name!r} is the name of a guard that every level has", name=guard.name), "guards", index, "name"
            )
        yield from _question(guard, problem, "guards", index)
    for index, name in enumerate(level.allow):
        if name not in guards.NAMES:
            known = ", ".join(guards.NAMES)
            yield problem(later("no global guard {name!r}; there are {known}", name=name, known=known), "allow", index)
    for index, drill in enumerate(level.after):
        if drill.until is not None:
            yield from _expressions(drill.until, problem, "after", index, "until")
        if drill.data is not None:
            yield from _expressions(drill.data, problem, "after", index, "data")
            if drill.until is not None:
                yield problem(later("a drill has until or data, not both"), "after", index, "data")
    catchers = {*check_names, *guard_names, *guards.NAMES, *(drill.name for drill in level.after)}
    for index, cheat in enumerate(level.cheats):
        for name in _unknown(cheat.caught_by, catchers):
            guess = did_you_mean(name, catchers)
            yield problem(
                later("no check, guard or drill {name!r}{guess}", name=name, guess=guess), "cheats", index, "caughtBy"
            )
    for kind, names in (
        ("solutions", [item.name for item in level.solutions]),
        ("cheats", [item.name for item in level.cheats]),
    ):
        if len(set(names)) < len(names):
            yield problem(later("two have the same name"), kind)
    if sum(hint.cost for hint in level.hints) > 100:
        yield problem(later("all hints together cost more than the level is worth"), "hints")


def _question(question: Question, problem, group: str, index: int) -> Iterator[LevelError]:  # type: ignore[no-untyped-def]
    yield from _expressions(question.spec, problem, group, index, question.type)
    for where, pattern in patterns(question):
        try:
            matches(pattern, "")
        except CelError as error:
            yield problem(str(error), group, index, question.type, where)


def _expressions(spec: AnySpec, problem, *path: str | int) -> Iterator[LevelError]:  # type: ignore[no-untyped-def]
    for where, source, variables in expressions(spec):
        try:
            compile_cel(source, variables)
        except CelError as error:
            text: str = str(error)
            if where == "observe" and '"' not in source:
                text = later("{error}; write a text as '\"like this\"'", error=error)
            yield problem(text, *path, where)


def _docker(level: Level, problem) -> Iterator[LevelError]:  # type: ignore[no-untyped-def]
    """A level on Docker says so, and keeps to the names that it says are its own."""
    asked = [
        (group, index, question.spec.name, question.type)
        for group, questions in (("checks", level.checks), ("guards", level.guards))
        for index, question in enumerate(questions)
        if isinstance(question.spec, ImageSpec | ContainerSpec)
    ]
    setup = level.setup.docker
    if (setup is not None) != ("docker" in level.needs):
        yield problem(later("needs: [docker] and setup.docker belong together"), "needs")
    if setup is None:
        for group, index, _, kind in asked:
            yield problem(later("only levels with setup.docker have images and containers"), group, index, kind)
        return
    known = {*setup.names}
    bases = {base.name for base in setup.bases}
    used = [("builds", index, item.name) for index, item in enumerate(setup.builds)]
    used += [("containers", index, item.name) for index, item in enumerate(setup.containers)]
    for group, index, name in used:
        if _repository(name) not in known:
            yield problem(
                later("{name!r} is none of the level's names", name=name), "setup", "docker", group, index, "name"
            )
    for index, item in enumerate(setup.containers):
        if item.image not in bases | {build.name for build in setup.builds}:
            text = later("{image!r} is neither a base nor built by the level", image=item.image)
            yield problem(text, "setup", "docker", "containers", index, "image")
    for group, index, name, kind in asked:
        if _repository(name) not in known:
            yield problem(
                later("{name!r} is none of the level's names (setup.docker.names)", name=name),
                group,
                index,
                kind,
                "name",
            )


def _repository(name: str) -> str:
    """bakery:1 -> bakery"""
    return name.partition(":")[0]


def _unknown(names: Iterable[str], known: Iterable[str]) -> list[str]:
    allowed = set(known)
    return [name for name in names if name not in allowed]


def _has_cycle(after: dict[str, tuple[str, ...]]) -> bool:
    done: set[str] = set()
    while True:
        free = [name for name, needs in after.items() if name not in done and all(need in done for need in needs)]
        if not free:
            return len(done) < len(after)
        done.update(free)
