"""StatefulSets (pkg/apis/apps/{v1/defaults,validation}, pkg/registry/apps/statefulset)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells, workload, workload_status
from kuartui.embedded.kinds.base import Obj, Strategy, WriteContext, register
from kuartui.embedded.kinds.checks import dns_label, non_negative, selector_matches, shown_selector
from kuartui.embedded.kinds.fill import empty, missing
from kuartui.embedded.kinds.persistentvolumeclaim import claim_spec, default_claim, spec_warnings
from kuartui.embedded.kinds.pod_spec import always_restarts, template_errors, template_metadata_errors
from kuartui.embedded.meta import names
from kuartui.embedded.meta.fielderr import FieldError, Path, forbidden, invalid, not_supported, required

_MUTABLE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)
_CHANGED = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)


@register("statefulsets.apps")
class StatefulSets(Strategy):
    def default(self, obj: Obj) -> None:
        spec = workload.default_workload(obj)
        missing(spec, replicas=1, revisionHistoryLimit=10, updateStrategy={}, persistentVolumeClaimRetentionPolicy={})
        empty(spec, podManagementPolicy="OrderedReady")
        empty(spec["persistentVolumeClaimRetentionPolicy"], whenDeleted="Retain", whenScaled="Retain")
        update = spec["updateStrategy"]
        if not update.get("type"):
            update["type"] = "RollingUpdate"
            missing(update, rollingUpdate={})
        if update["type"] == "RollingUpdate" and update.get("rollingUpdate") is not None:
            missing(update["rollingUpdate"], partition=0)
        for claim in spec.get("volumeClaimTemplates") or []:
            claim.setdefault("apiVersion", "v1")
            claim.setdefault("kind", "PersistentVolumeClaim")
            default_claim(claim)

    def prepare_create(self, obj: Obj, ctx: WriteContext) -> None:
        _drop_disabled(obj)

    def prepare_update(self, new: Obj, old: Obj, ctx: WriteContext) -> None:
        _drop_disabled(new)

    def validate(self, obj: Obj) -> list[FieldError]:
        return _errors(obj, is_new=True) + _of_template(obj.get("spec") or {}, _template_errors(obj))

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        problems = _template_errors(new)
        if problems and (_template_errors(old) or _errors(old, is_new=False)):
            problems = template_metadata_errors((new.get("spec") or {}).get("template") or {}, workload.TEMPLATE)
        errors = _errors(new, is_new=False) + _of_template(new.get("spec") or {}, problems)
        fixed = [{k: v for k, v in (one.get("spec") or {}).items() if k not in _MUTABLE} for one in (new, old)]
        if fixed[0] != fixed[1]:
            errors.append(forbidden(workload.SPEC, _CHANGED))
        return errors

    def validate_name(self, name: str, prefix: bool) -> list[str]:
        return names.dns1123_label(name, prefix)

    def validate_status_update(self, new: Obj, old: Obj) -> list[FieldError]:
        parts = ("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")
        errors = workload_status.replica_errors(new, *parts, ready="status.readyReplicas")
        return errors + workload_status.collision_errors(new, old)

    def warnings(self, obj: Obj, old: Obj | None) -> list[str]:
        found = workload.name_warnings(obj, old)
        found += workload.template_warnings(obj, old, obj["spec"]["template"])
        for index, template in enumerate(obj["spec"].get("volumeClaimTemplates") or []):
            at = (Path("spec") / "volumeClaimTemplates").index(index) / "Spec"  # so spelled
            found += spec_warnings(template.get("spec") or {}, at)
        limit = obj["spec"].get("revisionHistoryLimit")
        if limit is not None and limit < 0:
            text = "a negative value retains all historical revisions; a value >= 0 is recommended"
            found.append(f"spec.revisionHistoryLimit: {text}")
        return found

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        return [
            cells.name(obj),
            f"{status.get('readyReplicas', 0)}/{workload.replicas(spec)}",
            cells.age(obj, now),
            *cells.containers((spec.get("template") or {}).get("spec")),
        ]


def _errors(obj: Obj, is_new: bool) -> list[FieldError]:
    """All but the template. What cannot be changed is looked at when it is new."""
    spec, path = obj.get("spec") or {}, workload.SPEC
    errors = _management(spec, path)
    errors += _update_strategy(spec.get("updateStrategy") or {}, path / "updateStrategy")
    errors += _retention(
        spec.get("persistentVolumeClaimRetentionPolicy") or {}, path / "persistentVolumeClaimRetentionPolicy"
    )
    for index, claim in enumerate(spec.get("volumeClaimTemplates") or [] if is_new else []):
        errors += claim_spec(claim.get("spec") or {}, (path / "volumeClaimTemplates").index(index) / "spec")
    errors += non_negative(spec, path, "replicas", "minReadySeconds")
    errors += non_negative(spec.get("ordinals") or {}, path / "ordinals", "start")
    if is_new and spec.get("serviceName"):
        errors += dns_label(spec["serviceName"], path / "serviceName")
    return errors + workload.selector_errors(spec, "statefulset")


def _of_template(spec: Obj, problems: list[FieldError]) -> list[FieldError]:
    selector, template = spec.get("selector"), spec.get("template") or {}
    errors = workload.mismatch(selector, template) + problems
    if selector_matches(selector, template) is None:
        errors = [invalid(workload.SPEC / "selector", shown_selector(selector), "")]
    return errors + always_restarts(template, workload.TEMPLATE, "StatefulSet")


def _template_errors(obj: Obj) -> list[FieldError]:
    """The template as pods will have it: with the volumes of the claims first, and without names of hosts."""
    spec = obj.get("spec") or {}
    template = spec.get("template") or {}
    claims = {(claim.get("metadata") or {}).get("name", ""): claim for claim in spec.get("volumeClaimTemplates") or []}
    pod = {key: value for key, value in (template.get("spec") or {}).items() if key not in ("hostname", "subdomain")}
    if claims:
        volumes: list[Obj] = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in claims]
        pod["volumes"] = volumes + [v for v in pod.get("volumes") or [] if v.get("name", "") not in claims]
    return template_errors({**template, "spec": pod}, workload.TEMPLATE)


def _management(spec: Obj, path: Path) -> list[FieldError]:
    policy = spec.get("podManagementPolicy", "")
    if not policy:
        return [required(path / "podManagementPolicy")]
    if policy not in ("OrderedReady", "Parallel"):
        text = "must be 'OrderedReady' or 'Parallel'"
        return [invalid(path / "podManagementPolicy", policy, text)]
    return []


def _update_strategy(strategy: Obj, path: Path) -> list[FieldError]:
    kind, rolling = strategy.get("type", ""), strategy.get("rollingUpdate")
    if not kind:
        return [required(path)]
    if kind == "OnDelete":
        if rolling is None:
            return []
        text = "only allowed for updateStrategy 'RollingUpdate'"
        return [invalid(path / "rollingUpdate", _shown(strategy)["RollingUpdate"], text)]
    if kind != "RollingUpdate":
        return [invalid(path, _shown(strategy), "must be 'RollingUpdate' or 'OnDelete'")]
    if rolling is None:
        return []
    return non_negative(rolling, path / "rollingUpdate", "partition")


def _drop_disabled(obj: Obj) -> None:
    """Without the feature MaxUnavailableStatefulSet, which 1.36 has off again, its field goes without a word."""
    strategy = (obj.get("spec") or {}).get("updateStrategy") or {}
    (strategy.get("rollingUpdate") or {}).pop("maxUnavailable", None)


def _shown(strategy: Obj) -> Obj:
    rolling = strategy.get("rollingUpdate")
    shown = None
    if rolling is not None:
        shown = {"Partition": rolling.get("partition", 0), "MaxUnavailable": None}
    return {"Type": strategy.get("type", ""), "RollingUpdate": shown}


def _retention(policy: Obj, path: Path) -> list[FieldError]:
    return [
        not_supported(path / field, policy.get(field, ""), ("Retain", "Delete"))
        for field in ("whenDeleted", "whenScaled")
        if policy.get(field) not in ("Retain", "Delete")
    ]
