"""`answer` and `admission`: what the player wrote down, and what the API server would let in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kuartui.checks.evidence import EVERYWHERE, Evidence, Obj, Verdict
from kuartui.checks.kind import QuestionKind
from kuartui.errors import ApiError, NoKindError
from kuartui.game.cel import matches
from kuartui.game.spec import AdmissionSpec, AnswerSpec, ResourceQuery
from kuartui.translate import tr

if TYPE_CHECKING:
    from kuartui.checks.world import World

UNASKED = "failed calling webhook"  # a refusal as well: of a webhook that fails closed and cannot be asked
POLICY_KINDS = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "Namespace")


def reads(spec: AnswerSpec) -> tuple[ResourceQuery, ...]:
    return (ResourceQuery(kind="ConfigMap", name=spec.config_map),)


async def observe(spec: AnswerSpec, world: World, _name: str) -> Evidence:
    found = await world.objects.all(reads(spec)[0])
    value = (found[0].get("data") or {}).get(spec.key) if found else None
    return {"value": value}


def judge(spec: AnswerSpec, evidence: Evidence) -> Verdict:
    value = evidence["value"]
    if value is None:
        return Verdict(False, tr("no key {key} in ConfigMap {name}", key=spec.key, name=spec.config_map))
    given = str(value).strip()
    right = given == spec.equals if spec.equals is not None else matches(spec.matches or "", given)
    return Verdict(right, tr("{n} characters in {where}", n=len(given), where=f"{spec.config_map}/{spec.key}"))


def policies(_: AdmissionSpec) -> tuple[ResourceQuery, ...]:
    return tuple(ResourceQuery(kind=kind, namespace=EVERYWHERE) for kind in POLICY_KINDS)


async def observe_admission(spec: AdmissionSpec, world: World, _name: str) -> Evidence:
    try:
        return await _dry_run(dict(spec.object), world)
    except NoKindError as error:  # a kind that the player is to define, and has not yet
        world.api.forget_kinds()
        return {"admitted": False, "message": str(error.message)}  # evidence is plain data


async def _dry_run(obj: Obj, world: World) -> Evidence:
    kind, api_version = str(obj.get("kind")), str(obj.get("apiVersion", ""))
    resource = await world.api.resource(kind, api_version)
    metadata = dict(obj.get("metadata") or {})
    if resource.namespaced:
        metadata.setdefault("namespace", world.level.namespace)
    try:
        await world.api.create(resource, {**obj, "metadata": metadata}, dry_run=True)
    except ApiError as error:
        if error.code == 404:  # its definition may be gone: look anew whether the kind is served
            world.api.forget_kinds()
            await world.api.resource(kind, api_version)
        if error.code not in (400, 403, 409, 422) and UNASKED not in error.message:
            raise
        return {"admitted": False, "message": error.message[:500]}
    return {"admitted": True, "message": ""}


def judge_admission(spec: AdmissionSpec, evidence: Evidence) -> Verdict:
    seen = tr("admitted") if evidence["admitted"] else tr("denied")
    right = evidence["admitted"] == (spec.expect == "admitted")
    unmeant = spec.message is not None and not matches(spec.message, evidence["message"])
    if right and unmeant and not evidence["admitted"]:
        return Verdict(False, tr("denied, for another reason"))  # which one would tell the cause
    return Verdict(right, seen)


KIND = QuestionKind("answer", reads, observe, judge)
ADMISSION = QuestionKind("admission", policies, observe_admission, judge_admission, period=lambda _: 5.0)
