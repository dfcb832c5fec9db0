"""Which objects a list, watch or deletecollection is about: label and field selectors.

k8s.io/apiserver/pkg/endpoints/handlers/get.go and the kinds' field label conversions.
"""

from __future__ import annotations

from msgspec import Struct

from kuartui.embedded.api.request import Request
from kuartui.embedded.api.resources import Endpoint
from kuartui.embedded.kinds.base import Strategy
from kuartui.embedded.meta import fields, labels
from kuartui.embedded.meta.errors import bad_request
from kuartui.embedded.store import Stored

_ALWAYS = ("metadata.name", "metadata.namespace")


class Selection(Struct, frozen=True):
    """A label selector and a field selector, together."""

    labels: labels.Selector
    fields: tuple[fields.Term, ...]
    strategy: Strategy

    @property
    def everything(self) -> bool:
        return self.labels.empty and not self.fields

    @property
    def name(self) -> str:
        """The one name that can match, "" if there may be several."""
        return next((value for field, value, equal in self.fields if field == "metadata.name" and equal), "")

    def matches(self, stored: Stored) -> bool:
        """Whether an object is selected."""
        if not self.labels.empty and not self.labels.matches(stored.data["metadata"].get("labels")):
            return False
        return not self.fields or fields.matches(self.fields, self._values(stored))

    def _values(self, stored: Stored) -> dict[str, str]:
        """Selectable fields of an object; computed once per version."""
        values: dict[str, str] | None = stored.cache.get("fields")
        if values is None:
            values = {"metadata.name": stored.key.name, "metadata.namespace": stored.key.namespace}
            values |= self.strategy.fields(stored.data)
            stored.cache["fields"] = values
        return values


def selection(request: Request, endpoint: Endpoint) -> Selection:
    """From the query. Raises 400."""
    try:
        label_selector = labels.parse(request.param("labelSelector"))
    except labels.SelectorError as error:
        raise bad_request(str(error)) from error
    try:
        terms = fields.parse(request.param("fieldSelector"))
    except fields.FieldSelectorError as error:
        raise bad_request(str(error)) from error
    if terms:
        _check(endpoint, terms)
    if request.info.name:  # watching one object by its path
        terms = (*terms, ("metadata.name", request.info.name, True))
    return Selection(label_selector, terms, endpoint.strategy)


def _check(endpoint: Endpoint, terms: tuple[fields.Term, ...]) -> None:
    """Kinds with selectable fields of their own, and custom ones, refuse others in other words than the rest."""
    known = endpoint.strategy.fields({"metadata": {}})
    for field, _, _ in terms:
        if field in known or field in _ALWAYS:
            continue
        if known or endpoint.custom:
            raise bad_request(endpoint.strategy.unknown_field(field))
        raise bad_request(f'"{field}" is not a known field selector: only "metadata.name", "metadata.namespace"')
