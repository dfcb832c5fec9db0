"""What a write may be told besides its object: fieldManager, dryRun, fieldValidation, force, propagationPolicy.

k8s.io/apimachinery/pkg/apis/meta/v1/validation.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.api.request import Request
from kuartui.embedded.meta import errors
from kuartui.embedded.meta.fielderr import FieldError, Path, forbidden, invalid, not_supported, required, too_long

_KINDS = {"create": "CreateOptions", "update": "UpdateOptions", "patch": "PatchOptions"}
_LONGEST_MANAGER = 128
_VALIDATIONS = ("", "Ignore", "Strict", "Warn")
_POLICIES = ("Foreground", "Background", "Orphan")


def check_write(request: Request, *, applies: bool = False) -> None:
    """The query of a create, update or patch. Raises 422 with all that is wrong."""
    wrong: list[FieldError] = []
    verb, manager = request.info.verb, request.param("fieldManager") or ""
    if verb == "patch" and applies and not manager:
        wrong.append(required("fieldManager", "is required for apply patch"))
    if verb == "patch" and not applies and "force" in request.query:
        wrong.append(forbidden("force", "may not be specified for non-apply patch"))
    if len(manager) > _LONGEST_MANAGER:
        wrong.append(too_long("fieldManager", _LONGEST_MANAGER))
    if not manager.isprintable():
        wrong.append(invalid("fieldManager", manager, "should only contain printable characters"))
    wrong += _dry_run(request.query.get("dryRun", []))
    validation = request.param("fieldValidation") or ""
    if validation not in _VALIDATIONS:
        wrong.append(not_supported("fieldValidation", validation, _VALIDATIONS))
    _refuse(_KINDS.get(verb, "CreateOptions"), wrong)


def check_delete(options: dict[str, Any]) -> None:
    """DeleteOptions. Raises 422 with all that is wrong."""
    wrong: list[FieldError] = []
    policy, path = options.get("propagationPolicy"), Path("propagationPolicy")
    if policy is not None and policy not in _POLICIES:
        wrong.append(not_supported(path, policy, (*_POLICIES, "nil")))
    if policy is not None and options.get("orphanDependents") is not None:
        wrong.append(invalid(path, policy, "orphanDependents and deletionPropagation cannot be both set"))
    _refuse("DeleteOptions", wrong + _dry_run(options.get("dryRun") or []))


def _dry_run(values: list[str]) -> list[FieldError]:
    return [] if set(values) <= {"All"} else [not_supported("dryRun", values, ("All",))]


def _refuse(kind: str, wrong: list[FieldError]) -> None:
    if wrong:
        raise errors.invalid("meta.k8s.io", kind, "", wrong)
