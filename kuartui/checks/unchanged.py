"""`unchanged` and `sameUID`: is it still as it was when the level began?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kuartui.checks.evidence import Evidence, Obj, Verdict, redact
from kuartui.checks.kind import QuestionKind
from kuartui.game.spec import ResourceQuery, SameUidSpec, UnchangedSpec
from kuartui.message import later
from kuartui.translate import tr

if TYPE_CHECKING:
    from kuartui.checks.world import World

ABSENT = "<absent>"


def query(spec: UnchangedSpec | SameUidSpec) -> ResourceQuery:
    return ResourceQuery(
        kind=spec.kind,
        api_version=spec.api_version,
        name=spec.name,
        namespace=spec.namespace,
        selector=spec.selector if isinstance(spec, UnchangedSpec) else "",
    )


def reads(spec: UnchangedSpec | SameUidSpec) -> tuple[ResourceQuery, ...]:
    return (query(spec),)


def at(obj: Any, path: str) -> Any:
    """The value at a dotted path; "*" goes through all items of a list; a key with dots is written in brackets."""
    for step in _steps(path):
        if isinstance(obj, list):
            if step == "*":
                continue
            obj = [item.get(step, ABSENT) if isinstance(item, dict) else ABSENT for item in obj]
        elif isinstance(obj, dict):
            obj = obj.get(step, ABSENT)
        else:
            return ABSENT
    return obj


def _steps(path: str) -> list[str]:
    steps: list[str] = []
    for index, part in enumerate(path.replace("]", "").split("[")):
        steps += (
            [part.strip("'\"")] if index and "." in part and part[0] in "'\"" else [s for s in part.split(".") if s]
        )
    return steps


async def values(spec: UnchangedSpec, world: World) -> Evidence:
    found = await world.objects.all(query(spec))
    return {_name(obj): {path: at(redact(obj), path) for path in spec.paths or ("spec",)} for obj in found}


async def observe_values(spec: UnchangedSpec, world: World, name: str) -> Evidence:
    return {"start": world.baseline.get(name), "now": await values(spec, world)}


def judge_values(spec: UnchangedSpec, evidence: Evidence) -> Verdict:
    start, now = evidence["start"], evidence["now"]
    if start is None:
        return Verdict(None, problem=tr("the state at the start is not known"))
    changed = [
        f"{name}: {path}" if name in now else tr("{name} is gone", name=name)
        for name, paths in start.items()
        for path, value in paths.items()
        if name not in now or now[name].get(path) != value
    ]
    return Verdict(not changed, _list(changed, later("{kind} changed: {names}"), spec.kind))


async def uids(spec: SameUidSpec, world: World) -> Evidence:
    found = await world.objects.look(
        ResourceQuery(
            kind=spec.kind,
            api_version=spec.api_version,
            name=spec.name,
            namespace=spec.namespace,
            selector=spec.selector,
        )
    )
    objects = found if isinstance(found, list) else [found] if found else []
    return {_name(obj): obj["metadata"].get("uid", "") for obj in objects}


async def observe_uids(spec: SameUidSpec, world: World, name: str) -> Evidence:
    """Those of the start are looked for by name: an object that lost its label is still the same object."""
    everything = SameUidSpec(kind=spec.kind, api_version=spec.api_version, namespace=spec.namespace)
    return {"start": world.baseline.get(name), "now": await uids(everything, world)}


def judge_uids(spec: SameUidSpec, evidence: Evidence) -> Verdict:
    start, now = evidence["start"], evidence["now"]
    if start is None:
        return Verdict(None, problem=tr("the state at the start is not known"))
    other = [name for name, uid in start.items() if now.get(name) != uid]
    return Verdict(not other, _list(other, later("{kind} gone or made anew: {names}"), spec.kind))


def _name(obj: Obj) -> str:
    return str(obj["metadata"]["name"])


def _list(names: list[str], words: str, kind: str) -> str:
    if not names:
        return tr("as at the start")
    return tr(words, kind=kind, names=", ".join(names[:3]) + (" …" if len(names) > 3 else ""))


UNCHANGED = QuestionKind("unchanged", reads, observe_values, judge_values, capture=values)
SAME_UID = QuestionKind("sameUID", reads, observe_uids, judge_uids, capture=uids)
