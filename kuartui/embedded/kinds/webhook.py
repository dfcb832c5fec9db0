"""Validating and mutating webhook configurations (pkg/apis/admissionregistration)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells, webhook_rules
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.kinds.fill import missing
from kuartui.embedded.meta.fielderr import FieldError, Path, duplicate


class WebhookConfigurations(Strategy):
    qualified_finalizers = False
    unconditional_update = False
    has_status = False

    def default(self, obj: Obj) -> None:
        for webhook in obj.get("webhooks") or []:
            self.default_webhook(webhook)

    def default_webhook(self, webhook: Obj) -> None:
        missing(
            webhook,
            failurePolicy="Fail",
            matchPolicy="Equivalent",
            namespaceSelector={},
            objectSelector={},
            timeoutSeconds=10,
        )
        default_rules(webhook.get("rules"))
        service = (webhook.get("clientConfig") or {}).get("service")
        if service is not None and service.get("port") is None:
            service["port"] = 443

    def validate(self, obj: Obj) -> list[FieldError]:
        errors: list[FieldError] = []
        seen: set[str] = set()
        for index, webhook in enumerate(obj.get("webhooks") or []):
            at, name = Path("webhooks").index(index), webhook.get("name", "")
            errors += webhook_rules.webhook_errors(webhook, at)
            if name in seen:
                errors.append(duplicate(at / "name", name))
            seen.add(name)
        return errors

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        return [cells.name(obj), len(obj.get("webhooks") or []), cells.age(obj, now)]


@register("mutatingwebhookconfigurations.admissionregistration.k8s.io")
class MutatingWebhookConfigurations(WebhookConfigurations):
    def default_webhook(self, webhook: Obj) -> None:
        super().default_webhook(webhook)
        missing(webhook, reinvocationPolicy="Never")


register("validatingwebhookconfigurations.admissionregistration.k8s.io")(WebhookConfigurations)


def default_rules(rules: list[Obj] | None) -> None:
    """A rule applies to every scope unless it says one."""
    for rule in rules or []:
        if rule.get("scope") is None:
            rule["scope"] = "*"
