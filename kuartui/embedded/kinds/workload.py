"""What the kinds that run pods from a template have in common."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.kinds.checks import immutable, label_selector, selector_matches, shown_selector
from kuartui.embedded.kinds.pod_defaults import default_template
from kuartui.embedded.kinds.pod_spec import always_restarts, template_errors
from kuartui.embedded.meta import names
from kuartui.embedded.meta.fielderr import FieldError, Path, invalid, required

Obj = dict[str, Any]

SPEC = Path("spec")
TEMPLATE = SPEC / "template"
MISMATCH = "`selector` does not match template `labels`"
_NAME_WARNING = (
    "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; "
    "a DNS label is recommended"
)


def default_workload(obj: Obj) -> Obj:
    """Default the pod template; the spec, for more."""
    spec: Obj = obj.setdefault("spec", {})
    spec.setdefault("template", {})
    default_template(spec["template"])
    return spec


def replicas(spec: Obj) -> int:
    """How many are asked for: one, unless said."""
    asked = spec.get("replicas")
    return 1 if asked is None else int(asked)


def selector_errors(spec: Obj, kind: str, *, needed: bool = True) -> list[FieldError]:
    """spec.selector by itself; `kind` as the message calls it."""
    selector, path = spec.get("selector"), SPEC / "selector"
    if selector is None:
        return [required(path)] if needed else []
    errors = label_selector(selector, path)
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        errors.append(invalid(path, shown_selector(selector), f"empty selector is invalid for {kind}"))
    return errors


def selector_stays(new: Obj, old: Obj) -> list[FieldError]:
    """spec.selector, once there is one."""
    after, before = (shown_selector((obj.get("spec") or {}).get("selector")) for obj in (new, old))
    return immutable(after, before, SPEC / "selector")


def template_matches(spec: Obj, kind: str) -> list[FieldError]:
    """The pod template, and whether the selector takes its pods. `kind` as in "ReplicaSet"."""
    selector, template = spec.get("selector"), spec.get("template") or {}
    if selector_matches(selector, template) is None:
        return [invalid(SPEC / "selector", shown_selector(selector), "invalid label selector")]
    errors = mismatch(selector, template) + template_errors(template, TEMPLATE)
    return errors + always_restarts(template, TEMPLATE, kind)


def mismatch(selector: Obj | None, template: Obj) -> list[FieldError]:
    """A selector that does not take the pods of the template."""
    if selector_matches(selector, template) is not False:
        return []
    labels = (template.get("metadata") or {}).get("labels")
    shown = None if labels is None else dict(sorted(labels.items()))
    return [invalid(TEMPLATE / "metadata" / "labels", shown, MISMATCH)]


def template_warnings(obj: Obj, old: Obj | None, template: Obj, path: Path = TEMPLATE) -> list[str]:
    """Warnings on a pod template; an update that left the spec alone has none."""
    from kuartui.embedded.kinds import pod_warnings

    if old is not None and old["metadata"].get("generation") == obj["metadata"].get("generation"):
        return []
    return pod_warnings.warnings(template, path, is_template=True)


def name_warnings(obj: Obj, old: Obj | None) -> list[str]:
    """Names that make bad host names of pods."""
    problems = names.dns1123_label(obj["metadata"].get("name", "")) if old is None else []
    return [f"{_NAME_WARNING}: [{' '.join(problems)}]"] if problems else []
