"""The API's own documentation, for `kubectl explain`: what a definition and its fields are for."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any

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
METADATA = (
    "Standard object's metadata. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"
)


@dataclass(frozen=True, slots=True)
class Texts:
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
