"""The API's own documentation, for `kubectl explain`: what a definition and its fields are for."""

from __future__ import annotations

import functools
from typing import Any

from msgspec import Struct, field

from kuartui.embedded import data

API_VERSION = (
    "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized "
    "schemas to the latest internal value, and may reject unrecognized values. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources"
)
KIND = (
    "Kind is a string value representing the REST resource this object represents. Servers may infer this from the "
    "endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds"
)
CONVENTIONS = "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md"
METADATA = f"Standard object's metadata. More info: {CONVENTIONS}#metadata"

PARAMETERS: dict[str, tuple[str, str]] = {
    "allowWatchBookmarks": ("boolean", 'allowWatchBookmarks requests watch events with type "BOOKMARK".'),
    "continue": ("string", "The continue option should be set when retrieving more results from the server."),
    "dryRun": ("string", "When present, indicates that modifications should not be persisted."),
    "fieldManager": ("string", "fieldManager is a name associated with the actor or entity that makes these changes."),
    "fieldSelector": (
        "string",
        "A selector to restrict the list of returned objects by their fields. Defaults to everything.",
    ),
    "fieldValidation": (
        "string",
        "fieldValidation instructs the server on how to handle objects containing unknown or duplicate fields.",
    ),
    "force": ("boolean", 'Force is going to "force" Apply requests.'),
    "gracePeriodSeconds": ("integer", "The duration in seconds before the object should be deleted."),
    "labelSelector": (
        "string",
        "A selector to restrict the list of returned objects by their labels. Defaults to everything.",
    ),
    "limit": ("integer", "limit is a maximum number of responses to return for a list call."),
    "orphanDependents": ("boolean", "Deprecated: please use the PropagationPolicy."),
    "pretty": ("string", "If 'true', then the output is pretty printed."),
    "propagationPolicy": ("string", "Whether and how garbage collection will be performed."),
    "resourceVersion": ("string", "resourceVersion sets a constraint on what resource versions a request may see."),
    "resourceVersionMatch": ("string", "resourceVersionMatch determines how resourceVersion is applied to list calls."),
    "sendInitialEvents": ("boolean", "`sendInitialEvents=true` may be set together with `watch=true`."),
    "timeoutSeconds": ("integer", "Timeout for the list/watch call."),
    "watch": (
        "boolean",
        (
            "Watch for changes to the described resources and return them as a stream of add, update, and remove "
            "notifications. Specify resourceVersion."
        ),
    ),
}
"""Type and meaning of the parameters that requests take in their query."""


class Texts(Struct, frozen=True):
    """What the documentation says of a definition and of its fields."""

    about: str = ""
    fields: dict[str, str] = field(default_factory=dict)


@functools.cache
def of(definition: str) -> Texts:
    """Texts of "io.k8s.api.apps.v1.DeploymentSpec"; empty if there are none."""
    found = data.descriptions().get(definition)
    return Texts(found["about"], found["fields"]) if found else Texts()


def with_values(definition: str, name: str, text: str, schema: dict[str, Any]) -> str:
    """A field's text with what each of its possible values means, as kube-openapi appends it.

    https://github.com/kubernetes/kube-openapi/blob/master/pkg/generators/enum.go
    """
    values = schema.get("enum")
    if not values:
        return text
    meaning = data.enums().get(f"{definition}.{name}", {})
    lines = [f' - `"{value}"` {meaning.get(value, "")}'.rstrip() for value in values]
    return "\n".join([f"{text}\n\nPossible enum values:", *lines])
