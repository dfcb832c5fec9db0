"""The API's own documentation, for `kubectl explain`.

It is read from the model sources of the installed `kubernetes` package (extra `explain`), which carry it word for
word; without the package fields are explained by name and type only. The sources are parsed, not imported: importing
them takes a second and 50 MB.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import re
from dataclasses import dataclass, field
from pathlib import Path

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
#: models of one name in several groups carry the group in front
_PREFIXES = (
    "",
    "core_",
    "events_",
    "apiextensions_",
    "apiregistration_",
    "authentication_",
    "storage_",
    "discovery_",
    "rbac_",
    "flowcontrol_",
    "resource_",
)


@dataclass(frozen=True, slots=True)
class Texts:
    """What the documentation says of a definition and of its fields."""

    about: str = ""
    fields: dict[str, str] = field(default_factory=dict)


@functools.cache
def _models() -> Path | None:
    found = importlib.util.find_spec("kubernetes")
    if found is None or not found.submodule_search_locations:
        return None
    place = Path(found.submodule_search_locations[0]) / "client" / "models"
    return place if place.is_dir() else None


@functools.cache
def of(definition: str) -> Texts:
    """Texts of "io.k8s.api.apps.v1.DeploymentSpec"; empty if there are none."""
    models = _models()
    if models is None:
        return Texts()
    *_, group, version, name = ("", *definition.split("."))[-4:]
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    for prefix in (f"{group}_", *_PREFIXES):
        file = models / f"{prefix}{version}_{snake}.py"
        if file.is_file():
            return _parse(file)
    return Texts()


def _parse(file: Path) -> Texts:
    try:
        text = file.read_text(encoding="utf-8")
        begin = max(0, text.find("\nclass ", text.find("(BaseModel)") - 200))
        # What follows the fields is far longer than they are, and the same in each model.
        tree = ast.parse(text[begin : text.find("\n    openapi_types: ", begin)])
    except (OSError, SyntaxError, ValueError):
        return Texts()
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            about = (ast.get_docstring(node) or "").partition("\n\nAttributes:")[0].strip()
            return Texts(about, dict(_fields(node)))
    return Texts()


def _fields(model: ast.ClassDef) -> list[tuple[str, str]]:
    found = []
    for statement in model.body:
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.value, ast.Call)):
            continue
        texts = {
            keyword.arg: keyword.value.value
            for keyword in statement.value.keywords
            if isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, str)
        }
        name = statement.target.id if isinstance(statement.target, ast.Name) else ""
        if "description" in texts:
            found.append((str(texts.get("serialization_alias") or name), str(texts["description"])))
    return found
