"""metav1.Status as an exception, in the words of k8s.io/apimachinery/pkg/api/errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kuartui.embedded.meta.fielderr import FieldError, aggregate
from kuartui.embedded.meta.gofmt import quote

Obj = dict[str, Any]


_ALWAYS_DETAILED = ("NotFound", "Invalid", "MethodNotAllowed", "Conflict", "Timeout", "TooManyRequests")
"""Reasons whose constructors in Go set details, if only empty ones."""


class StatusError(Exception):
    """An answer that is not a success. `status()` is the body."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        name: str = "",
        group: str = "",
        kind: str = "",
        uid: str = "",
        causes: Sequence[Obj] = (),
        retry_after: int = 0,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details: Obj = {
            key: value
            for key, value in {
                "name": name,
                "group": group,
                "kind": kind,
                "uid": uid,
                "causes": list(causes),
                "retryAfterSeconds": retry_after,
            }.items()
            if value
        }
        self.retry_after = retry_after
        self.list_metadata: Obj = {}
        """The Status's metadata: how to go on with a list."""
        self.plain = ""
        """The whole answer, where it is a text instead of a Status."""

    def status(self) -> Obj:
        """The metav1.Status."""
        body: Obj = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": self.list_metadata,
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": self.details,
            "code": self.code,
        }
        if not self.reason:
            del body["reason"]
        if not self.details and self.reason not in _ALWAYS_DETAILED:
            del body["details"]
        return body


def qualified(resource: str, group: str) -> str:
    """ "deployments.apps"; a group resource that is qualified already is left alone."""
    return f"{resource}.{group}" if group and not resource.endswith(f".{group}") else resource


def _split(resource: str, group: str) -> tuple[str, str]:
    """Plural and group of "deployments.apps"."""
    if group:
        return resource.removesuffix(f".{group}"), group
    plural, _, found = resource.partition(".")
    return plural, found


def not_found(resource: str, name: str, group: str = "") -> StatusError:
    plural, group = _split(resource, group)
    message = f"{qualified(plural, group)} {quote(name)} not found"
    return StatusError(404, "NotFound", message, name=name, group=group, kind=plural)


def already_exists(resource: str, name: str, group: str = "") -> StatusError:
    plural, group = _split(resource, group)
    message = f"{qualified(plural, group)} {quote(name)} already exists"
    return StatusError(409, "AlreadyExists", message, name=name, group=group, kind=plural)


def conflict(resource: str, name: str, why: str, group: str = "") -> StatusError:
    plural, group = _split(resource, group)
    message = f"Operation cannot be fulfilled on {qualified(plural, group)} {quote(name)}: {why}"
    return StatusError(409, "Conflict", message, name=name, group=group, kind=plural)


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def modified(resource: str, name: str) -> StatusError:
    """The usual conflict of optimistic concurrency."""
    return conflict(resource, name, MODIFIED)


def apply_conflict(causes: Sequence[Obj], message: str) -> StatusError:
    """Conflicts of server-side apply."""
    return StatusError(409, "Conflict", message, causes=causes)


def generate_name_conflict(resource: str, name: str) -> StatusError:
    plural, group = _split(resource, "")
    message = (
        f"{qualified(plural, group)} {quote(name)} already exists, the server was not able to generate a unique name "
        "for the object"
    )
    return StatusError(409, "AlreadyExists", message, name=name, group=group, kind=plural, retry_after=1)


def invalid(group: str, kind: str, name: str, errors: Sequence[FieldError]) -> StatusError:
    """422 with every field error as a cause."""
    causes = [{"reason": e.reason, "message": e.body(), "field": e.field} for e in errors]
    full = f"{kind}.{group}" if group else kind
    message = f"{full} {quote(name)} is invalid: {aggregate(errors)}"
    return StatusError(422, "Invalid", message, name=name, group=group, kind=kind, causes=causes)


def forbidden(resource: str, name: str, why: str, group: str = "") -> StatusError:
    """`pods "x" is forbidden: why`."""
    plural, group = _split(resource, group)
    if not plural:
        message = f"forbidden: {why}"
    elif not name:
        message = f"{qualified(plural, group)} is forbidden: {why}"
    else:
        message = f"{qualified(plural, group)} {quote(name)} is forbidden: {why}"
    return StatusError(403, "Forbidden", message, name=name, group=group, kind=plural)


def unprocessable_patch() -> StatusError:
    """A JSON patch that does not fit: kube-apiserver does not say why."""
    return StatusError(422, "Invalid", "the server rejected our request due to an error in our request")


def bad_request(message: str) -> StatusError:
    return StatusError(400, "BadRequest", message)


def unauthorized(message: str = "Unauthorized") -> StatusError:
    return StatusError(401, "Unauthorized", message)


def path_not_found() -> StatusError:
    """A resource or path that the server does not serve."""
    return StatusError(404, "NotFound", "the server could not find the requested resource")


def page_not_found() -> StatusError:
    """A path that is no resource's: a plain text."""
    error = path_not_found()
    error.plain = "404 page not found\n"
    return error


def method_not_allowed(resource: str, action: str) -> StatusError:
    plural, group = _split(resource, "")
    message = f'{action} is not supported on resources of kind "{qualified(plural, group)}"'
    return StatusError(405, "MethodNotAllowed", message, group=group, kind=plural)


def unsupported_media_type(message: str) -> StatusError:
    return StatusError(415, "UnsupportedMediaType", message)


def not_acceptable(accepted: Sequence[str]) -> StatusError:
    message = "only the following media types are accepted: " + ", ".join(accepted)
    return StatusError(406, "NotAcceptable", message)


def expired(message: str) -> StatusError:
    return StatusError(410, "Expired", message)


def go_error(message: str) -> StatusError:
    """What Go code returns as a plain error: 500 without a reason."""
    return StatusError(500, "", message)


def too_large(why: str) -> StatusError:
    return StatusError(413, "RequestEntityTooLarge", f"Request entity too large: {why}")


def too_many_requests(message: str, retry_after: int = 0, causes: Sequence[Obj] = ()) -> StatusError:
    return StatusError(429, "TooManyRequests", message, retry_after=retry_after, causes=causes)


def timeout(why: str, retry_after: int = 0) -> StatusError:
    return StatusError(504, "Timeout", f"Timeout: {why}", retry_after=retry_after)


def unavailable(message: str) -> StatusError:
    return StatusError(503, "ServiceUnavailable", message)


def internal(message: str) -> StatusError:
    error = StatusError(500, "InternalError", f"Internal error occurred: {message}")
    error.details["causes"] = [{"message": message}]
    return error
