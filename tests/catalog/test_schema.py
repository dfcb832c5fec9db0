"""The published schema is the one that the reader follows."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from kuartui.catalog.catalog import Catalog
from kuartui.catalog.fields import HELP
from kuartui.catalog.schema import schema, text, translation
from tests.catalog.pack import LEVEL

PUBLISHED = Path(__file__).parents[2] / "docs" / "level.schema.json"


def test_the_published_schema_is_up_to_date() -> None:
    assert PUBLISHED.read_text() == text(), "kuartui level schema > docs/level.schema.json"
    translated = PUBLISHED.with_name("level-translation.schema.json").read_text()
    assert translated == text(translation()), "kuartui level schema --translation > docs/level-translation.schema.json"


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.Draft202012Validator.check_schema(translation())


@pytest.mark.parametrize("name", Catalog.default().names())
def test_the_shipped_levels_follow_it(name: str) -> None:
    document = yaml.safe_load((Catalog.default().folder(name) / "level.yaml").read_text())
    jsonschema.validate(document, schema())
    for file in Catalog.default().folder(name).glob("level.*.yaml"):
        jsonschema.validate(yaml.safe_load(file.read_text()), translation())


def test_a_number_may_be_a_variable() -> None:
    document = yaml.safe_load(LEVEL.replace("weight: 60", 'weight: "{{share}}"').replace("NAME", "level"))
    jsonschema.validate(document, schema())


def test_it_refuses_what_the_reader_refuses() -> None:
    document = yaml.safe_load(LEVEL.replace("weight: 60", "wieght: 60").replace("NAME", "level"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema())


def test_every_field_is_explained() -> None:
    found = {**schema()["$defs"], **translation()["$defs"]}
    bare = [
        f"{name}.{field}"
        for name, struct in found.items()
        for field, value in struct.get("properties", {}).items()
        if not value.get("description") and not any(item.get("description") for item in value.get("anyOf", []))
    ]
    assert bare == []


def test_nothing_is_explained_that_is_not_there() -> None:
    found = {**schema()["$defs"], **translation()["$defs"]}
    names = {f"{name}.{field}" for name, struct in found.items() for field in struct.get("properties", {})}
    assert [key for key in HELP if key not in names and not any(name.endswith(f".{key}") for name in names)] == []
