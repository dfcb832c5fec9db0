"""PodTemplates (pkg/registry/core/podtemplate)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.kinds.fill import missing
from kuartui.embedded.kinds.pod_defaults import default_template
from kuartui.embedded.kinds.pod_spec import template_errors
from kuartui.embedded.meta.fielderr import FieldError, Path


@register("podtemplates")
class PodTemplates(Strategy):
    returns_deleted = True
    has_status = False

    def default(self, obj: Obj) -> None:
        missing(obj, template={})
        default_template(obj["template"])

    def validate(self, obj: Obj) -> list[FieldError]:
        return template_errors(obj.get("template") or {}, Path("template"))

    def warnings(self, obj: Obj, old: Obj | None) -> list[str]:
        from kuartui.embedded.kinds import pod_warnings

        return pod_warnings.warnings(obj.get("template") or {}, Path("template"), is_template=True)

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        template = obj.get("template") or {}
        labels = (template.get("metadata") or {}).get("labels")
        return [cells.name(obj), *cells.containers(template.get("spec")), cells.labels(labels)]
