"""Questions that clients ask about access: SubjectAccessReview and its likes, SelfSubjectReview, TokenReview.

They are created but never stored: the answer is their status.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.api import bodies, negotiate
from kuartui.embedded.api.request import Request, Response, User
from kuartui.embedded.api.resources import Endpoint
from kuartui.embedded.auth.authentication import Authenticator
from kuartui.embedded.auth.nodes import node_name
from kuartui.embedded.auth.rbac import MASTERS, Action, Authorizer
from kuartui.embedded.auth.tokens import ISSUER, UNREADABLE, BadToken
from kuartui.embedded.kinds import checks
from kuartui.embedded.meta import errors, fielderr
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.meta.time import format_time

Obj = dict[str, Any]

ACCESS, IDENTITY = "authorization.k8s.io", "authentication.k8s.io"


class Reviews:
    """Answers POSTs to the review resources."""

    def __init__(self, authenticator: Authenticator, authorizer: Authorizer, clock: Any) -> None:
        self._authenticator, self._authorizer, self._clock = authenticator, authorizer, clock

    async def answer(self, request: Request, endpoint: Endpoint) -> Response | None:
        """None if the endpoint is no review."""
        resource = endpoint.resource
        if resource.group not in (ACCESS, IDENTITY) or request.info.verb != "create":
            return None
        want = negotiate.wanted(request, whole=True)
        obj = bodies.read_object(request, endpoint)
        answers = {
            "selfsubjectaccessreviews": self._self,
            "subjectaccessreviews": self._subject,
            "localsubjectaccessreviews": self._local,
            "selfsubjectrulesreviews": self._rules,
            "selfsubjectreviews": self._who,
            "tokenreviews": self._token,
        }
        if resource.plural not in answers:
            return None
        obj["metadata"], obj["spec"] = obj.get("metadata") or {}, obj.get("spec") or {}
        obj["status"] = answers[resource.plural](obj, request)
        obj = {**{name: obj.get(name, {}) for name in ("kind", "apiVersion", "metadata")}, **obj}
        if resource.plural == "selfsubjectreviews":
            obj["metadata"]["creationTimestamp"] = format_time(self._clock.now())
        return negotiate.respond(request, obj, 201, want)

    def _self(self, obj: Obj, request: Request) -> Obj:
        _check(obj, _question_errors(obj["spec"]) + _selector_errors(obj["spec"]))
        return self._decide(obj["spec"], request.user)

    def _subject(self, obj: Obj, request: Request) -> Obj:
        spec = obj["spec"]
        _check(obj, _question_errors(spec) + _user_errors(spec) + _selector_errors(spec))
        return self._decide(spec, _subject(spec))

    def _local(self, obj: Obj, request: Request) -> Obj:
        spec, space = obj["spec"], request.info.namespace
        if obj["metadata"].setdefault("namespace", space) != space:
            raise errors.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
        found = _question_errors(spec) + _user_errors(spec) + _selector_errors(spec)
        metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
        if any(value for key, value in metadata.items() if key != "namespace"):
            found.append(fielderr.invalid("metadata", metadata, "must be empty except for namespace"))
        if resource is not None and resource.get("namespace", "") != space:
            at = "spec.resourceAttributes.namespace"
            found.append(fielderr.invalid(at, resource.get("namespace", ""), "must match metadata.namespace"))
        if path is not None:
            text = "disallowed on this kind of request"
            found.append(fielderr.invalid("spec.nonResourceAttributes", _shown(path), text))
        _refuse(obj, found)
        return self._decide(spec, _subject(spec))

    def _decide(self, spec: Obj, user: User) -> Obj:
        resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes") or {}
        if resource is not None:
            action = Action(
                resource.get("verb", ""),
                resource.get("group", ""),
                resource.get("resource", ""),
                resource.get("subresource", ""),
                resource.get("namespace", ""),
                resource.get("name", ""),
            )
        else:
            action = Action(path.get("verb", ""), path=path.get("path", ""))
        reason = self._authorizer.reason(user, action)
        if reason is None:
            why = self._authorizer.complaint(user, action)
            return {"allowed": False, "reason": why} if why else {"allowed": False}
        return {"allowed": True, "reason": reason} if reason else {"allowed": True}

    def _rules(self, obj: Obj, request: Request) -> Obj:
        namespace = obj["spec"].get("namespace", "")
        if not namespace:
            raise errors.bad_request("no namespace on request")
        rules = [rule for rule, _ in self._authorizer.rules(request.user, namespace)]
        if MASTERS in request.user.groups:
            rules.insert(0, {"verbs": ["*"], "nonResourceURLs": ["*"]})
            rules.insert(0, {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]})
        fields = ("verbs", "apiGroups", "resources", "resourceNames")
        resources = [{k: r[k] for k in fields if r.get(k)} for r in rules if r.get("resources")]
        paths = [{k: r[k] for k in ("verbs", "nonResourceURLs") if r.get(k)} for r in rules if r.get("nonResourceURLs")]
        told = {"resourceRules": resources, "nonResourceRules": paths, "incomplete": False}
        if node_name(request.user) is None:
            return told
        return {**told, "incomplete": True, "evaluationError": "node authorizer does not support user rule resolution"}

    def _who(self, obj: Obj, request: Request) -> Obj:
        return {"userInfo": user_info(request.user)}

    def _token(self, obj: Obj, request: Request) -> Obj:
        token = obj["spec"].get("token", "")
        if not token:
            raise errors.bad_request("token is required for TokenReview in authentication")
        try:
            user, audiences = self._authenticator.review(token, obj["spec"].get("audiences") or [ISSUER])
        except BadToken as error:
            why = UNREADABLE if str(error) == UNREADABLE else f"[{UNREADABLE}, {error}]"
            return {"error": why, "user": {}}
        except StatusError:
            return {"error": UNREADABLE, "user": {}}
        return {"authenticated": True, "user": user_info(user), "audiences": audiences}


def _subject(spec: Obj) -> User:
    extra = {key: tuple(value) for key, value in (spec.get("extra") or {}).items()}
    return User(spec.get("user", ""), tuple(spec.get("groups") or ()), spec.get("uid", ""), extra)


def _check(obj: Obj, found: list[fielderr.FieldError]) -> None:
    """Raises 422 for errors of a review, whose metadata has to be empty, too (pkg/apis/authorization/validation)."""
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    if any(metadata.values()):
        found = [*found, fielderr.invalid("metadata", metadata, "must be empty")]
    _refuse(obj, found)


def _refuse(obj: Obj, found: list[fielderr.FieldError]) -> None:
    if found:
        raise errors.invalid(ACCESS, obj["kind"], "", found)


def _question_errors(spec: Obj) -> list[fielderr.FieldError]:
    """What is wrong when a review asks of both a resource and a path, or of neither."""
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and path is not None:
        text = "cannot be specified in combination with resourceAttributes"
        return [fielderr.invalid("spec.nonResourceAttributes", _shown(path), text)]
    if resource is None and path is None:
        text = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        return [fielderr.invalid("spec.resourceAttributes", None, text)]
    return []


def _user_errors(spec: Obj) -> list[fielderr.FieldError]:
    if spec.get("user") or spec.get("groups"):
        return []
    return [fielderr.invalid("spec.user", "", "at least one of user or group must be specified")]


def _selector_errors(spec: Obj) -> list[fielderr.FieldError]:
    """What is wrong with the selectors that narrow a question. Operators that nobody knows may be those of tomorrow."""
    resource, path = spec.get("resourceAttributes") or {}, fielderr.Path("spec.resourceAttributes")
    found: list[fielderr.FieldError] = []
    for name, keys in (("fieldSelector", _field_key), ("labelSelector", checks.label_key)):
        selector, at = resource.get(name), path / name
        if selector is None:
            continue
        raw, terms = selector.get("rawSelector", ""), selector.get("requirements") or []
        if raw and terms:
            text = "may not specified at the same time as requirements"
            found.append(fielderr.invalid(at / "rawSelector", raw, text))
        if not raw and not terms:
            text = f"when {at} is specified, requirements or rawSelector is required"
            found.append(fielderr.required(at / "requirements", text))
        for index, term in enumerate(terms):
            where = (at / "requirements").index(index)
            values = checks.selector_values(term, where)
            key = keys(term.get("key", ""), where / "key")
            found += key + values if name == "fieldSelector" else values + key
            for place, value in enumerate(term.get("values") or [] if name == "labelSelector" else ()):
                found += checks.label_value(value, (where / "values").index(place))
    return found


def _field_key(key: str, path: fielderr.Path) -> list[fielderr.FieldError]:
    return [] if key else [fielderr.required(path, "must be specified")]


def _shown(path: Obj) -> Obj:
    return {"Path": path.get("path", ""), "Verb": path.get("verb", "")}


def user_info(user: User) -> Obj:
    """authentication.k8s.io/v1 UserInfo."""
    found: Obj = {"username": user.name}
    if user.uid:
        found["uid"] = user.uid
    if user.groups:
        found["groups"] = list(user.groups)
    if user.extra:
        found["extra"] = {key: list(value) for key, value in user.extra.items()}
    return found
