"""`access`: who may do what, asked from the API server's own authorizer, and the rules behind it.

`allow` and `deny` are SubjectAccessReviews. `within` walks RBAC itself: every rule that the subject holds through any
binding (by its name or by one of its groups) must be covered by the order, and hold where the order says, which is the
level's namespace only unless it says otherwise.
What every cluster grants to everybody (discovery, questions about oneself) is left out, by the names of the bindings: a
label would be any player's to set.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from kuartui.checks.evidence import EVERYWHERE, Evidence, Obj, Verdict
from kuartui.checks.kind import QuestionKind
from kuartui.game.spec import AccessSpec, Action, Grant, ResourceQuery, Subject
from kuartui.translate import tr

if TYPE_CHECKING:
    from kuartui.checks.world import World

ROLE_KINDS = ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")
READS = tuple(ResourceQuery(kind=kind, namespace=EVERYWHERE) for kind in ROLE_KINDS)
FRESH = 60.0  # seconds that an answer lasts: clusters may have authorizers beside RBAC
LAG = 1.0  # seconds in which an API server's authorizer may not have heard yet of what we have seen
PERIOD = 5.0  # seconds
#: ClusterRoleBindings of every cluster, whose subjects are all users or all service accounts
FOR_EVERYBODY = frozenset(
    f"system:{name}" for name in ("basic-user", "discovery", "public-info-viewer", "service-account-issuer-discovery")
)
ABOUT_ONESELF = frozenset({"authorization.k8s.io", "authentication.k8s.io"})


@dataclass(slots=True)
class Answers:
    """What was answered about a subject since it has held these rules: by question, and when (cluster time)."""

    rules: list[Obj]
    since: float
    given: dict[Hashable, tuple[bool, float]] = field(default_factory=dict)


def reads(_: AccessSpec) -> tuple[ResourceQuery, ...]:
    return READS


def identity(subject: Subject, namespace: str) -> tuple[str, tuple[str, ...]]:
    """User name and groups, as the authenticator makes them."""
    if subject.user:
        return subject.user, (*subject.groups, "system:authenticated")
    home, _, name = subject.service_account.rpartition("/")
    home = home or namespace
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{home}", "system:authenticated", *subject.groups)
    return f"system:serviceaccount:{home}:{name}", groups


def attributes(action: Action, namespace: str) -> Iterator[Obj]:
    """resourceAttributes for every verb on every resource, name and namespace of an action."""
    for place in action.namespaces or (namespace,):
        for target in action.resources:
            qualified, _, subresource = target.partition("/")
            resource, _, group = qualified.partition(".")
            for verb in action.verbs:
                for name in action.names or ("",):
                    asked = {
                        "verb": verb,
                        "resource": resource,
                        "group": group,
                        "subresource": subresource,
                        "namespace": "" if place == EVERYWHERE else place,
                        "name": name,
                    }
                    yield {key: value for key, value in asked.items() if value}


async def observe(spec: AccessSpec, world: World, _name: str) -> Evidence:
    user, groups = identity(spec.subject, world.level.namespace)
    namespace = world.level.namespace
    found = {query.kind: await world.objects.all(query) for query in READS}
    answers, rules = world.reviews.get((user, groups)), [*rules_of(user, groups, found)]
    if answers is None or answers.rules != rules:
        answers = world.reviews[user, groups] = Answers(rules, world.clock.monotonic())
    reviews = []
    for wanted, actions in ((True, spec.allow), (False, spec.deny)):
        for action in actions:
            for asked in attributes(action, namespace):
                allowed = await _allowed(world, answers, user, groups, asked)
                reviews.append({"asked": asked, "wanted": wanted, "allowed": allowed})
    evidence: Evidence = {"reviews": reviews, "namespace": namespace}
    if spec.within is not None:
        evidence["rules"] = list(rules_of(user, groups, found, common=False))
    return evidence


async def _allowed(world: World, answers: Answers, user: str, groups: tuple[str, ...], asked: Obj) -> bool:
    """Ask, unless the same was asked a moment ago and by the same rules."""
    key, now = tuple(sorted(asked.items())), world.clock.monotonic()
    if world.clock.steppable:  # an embedded cluster, where rules alone decide: as they did on another one
        known = (user, groups, key, orjson.dumps([rule for rule in answers.rules if _concerns(rule, asked)]))
        if known not in world.known:
            world.known[known] = await world.api.allowed(user, groups, asked)
        return world.known[known]
    allowed, at = answers.given.get(key, (False, -FRESH))
    if now - at >= FRESH or at - answers.since < LAG:
        allowed = await world.api.allowed(user, groups, asked)
        answers.given[key] = allowed, now
    return allowed


def _concerns(rule: Obj, asked: Obj) -> bool:
    """Whether what is asked is something that the rule is about, under some name (rbac/v1's VerbMatches,
    APIGroupMatches, ResourceMatches)."""
    resource, subresource = asked["resource"], asked.get("subresource", "")
    targets = {"*", f"{resource}/{subresource}", f"*/{subresource}"} if subresource else {"*", resource}
    return bool(
        rule["namespace"] in (EVERYWHERE, asked.get("namespace", ""))
        and {"*", asked["verb"]} & {*rule["verbs"]}
        and {"*", asked.get("group", "")} & {*rule["groups"]}
        and targets & {*rule["resources"]}
    )


def judge(spec: AccessSpec, evidence: Evidence) -> Verdict:
    reviews = evidence["reviews"]
    wrong = [review for review in reviews if review["allowed"] != review["wanted"]]
    extra = [rule for rule in evidence.get("rules", []) if not _covered(rule, spec.within or (), evidence["namespace"])]
    parts = []
    if reviews:
        parts.append(
            tr("{n} of {all} permissions are as they should be", n=len(reviews) - len(wrong), all=len(reviews))
        )
    if spec.within is not None:
        parts.append(tr("{n} of {all} rules go beyond the order", n=len(extra), all=len(evidence["rules"])))
    return Verdict(not wrong and not extra, "; ".join(parts))


def rules_of(user: str, groups: Iterable[str], found: dict[str, list[Obj]], *, common: bool = True) -> Iterator[Obj]:
    """Every rule that a subject holds: {namespace ("*" for everywhere), verbs, groups, resources, names, urls}; without
    `common` those that it does not share with everybody."""
    wanted = set(groups)
    roles = {(kind, *_key(obj)): obj for kind in ("Role", "ClusterRole") for obj in found[kind]}
    for binding in [*found["RoleBinding"], *found["ClusterRoleBinding"]]:
        metadata = binding["metadata"]
        everybodys = binding["kind"] == "ClusterRoleBinding" and metadata["name"] in FOR_EVERYBODY
        if not any(_is_subject(subject, user, wanted, metadata) for subject in binding.get("subjects") or []):
            continue
        reference = binding["roleRef"]
        home = metadata.get("namespace", "") if binding["kind"] == "RoleBinding" else EVERYWHERE
        role = roles.get(
            (reference["kind"], metadata.get("namespace", "") if reference["kind"] == "Role" else "", reference["name"])
        )
        for rule in (role or {}).get("rules") or []:
            if not common and everybodys and _is_common(rule):
                continue
            yield {
                "namespace": home,
                "verbs": rule.get("verbs") or [],
                "groups": rule.get("apiGroups") or [],
                "resources": rule.get("resources") or [],
                "names": rule.get("resourceNames") or [],
                "urls": rule.get("nonResourceURLs") or [],
            }


def _is_common(rule: Obj) -> bool:
    """Whether it lets one read paths, or ask about oneself."""
    return bool(rule.get("nonResourceURLs")) or set(rule.get("apiGroups") or []) <= ABOUT_ONESELF


def _is_subject(subject: Obj, user: str, groups: set[str], binding: Obj) -> bool:
    kind, name = subject.get("kind"), subject.get("name")
    if kind == "ServiceAccount":
        return user == f"system:serviceaccount:{subject.get('namespace') or binding.get('namespace', '')}:{name}"
    return name == user if kind == "User" else kind == "Group" and name in groups


def _covered(rule: dict[str, Any], within: tuple[Grant, ...], namespace: str) -> bool:
    """Every verb on every resource of the rule is in the order; wildcards are covered by nothing."""
    if rule["urls"]:
        return False
    there = [grant for grant in within if _reaches(grant, rule["namespace"], namespace)]
    return all(
        any(_grants(grant, verb, _target(resource, group), rule["names"]) for grant in there)
        for verb in rule["verbs"]
        for resource in rule["resources"]
        for group in rule["groups"]
    )


def _reaches(grant: Grant, home: str, namespace: str) -> bool:
    """Whether the order is about where a rule holds: a namespace, or everywhere."""
    places = grant.namespaces or (namespace,)
    return EVERYWHERE in places or home in places


def _grants(grant: Grant, verb: str, target: str, names: list[str]) -> bool:
    if verb not in grant.verbs or target not in grant.resources:
        return False
    return not grant.names or (bool(names) and set(names) <= set(grant.names))


def _target(resource: str, group: str) -> str:
    """As a level writes it: pods, pods/exec, deployments.apps, deployments.apps/scale."""
    if not group:
        return resource
    base, slash, subresource = resource.partition("/")
    return f"{base}.{group}{slash}{subresource}"


def _key(obj: Obj) -> tuple[str, str]:
    return str(obj["metadata"].get("namespace", "")), str(obj["metadata"]["name"])


KIND = QuestionKind("access", reads, observe, judge, period=lambda _: PERIOD)
